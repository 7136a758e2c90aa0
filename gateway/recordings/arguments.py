"""What can be typed after `recordings`, and what is done then."""

import argparse
import io
import sys
from pathlib import Path

from gateway.recordings.adding import add
from gateway.recordings.deciding import assign, discard, rebuild, retry
from gateway.recordings.listing import follow_list, list_recordings
from gateway.recordings.showing import show
from gateway.terminal.addressing import addressed, gateway_url
from gateway.terminal.errors import CommandError
from gateway.terminal.screen import Screen
from gateway.terminal.talk import Talk
from gateway.terminal.verbs import TRACKER, take_url, verbs_of

_ID = "the first digits of its id, four at least, as the list shows them"


def add_verbs(recordings: argparse.ArgumentParser) -> None:
    """Let a parser take the verbs of `recordings`."""
    verb = verbs_of(recordings)

    listing = verb("list", "Show where each recording is, and first what needs you.")
    listing.add_argument("--all", action="store_true", dest="is_all", help="deleted ones too, however many there are")
    form = listing.add_mutually_exclusive_group()
    form.add_argument("--follow", action="store_true", dest="is_followed", help="go on showing it, until Ctrl-C")
    take_url(listing)

    adding = verb("add", "Give .asi files to the gateway, and follow them into the cloud.")
    adding.add_argument("files", nargs="+", type=Path, metavar="FILE", help="stays where it is")
    adding.add_argument("--tracker", metavar="TRACKER", help=f"the one they come from: {TRACKER}")
    adding.add_argument("--no-follow", action="store_false", dest="is_followed", help="end when the gateway has them")

    showing = verb("show", "Show one recording: how it stands, and what has happened to it.")
    showing.add_argument("id", metavar="ID", help=_ID)
    for parser in (form, showing):
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    assigning = verb("assign", "Say which tracker recordings come from; also answers what is asked of them.")
    assigning.add_argument("ids", nargs="+", metavar="ID", help=_ID)
    assigning.add_argument("tracker", metavar="TRACKER", help=TRACKER)
    retrying = verb("retry", "Let recordings be sent (again), whatever has been; asks where the cloud may have one.")
    discarding = verb("discard", "Delete recordings; says whether each is the only copy, and asks.")
    for parser in (retrying, discarding):
        parser.add_argument("--yes", action="store_true", dest="is_sure", help="do not ask")
        parser.add_argument("ids", nargs="+", metavar="ID", help=_ID)
    verb("rebuild", "Let the gateway read all files that it keeps, and tell its queue again from them.")


async def recordings(options: argparse.Namespace) -> int:
    """Do what was typed.

    Returns:
        The exit status: 1 if not all of it was done, or a file that was added needs somebody.

    Raises:
        CommandError: If it cannot be done.
        GatewayError: If nobody answers.
    """
    url, talk = gateway_url(options.url), Talk(Screen(), sys.stdin or io.StringIO())
    try:
        return await _done(url, talk, options)
    except CommandError as error:
        raise CommandError(addressed(str(error), url)) from None


async def _done(url: str, talk: Talk, options: argparse.Namespace) -> int:
    match options.verb:
        case "add":
            return await add(url, talk, options.files, tracker=options.tracker, is_followed=options.is_followed)
        case "assign":
            return await assign(url, talk, options.ids, options.tracker)
        case "retry":
            return await retry(url, talk, options.ids, is_sure=options.is_sure)
        case "discard":
            return await discard(url, talk, options.ids, is_sure=options.is_sure)
        case "list" if options.is_followed:
            await follow_list(url, talk, is_all=options.is_all)
        case "list":
            await list_recordings(url, talk, is_json=options.json, is_all=options.is_all)
        case "show":
            await show(url, talk, options.id, is_json=options.json)
        case _:
            await rebuild(url, talk)
    return 0

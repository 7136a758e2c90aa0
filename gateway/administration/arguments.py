"""What can be typed after `access`, and what is done then."""

import argparse
import io
import sys
from collections.abc import Callable

from gateway.access.documents import GrantForm
from gateway.access.grants import MAX_DAYS
from gateway.access.roles import Role
from gateway.administration.access import create, list_grants, revoke
from gateway.administration.audit import MOST_LINES, show_audit
from gateway.administration.inviting import invite
from gateway.administration.joining import give_up, take_part
from gateway.terminal.addressing import addressed, gateway_url
from gateway.terminal.errors import CommandError
from gateway.terminal.screen import Screen
from gateway.terminal.talk import Talk
from gateway.terminal.verbs import take_url, verbs_of

_WHOM = "an id of the list, a person, or a part of a device's name that no other has"
_USUAL_LINES = 50


def add_access_verbs(access: argparse.ArgumentParser) -> None:
    """Let a parser take the verbs of `access`."""
    verb = verbs_of(access)

    inviting = verb("code", "Make a code that lets a laptop or phone in: a picture to scan, and a link to open.")
    creating = verb("create", "Let a program in: make a token, which is shown once.")
    creating.add_argument("--device", required=True, metavar="NAME", help="what runs there, or where, for the list")
    for parser in (inviting, creating):
        parser.add_argument("person", metavar="PERSON", help="whose it is, in quotes if there is a space in it")
        parser.add_argument(
            "--role", choices=[*map(str, Role)], default=str(Role.VIEWER), help="what they may do (default viewer)"
        )
        parser.add_argument(
            "--squad", action="append", dest="squads", metavar="SQUAD", help="only its athletes; may be repeated"
        )
        parser.add_argument(
            "--gnss-only", action="store_true", dest="is_gnss_only", help="neither heart rate nor power"
        )
        parser.add_argument(
            "--days", type=_whole(MAX_DAYS), metavar="N", help="for how long (default: until the season ends)"
        )
    listing = verb("list", "Show who is let in, with which devices, and when each last came.")
    take_url(listing)
    revoking = verb("revoke", "Throw devices out; their connections end within two seconds.")
    revoking.add_argument("whom", metavar="ID|PERSON", help=_WHOM)
    revoking.add_argument("--yes", action="store_true", dest="is_sure", help="do not ask")
    auditing = verb("audit", "Show who did what, and who was turned away.")
    auditing.add_argument(
        "--last",
        type=_whole(MOST_LINES),
        default=_USUAL_LINES,
        metavar="N",
        help=f"so many lines (default {_USUAL_LINES})",
    )
    take_url(auditing)
    joining = verb("join", "Let this machine in, by the link that `access code` has shown.")
    joining.add_argument("link", metavar="LINK", help="in quotes, as a whole")
    joining.add_argument("--device", metavar="NAME", help="what this machine is called there (default: its host name)")
    take_url(verb("leave", "Give up what lets this machine in."))
    for parser in (inviting, creating, listing, auditing):
        parser.add_argument("--json", action="store_true", help="print it as JSON")


async def administer_access(options: argparse.Namespace) -> int:
    """Do what was typed.

    Returns:
        The exit status.

    Raises:
        CommandError: If it cannot be done.
        GatewayError: If nobody answers.
    """
    talk = Talk(Screen(), sys.stdin or io.StringIO())
    if options.verb == "join":
        await take_part(talk, options.link, options.device)
        return 0
    url = gateway_url(options.url)
    try:
        await _done(url, talk, options)
    except CommandError as error:
        raise CommandError(addressed(str(error), url)) from None
    return 0


async def _done(url: str, talk: Talk, options: argparse.Namespace) -> None:
    match options.verb:
        case "code":
            await invite(url, talk, _form(options), is_json=options.json)
        case "create":
            await create(url, talk, _form(options, options.device), is_json=options.json)
        case "list":
            await list_grants(url, talk, is_json=options.json)
        case "leave":
            await give_up(url, talk)
        case "revoke":
            await revoke(url, talk, options.whom, is_sure=options.is_sure)
        case _:
            await show_audit(url, talk, options.last, is_json=options.json)


def _form(options: argparse.Namespace, device: str = "") -> GrantForm:
    squads = None if options.squads is None else tuple(options.squads)
    return GrantForm(options.person, device, Role(options.role), squads, options.is_gnss_only, options.days)


def _whole(highest: int) -> Callable[[str], int]:
    """A type for arguments that are whole numbers from 1 on."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 1 to {highest}")
        return int(text)

    return parse

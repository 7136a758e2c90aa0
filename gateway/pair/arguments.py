"""What can be typed after `pair`, and what is done then."""

import argparse
import io
import sys
from pathlib import Path

from gateway.pair.approving import apply
from gateway.pair.explaining import explain
from gateway.pair.holding import hold_sensor
from gateway.pair.listing import list_pairings
from gateway.pair.planning import show_plan
from gateway.pair.setting import clear, set_sensor
from gateway.pair.steering import Verb, steer
from gateway.pair.team import export_team, import_team
from gateway.pairing.documents import Slot
from gateway.pairing.requests import MAX_WORDS
from gateway.terminal.addressing import addressed, gateway_url
from gateway.terminal.errors import CommandError
from gateway.terminal.screen import Screen
from gateway.terminal.talk import Talk
from gateway.terminal.verbs import TRACKER, take_url, verbs_of

_DECISIONS = {
    Verb.ADOPT: "Want what the cloud has: of all trackers, or of some, whose pending changes that takes back.",
    Verb.SUSPEND: "Stop writing, until somebody resumes: of some trackers, or of all.",
    Verb.RESUME: "Go on writing; no other program is suspected any more.",
    Verb.RETRY: "Try at once what was given up, or waits for its next try.",
}


def add_verbs(pair: argparse.ArgumentParser) -> None:
    """Let a parser take the verbs of `pair`."""
    verb = verbs_of(pair)

    listing = verb("list", "Show which sensors each tracker has, shall have, and how far that is.")
    listing.add_argument("--all", action="store_true", dest="is_all", help="however many there are")
    explaining = verb("explain", "Say what is not right with a tracker, and what to do next.")
    explaining.add_argument("tracker", metavar="TRACKER", help=TRACKER)
    planning = verb("plan", "Show what is to change, and what of it somebody has to approve.")
    for parser in (listing, explaining, planning):
        parser.add_argument("--json", action="store_true", help="print it as JSON")
    for parser in (listing, planning):
        take_url(parser)

    setting = verb("set", "Say which sensor a tracker shall have.")
    setting.add_argument("tracker", metavar="TRACKER", help=TRACKER)
    which = setting.add_mutually_exclusive_group(required=True)
    which.add_argument("sensor", nargs="?", metavar="SENSOR", help="its name or address, or a part that no other has")
    which.add_argument("--hold", action="store_true", help="the one that is held to the gateway")
    setting.add_argument("--name", help="what the sensor is called, if the gateway has never heard it")
    setting.add_argument("--swap", action="store_true", help="if another tracker has it, the two exchange theirs")
    clearing = verb("clear", "Say that a tracker shall have no sensor.")
    clearing.add_argument("tracker", metavar="TRACKER", help=TRACKER)
    clearing.add_argument("--unmanage", action="store_true", help="want nothing of it any more; it keeps what it has")
    for parser in (setting, clearing):
        parser.add_argument("--slot", choices=[slot.value for slot in Slot], help="which of the two is meant")

    applying = verb("apply", "Approve what is to change.")
    applying.add_argument("--approve", metavar="HASH", help="this much, as `pair plan` shows it (default: it asks)")
    applying.add_argument(
        "--unconfirmed", action="store_true", help="do not wait until a tracker confirms that it has let a sensor go"
    )
    importing = verb("import", "Say which sensors a whole team shall have: a CSV or TOML file.")
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.add_argument("--dry-run", action="store_true", help="only show what would be different")
    for parser in (setting, clearing, applying, importing):
        parser.add_argument("--now", action="store_true", help="tell the trackers now, not when they start next")
        parser.add_argument("--during-session", action="store_true", help="though athletes train")
    exporting = verb("export", "Write what the whole team shall have.")
    exporting.add_argument("file", nargs="?", type=Path, metavar="FILE", help="ends with .csv or .toml (default: CSV)")

    deciding = [verb(decision.value, text) for decision, text in _DECISIONS.items()]
    for parser in deciding:
        parser.add_argument("trackers", nargs="*", metavar="TRACKER", help=f"{TRACKER} (default: all)")
    for parser in (setting, clearing, importing, *deciding):
        parser.add_argument(
            "--reason", default="", type=_reason, metavar="TEXT", help="why, for those who read it later"
        )


async def pair(options: argparse.Namespace) -> None:
    """Do what was typed.

    Raises:
        CommandError: If it cannot be done.
        GatewayError: If nobody answers.
    """
    url, talk = gateway_url(options.url), Talk(Screen(), sys.stdin or io.StringIO())
    try:
        await _done(url, talk, options)
    except CommandError as error:
        raise CommandError(addressed(str(error), url)) from None


async def _done(url: str, talk: Talk, options: argparse.Namespace) -> None:
    match options.verb:
        case "list":
            await list_pairings(url, talk, is_json=options.json, is_all=options.is_all)
        case "explain":
            await explain(url, talk, options.tracker, is_json=options.json)
        case "plan":
            await show_plan(url, talk, is_json=options.json)
        case "set":
            await _set(url, talk, options)
        case "clear":
            await clear(
                url,
                talk,
                options.tracker,
                slot=_slot(options),
                is_unmanaged=options.unmanage,
                is_immediate=options.now,
                is_during_session=options.during_session,
                reason=options.reason,
            )
        case "apply":
            await apply(
                url,
                talk,
                approve=options.approve,
                is_immediate=options.now,
                is_during_session=options.during_session,
                is_unconfirmed_ok=options.unconfirmed,
            )
        case "import":
            await import_team(
                url,
                talk,
                options.file,
                is_dry=options.dry_run,
                is_immediate=options.now,
                is_during_session=options.during_session,
                reason=options.reason,
            )
        case "export":
            await export_team(url, talk, options.file)
        case verb:
            await steer(url, talk, Verb(verb), options.trackers, reason=options.reason)


async def _set(url: str, talk: Talk, options: argparse.Namespace) -> None:
    if options.hold:
        if options.name is not None:
            raise CommandError("A sensor that is held to the gateway tells its name: leave --name out.")
        await hold_sensor(
            url,
            talk,
            options.tracker,
            slot=_slot(options),
            is_swap=options.swap,
            is_immediate=options.now,
            is_during_session=options.during_session,
            reason=options.reason,
        )
        return
    await set_sensor(
        url,
        talk,
        options.tracker,
        options.sensor,
        name=options.name,
        slot=_slot(options),
        is_swap=options.swap,
        is_immediate=options.now,
        is_during_session=options.during_session,
        reason=options.reason,
    )


def _slot(options: argparse.Namespace) -> Slot | None:
    return None if options.slot is None else Slot(options.slot)


def _reason(text: str) -> str:
    """A type for the words of a person, who may not know how many are kept."""
    if len(text) > MAX_WORDS or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"found {len(text)} characters, expected at most {MAX_WORDS} on one line: shorten it"
        )
    return text

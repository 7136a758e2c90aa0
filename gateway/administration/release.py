"""`release`: who may be shown, on what basis, and who said so."""

import argparse
import io
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from gateway.access.release import AthleteReport, ReleasesReport
from gateway.terminal.addressing import addressed, gateway_url
from gateway.terminal.answers import told
from gateway.terminal.errors import CommandError
from gateway.terminal.finding import find
from gateway.terminal.layout import NOT_KNOWN, columns, counted, plain
from gateway.terminal.screen import Screen
from gateway.terminal.talk import Talk
from gateway.terminal.verbs import take_url, verbs_of
from insiders_gateway_client.gateway import Gateway

_PATH = "releases"
_HEADINGS = ("Athlete", "Tracker", "Release", "Basis")
_NARROWEST = 12
_STYLES = {True: "", False: "yellow"}

_NOBODY = "No athlete is called {}: `insiders-gateway release list` lists them."
_NOTHING = "Say which athlete: the name, or a part of it; `insiders-gateway release list` lists them."
_EVERYBODY = "The configuration asks for no release: everybody is shown."


def add_verbs(command: argparse.ArgumentParser) -> None:
    """Let a parser take the verbs of `release`."""
    verb = verbs_of(command)
    listing = verb("list", "Show who may be shown, since when, on what basis and who said so.")
    listing.add_argument("--json", action="store_true", help="print it as JSON")
    take_url(listing)
    giving = verb("give", "Let athletes be shown, from now on.")
    withdrawing = verb("withdraw", "Let athletes not be shown any more, from this second on.")
    for parser in (giving, withdrawing):
        parser.add_argument(
            "athletes", nargs="*", metavar="ATHLETE", help="the name, in quotes if there is a space in it"
        )
        parser.add_argument("--all", action="store_true", dest="is_all", help="all athletes of the configuration")
    giving.add_argument(
        "--basis", required=True, metavar="TEXT", help='on what ground, for example "consent signed on 1 September"'
    )


async def release(options: argparse.Namespace) -> None:
    """Do what was typed.

    Raises:
        CommandError: If an athlete is not found, or the gateway refuses.
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
            await _list(url, talk, is_json=options.json)
        case "give":
            await _give(url, talk, options)
        case _:
            await _withdraw(url, talk, options)


async def _list(url: str, talk: Talk, *, is_json: bool) -> None:
    report = await _ask(url, "GET", _PATH)
    if is_json:
        talk.document(report)
        return
    if report.is_required:
        released = sum(athlete.is_released for athlete in report.athletes)
        talk.say(f"{counted(len(report.athletes), 'athlete')}, {released} released.")
    else:
        talk.say(f"{counted(len(report.athletes), 'athlete')}.")
        talk.say(_EVERYBODY, "bold yellow")
    _tell_trouble(report, talk)
    talk.show(_table(report, datetime.now().astimezone(), talk.width))


async def _give(url: str, talk: Talk, options: argparse.Namespace) -> None:
    named = await _named(url, options)
    if named is not None:
        _check_whole(options.athletes, named)
    athletes = "*" if named is None else [athlete.athlete for athlete in named]
    report = await _ask(url, "PUT", _PATH, {"athletes": athletes, "basis": options.basis})
    meant = _meant(report, named)
    talk.say(f"{_called(meant)}: released.")
    if any(athlete.is_waiting for athlete in meant):
        talk.say("It begins as soon as the Insiders cloud answers, and nothing from before is read.")
    elif report.is_required:
        talk.say("Every laptop shows it within seconds, from now on; nothing from before is read.")
    else:
        talk.say(_EVERYBODY, "bold yellow")
    _tell_trouble(report, talk)


async def _withdraw(url: str, talk: Talk, options: argparse.Namespace) -> None:
    named = await _named(url, options)
    before = (await _ask(url, "GET", _PATH)).athletes if named is None else named
    athletes = "*" if named is None else [athlete.athlete for athlete in named]
    report = await _ask(url, "POST", f"{_PATH}/withdraw", {"athletes": athletes})
    if others := [athlete for athlete in before if not athlete.is_released]:
        talk.say(f"{_called(others)}: not released before either, nothing has changed.")
    if withdrawn := [athlete for athlete in before if athlete.is_released]:
        talk.say(f"{_called(withdrawn)}: not released any more.")
        talk.say(
            'Every laptop now shows "not released" instead of name and values, '
            "and what the gateway held in memory is overwritten."
        )
        talk.say("What is in the Insiders cloud, and recordings on their way there, are as they were.")
    _tell_trouble(report, talk)


async def _named(url: str, options: argparse.Namespace) -> list[AthleteReport] | None:
    """The athletes that were typed; None for all of them."""
    if options.is_all:
        if options.athletes:
            raise CommandError("Name athletes or give --all, not both.")
        return None
    if not options.athletes:
        raise CommandError("Say which athletes, or give --all; `insiders-gateway release list` lists them.")
    known = (await _ask(url, "GET", _PATH)).athletes
    return [_found(known, typed) for typed in options.athletes]


def _found(athletes: Sequence[AthleteReport], typed: str) -> AthleteReport:
    return find(athletes, typed, _known_as, lambda it: plain(it.athlete), if_nothing=_NOTHING, if_nobody=_NOBODY)


def _known_as(athlete: AthleteReport) -> Sequence[str]:
    return (athlete.athlete, *athlete.trackers)


def _check_whole(typed: Sequence[str], named: Sequence[AthleteReport]) -> None:
    """See that nobody is released by a part of a name, which may be another's tomorrow."""
    for word, athlete in zip(typed, named, strict=True):
        if plain(word).strip().casefold() not in [plain(known).strip().casefold() for known in _known_as(athlete)]:
            text = f"A release wants the whole name: {plain(word)!r} may mean {plain(athlete.athlete)!r}."
            raise CommandError(text)


def _meant(report: ReleasesReport, named: Sequence[AthleteReport] | None) -> list[AthleteReport]:
    names = None if named is None else {athlete.athlete for athlete in named}
    return [athlete for athlete in report.athletes if names is None or athlete.athlete in names]


def _called(athletes: Sequence[AthleteReport]) -> str:
    return ", ".join(plain(athlete.athlete) for athlete in athletes) or "Nobody"


def _tell_trouble(report: ReleasesReport, talk: Talk) -> None:
    if report.trouble is not None:
        talk.say(report.trouble, "bold yellow")


def _table(report: ReleasesReport, now: datetime, width: int) -> list[Text]:
    athletes = report.athletes
    cells = [_cells(athlete, now, is_required=report.is_required) for athlete in athletes]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *cells, strict=True)]
    # The basis, which anybody may have written at length, has what the others leave.
    widths[-1] = max(_NARROWEST, min(widths[-1], width - sum(widths[:-1]) - len(widths) + 1))
    are_numbers = [False] * len(_HEADINGS)
    lines = [columns(_HEADINGS, widths, are_numbers, "bold")] if athletes else []
    return lines + [
        columns(row, widths, are_numbers, _STYLES[athlete.is_released or not report.is_required])
        for row, athlete in zip(cells, athletes, strict=True)
    ]


def _cells(athlete: AthleteReport, now: datetime, *, is_required: bool) -> tuple[str, str, str, str]:
    name, trackers = plain(athlete.athlete), plain(", ".join(athlete.trackers))
    if not athlete.is_released:
        return name, trackers, "not released" if is_required else "none needed", NOT_KNOWN
    since = datetime.fromtimestamp((athlete.given_ms or 0) / 1000, now.tzinfo)
    begun = "" if not athlete.is_waiting else ", waits for the cloud"
    return name, trackers, f"{since:%d %b %Y %H:%M} by {plain(athlete.by or '')}{begun}", plain(athlete.basis or "")


async def _ask(url: str, method: str, path: str, document: Mapping[str, Any] | None = None) -> ReleasesReport:
    return await told(Gateway(url).ask(method, path, json=document), ReleasesReport, url, "releases")

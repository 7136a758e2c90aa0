"""`access create`, `list` and `revoke`: who is let in, with which devices."""

import time
from collections.abc import Sequence
from datetime import datetime, tzinfo
from urllib.parse import quote

import msgspec
from rich.text import Text

from gateway.access.documents import AccessReport, GrantedReport, GrantForm, GrantReport
from gateway.terminal.addressing import addressed
from gateway.terminal.answers import told
from gateway.terminal.finding import find
from gateway.terminal.layout import columns, counted, plain, wrapped
from gateway.terminal.talk import LEFT, Talk
from insiders_gateway_client.gateway import Gateway

_HEADINGS = ("Id", "Person", "Device", "Role", "Last came", "Until")
_FLEXIBLE = (1, 2)
"""Columns that give way where the terminal is narrow."""

_NARROWEST = 6
_NOBODY = "No device and no person is called {}: `insiders-gateway access list` lists them."
_NOTHING = "Say which device: its id, or whose it is; `insiders-gateway access list` lists them."


async def create(url: str, talk: Talk, form: GrantForm, *, is_json: bool) -> None:
    """Let a program in, and print its token: the only time that anybody sees it.

    Raises:
        CommandError: If the gateway does not do it.
        GatewayError: If nobody answers; as for all that follow.
    """
    answer = Gateway(url).ask("POST", "access", json=msgspec.to_builtins(form))
    report = await told(answer, GrantedReport, url, "who is let in")
    if is_json:
        talk.document(report)
        return
    grant = report.grant
    until = _last_day(grant.expires_ms, _zone())
    talk.say(f"{_named(grant)} is let in as {in_words(grant)}, until {until}. The token:")
    talk.console.print(Text(report.token, "bold"), soft_wrap=True)
    talk.say(
        "It is shown this once; whoever has it comes in. Give it to the program that it is for, which sends it as "
        "`Authorization: Bearer TOKEN`; our own client and commands take it from INSIDERS_GATEWAY_TOKEN."
    )
    talk.say(addressed(f"`insiders-gateway access revoke {grant.id}` throws it out.", url))


async def list_grants(url: str, talk: Talk, *, is_json: bool) -> None:
    """Print who is let in."""
    report = await _fetch(url)
    if is_json:
        talk.document(report)
        return
    now_ms = time.time_ns() // 1_000_000
    live = [grant for grant in report.grants if grant.expires_ms > now_ms]
    persons = counted(len({grant.person for grant in live}), "person")
    talk.say(f"{counted(len(live), 'device')} of {persons} let in." if live else "No device is let in.")
    _tell_problem(report, talk)
    if not live:
        talk.say(addressed('`insiders-gateway access code "NAME"` makes a code that lets one in.', url))
    ordered = sorted(report.grants, key=lambda grant: (grant.expires_ms <= now_ms, grant.person.casefold()))
    talk.show(_table(ordered, now_ms, talk.width))


async def revoke(url: str, talk: Talk, whom: str, *, is_sure: bool) -> None:
    """Throw out one device, or all of a person; what may not be meant, only if somebody says so."""
    grants = _meant((await _fetch(url)).grants, whom)
    person, devices = plain(grants[0].person), ", ".join(plain(grant.device) for grant in grants)
    if len(grants) > 1 and not is_sure:
        await talk.agree(
            f"{person} has {counted(len(grants), 'device')}: {devices}. Throw all of them out?",
            f"{LEFT.rstrip('.')}: {person} has {counted(len(grants), 'device')}; give the id of one, or add --yes.",
        )
    elif not is_sure and _typed(whom) not in map(_typed, (grants[0].id, person, grants[0].device)):
        await talk.agree(
            f"{plain(whom)!r} may mean {devices} of {person}. Throw it out?",
            f"{LEFT.rstrip('.')}: {plain(whom)!r} may mean {devices} of {person}; give {grants[0].id}, or add --yes.",
        )
    for grant in grants:
        answer = Gateway(url).ask("DELETE", f"access/{quote(grant.id, safe='')}")
        await told(answer, GrantReport, url, "who is let in")
        talk.say(f"{_named(grant)} is out; connections end within two seconds.")
    _tell_problem(await _fetch(url), talk)


def in_words(grant: GrantForm | GrantReport) -> str:
    """What somebody may do, and of whom: "viewer of U19, without heart rate and power"."""
    return f"{grant.role}{_limits(grant)}"


def _limits(grant: GrantForm | GrantReport) -> str:
    squads = "" if grant.squads is None else f" of {', '.join(map(plain, grant.squads))}"
    return f"{squads}{', without heart rate and power' if grant.gnss_only else ''}"


async def _fetch(url: str) -> AccessReport:
    return await told(Gateway(url).ask("GET", "access"), AccessReport, url, "who is let in")


def _meant(grants: Sequence[GrantReport], typed: str) -> list[GrantReport]:
    """All devices of a person, or one device."""
    persons = {grant.person for grant in grants if _typed(grant.person) == _typed(typed)}
    if persons:
        return [grant for grant in grants if grant.person in persons]
    return [
        find(
            grants,
            typed,
            lambda grant: (grant.id, grant.person, grant.device),
            lambda grant: f"{grant.id} ({_named(grant)})",
            if_nothing=_NOTHING,
            if_nobody=_NOBODY,
        )
    ]


def _typed(name: str) -> str:
    """A name as anybody may type it."""
    return plain(name).strip().casefold()


def _named(grant: GrantReport) -> str:
    return f"{plain(grant.device)} of {plain(grant.person)}"


def _tell_problem(report: AccessReport, talk: Talk) -> None:
    if report.problem:
        talk.say(report.problem, "bold yellow")


def _table(grants: Sequence[GrantReport], now_ms: int, width: int) -> list[Text]:
    if not grants:
        return []
    rows = [_cells(grant, now_ms) for grant in grants]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    while sum(widths) + len(widths) - 1 > width:
        widest = max(_FLEXIBLE, key=lambda place: widths[place])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    are_numbers = [False] * len(_HEADINGS)
    lines = [columns(_HEADINGS, widths, are_numbers, "bold")]
    for grant, row in zip(grants, rows, strict=True):
        style = "dim" if grant.expires_ms <= now_ms else ""
        lines.append(columns(row, widths, are_numbers, style))
        if limits := _limits(grant).lstrip(", "):
            lines.extend(wrapped(limits, width, style, lead=" " * (widths[0] + 1)))
    return lines


def _cells(grant: GrantReport, now_ms: int) -> tuple[str, ...]:
    zone = _zone()
    return (
        grant.id,
        plain(grant.person),
        plain(grant.device),
        str(grant.role),
        "never" if grant.used_ms is None else _day(grant.used_ms, zone),
        "expired" if grant.expires_ms <= now_ms else _last_day(grant.expires_ms, zone),
    )


def _zone() -> tzinfo | None:
    return datetime.now().astimezone().tzinfo


def _last_day(expires_ms: int, zone: tzinfo | None) -> str:
    """What ends with a day is good on it."""
    return _day(expires_ms - 1, zone)


def _day(time_ms: int, zone: tzinfo | None) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, zone):%d %b %Y}"

"""How one tracker stands, why, and what to do next."""

import sys
from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from gateway.pair.source import Source
from gateway.pair.words import SLOTS, SensorNames, sensors_of, state_of
from gateway.pairing.documents import Wish
from gateway.pairing.report import ConditionReport, EventReport, PairingReport, SlotReport
from gateway.terminal.addressing import addressed
from gateway.terminal.layout import plain, wrapped
from gateway.terminal.talk import Talk
from gateway.terminal.times import clock
from gateway.terminal.wearers import find_tracker, identified

_RIGHT_IF_FALSE = {"Suspended", "Stalled"}
_SUMMARY, _WORK = "Ready", "Reconciling"

_MOST_LINES = 5
"""Of what has happened, in a terminal: what is to be done next stands above and has to stay in sight."""


async def explain(url: str, talk: Talk, tracker: str, *, is_json: bool = False) -> None:
    """Print one sentence and one next action for all that is not right with a tracker, then what happened lately.

    Args:
        url: Of the gateway.
        talk: Where to.
        tracker: Its serial number, athlete or number, or a part that only it has.
        is_json: As the gateway says it.

    Raises:
        CommandError: If there is no such tracker.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    found = find_tracker((await source.pairings()).trackers, tracker)
    report = await source.tracker(found.serial_number)
    if is_json:
        talk.document(report)
    else:
        most = _MOST_LINES if talk.console.is_terminal else sys.maxsize
        talk.show(explained(report, url, datetime.now().astimezone(), talk.width, most))


def explained(report: PairingReport, url: str, now: datetime, width: int, most_lines: int) -> list[Text]:
    """A tracker in lines.

    Args:
        report: What is told.
        url: Of the gateway, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
        most_lines: How many of them may tell what has happened.
    """
    names = sensors_of([report])
    kept = " Only the configuration says what it shall have." if report.managed_by == "file" else ""
    lines = wrapped(f"{identified(report)}: {state_of(report)}.{kept}", width, "bold")
    for slot in report.slots:
        lines += wrapped(_documents(slot, names), width, "", "  ")
    wrong = [condition for condition in report.conditions if _is_wrong(condition)]
    wrong = [condition for condition in wrong if condition.type != _SUMMARY] or wrong
    # Two conditions may wait for the same, and say so in the same words.
    unknown = {(one.slot, one.text): one for one in report.conditions if _is_unknown(one)}
    if not wrong:
        told = "All is right." if report.state == "in_sync" else f"Nothing is wrong: {plain(report.text)}."
        lines += wrapped(told, width, "green")
    for condition in wrong:
        lines += _told(condition, url, now, width, "yellow", "! ")
    for condition in unknown.values():
        lines += _told(condition, url, now, width, "", "? ")
    for condition in report.conditions:
        if condition.type == _WORK and condition.status == "true":
            lines += _told(condition, url, now, width, "dim", "… ")
    if report.events:
        lines += [Text("Lately:", "bold"), *_events(report.events, now, width, most_lines)]
    return lines


def _is_wrong(condition: ConditionReport) -> bool:
    if condition.type == _WORK:
        return False
    return condition.status == ("true" if condition.type in _RIGHT_IF_FALSE else "false")


def _is_unknown(condition: ConditionReport) -> bool:
    """Whether nobody knows, and not because there is nothing to know."""
    return condition.status == "unknown" and condition.type not in {_SUMMARY, _WORK}


def _documents(slot: SlotReport, names: SensorNames) -> str:
    """What is wanted of a slot, and how far that has come."""
    what = SLOTS.get(slot.slot, plain(slot.slot)).capitalize()
    has = f"the tracker has {names.of(slot.current)}"
    if slot.target != slot.current:
        has += f", and the cloud {names.of(slot.target)} for it"
    if slot.desired is Wish.UNMANAGED:
        return f"{what}: not managed; {has}."
    wanted = None if slot.desired is Wish.NONE else slot.desired
    if wanted == slot.target == slot.current:
        return f"{what}: {names.of(wanted)}, as wanted."
    return f"{what}: {names.of(wanted)} is wanted; {has}."


def _told(condition: ConditionReport, url: str, now: datetime, width: int, style: str, lead: str) -> list[Text]:
    """A condition with what it is of, since when it is so, and what to do next on a line of its own."""
    what = f"{SLOTS.get(condition.slot, plain(condition.slot)).capitalize()}: " if condition.slot else ""
    since = clock(condition.since_ms, now)
    told = condition.text if since in condition.text else f"{condition.text} (since {since})"
    lines = wrapped(f"{what}{told}.", width, style, lead)
    if condition.action:
        action = addressed(plain(condition.action), url)
        lines += wrapped(f"{action[:1].upper()}{action[1:]}.", width, "bold", "  → ")
    return lines


def _events(events: Sequence[EventReport], now: datetime, width: int, most_lines: int) -> list[Text]:
    """The newest of what has happened: whole events, as many as there are lines for, one at least."""
    lines: list[Text] = []
    for event in events:
        what = f"{SLOTS.get(event.slot, plain(event.slot)).capitalize()}: " if event.slot else ""
        who = f" (by {event.author})" if event.author else ""
        often = f", {event.count} times" if event.count > 1 else ""
        told = wrapped(f"{what}{event.text}{who}{often}", width, "", f"  {clock(event.last_ms, now)}  ")
        if lines and len(lines) + len(told) > most_lines:
            break
        lines += told
    return lines

"""What is to change, as one reads it aloud before it is approved."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from rich.text import Text

from gateway.pair.source import Source
from gateway.pair.words import SLOTS, STATES, SensorNames, command, training
from gateway.pairing.report import ChangeReport, ChangeSetReport, PlanReport
from gateway.terminal.layout import counted, plain, wrapped
from gateway.terminal.talk import Talk
from gateway.terminal.wearers import called

WHYS = {
    "swap": "a sensor moves from one tracker to another",
    "removal": "a tracker loses its sensor",
    "bulk": "many trackers change at once",
    "drift": "somebody else has changed it",
}


async def show_plan(url: str, talk: Talk, *, is_json: bool = False) -> None:
    """Print what is to change, and how to approve what a person must.

    Args:
        url: Of the gateway.
        talk: Where to.
        is_json: As the gateway says it.

    Raises:
        GatewayError: If nobody answers.
    """
    plan = await Source(url).plan()
    if is_json:
        talk.document(plan)
    else:
        talk.show(planned(plan, url, datetime.now().astimezone(), talk.width))


def planned(plan: PlanReport, url: str, now: datetime, width: int) -> list[Text]:
    """What is to change, in lines.

    Args:
        plan: What is told.
        url: Of the gateway, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
    """
    if not plan.change_sets:
        return [Text("Nothing is to change.")]
    awaited = awaiting(plan)
    need = f"{len(awaited)} of them need{'s' if len(awaited) == 1 else ''} you" if awaited else "none needs you"
    lines = wrapped(f"{counted(len(plan.change_sets), 'group')} of changes, {need}.", width)
    if plan.session_until_ms is not None:
        lines += wrapped(f"{training(plan.session_until_ms, now)}: changes wait.", width, "yellow")
    names = names_in(plan.change_sets)
    for change_set in plan.change_sets:
        lines += [Text(), *group(change_set, names, url, width)]
    if len(awaited) > 1:
        lines += [Text(), Text("All of it:"), to_type(f"apply --approve {plan.hash}", url)]
    return lines


def group(change_set: ChangeSetReport, names: SensorNames, url: str | None, width: int) -> Iterator[Text]:
    """Changes that are approved as one, in lines; without the command for it where there is no address."""
    why = ", ".join(WHYS.get(why, plain(why)) for why in change_set.why)
    if not change_set.why:
        yield from wrapped(f"Group {change_set.hash}: needs nobody.", width, "bold")
    elif change_set.is_approved:
        yield from wrapped(f"Group {change_set.hash}: approved ({why}).", width, "bold")
    else:
        yield from wrapped(f"Group {change_set.hash}: needs you: {why}.", width, "bold yellow")
    for change in change_set.changes:
        state = f" ({STATES.get(change.state, plain(change.state))})" if change_set.is_approved else ""
        yield from wrapped(f"{_changed(change, names)}{state}.", width, "", "  ")
    if not change_set.is_approved and url is not None:
        yield to_type(f"apply --approve {change_set.hash}", url)


def to_type(arguments: str, url: str) -> Text:
    """A command on a line of its own, to be copied whole: a window that is too narrow wraps it without a break."""
    return Text(f"  → {command(arguments, url)}")


def awaiting(plan: PlanReport, serial_numbers: Collection[str] | None = None) -> list[ChangeSetReport]:
    """The groups that a person has to approve still; only those of some trackers, if they are given."""
    return [
        change_set
        for change_set in plan.change_sets
        if not change_set.is_approved
        and (serial_numbers is None or any(change.serial_number in serial_numbers for change in change_set.changes))
    ]


def names_in(change_sets: Sequence[ChangeSetReport]) -> SensorNames:
    """The names of all sensors that move."""
    return SensorNames(
        sensor
        for change_set in change_sets
        for change in change_set.changes
        for sensor in (change.before, change.after)
        if sensor is not None
    )


def _changed(change: ChangeReport, names: SensorNames) -> str:
    slot = SLOTS.get(change.slot, plain(change.slot))
    return f"{called(change)}, {slot}: {names.of(change.before)} → {names.of(change.after)}"

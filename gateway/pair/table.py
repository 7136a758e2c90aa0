"""All trackers and their sensors as a table: what needs somebody stands first, under what is to be done."""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from gateway.pair.words import STATES, SensorNames, athlete, called, clock, sensors_of
from gateway.pairing.documents import Sensor, Wish
from gateway.pairing.report import PairingReport, PairingsReport, SlotReport
from gateway.terminal.layout import NOT_KNOWN, columns, counted, plain, shortened, wrapped

_NUMBER, _ATHLETE, _TRACKER, _STRAP, _METER, _STATE = "#", "Athlete", "Tracker", "Strap", "Power meter", "State"
_COLUMNS = (_NUMBER, _ATHLETE, _TRACKER, _STRAP, _METER, _STATE)
_LEFT_OUT = (_TRACKER, _METER, _NUMBER)
"""What a narrower window does without, in this order, once the names cannot be cut any more."""

_NARROWEST = {_ATHLETE: 12, _STRAP: 14, _METER: 14}
"""Columns that are cut, and how far."""

_WARNED = "With a warning, which `insiders-gateway pair explain` explains:"
_UNDER_WAY, _IN_ORDER, _UNMANAGED = "Under way, wait:", "In order:", "Not managed by this gateway:"
_CALM = {_WARNED: "yellow", _UNDER_WAY: "dim", _IN_ORDER: "green", _UNMANAGED: "dim"}
"""Groups that need nobody, in this order, and how their headings look."""

_SENSOR, _MATCHED = {"SensorSeen", "SensorDelivering"}, "SensorMatched"
_WARNINGS = {
    "NoData": "no values",
    "FlatZero": "flat values",
    "InUseElsewhere": "elsewhere?",
    "NeverSeen": "never heard",
    "SeenStale": "not heard",
    "NewAddress": "new address",
    "AmbiguousNeighbours": "two of a name",
}
"""What may be wrong with a sensor that its tracker listens to, in a word or two."""

_ON_ITS_WAY, _LEFT_ALONE = "→ ", "("
_LEGEND = {_ON_ITS_WAY: "→ not in the tracker yet", _LEFT_ALONE: "( ) not managed"}
"""How the cell of a sensor begins that is not just there as it is wanted, and what that means."""

_Cells = Mapping[str, str]


def table(report: PairingsReport, now: datetime, width: int, height: int = sys.maxsize) -> Text:
    """The trackers as they are to be printed.

    Args:
        report: What is told.
        now: The present time in the zone in which times are to be told.
        width: Columns.
        height: Lines: trackers that have no room are counted, those that need nobody first.
    """
    groups: dict[str, list[PairingReport]] = {}
    wearers = {tracker.serial_number: called(tracker) for tracker in report.trackers}
    for tracker in report.trackers:
        groups.setdefault(_heading(tracker, wearers), []).append(tracker)
    above = _above(report, groups, now, width)
    names = sensors_of(report.trackers)
    cells = {tracker.serial_number: _cells(tracker, names) for tracker in report.trackers}
    widths = _widths(list(cells.values()), width)
    legend = _legend(cells.values())
    below = wrapped(legend, width, "dim") if legend else []
    head = [_line({name: name for name in widths}, widths, width, "bold")] if groups else []
    room = height - len(above) - len(head) - len(below)
    rows: list[Text] = []
    shown = 0
    for heading in sorted(groups, key=lambda heading: [*_CALM].index(heading) if heading in _CALM else -1):
        title = wrapped(heading, width, _CALM.get(heading, "yellow"))
        for place, tracker in enumerate(groups[heading]):
            lines = title if place == 0 else []
            style = "dim" if heading == _UNMANAGED else "" if heading in _CALM else "bold"
            lines = [*lines, _line(cells[tracker.serial_number], widths, width, style)]
            is_last = shown == len(report.trackers) - 1
            if len(rows) + len(lines) > room - (0 if is_last else 1):
                left_out = wrapped(_left_out(groups, len(report.trackers) - shown), width, "dim")
                return _joined(above, head, rows, left_out, below)
            rows += lines
            shown += 1
    return _joined(above, head, rows, below)


def _joined(*parts: Sequence[Text]) -> Text:
    return Text("\n").join(line for part in parts for line in part)


def _heading(tracker: PairingReport, names: Mapping[str, str]) -> str:
    """Under which words a tracker stands: what is to be done with it, where something is."""
    action = plain(tracker.action)
    if not action:
        mixed_up = (condition for condition in tracker.conditions if condition.type == _MATCHED)
        action = next((plain(condition.action) for condition in mixed_up if condition.status == "false"), "")
    if action and not action.startswith("wait"):
        told = _of_any(action, tracker, names)
        return f"{told[:1].upper()}{told[1:]}:"
    match tracker.state:
        case "in_sync":
            return _WARNED if _warning(tracker) else _IN_ORDER
        case "unmanaged":
            return _UNMANAGED
        case _:
            return _UNDER_WAY


def _of_any(action: str, tracker: PairingReport, names: Mapping[str, str]) -> str:
    """What is to be done without saying with which tracker, so that it holds for several; commands stay as they are.

    Args:
        action: What is to be done.
        tracker: With which one.
        names: Of all trackers, by serial number: another one is told by who wears it.
    """
    known = {plain(serial): name for serial, name in names.items()} | {plain(tracker.serial_number): "it"}
    words = re.compile("|".join(sorted(map(re.escape, filter(None, known)), key=len, reverse=True)))
    parts = action.split("`")
    parts[::2] = [words.sub(lambda serial: known[serial[0]], part) for part in parts[::2]]
    return "`".join(parts)


def _warning(tracker: PairingReport) -> str:
    """What of the sensors of a tracker is not as it should be, in a word or two; empty if nothing."""
    told = (
        _WARNINGS.get(condition.reason, "")
        for condition in tracker.conditions
        if condition.status == "false" and condition.type in _SENSOR
    )
    return next(filter(None, told), "")


def _above(
    report: PairingsReport, groups: Mapping[str, Sequence[PairingReport]], now: datetime, width: int
) -> list[Text]:
    need = sum(len(trackers) for heading, trackers in groups.items() if heading not in _CALM)
    told = f"{need} need{'s' if need == 1 else ''} you" if need else "nothing to do"
    lines = wrapped(f"{counted(len(report.trackers), 'tracker')}, {told}.", width)
    if report.paused_by is not None:
        who = plain(report.paused_by) or "Somebody"
        sentence = f"{who} has stopped all changes: `insiders-gateway pair resume` lets them go on."
        lines += wrapped(sentence, width, "bold yellow")
    if report.session_until_ms is not None:
        lines += wrapped(f"Athletes train: changes wait until {clock(report.session_until_ms, now)}.", width, "yellow")
    return [*lines, Text()]


def _cells(tracker: PairingReport, names: SensorNames) -> _Cells:
    slots = {slot.slot: _slot(slot, names) for slot in tracker.slots}
    return {
        _NUMBER: "" if tracker.number is None else str(tracker.number),
        _ATHLETE: athlete(tracker),
        _TRACKER: plain(tracker.serial_number),
        _STRAP: slots.get("heart_rate", NOT_KNOWN),
        _METER: slots.get("power", NOT_KNOWN),
        _STATE: (tracker.state == "in_sync" and _warning(tracker)) or STATES.get(tracker.state, plain(tracker.state)),
    }


def _slot(slot: SlotReport, names: SensorNames) -> str:
    """The sensor of a slot: what is wanted, marked if the tracker has not got it; what it has, if nothing is wanted."""
    if slot.desired is Wish.UNMANAGED:
        return NOT_KNOWN if slot.current is None else f"{_LEFT_ALONE}{names.of(slot.current)})"
    wanted = slot.desired if isinstance(slot.desired, Sensor) else None
    has_it = (wanted and wanted.address) == (slot.current and slot.current.address)
    return names.of(wanted) if has_it else f"{_ON_ITS_WAY}{names.of(wanted)}"


def _legend(rows: Collection[_Cells]) -> str:
    """What the marks mean that are seen."""
    sensors = [row[column] for row in rows for column in (_STRAP, _METER)]
    return "   ".join(told for mark, told in _LEGEND.items() if any(cell.startswith(mark) for cell in sensors))


def _widths(rows: Sequence[_Cells], width: int) -> dict[str, int]:
    """The columns that a window has room for, each as wide as what is in it, or cut."""
    widths = {name: max([len(name), *(cell_len(row[name]) for row in rows)]) for name in _COLUMNS}
    over = _over(widths, width)
    for name in _LEFT_OUT if over > 0 else ():
        del widths[name]
        over = _over(widths, width)
        spare = {name: max(0, widths[name] - least) for name, least in _NARROWEST.items() if name in widths}
        if over <= sum(spare.values()):
            break
    for _ in range(min(over, sum(spare.values())) if over > 0 else 0):
        widest = max(spare, key=spare.__getitem__)
        spare[widest] -= 1
        widths[widest] -= 1
    return widths


def _over(widths: Mapping[str, int], width: int) -> int:
    return sum(widths.values()) + len(widths) - 1 - width


def _line(cells: _Cells, widths: Mapping[str, int], width: int, style: str) -> Text:
    told = (shortened(cells[name], widths[name]) if name in {_STRAP, _METER} else cells[name] for name in widths)
    line = columns(told, widths.values(), (name == _NUMBER for name in widths), style)
    line.truncate(width, overflow="ellipsis")
    return line


def _left_out(groups: Mapping[str, Sequence[PairingReport]], hidden: int) -> str:
    """What there was no room for: the last ones of the groups."""
    well = sum(len(trackers) for heading, trackers in groups.items() if heading in _CALM)
    need = hidden - well
    told = [f"{need} more need{'s' if need == 1 else ''} you"] if need > 0 else []
    others = min(hidden, well)
    told += [f"{counted(others, 'more tracker')} need{'s' if others == 1 else ''} nobody"] if others else []
    return f"{', '.join(told)}: --all lists them"

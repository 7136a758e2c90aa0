"""All trackers and their sensors as a table: what needs somebody stands first, under what is to be done."""

import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.text import Text

from gateway.pair.grouping import Group, Rank, grouped, warning
from gateway.pair.words import SensorNames, command, is_stopped, sensors_of, state_of, training
from gateway.pairing.documents import Sensor, Wish
from gateway.pairing.report import PairingReport, PairingsReport, SlotReport
from gateway.terminal.layout import NOT_KNOWN, columns, counted, fitted, plain, shortened, wrapped
from gateway.terminal.wearers import athlete

_NUMBER, _ATHLETE, _TRACKER, _STRAP, _METER, _STATE = "#", "Athlete", "Tracker", "Strap", "Power meter", "State"
_COLUMNS = (_NUMBER, _ATHLETE, _TRACKER, _STRAP, _METER, _STATE)
_LEFT_OUT = (_TRACKER, _METER, _NUMBER)
"""What a narrower window does without, in this order, once the names cannot be cut any more."""

_NARROWEST = {_ATHLETE: 12, _STRAP: 14, _METER: 14}
"""Columns that are cut, and how far."""

_STYLES = {
    Rank.NEEDS_YOU: ("yellow", "bold"),
    Rank.WARNED: ("yellow", ""),
    Rank.IN_ORDER: ("green", ""),
    Rank.UNMANAGED: ("dim", "dim"),
}
_CALM = ("dim", "")
"""How the title of a group and its trackers look."""

_ON_ITS_WAY, _LEFT_ALONE = "→ ", "("
_LEGEND = {_ON_ITS_WAY: "→ not in the tracker yet", _LEFT_ALONE: "( ) not managed"}
"""How the cell of a sensor begins that is not just there as it is wanted, and what that means."""

_Cells = Mapping[str, str]


def table(report: PairingsReport, url: str, now: datetime, width: int, height: int = sys.maxsize) -> Text:
    """The trackers as they are to be printed.

    Args:
        report: What is told.
        url: Of the gateway, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
        height: Lines: trackers that have no room are counted, those that need nobody first.
    """
    groups = grouped(report, url)
    above = _above(report, groups, url, now, width)
    names = sensors_of(report.trackers)
    cells = {tracker.serial_number: _cells(tracker, names) for tracker in report.trackers}
    widths = _widths(list(cells.values()), width)
    legend = _legend(cells.values())
    below = wrapped(legend, width, "dim") if legend else []
    head = [_line({name: name for name in widths}, widths, width, "bold")] if groups else []
    room = height - len(above) - len(head) - len(below)
    blocks: list[list[Text]] = []
    for group in groups:
        of_title, of_trackers = _STYLES.get(group.rank, _CALM)
        title = wrapped(group.title, width, of_title)
        for tracker in group.trackers:
            blocks.append([*title, _line(cells[tracker.serial_number], widths, width, of_trackers)])
            title = []
    rows = fitted(blocks, room, lambda hidden: wrapped(_left_out(groups, hidden), width, "dim"))
    return Text("\n").join([*above, *head, *rows, *below])


def _above(report: PairingsReport, groups: Sequence[Group], url: str, now: datetime, width: int) -> list[Text]:
    need = sum(len(group.trackers) for group in groups if group.rank is Rank.NEEDS_YOU)
    told = f"{need} need{'s' if need == 1 else ''} you" if need else "nothing to do"
    lines = wrapped(f"{counted(len(report.trackers), 'tracker')}, {told}.", width)
    if report.paused_by is not None:
        who = plain(report.paused_by) or "Somebody"
        sentence = f"{who} has stopped all changes: `{command('resume', url)}` lets them go on."
        lines += wrapped(sentence, width, "bold yellow")
    if report.session_until_ms is not None:
        lines += wrapped(f"{training(report.session_until_ms, now)}: changes wait.", width, "yellow")
    return [*lines, Text()]


def _cells(tracker: PairingReport, names: SensorNames) -> _Cells:
    slots = {slot.slot: _slot(slot, names) for slot in tracker.slots}
    return {
        _NUMBER: "" if tracker.number is None else str(tracker.number),
        _ATHLETE: athlete(tracker),
        _TRACKER: plain(tracker.serial_number),
        _STRAP: slots.get("heart_rate", NOT_KNOWN),
        _METER: slots.get("power", NOT_KNOWN),
        _STATE: warning(tracker) if _is_warned(tracker) else state_of(tracker),
    }


def _is_warned(tracker: PairingReport) -> bool:
    return tracker.state == "in_sync" and not is_stopped(tracker) and bool(warning(tracker))


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


def _left_out(groups: Sequence[Group], hidden: int) -> str:
    """What there was no room for: the last ones of the groups."""
    well = sum(len(group.trackers) for group in groups if group.rank is not Rank.NEEDS_YOU)
    need = hidden - well
    told = [f"{need} more need{'s' if need == 1 else ''} you"] if need > 0 else []
    others = min(hidden, well)
    told += [f"{counted(others, 'more tracker')} need{'s' if others == 1 else ''} nobody"] if others else []
    return f"{', '.join(told)}: --all lists them"

"""The sensors near a gateway as a table: what is to be done next stands first."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from rich.text import Text

from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.terminal.layout import NOT_KNOWN, columns, counted, plain, sentences, shortened, wrapped
from gateway.terminal.sensors import KINDS, UNKNOWN_KIND, athlete_of, is_doubtful, name_among, name_of

_WIDTHS = {"Sensor": 22, "Kind": 5, "Signal": 9, "Batt": 4, "bpm": 3, "Athlete": 14, "State": 10, "Seen": 6}
"""The columns, and how wide they are in a window of 80."""

_LEFT_OUT = ("Kind", "Batt", "bpm", "Seen", "Signal")
"""What a narrower window does without, in this order."""

_NUMBERS = {"Batt", "bpm", "Seen"}

_STATES = {
    "free": "free",
    "tracker": "in use",
    "shared": "in use",
    "not_used": "not used",
    "elsewhere": "elsewhere?",
    "not_worn": "not worn",
    "flat": "flat?",
    "out_of_reach": "too far?",
    "gateway": "looking",
    "unknown": "?",
}
_LISTENING = "listening"
_IS_HEARD = {"seen", "quiet"}
_HELD = "tracker"

_WARNED, _AWAITED, _OTHERS = "With a warning:", "Not known yet, wait half a minute:", "Perhaps not sensors:"
_WELL, _UNTOLD = "Nothing to do:", "Not known now:"
_LAST = (_WARNED, _AWAITED, _WELL, _UNTOLD, _OTHERS)
"""Headings of groups that need nobody at once, in this order; only one of the third and fourth can be there."""

_CALM = {_AWAITED: "dim", _WELL: "green", _UNTOLD: "dim", _OTHERS: "dim"}
"""Groups that need nobody, and how their headings look."""

_SHORTEST_NAME = 10

_Groups = Mapping[str, Sequence[SensorReport]]
_Part = tuple[list[Text], Text, list[Text]]
"""The lines of one sensor: the heading, if it is the first of its group, its own, and its warnings."""


def table(report: SensorsReport, width: int, height: int = sys.maxsize, trouble: str = "") -> Text:
    """What is in the air as it is to be drawn: no line is wider, and there are no more of them, than is given.

    The radio's state stands above all. Sensors that need somebody come first, under what is to be done with them; then
    those that are well, then devices that may be no sensors. What has no room is counted.

    Args:
        report: What is told.
        width: Columns; at 30 there still are names, states and athletes.
        height: Lines.
        trouble: One sentence why there is nothing newer; empty if this is the newest.
    """
    groups: dict[str, list[SensorReport]] = {}
    for sensor in report.sensors:
        groups.setdefault(_heading(report, sensor), []).append(sensor)
    widths = _widths(width)
    parts = list(_parts(report, groups, widths, width))
    above = _above(report, groups, trouble, width, height)
    for reserved in count(1):
        rows, shown = _filled(parts, height - len(above) - 1 - reserved, width)
        left_out = _left_out(groups, shown, report.others)
        below = wrapped(left_out, width - 2, "dim")  # a terminal writes its ^C there
        if len(below) <= reserved:
            break
    head = [_line({name: name for name in widths}, widths, "bold")] if rows else []
    lines = _cut([*above, *head, *rows, *below], height, width)
    return Text("\n", style="dim" if trouble else "", no_wrap=True, overflow="crop").join(lines)


def _widths(width: int) -> dict[str, int]:
    """The columns that a window has room for, and how wide they are; what is over goes to the names, or is theirs."""
    widths = dict(_WIDTHS)
    over = width - sum(widths.values()) - len(widths) + 1
    for name in _LEFT_OUT:
        if over < 0:
            over += widths.pop(name) + 1
    widths["Sensor"] = max(_SHORTEST_NAME, widths["Sensor"] + over // 2)
    widths["Athlete"] = max(1, widths["Athlete"] + over - over // 2)
    return widths


def _heading(report: SensorsReport, sensor: SensorReport) -> str:
    """Under which words a sensor stands: what is to be done with it, where something is."""
    if is_doubtful(sensor):
        return _OTHERS
    if sensor.action.startswith("wait "):
        return _AWAITED
    if sensor.action and sensor.action != report.radio.action:
        return sentences(sensor.text, sensor.action)
    if sensor.warnings:
        return _WARNED
    return _WELL if report.radio.state == _LISTENING else _UNTOLD


def _above(report: SensorsReport, groups: _Groups, trouble: str, width: int, height: int) -> list[Text]:
    """What stands above the sensors: why nothing newer comes, the radio, and how many need somebody.

    Of these the first is always there, the others as far as a third of the window has room for them.
    """
    radio = report.radio
    if radio.state == _LISTENING:
        needing, well, _ = _counts(groups)
        need = f"{needing} need{'s' if needing == 1 else ''} you" if needing else "nothing to do"
        told = wrapped(f"{radio.text}. {counted(needing + well, 'sensor')}, {need}.", width)
    else:
        told = wrapped(sentences(radio.text, radio.action), width, "bold yellow")
    notes = [wrapped(f"{note}.", width, "dim") for note in radio.notes]
    lines = wrapped(trouble, width, "bold red") if trouble else told
    for more in (*([told] if trouble else []), *notes, [Text()]):
        if len(lines) + len(more) > height // 3:
            break
        lines = lines + more
    return lines


def _parts(report: SensorsReport, groups: _Groups, widths: Mapping[str, int], width: int) -> Iterator[_Part]:
    """The lines of each sensor in the order in which they are to be seen."""
    names = Counter(name_of(sensor) for sensor in report.sensors)
    # What is to be done stands in the order of the report, which is that of a sort that leaves equals as they are.
    for heading in sorted(groups, key=lambda heading: _LAST.index(heading) if heading in _LAST else -1):
        for place, sensor in enumerate(groups[heading]):
            is_away = sensor.presence != "seen" or sensor.kind == UNKNOWN_KIND
            style = "bold" if heading not in _CALM else "dim" if is_away else ""
            yield (
                wrapped(heading, width, _CALM.get(heading, "yellow")) if place == 0 else [],
                _line(_cells(report, sensor, name_among(sensor, names), widths["Sensor"]), widths, style),
                [line for warning in sensor.warnings for line in wrapped(f"{warning}.", width, "yellow", "  ! ")],
            )


def _line(cells: Mapping[str, str], widths: Mapping[str, int], style: str) -> Text:
    return columns((cells[name] for name in widths), widths.values(), (name in _NUMBERS for name in widths), style)


def _filled(parts: Sequence[_Part], room: int, width: int) -> tuple[list[Text], int]:
    """The lines of as many sensors as there is room for, and how many these are.

    The last one's warnings, or a long heading above it, may be cut for it.
    """
    lines: list[Text] = []
    for shown, (heading, row, warnings) in enumerate(parts):
        left = room - len(lines) - 1
        if left < min(1, len(heading)):
            return lines, shown
        above = _cut(heading, left, width)
        lines += [*above, row, *_cut(warnings, left - len(above), width)]
    return lines, len(parts)


def _cut(lines: Sequence[Text], most: int, width: int) -> list[Text]:
    """So many lines at most; the last one shows that there were more."""
    kept = list(lines[:most])
    if kept and len(kept) < len(lines):
        kept[-1] = kept[-1] + "…"
        kept[-1].truncate(width, overflow="ellipsis")
    return kept


def _cells(report: SensorsReport, sensor: SensorReport, name: str, name_width: int) -> dict[str, str]:
    is_heard = sensor.presence in _IS_HEARD
    is_signal = is_heard and sensor.rssi_dbm is not None
    seen = "never" if sensor.last_seen_ms is None else _age(report.utc_ms - sensor.last_seen_ms)
    return {
        "Sensor": shortened(name, name_width),
        "Kind": plain(KINDS.get(sensor.kind, sensor.kind)),
        "Signal": f"{'■' * sensor.bars:·<4} {sensor.rssi_dbm:4}" if is_signal else NOT_KNOWN,
        "Batt": NOT_KNOWN if sensor.battery_percent is None else f"{sensor.battery_percent}%",
        "bpm": NOT_KNOWN if sensor.heart_rate_bpm is None else str(sensor.heart_rate_bpm),
        "Athlete": athlete_of(sensor),
        "State": _state(sensor),
        # A tracker's link is why it is not heard, as it is to be.
        "Seen": NOT_KNOWN if sensor.holder == _HELD and not is_heard else seen,
    }


def _state(sensor: SensorReport) -> str:
    """Who has it, in a word; if nobody knows, that it is in the air says something too."""
    if sensor.kind == UNKNOWN_KIND:
        return ""
    if sensor.holder == "unknown" and sensor.presence == "seen":
        return "in the air"
    return plain(_STATES.get(sensor.holder, sensor.holder))


def _counts(groups: _Groups) -> tuple[int, int, int]:
    """How many need somebody, how many others are sensors, and how many may be none."""
    others = len(groups.get(_OTHERS, ()))
    well = sum(len(groups.get(heading, ())) for heading in _CALM) - others
    return sum(map(len, groups.values())) - well - others, well, others


def _left_out(groups: _Groups, shown: int, bystanders: int) -> str:
    """What there was no room for."""
    needing, well, others = _counts(groups)
    lacking = max(0, needing - shown)
    quiet = max(0, well - max(0, shown - needing))
    devices = max(0, others - max(0, shown - needing - well)) + bystanders
    need = [f"{lacking} more need{'s' if lacking == 1 else ''} you"] if lacking else []
    sensors = ", ".join([*need, *([counted(quiet, "more sensor")] if quiet else [])])
    told = [f"{sensors}: make the window taller"] if sensors else []
    return ", ".join([*told, *([f"and {counted(devices, 'other device')}"] if devices else [])])


def _age(age_ms: int) -> str:
    """How long ago, in at most six characters."""
    seconds = max(0, age_ms) // 1000
    for limit, unit_s, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds // 86_400} d"

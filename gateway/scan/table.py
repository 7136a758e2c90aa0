"""The sensors near a gateway as a table: what is to be done next stands first."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from textwrap import wrap

from rich.text import Text

from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.scan.words import KINDS, NOT_KNOWN, WIDTH, counted, name_of, plain, wrapped
from gateway.terminal import columns

_HEADS = ("Sensor", "Kind", "Signal", "Batt", "bpm", "Athlete", "State", "Seen")
_WIDTHS = (22, 5, 9, 4, 3, 14, 10, 6)
_IS_NUMBER = (False, False, False, True, True, False, False, True)

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
_IN_USE = {"tracker", "shared"}
_UNKNOWN_KIND = "unknown"

_WARNED, _WELL, _UNTOLD, _OTHERS = "With a warning:", "Nothing to do:", "Not known now:", "Perhaps no sensors:"
"""Headings of groups that need nobody at once, in this order; only one of the second and third can be there."""

_KEPT_ENDING = 9
"""Of a name that is too long, the last characters stay: the number that is printed on the sensor."""


def table(report: SensorsReport, height: int, trouble: str = "") -> Text:
    """What is in the air as it is to be drawn: 80 columns, and as many lines as are given.

    The radio's state stands above all. Sensors that need somebody come first, under what is to be done with them; then
    those that are well, then devices that may be no sensors. What has no room is counted.

    Args:
        report: What is told.
        height: Lines.
        trouble: One sentence why there is nothing newer; empty if this is the newest.
    """
    groups: dict[str, list[SensorReport]] = {}
    for sensor in report.sensors:
        groups.setdefault(_heading(report, sensor), []).append(sensor)
    lines = [*_above(report, groups, trouble), columns(_HEADS, _WIDTHS, _IS_NUMBER, "bold")]
    room = max(3, height - len(lines) - 1)
    parts = list(_parts(report, groups))
    shown = bisect_right(list(accumulate(map(len, parts))), room)
    lines += [line for part in parts[:shown] for line in part]
    devices = len(groups.get(_OTHERS, ()))
    lines.append(Text(_left_out(len(parts) - devices, devices, shown, report.others), style="dim"))
    return Text("\n", style="dim" if trouble else "").join(lines)


def _heading(report: SensorsReport, sensor: SensorReport) -> str:
    """Under which words a sensor stands: what is to be done with it, where something is."""
    if sensor.kind == _UNKNOWN_KIND and sensor.tracker is None:
        return _OTHERS
    if sensor.action and sensor.action != report.radio.action:
        return _sentences(sensor.text, sensor.action)
    if sensor.warnings:
        return _WARNED
    return _WELL if report.radio.state == _LISTENING else _UNTOLD


def _above(report: SensorsReport, groups: Mapping[str, Sequence[SensorReport]], trouble: str) -> Iterator[Text]:
    """What stands above the sensors: why nothing newer comes, the radio, and how many need somebody."""
    if trouble:
        yield from wrapped(trouble, "bold red")
    radio = report.radio
    if radio.state == _LISTENING:
        known = sum(len(sensors) for heading, sensors in groups.items() if heading != _OTHERS)
        needing = known - len(groups.get(_WELL, ()))
        need = f"{needing} need{'s' if needing == 1 else ''} you" if needing else "nothing to do"
        yield from wrapped(f"{radio.text}. {counted(known, 'sensor')}, {need}.", "")
    else:
        yield from wrapped(_sentences(radio.text, radio.action), "bold yellow")
    for note in radio.notes:
        yield from wrapped(f"{note}.", "dim")
    yield Text()


def _parts(report: SensorsReport, groups: Mapping[str, Sequence[SensorReport]]) -> Iterator[list[Text]]:
    """The lines of each sensor in the order in which they are to be seen; the first of a group brings its heading."""
    names = Counter(name_of(sensor) for sensor in report.sensors)
    last = [_WARNED, _WELL, _UNTOLD, _OTHERS]
    # What is to be done stands in the order of the report, which is that of a sort that leaves equals as they are.
    for heading in sorted(groups, key=lambda heading: last.index(heading) if heading in last else -1):
        style = {_WELL: "green", _UNTOLD: "dim", _OTHERS: "dim"}.get(heading, "yellow")
        for place, sensor in enumerate(groups[heading]):
            yield [*(wrapped(heading, style) if place == 0 else []), *_sensor(report, sensor, names)]


def _sensor(report: SensorsReport, sensor: SensorReport, names: Counter[str]) -> Iterator[Text]:
    is_present = sensor.presence == "seen" or sensor.holder in _IN_USE
    is_dim = not is_present or sensor.kind == _UNKNOWN_KIND
    yield columns(_cells(report, sensor, names), _WIDTHS, _IS_NUMBER, "dim" if is_dim else "")
    for warning in sensor.warnings:
        for line in wrap(plain(warning) + ".", WIDTH, initial_indent="  ! ", subsequent_indent="    "):
            yield Text(line, style="yellow")


def _cells(report: SensorsReport, sensor: SensorReport, names: Counter[str]) -> tuple[str, ...]:
    name = name_of(sensor)
    if names[name] > 1:  # two of a model that has no number in its name
        name = f"{name} {sensor.address[-5:]}"
    if len(name) > _WIDTHS[0]:
        name = f"{name[: _WIDTHS[0] - _KEPT_ENDING - 1]}…{name[-_KEPT_ENDING:]}"
    athlete = ""
    if sensor.tracker is not None:
        number = "" if sensor.tracker.number is None else f"{sensor.tracker.number} "
        athlete = f"{number}{sensor.tracker.name or sensor.tracker.serial_number}"
    is_signal = sensor.presence in _IS_HEARD and sensor.rssi_dbm is not None
    return (
        name,
        KINDS.get(sensor.kind, sensor.kind),
        f"{'■' * sensor.bars:·<4} {sensor.rssi_dbm:4}" if is_signal else NOT_KNOWN,
        NOT_KNOWN if sensor.battery_percent is None else f"{sensor.battery_percent}%",
        NOT_KNOWN if sensor.heart_rate_bpm is None else str(sensor.heart_rate_bpm),
        plain(athlete),
        _STATES.get(sensor.holder, sensor.holder) if sensor.kind != _UNKNOWN_KIND else "",
        "never" if sensor.last_seen_ms is None else _age(report.utc_ms - sensor.last_seen_ms),
    )


def _sentences(text: str, action: str) -> str:
    """A clause that says how it is, and one that says what to do, as sentences."""
    told = plain(text) + "."
    return f"{told} {plain(action[:1].upper() + action[1:])}." if action else told


def _left_out(known: int, others: int, shown: int, bystanders: int) -> str:
    """What there was no room for; a short line, since a terminal writes its ^C there."""
    sensors, devices = max(0, known - shown), others - max(0, shown - known) + bystanders
    parts = []
    if sensors:
        parts.append(f"{counted(sensors, 'more sensor')}: make the window taller")
    if devices:
        parts.append(counted(devices, "other device"))
    return f"and {', and '.join(parts)}" if parts else ""


def _age(age_ms: int) -> str:
    """How long ago, in at most six characters."""
    seconds = max(0, age_ms) // 1000
    for limit, unit_s, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit_s} {unit}"
    return f"{seconds // 86_400} d"

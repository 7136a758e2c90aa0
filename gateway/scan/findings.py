"""What a closer look has found, as lines for people."""

from collections.abc import Mapping

import msgspec
from rich.text import Text

from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection, PowerStream
from gateway.bluetooth.report import SensorReport
from gateway.terminal.layout import NOT_KNOWN, counted, plain, wrapped
from gateway.terminal.sensors import KINDS, UNKNOWN_KIND, called

_FOUND = {
    "battery_percent": "Battery",
    "manufacturer": "Made by",
    "model": "Model",
    "serial_number": "Serial number",
    "firmware": "Firmware",
    "hardware": "Hardware",
    "software": "Software",
    "body_location": "Worn on",
    "sensor_location": "Sits on",
    "power_features": "Can do",
}
"""Values of an inspection in the order in which they are told, and what people call them."""

_WHY_NOT = {
    "absent": "not offered",
    "refused": "refused",
    "garbled": "not readable",
    "no_answer": "no answer",
}
_ENDINGS: Mapping[str, str] = {
    Ending.COMPLETE: "",
    Ending.SILENT: "then silence",
    Ending.LOST: "then the link was lost",
    Ending.REFUSED: "it sends none",
}


def block(sensor: SensorReport, found: Inspection, width: int) -> Text:
    """What looking closer has found, as it is to be printed."""
    if sensor.kind == UNKNOWN_KIND:
        sensor = msgspec.structs.replace(sensor, kind=_kind_found(found))
    kind = [] if sensor.kind == UNKNOWN_KIND else [KINDS.get(sensor.kind, sensor.kind)]
    lines = wrapped(", ".join([called(sensor), *kind, sensor.address]), width, "bold")
    told: dict[str, str] = {}
    for field, label in _FOUND.items():
        value = getattr(found, field)
        if value is not None:
            told[label] = ", ".join(value) if isinstance(value, tuple) else str(value)
    if found.battery_percent is not None:
        told["Battery"] += " %"
    if found.heart_rate is not None:
        told["Heart rate"] = _heart_rate(found.heart_rate)
    if found.power is not None:
        told["Power"] = _power(found.power)
    unread = [f"{_FOUND.get(field, field).lower()} ({_WHY_NOT.get(why, why)})" for field, why in found.unread.items()]
    if unread:
        told["Not known"] = ", ".join(unread)
    indent = max(map(len, told), default=0) + 4
    for label, text in told.items():
        first, *rest = wrapped(plain(text).strip() or NOT_KNOWN, width - indent)
        lines.append(Text(f"  {label:{indent - 2}}") + first)
        lines += [Text(" " * indent) + more for more in rest]
    lines += [line for warning in found.warnings for line in wrapped(f"{warning}.", width, "yellow", "! ")]
    return Text("\n").join(lines)


def _kind_found(found: Inspection) -> str:
    """What a device measures that did not say so before it was looked at."""
    match found.heart_rate, found.power:
        case None, None:
            return UNKNOWN_KIND
        case _, None:
            return "heart_rate"
        case None, _:
            return "power"
        case _:
            return "both"


def _heart_rate(stream: HeartRateStream) -> str:
    parts = [counted(stream.measurements, "measurement")]
    if stream.median_bpm is not None:
        parts.insert(0, f"{stream.median_bpm} bpm ({stream.lowest_bpm} to {stream.highest_bpm})")
    if stream.is_contact is not None:
        parts.append("skin contact" if stream.is_contact else "no skin contact")
    parts.append(f"{counted(stream.rr_intervals, 'beat')} timed")
    return _stream(parts, stream.garbled, stream.ending)


def _power(stream: PowerStream) -> str:
    parts = [counted(stream.measurements, "measurement")]
    if stream.mean_w is not None:
        parts.insert(0, f"{stream.mean_w} W")
    if stream.cadence_rpm is not None:
        parts.append(f"{stream.cadence_rpm} rpm")
    return _stream(parts, stream.garbled, stream.ending)


def _stream(parts: list[str], garbled: int, ending: str) -> str:
    bad = [f"{garbled} not readable"] if garbled else []
    end = _ENDINGS.get(ending, ending)
    return ", ".join([*parts, *bad, *([end] if end else [])])

"""A closer look at one sensor: which one a person means, the question before its link is taken, what was found."""

import asyncio
import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from gateway.bluetooth.inspection import Ending, HeartRateStream, Inspection, PowerStream
from gateway.bluetooth.report import SensorReport
from gateway.live.requests import ErrorCode, RequestError
from gateway.scan.sources import Source
from gateway.scan.words import NOT_KNOWN, WIDTH, called, counted, plain

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
_ENDINGS = {
    Ending.COMPLETE: "",
    Ending.SILENT: "then silence",
    Ending.LOST: "then the link was lost",
    Ending.REFUSED: "it sends none",
}


class ScanError(Exception):
    """What was asked for cannot be done; a sentence says why and what to do."""


async def closer(
    source: Source, wanted: str, console: Console, answers: TextIO = sys.stdin, *, is_json: bool = False
) -> None:
    """Look closer at one sensor and print what was found; ask first if a tracker may need its link.

    Args:
        source: Where it is.
        wanted: Its id, address or name, or a part that only it has.
        console: Where to print; if it is a terminal, a question may be asked there.
        answers: Where the answer comes from.
        is_json: Print what was found as JSON, and ask nothing.

    Raises:
        ScanError: If there is no such sensor, or it cannot be looked at.
        StreamError: If nobody answers.
    """
    report = await source.report()
    if not report.sensors and report.radio.action:
        raise ScanError(f"{report.radio.text}: {report.radio.action}.")
    sensor = find(report.sensors, wanted)
    if console.is_terminal and not is_json:
        console.print(Text(f"Looking closer at {called(sensor)}, which takes up to half a minute.", style="dim"))
    try:
        try:
            found = await source.inspect(sensor.id, take_link=False)
        except RequestError as error:
            if error.code is not ErrorCode.LINK_NEEDED:
                raise
            if is_json or not (console.is_terminal and answers.isatty()):
                raise ScanError(f"{error} In a terminal, without --json, you would be asked.") from None
            console.print(Text(f"{error} Take it all the same? [y/N] "), end="")
            if (await _line_of(answers)).strip().lower() not in {"y", "yes"}:
                console.print("Left alone.")
                return
            found = await source.inspect(sensor.id, take_link=True)
    except RequestError as error:
        raise ScanError(str(error)) from None
    if is_json:
        console.file.write(msgspec.json.encode(found).decode() + "\n")
    else:
        console.print(block(sensor, found))


def find(sensors: Sequence[SensorReport], wanted: str) -> SensorReport:
    """The one sensor that a person means.

    Args:
        sensors: All there are.
        wanted: Id, address or name of one, or a part that only it has, in any case.

    Raises:
        ScanError: If it is none, or one of several.
    """
    sought = wanted.strip().lower()
    names = [(sensor, [sensor.id, sensor.address, (sensor.name or "").lower()]) for sensor in sensors]
    matches = [sensor for sensor, known in names if sought in known]
    matches = matches or [sensor for sensor, known in names if any(sought in name for name in known)]
    if not sought or not matches:
        raise ScanError(f"No sensor is called {plain(wanted)!r}: `insiders-gateway scan` shows those there are.")
    if len(matches) > 1:
        ids = [*(sensor.id for sensor in matches[:4]), *(["others"] if len(matches) > 4 else [])]
        raise ScanError(f"{plain(wanted)!r} may be {', '.join(ids[:-1])} or {ids[-1]}: give one of these.")
    return matches[0]


def block(sensor: SensorReport, found: Inspection) -> Text:
    """What looking closer has found, as it is to be printed."""
    lines = [Text(called(sensor), style="bold")]
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
        first, *rest = wrap(plain(text), WIDTH - indent) or [NOT_KNOWN]
        lines += [Text(f"  {label:{indent - 2}}{first}"), *(Text(" " * indent + more) for more in rest)]
    lines += [
        Text(line, style="yellow")
        for warning in found.warnings
        for line in wrap(plain(warning) + ".", WIDTH, initial_indent="! ", subsequent_indent="  ")
    ]
    return Text("\n").join(lines)


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


def _stream(parts: list[str], garbled: int, ending: Ending) -> str:
    bad = [f"{garbled} not readable"] if garbled else []
    return ", ".join([*parts, *bad, *([_ENDINGS[ending]] if _ENDINGS[ending] else [])])


async def _line_of(answers: TextIO) -> str:
    """One line that a person types, waited for so that Ctrl-C still ends the program."""
    loop, is_typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(answers, is_typed.set)
    try:
        await is_typed.wait()
    finally:
        loop.remove_reader(answers)
    return answers.readline()

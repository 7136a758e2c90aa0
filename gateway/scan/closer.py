"""A closer look at one sensor: which one a person means, and the question before its link is taken."""

import asyncio
import sys
import termios
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from gateway.bluetooth.report import SensorReport
from gateway.live.requests import ErrorCode, RequestError
from gateway.scan.findings import block
from gateway.scan.sources import Source
from gateway.scan.words import athlete_of, called, name_among, name_of, plain, width_of, wrapped

LASTS_S = 0.7
"""A look that takes longer is worth a word; what is refused is refused sooner."""


class ScanError(Exception):
    """What was asked for cannot be done; a sentence says why and what to do."""


async def look_closer(
    source: Source, wanted: str, console: Console, answers: TextIO = sys.stdin, *, is_json: bool = False
) -> None:
    """Look closer at one sensor and print what was found; ask first if a tracker may need its link.

    Args:
        source: Where it is.
        wanted: Its id, address or name, its athlete, or a part that only it has.
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
    is_talking = console.is_terminal and not is_json
    try:
        with _said_if_it_lasts(sensor, console if is_talking else None):
            found = await source.inspect(sensor.id, take_link=False)
    except RequestError as error:
        refusal = _refusal(sensor, error)
        if error.code is not ErrorCode.LINK_NEEDED:
            raise refusal from None
        if not (is_talking and answers.isatty()):
            raise ScanError(f"{refusal} In a terminal, without --json, you would be asked.") from None
        if not await _is_agreed(f"{refusal} Take it anyway? [y/N]", console, answers):
            console.print("Left alone.")
            return
        try:
            with _said_if_it_lasts(sensor, console):
                found = await source.inspect(sensor.id, take_link=True)
        except RequestError as second:
            raise _refusal(sensor, second) from None
    if is_json:
        console.file.write(msgspec.json.encode(found).decode() + "\n")
    else:
        console.print(block(sensor, found, width_of(console)))


def find(sensors: Sequence[SensorReport], wanted: str) -> SensorReport:
    """The one sensor that a person means.

    Args:
        sensors: All there are.
        wanted: Id, address or name of one, or its athlete, or a part that only it has, in any case.

    Raises:
        ScanError: If it is none, or one of several.
    """
    sought = plain(wanted).strip().casefold()
    if not sought:
        raise ScanError(
            "Say which sensor: a name, an athlete, an id or an address, or a part of it that no other has; "
            "`insiders-gateway scan` lists them."
        )
    names = Counter(map(name_of, sensors))
    known = [(sensor, _known_as(sensor, names)) for sensor in sensors]
    matches = [sensor for sensor, words in known if sought in words]
    matches = matches or [sensor for sensor, words in known if any(sought in word for word in words)]
    if not matches:
        raise ScanError(f"No sensor and no athlete is called {plain(wanted)!r}: `insiders-gateway scan` lists them.")
    if len(matches) > 1:
        told = [*(name_among(sensor, names) for sensor in matches[:4]), *(["others"] if len(matches) > 4 else [])]
        raise ScanError(f"{plain(wanted)!r} may be {', '.join(told[:-1])} or {told[-1]}: give one of these.")
    return matches[0]


def _known_as(sensor: SensorReport, names: Counter[str]) -> list[str]:
    """All that a person may call it by, in small letters."""
    known = [sensor.id, sensor.address, name_of(sensor), name_among(sensor, names), athlete_of(sensor)]
    if sensor.tracker is not None:
        known += [plain(sensor.tracker.name or ""), sensor.tracker.serial_number]
    return [word.strip().casefold() for word in known]


def _refusal(sensor: SensorReport, error: RequestError) -> ScanError:
    return ScanError(f"{called(sensor)}: {error}")


@contextmanager
def _said_if_it_lasts(sensor: SensorReport, console: Console | None) -> Iterator[None]:
    """Say what is being done if it is not done at once; nothing without a console."""

    def say() -> None:
        if console is not None:
            sentence = f"Looking closer at {called(sensor)}, which takes up to half a minute."
            console.print(Text("\n").join(wrapped(sentence, width_of(console), "dim")))

    timer = asyncio.get_running_loop().call_later(LASTS_S, say)
    try:
        yield
    finally:
        timer.cancel()


async def _is_agreed(question: str, console: Console, answers: TextIO) -> bool:
    termios.tcflush(answers, termios.TCIFLUSH)  # what was typed before the question is no answer to it
    console.print(Text("\n").join(wrapped(question, width_of(console) - 2)), end=" ")
    return (await _line_of(answers)).strip().lower() in {"y", "yes"}


async def _line_of(answers: TextIO) -> str:
    """One line that a person types, waited for so that Ctrl-C still ends the program."""
    loop, is_typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(answers, is_typed.set)
    try:
        await is_typed.wait()
    finally:
        loop.remove_reader(answers)
    return answers.readline()

"""A closer look at one sensor: which one a person means, and the question before its link is taken."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from gateway.bluetooth.report import SensorReport
from gateway.live.requests import ErrorCode
from gateway.scan.findings import block
from gateway.scan.sources import Source
from gateway.terminal import finding
from gateway.terminal.asking import is_agreed
from gateway.terminal.errors import CommandError, RefusedError
from gateway.terminal.layout import width_of, wrapped
from gateway.terminal.sensors import athlete_of, called, name_among, name_of, names_of

LASTS_S = 0.7
"""A look that takes longer is worth a word; what is refused is refused sooner."""


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
        CommandError: If there is no such sensor, or it cannot be looked at.
        GatewayError: If nobody answers.
    """
    report = await source.report()
    if not report.sensors and report.radio.action:
        raise CommandError(f"{report.radio.text}: {report.radio.action}.")
    sensor = find(report.sensors, wanted)
    is_talking = console.is_terminal and not is_json
    try:
        with _said_if_it_lasts(sensor, console if is_talking else None):
            found = await source.inspect(sensor.id, take_link=False)
    except RefusedError as error:
        refusal = _refusal(sensor, error)
        if error.code != ErrorCode.LINK_NEEDED:
            raise refusal from None
        if not (is_talking and answers.isatty()):
            raise CommandError(f"{refusal} In a terminal, without --json, you would be asked.") from None
        if not await is_agreed(f"{refusal} Take it anyway?", console, answers):
            console.print("Left alone.")
            return
        try:
            with _said_if_it_lasts(sensor, console):
                found = await source.inspect(sensor.id, take_link=True)
        except RefusedError as second:
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
        CommandError: If it is none, or one of several.
    """
    names = Counter(map(name_of, sensors))
    return finding.find(
        sensors,
        wanted,
        lambda sensor: [*names_of(sensor, names), athlete_of(sensor), *_tracker_names(sensor)],
        lambda sensor: name_among(sensor, names),
        if_nothing="Say which sensor: a name, an athlete, an id or an address, or a part of it that no other has; "
        "`insiders-gateway scan` lists them.",
        if_nobody="No sensor and no athlete is called {}: `insiders-gateway scan` lists them.",
    )


def _tracker_names(sensor: SensorReport) -> list[str]:
    return [] if sensor.tracker is None else [sensor.tracker.name or "", sensor.tracker.serial_number]


def _refusal(sensor: SensorReport, error: RefusedError) -> CommandError:
    return CommandError(f"{called(sensor)}: {error}")


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

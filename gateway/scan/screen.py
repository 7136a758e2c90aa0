"""The live table of a scan, and the same once, for a pipe or a file, or as one document."""

import asyncio
import sys
import time
from typing import TextIO

import msgspec
from rich.console import Console
from rich.live import Live

from gateway import log
from gateway.bluetooth.report import SensorsReport
from gateway.scan.sources import Source
from gateway.scan.table import table
from gateway.terminal.layout import width_of
from insiders_gateway_client.errors import GatewayError

ASKED_EVERY_S = 1.0

OLD_S = 10.0
"""A heart rate or a signal of so long ago is nobody's any more."""


async def scan(source: Source, console: Console) -> None:
    """Draw the live table until cancelled.

    Raises:
        GatewayError: If the first question has no answer; later ones are asked again.
    """
    report, trouble = await source.report(), ""
    told_s = _now_s()
    with Live(console=console, auto_refresh=False) as screen:
        log.restream()
        try:
            while True:
                screen.update(table(report, width_of(console), console.height, trouble), refresh=True)
                await asyncio.sleep(ASKED_EVERY_S)
                try:
                    report, trouble = await source.report(), ""
                    told_s = _now_s()
                except GatewayError as error:
                    old_s = _now_s() - told_s
                    trouble = f"{error}. What follows is {old_s:.0f} s old."
                    if old_s >= OLD_S:
                        report = _without_values(report)
        finally:
            screen.stop()
            log.restream()


async def scan_once(source: Source, console: Console) -> None:
    """Print the whole table, however long it is; raises `GatewayError`."""
    told = table(await source.report(), width_of(console))
    told.rstrip()
    console.print(told)


async def scan_json(source: Source, out: TextIO = sys.stdout) -> None:
    """Print what is in the air as one JSON document; raises `GatewayError`."""
    out.write(msgspec.json.encode(await source.report()).decode() + "\n")
    out.flush()


def _without_values(report: SensorsReport) -> SensorsReport:
    """What may still hold when nobody has told anything for a while."""
    sensors = tuple(
        msgspec.structs.replace(sensor, rssi_dbm=None, bars=0, heart_rate_bpm=None) for sensor in report.sensors
    )
    return msgspec.structs.replace(report, sensors=sensors)


def _now_s() -> float:
    return time.monotonic()

"""Sensors near this machine, listened to with its own radio where no gateway runs: nothing is known of trackers."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.receiver import Receiver, local_receiver
from gateway.bluetooth.report import SensorsReport
from gateway.bluetooth.sensors import Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bridges.sensors import ServedSensors
from gateway.live.board import Board
from gateway.live.requests import RequestError
from gateway.scan.sources import Source
from gateway.terminal.errors import RefusedError

SETTLE_S = 10.0
"""How long to listen before what is in the air can be told: sensors advertise once a second or two, and are missed."""

START_S = 3.0
"""How long a radio may take to begin; one that then does not listen will not be waited for."""


class OwnRadio:
    """The sensors that this process hears by itself."""

    def __init__(self, sensors: ServedSensors, receiver: Receiver) -> None:
        self._sensors = sensors
        self._receiver = receiver

    async def settle(self) -> None:
        """Listen for a while, unless there is nothing to listen with."""
        await asyncio.sleep(START_S)
        if self._receiver.radio.is_listening:
            await asyncio.sleep(SETTLE_S - START_S)

    async def report(self) -> SensorsReport:
        """What is in the air."""
        return self._sensors.report()

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        """Look closer at one; raises `RefusedError`."""
        try:
            return await self._sensors.inspect(sensor_id, take_link=take_link)
        except RequestError as error:
            raise RefusedError(str(error.code), str(error), error.facts) from None


@asynccontextmanager
async def own_radio(adapter: str | None) -> AsyncIterator[Source]:
    """Listen for as long as the context is open.

    Args:
        adapter: With this one, "hci0"; None for the best one.
    """
    sightings = Sightings()
    receiver = local_receiver(sightings.heard, adapter, is_enabled=True)
    sensors = Sensors(receiver, sightings, _NoTrackers(), _Untold(), Board(), lambda: time.time_ns() // 1_000_000)
    async with asyncio.TaskGroup() as tasks:
        listening = [tasks.create_task(receiver.run()), tasks.create_task(sensors.run(lambda: None))]
        try:
            yield OwnRadio(ServedSensors(sensors), receiver)
        finally:
            for task in listening:
                task.cancel()


class _NoTrackers:
    are_known = False

    def assignments(self) -> Sequence[Assignment]:
        return ()

    def withheld(self) -> Sequence[tuple[str, str | None]]:
        return ()

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        raise LookupError(serial_number, kind)  # without an assignment nobody asks


class _Untold:
    """The radio's trouble stands in the report; nobody else has to be told."""

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        pass

    def resolve(self, code: str, subject: str = "") -> None:
        pass

"""The sensors' part with everything around it, on a radio that is played by hand."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.link import LinkError
from gateway.bluetooth.radio import Radio, RadioState
from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.bluetooth.sensors import InspectionRefused, Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.live.board import Board
from gateway.problems import Problems
from insiders_codecs.gatt import BATTERY_LEVEL, HEART_RATE_MEASUREMENT
from tests.bluetooth.adverts import HEART_RATE, address, advertisement, polar_data

EPOCH_MS = 1_795_000_000_000
NAME, ID = "Polar H10 AE60D42F", "polar-h10-ae60d42f"
ATHLETE = "Ada Lovelace"
OURS = Assignment("SIM-0001", ATHLETE, 10, SensorKind.HEART_RATE, address(1), NAME, is_applied=True)
METER = Assignment("SIM-0001", ATHLETE, 10, SensorKind.POWER, address(2), "ASSIOMA17287L", is_applied=True)
LISTENING = Radio(RadioState.LISTENING, "hci0", listening_since_s=0.0)
OFF = Radio(RadioState.POWERED_OFF, "hci0")


class StrapLink:
    """A link with a strap that says a little."""

    def __init__(self, values: dict[str, bytes], is_broken: bool = False) -> None:
        self.values = values
        self.is_broken = is_broken

    def has(self, uuid: str) -> bool:
        return uuid in self.values

    async def read(self, uuid: str) -> bytes | None:
        if self.is_broken:
            raise LinkError("the link was lost")
        return self.values.get(uuid)

    @asynccontextmanager
    async def notifications(self, uuid: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.is_broken:
            raise LinkError("the link was lost")

        async def values() -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(1.0)
                yield self.values[uuid]

        yield values()


@dataclass
class PlayedReceiver:
    """A radio that does as it is told."""

    radio: Radio = LISTENING
    link: StrapLink = field(
        default_factory=lambda: StrapLink({BATTERY_LEVEL: b"\x50", HEART_RATE_MEASUREMENT: b"\x06\x4b"})
    )
    error: Exception | None = None
    delay_s: float = 0.5
    linked: list[str] = field(default_factory=list)

    async def run(self) -> None:
        await asyncio.Event().wait()

    @asynccontextmanager
    async def connected(self, address: str, timeout_s: float) -> AsyncIterator[StrapLink]:
        await asyncio.sleep(self.delay_s)
        if self.error is not None:
            raise self.error
        self.linked.append(address)
        try:
            yield self.link
        finally:
            self.linked.remove(address)


@dataclass
class Fleet:
    """Trackers that deliver what they are told to."""

    are_known = True
    all: Sequence[Assignment] = ()
    closed: Sequence[tuple[str, str | None]] | None = ()
    delivering: dict[str, bool | None] = field(default_factory=dict)

    def assignments(self) -> Sequence[Assignment]:
        return self.all

    def withheld(self) -> Sequence[tuple[str, str | None]] | None:
        return self.closed

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        return self.delivering.get(serial_number)


class World:
    """The part, with everything around it."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.receiver, self.fleet, self.board, self.sightings = PlayedReceiver(), Fleet(), Board(), Sightings()
        self.problems = Problems(self.utc_ms)
        self.beats = 0
        self.sensors = Sensors(self.receiver, self.sightings, self.fleet, self.problems, self.board, self.utc_ms)

    def utc_ms(self) -> int:
        return EPOCH_MS + round(self.now() * 1000)

    def beat(self) -> None:
        self.beats += 1

    def hear(
        self, number: int = 1, name: str | None = NAME, services: frozenset[str] = HEART_RATE, **rest: Any
    ) -> None:
        self.sightings.heard(advertisement(number, name, services, **rest), self.now())

    async def advertise(self, seconds: int, number: int = 1, name: str | None = NAME, **rest: Any) -> None:
        """A worn strap, once a second."""
        for second in range(seconds):
            self.hear(number, name, **({"manufacturer_data": polar_data(71, second)} | rest))
            await asyncio.sleep(1.0)

    def report(self) -> SensorsReport:
        return self.sensors.report()

    def one(self) -> SensorReport:
        [sensor] = self.report().sensors
        return sensor

    def told(self) -> dict[str, str]:
        return {message["key"]: message["value"] for message in self.board.since(0)}

    async def refusal(self, sensor_id: str = ID, *, take_link: bool = False) -> tuple[str, str]:
        with pytest.raises(InspectionRefused) as refused:
            await self.sensors.inspect(sensor_id, is_link_taken_knowingly=take_link)
        assert str(refused.value).endswith(".")
        return refused.value.code, str(refused.value)


@asynccontextmanager
async def played() -> AsyncIterator[World]:
    """Within the test and not as a fixture: there time would be another one."""
    world = World()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(world.sensors.run(world.beat))
        await asyncio.sleep(0.5)  # between two turns, so that a second has exactly one
        yield world
        task.cancel()

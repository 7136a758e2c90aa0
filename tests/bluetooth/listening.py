"""A supervised radio in a test, with what it hears and what it says of itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.radio import Radio, RadioState
from gateway.bluetooth.supervisor import Supervisor
from gateway.simulator.bluez.peripheral import Characteristic, Peripheral, Service
from gateway.simulator.bluez.service import FakeBluez
from insiders_codecs import gatt

ADVERTISING_S = 0.1
ADDRESS = "a0:9e:1a:00:00:01"


def strap(address: str = ADDRESS) -> Peripheral:
    """A heart-rate strap that can be looked at closer."""
    characteristics = (Characteristic(gatt.HEART_RATE_MEASUREMENT, ("notify",)),)
    battery = (Characteristic(gatt.BATTERY_LEVEL, ("read", "notify"), b"\x50"),)
    return Peripheral(
        address.upper(),
        name="Polar H10 AE60D42F",
        services=(gatt.HEART_RATE_SERVICE,),
        gatt=(Service(gatt.HEART_RATE_SERVICE, characteristics), Service(gatt.BATTERY_SERVICE, battery)),
    )


class Listening:
    """The radio, and a record.

    Attributes:
        heard: Each advertisement with its time.
        said: Each radio with its time.
    """

    def __init__(self, adapter: str | None = None) -> None:
        self.heard = list[tuple[float, Advertisement]]()
        self.said = list[tuple[float, Radio]]()
        self.supervisor = _Recorded(self, adapter)

    @property
    def radio(self) -> Radio:
        return self.supervisor.radio

    @property
    def states(self) -> list[RadioState]:
        """What was said so far, one after the other."""
        return [radio.state for _, radio in self.said]

    def forget(self) -> None:
        """Begin a new record."""
        self.heard.clear()
        self.said.clear()

    async def until(self, state: RadioState, within_s: float = 20.0) -> Radio:
        """Wait for a state."""
        async with asyncio.timeout(within_s):
            while self.radio.state is not state:
                await asyncio.sleep(0.05)
        return self.radio

    async def recovery_s(self, within_s: float = 20.0) -> float:
        """How long from now until something is heard again."""
        since_s = now_s()
        self.heard.clear()
        async with asyncio.timeout(within_s):
            while not self.heard:
                await asyncio.sleep(0.05)
        return self.heard[0][0] - since_s


class Counted:
    """How often clients have called a method so far."""

    def __init__(self, bluez: FakeBluez, member: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        original = bluez._disobedience

        def count(called: str) -> object:
            self.calls += called == member
            return original(called)

        monkeypatch.setattr(bluez, "_disobedience", count)


class _Recorded(Supervisor):
    def __init__(self, record: Listening, adapter: str | None) -> None:
        super().__init__(lambda advertisement, at_s: record.heard.append((at_s, advertisement)), adapter)
        self._record = record

    def _say(self, radio: Radio) -> None:
        if radio != self.radio:
            self._record.said.append((now_s(), radio))
        super()._say(radio)


@contextlib.asynccontextmanager
async def listening(adapter: str | None = None) -> AsyncIterator[Listening]:
    """The radio runs for the length of the block."""
    recorded = Listening(adapter)
    async with running(recorded.supervisor.run()):
        yield recorded


@contextlib.asynccontextmanager
async def on_the_air(bluez: FakeBluez, *peripherals: Peripheral, adapter: str = "hci0") -> AsyncIterator[None]:
    """Devices advertise for the length of the block, ten times a second."""

    async def advertise() -> None:
        while True:
            for peripheral in peripherals:
                bluez.hear(peripheral, -60, adapter)
            await asyncio.sleep(ADVERTISING_S)

    async with running(advertise()):
        yield


@contextlib.asynccontextmanager
async def running(*jobs: "asyncio._CoroutineLike[None]") -> AsyncIterator[None]:
    """Jobs that go on for ever, for the length of the block."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(job) for job in jobs]
        try:
            yield
        finally:
            for task in started:
                task.cancel()


def now_s() -> float:
    return asyncio.get_running_loop().time()

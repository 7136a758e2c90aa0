"""A training ground's air: straps, their trackers, passers-by, a fake bluetoothd, and the gateway's ears in it.

The bus, bleak, the book and the judgement are real; the loop's clock jumps as soon as the bus has nothing to deliver.
"""

import asyncio
import contextlib
import math
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from unittest.mock import patch

from bleak.backends.bluezdbus.version import BlueZFeatures

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.radio import Radio
from gateway.bluetooth.sensors import Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bluetooth.supervisor import Supervisor
from gateway.live.board import Board
from gateway.problems import Problems
from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.bus import Bus, private_bus
from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.bystanders import Bystander
from gateway.simulator.sensor_models import ASSIOMA_LEFT, HRM_DUAL, POLAR_H10, POLAR_H10_DUAL, TICKR, Model, Unit
from gateway.simulator.sensors import Sensor, Vitals
from tests.bluetooth.conftest import close_bleak
from tests.bluetooth.listening import running
from tests.fakes.quiet_bus import quiet_bus

INTERVAL_S = 2.5
"""How often a strap advertises here: sparser than the real 0.1 to 1.3 s, so that weeks are affordable."""

TEAM = (POLAR_H10, POLAR_H10_DUAL, TICKR, ASSIOMA_LEFT)
VISITORS = (POLAR_H10, TICKR, HRM_DUAL, ASSIOMA_LEFT)

SPARE_ADAPTER = "hci1"

_STARTS_S, _ENDS_S = 2.0, 10.0
"""A tracker delivers a moment after it has its sensor, and counts as delivering for a while after its last value."""

_LOOK_S = 0.5


def riding() -> Vitals:
    return Vitals(heart_rate_bpm=142, power_w=230, cadence_rpm=88)


class Antennas:
    """What reaches the adapters, and a record of what reached one that listened.

    Attributes:
        is_deaf: Whether nothing reaches them, without anybody knowing.
        heard_s: When each address last did.
        before_s: When it did the last time before that.
        newest_s: When any did.
    """

    def __init__(self, bluez: FakeBluez, now_s: Callable[[], float]) -> None:
        self.is_deaf = False
        self.heard_s: dict[str, float] = {}
        self.before_s: dict[str, float] = {}
        self.newest_s = now_s()
        self._bluez = bluez
        self._now_s = now_s

    @property
    def adapters(self) -> tuple[str, ...]:
        return tuple(self._bluez._controllers)

    @property
    def listening(self) -> tuple[str, ...]:
        """With which of them bluetoothd scans, which nobody inside the gateway is asked."""
        return tuple(adapter for adapter in self.adapters if self._bluez.is_discovering(adapter))

    def hear(self, peripheral: Peripheral, rssi_dbm: int) -> None:
        if self.is_deaf:
            return
        if self.listening and not self._bluez.connected(peripheral):
            if peripheral.address in self.heard_s:
                self.before_s[peripheral.address] = self.heard_s[peripheral.address]
            self.heard_s[peripheral.address] = self.newest_s = self._now_s()
        for adapter in self.adapters:
            self._bluez.hear(peripheral, rssi_dbm, adapter)

    def notify(self, peripheral: Peripheral, uuid: str, value: bytes) -> None:
        self._bluez.notify(peripheral, uuid, value)

    def connected(self, peripheral: Peripheral) -> bool:
        return self._bluez.connected(peripheral)

    def drop_link(self, peripheral: Peripheral) -> None:
        self._bluez.drop_link(peripheral)


@dataclass(eq=False)
class Tracker:
    """A tracker that takes its sensor whenever it can.

    Attributes:
        known_address: Where it looks for the sensor.
        is_on: Whether it is switched on.
        wants: Whether it would take the sensor.
    """

    serial_number: str
    sensor: Sensor
    known_address: str
    is_on: bool = False
    wants: bool = True
    _held_since_s: float | None = field(default=None, init=False)
    _flowed_s: float = field(default=-math.inf, init=False)

    @property
    def kind(self) -> SensorKind:
        return SensorKind.POWER if self.sensor.is_meter else SensorKind.HEART_RATE

    def look(self, airspace: Airspace, now_s: float) -> None:
        """Take the sensor or let it go."""
        if self.sensor not in airspace._stations:
            self._held_since_s = None
            return
        if not (self.is_on and self.wants and self.sensor.peripheral.address.lower() == self.known_address):
            airspace.released(self.sensor, self.serial_number)
        else:
            airspace.taken_by(self.sensor, self.serial_number)
        self.note(airspace, now_s)

    def note(self, airspace: Airspace, now_s: float) -> None:
        """See whether it has its sensor."""
        if self.sensor in airspace._stations and self.serial_number in airspace.holders(self.sensor):
            self._held_since_s = now_s if self._held_since_s is None else self._held_since_s
            if now_s - self._held_since_s >= _STARTS_S:
                self._flowed_s = now_s
        else:
            self._held_since_s = None

    def delivers(self, now_s: float) -> bool | None:
        if not self.is_on:
            return None
        return now_s - self._flowed_s < _ENDS_S

    def holds(self, now_s: float) -> bool:
        """Whether it has its sensor and sends what that measures."""
        return self.is_on and self._held_since_s is not None and now_s - self._held_since_s >= _STARTS_S


class Air:
    """The world, what of it can be told from outside, and the gateway's part that listens to it.

    Attributes:
        team: The trackers with their sensors, near or not.
        visitors: Sensors of nobody that are near.
        passers: Other devices that are near.
        active: Disasters that go on, by name.
        due_s: From when on the radio must listen if no disaster goes on.
        well_since: When and by the end of which disaster it became possible to listen; None if it listens.
        recoveries: By disaster: how long it then took, at most.
        happened: How often what happened.
        looks: Ends of closer looks by their codes.
        looking: The sensor that is being looked at.
        unanswered_until_s: Until when a question about the adapters may get no answer.
        looked_s: When the last look at each address ended.
        wrong: Violations that somebody else than the oracle has seen.
        story: What happened last, a line each.
    """

    def __init__(self, bus: Bus, bluez: FakeBluez, seed: int) -> None:
        self.now_s = asyncio.get_running_loop().time
        self.bus, self.bluez = bus, bluez
        self.dice = random.Random(seed)
        self.antennas = Antennas(bluez, self.now_s)
        self.airspace = Airspace(self.antennas, self.now_s, seed)
        self.board, self.problems = Board(), Problems(lambda: 0)
        self.sightings = Sightings()
        self.radio = _Watched(self)
        self.team = [self._tracker(place, model) for place, model in enumerate(TEAM)]
        self.visitors: list[Sensor] = []
        self.passers: list[Bystander] = []
        self.sensors = Sensors(self.radio, self.sightings, self, self.problems, self.board, lambda: 0)
        self.active: Counter[str] = Counter()
        self.due_s = self.now_s() + 1.0
        self.well_since: tuple[float, str] | None = None
        self.recoveries: dict[str, float] = {}
        self.happened: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self.looking: Sensor | None = None
        self.unanswered_until_s = -math.inf
        self.looked_s: dict[str, float] = {}
        self.wrong: list[str] = []
        self.story: list[str] = []
        self._units = 100
        self._is_changed = asyncio.Event()

    # --- what the gateway asks about trackers -------------------------------------------------------------------------

    are_known = True

    def assignments(self) -> Sequence[Assignment]:
        return [
            Assignment(
                tracker.serial_number, None, None, tracker.kind, tracker.known_address, tracker.sensor.unit.name, True
            )
            for tracker in self.team
        ]

    def withheld(self) -> Sequence[tuple[str, str | None]]:
        return ()

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        [tracker] = [tracker for tracker in self.team if tracker.serial_number == serial_number]
        tracker.note(self.airspace, self.now_s())
        return tracker.delivers(self.now_s())

    # --- time ---------------------------------------------------------------------------------------------------------

    async def advertise(self) -> None:
        """Let devices advertise, for ever; sleeps as long as nothing is due, which `Airspace.run` does not."""
        while True:
            due_s = self.airspace.advance(self.now_s())
            self._is_changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(due_s - self.now_s(), 0.001) if due_s < 1e12 else None):
                    await self._is_changed.wait()

    async def track(self) -> None:
        """Let the trackers look after their sensors, for ever."""
        while True:
            for tracker in self.team:
                tracker.look(self.airspace, self.now_s())
            await asyncio.sleep(_LOOK_S if any(tracker.is_on for tracker in self.team) else 10.0)

    # --- who is near --------------------------------------------------------------------------------------------------

    def present(self) -> list[Sensor]:
        """The sensors that are near, the team's first."""
        return [*(t.sensor for t in self.team if t.sensor in self.airspace._stations), *self.visitors]

    def near(self, device: Sensor | Bystander, distance_m: float = 3.0, *, is_used: bool = True) -> None:
        """A device comes near."""
        self.airspace.appear(device, distance_m, riding if is_used else None)
        self._is_changed.set()

    def away(self, device: Sensor | Bystander) -> None:
        """A device is gone."""
        self.airspace.leave(device)

    def new_sensor(self, model: Model) -> Sensor:
        """A unit that was never here."""
        self._units += 1
        return Sensor(Unit(replace(model, interval_s=INTERVAL_S), self._units % 60_000))

    def new_address(self, address: str) -> str:
        """Another address of the same kind."""
        return f"{address[:8]}:{self.dice.randbytes(3).hex(':')}".upper()

    def new_phone(self) -> Bystander:
        """Somebody else's device; half of them keep their address."""
        is_random = self.dice.random() < 0.5
        octets = bytearray(self.dice.randbytes(6))
        octets[0] = 0x40 | octets[0] & 0x3F if is_random else octets[0] & 0xFC
        peripheral = Peripheral(octets.hex(":").upper(), is_random=is_random, manufacturer_data={0x4C: b"\x10\x05abc"})
        return Bystander(peripheral, 4 * INTERVAL_S)

    # --- disasters ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def disaster(self, name: str, recovery_s: float) -> Iterator[None]:
        """Something is wrong for the length of the block; that long afterwards the radio listens at the latest."""
        self.active[name] += 1
        self.note(f"{name}: begins")
        try:
            yield
        finally:
            self.active[name] -= 1
            self.story.append(f"{stamp(self.now_s())} {name}: ends")
            self.due_s = max(self.due_s, self.now_s() + recovery_s)
            if not self.is_troubled and not self.radio.radio.is_listening:
                self.well_since = (self.now_s(), name)

    @property
    def is_troubled(self) -> bool:
        """Whether anything is wrong now."""
        return self.active.total() > 0

    def measure_from(self, since_s: float, name: str) -> None:
        """Count the recovery that is under way from another instant."""
        if self.well_since is not None:
            self.well_since = (since_s, name)

    def said(self, radio: Radio) -> None:
        """The supervisor says how the radio stands."""
        if radio.state is not self.radio.radio.state:
            self.story.append(f"{stamp(self.now_s())}     radio: {radio.state}")
        if radio.is_listening and self.well_since is not None:
            since_s, name = self.well_since
            self.well_since = None
            self.recoveries[name] = max(self.recoveries.get(name, 0.0), self.now_s() - since_s)

    def note(self, text: str) -> None:
        """Write something down for whoever has to understand a violation."""
        self.happened[text.partition(":")[0]] += 1
        self.story.append(f"{stamp(self.now_s())} {text}")
        del self.story[:-400]

    def _tracker(self, place: int, model: Model) -> Tracker:
        sensor = Sensor(Unit(replace(model, interval_s=INTERVAL_S), place + 1))
        return Tracker(f"SIM-{place + 1:04d}", sensor, sensor.unit.address)


class _Watched(Supervisor):
    def __init__(self, air: Air) -> None:
        super().__init__(air.sightings.heard)
        self._air = air

    def _say(self, radio: Radio) -> None:
        self._air.said(radio)
        super()._say(radio)


def stamp(now_s: float) -> str:
    """A time as days, hours, minutes and seconds."""
    at_s, ms = divmod(round(now_s * 1000), 1000)
    return f"{at_s // 86400:2d}d {at_s // 3600 % 24:02d}:{at_s // 60 % 60:02d}:{at_s % 60:02d}.{ms:03d}"


@contextlib.asynccontextmanager
async def air(seed: int) -> AsyncIterator[Air]:
    """The air for the length of the block; everything that is drawn in it follows from the seed."""
    random.seed(seed)
    async with private_bus() as bus:
        with (
            patch.object(BlueZFeatures, "checked_bluez_version", True),  # bleak would run bluetoothctl to ask for it
            patch.dict(os.environ, {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}),
            quiet_bus(bus.address),
        ):
            async with FakeBluez(bus.address).running() as bluez:
                world = Air(bus, bluez, seed)
                jobs = (world.advertise(), world.track(), world.radio.run(), world.sensors.run(lambda: None))
                async with running(*jobs):
                    yield world
            await close_bleak()

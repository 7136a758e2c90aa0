"""What is in the air around the gateway: which sensors, how far away, worn or not, and who holds a link to them.

Time is told: `advance` lets everything happen that is due, `run` does so in time.
"""

import asyncio
import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bystanders import Bystander
from gateway.simulator.sensors import Sensor, Vitals

SENSITIVITY_DBM = -97
"""What is weaker is not received."""

STRAP_LINGERS_S = 45.0
"""How long a strap goes on after it was taken off. Source: Polar's SDK documentation of the H10."""

METER_LINGERS_S = 300.0
"""How long a power meter goes on after the last turn of the crank."""

# Path loss of a body-worn 2.4 GHz device in the open: at one metre, per decade of distance, and how much it varies.
_AT_ONE_METRE_DBM, _PER_DECADE_DB, _FADING_DB = -60.0, 24.0, 3.5
_MISSED_FRACTION = 0.05  # the radio is between two channels, or two advertisements collide
_ADVERTISING_DELAY_S = 0.01  # Bluetooth Core: each event comes up to so much later, at random
_MEASUREMENT_S = 1.0
_LOOK_S = 0.25  # how soon what is done to the world by hand is noticed
_WALKING_M_S = 1.4

Device = Sensor | Bystander
VitalSigns = Callable[[], Vitals]


class Ether(Protocol):
    """The radio of the gateway."""

    def hear(self, peripheral: Peripheral, rssi_dbm: int) -> object:
        """One advertisement reaches it."""

    def notify(self, peripheral: Peripheral, uuid: str, value: bytes) -> object:
        """A connected device sends a value."""

    def connected(self, peripheral: Peripheral) -> bool:
        """Whether it has a link to the device."""

    def drop_link(self, peripheral: Peripheral) -> object:
        """The device is gone."""


class Airspace:
    """Sensors and other devices, what happens to them, and what of it reaches the gateway's radio.

    Args:
        ether: The radio.
        now_s: A monotonic clock.
        seed: Another one draws another noise.
    """

    def __init__(self, ether: Ether, now_s: Callable[[], float], seed: int = 0) -> None:
        self._ether = ether
        self._now_s = now_s
        self._dice = random.Random(seed)
        self._stations: dict[Device, _Station] = {}
        self._agenda: list[tuple[float, int, _Station, _Step]] = []
        self._order = count()

    async def run(self) -> None:
        """Let things happen in time, for ever."""
        while True:
            now_s = self._now_s()
            await asyncio.sleep(min(max(self.advance(now_s) - now_s, 0.001), _LOOK_S))

    def advance(self, now_s: float) -> float:
        """Let everything happen that is due by now; returns when something is due next, infinity if never."""
        while self._agenda and self._agenda[0][0] <= now_s:
            due_s, _, station, step = heapq.heappop(self._agenda)
            if self._stations.get(station.device) is station:
                interval_s = step(station, now_s)
                next_s = due_s + interval_s
                # What was slept through is not made up for.
                self._plan(next_s if next_s > now_s else now_s + interval_s, station, step)
        return self._agenda[0][0] if self._agenda else math.inf

    # --- what happens -------------------------------------------------------------------------------------------------

    def appear(self, device: Device, distance_m: float = 3.0, vitals: VitalSigns | None = None) -> None:
        """A device comes near; a sensor is on somebody with these vital signs, or on nobody and asleep."""
        now_s = self._now_s()
        station = self._stations[device] = _Station(device, distance_m, distance_m, now_s, vitals)
        self._plan(now_s + self._dice.uniform(0, device.interval_s), station, self._advertise)
        if isinstance(device, Sensor):
            self._settle(station, now_s)
            self._plan(now_s + self._dice.uniform(0, _MEASUREMENT_S), station, self._measure)

    def leave(self, device: Device) -> None:
        """A device is gone at once."""
        del self._stations[device]
        self._cut(device)

    def walk(self, device: Device, to_m: float, speed_m_s: float = _WALKING_M_S) -> None:
        """Whoever has the device walks to this distance from the gateway."""
        station, now_s = self._stations[device], self._now_s()
        station.from_m, station.to_m = station.distance_m(now_s), to_m
        station.since_s, station.speed_m_s = now_s, speed_m_s

    def place(self, device: Device, distance_m: float) -> None:
        """The device is at this distance from the gateway from now on; 0.1 m is held to it."""
        self.walk(device, distance_m)
        self._stations[device].from_m = distance_m

    def distance_m(self, device: Device) -> float:
        """How far away it is now."""
        return self._stations[device].distance_m(self._now_s())

    def put_on(self, sensor: Sensor, vitals: VitalSigns) -> None:
        """Somebody wears it from now on, or rides with it."""
        self._stations[sensor].vitals = vitals
        self._settle(self._stations[sensor], self._now_s())

    def take_off(self, sensor: Sensor) -> None:
        """Nobody wears it any more, so it will soon fall asleep."""
        self._stations[sensor].vitals = None

    def set_battery(self, sensor: Sensor, percent: int) -> None:
        """Its battery has so much left; with 0 it is dead."""
        sensor.battery_percent = percent
        self._settle(self._stations[sensor], self._now_s())

    def taken_by(self, sensor: Sensor, holder: str) -> bool:
        """Somebody connects with it: a tracker, a phone. Whether it is awake and had a link to spare."""
        station, now_s = self._stations[sensor], self._now_s()
        self._settle(station, now_s)
        if holder not in station.holders:
            if not station.is_awake(now_s) or not self._free_links(station):
                return False
            station.holders.add(holder)
            self._settle(station, now_s)
        return True

    def released(self, sensor: Sensor, holder: str) -> None:
        """That one no longer has a link to it."""
        self._stations[sensor].holders.discard(holder)
        self._settle(self._stations[sensor], self._now_s())

    def holders(self, sensor: Sensor) -> frozenset[str]:
        """Who has a link to it now, the gateway not counted."""
        station = self._stations[sensor]
        self._settle(station, self._now_s())
        return frozenset(station.holders)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _advertise(self, station: "_Station", now_s: float) -> float:
        device = station.device
        vitals = self._settle(station, now_s)
        if station.is_awake(now_s) and self._free_links(station):
            device.advertise(vitals, now_s)
            rssi_dbm = round(self._dice.gauss(station.mean_dbm(now_s), _FADING_DB))
            if rssi_dbm >= SENSITIVITY_DBM and self._dice.random() >= _MISSED_FRACTION:
                self._ether.hear(device.peripheral, min(rssi_dbm, -20))
        return device.interval_s + self._dice.uniform(0, _ADVERTISING_DELAY_S)

    def _measure(self, station: "_Station", now_s: float) -> float:
        sensor = station.device
        vitals = self._settle(station, now_s)
        if isinstance(sensor, Sensor) and self._ether.connected(sensor.peripheral):
            self._ether.notify(sensor.peripheral, *sensor.measure(vitals, now_s))
        return _MEASUREMENT_S

    def _settle(self, station: "_Station", now_s: float) -> Vitals | None:
        """Whether it is awake, and what follows from that; returns what there is to measure."""
        sensor = station.device
        if not isinstance(sensor, Sensor):
            station.awake_until_s = math.inf
            return None
        vitals = None if station.vitals is None else station.vitals()
        if vitals is not None and (not sensor.is_meter or vitals.cadence_rpm > 0):
            station.awake_until_s = now_s + (METER_LINGERS_S if sensor.is_meter else STRAP_LINGERS_S)
        if sensor.battery_percent == 0:
            station.awake_until_s = now_s
        is_awake = station.is_awake(now_s)
        if not is_awake:
            station.holders.clear()
        is_near = station.mean_dbm(now_s) >= SENSITIVITY_DBM
        if not (is_awake and is_near):
            self._cut(sensor)
        sensor.peripheral.accepts_link = is_awake and is_near and len(station.holders) < sensor.unit.model.links
        return vitals

    def _free_links(self, station: "_Station") -> int:
        sensor = station.device
        if not isinstance(sensor, Sensor):
            return 1
        return sensor.unit.model.links - len(station.holders) - self._ether.connected(sensor.peripheral)

    def _cut(self, device: Device) -> None:
        if self._ether.connected(device.peripheral):
            self._ether.drop_link(device.peripheral)
        device.peripheral.accepts_link = False

    def _plan(self, due_s: float, station: "_Station", step: "_Step") -> None:
        heapq.heappush(self._agenda, (due_s, next(self._order), station, step))


@dataclass(slots=True, eq=False)
class _Station:
    """A device at a distance, with who wears it and who is connected with it."""

    device: Device
    from_m: float
    to_m: float
    since_s: float
    vitals: VitalSigns | None
    speed_m_s: float = _WALKING_M_S
    awake_until_s: float = -math.inf
    holders: set[str] = field(default_factory=set)

    def is_awake(self, now_s: float) -> bool:
        return now_s < self.awake_until_s

    def distance_m(self, now_s: float) -> float:
        walked_m = self.speed_m_s * (now_s - self.since_s)
        way_m = self.to_m - self.from_m
        return self.to_m if walked_m >= abs(way_m) else self.from_m + math.copysign(walked_m, way_m)

    def mean_dbm(self, now_s: float) -> float:
        return _AT_ONE_METRE_DBM - _PER_DECADE_DB * math.log10(max(self.distance_m(now_s), 0.1))


_Step = Callable[[_Station, float], float]
"""Something of a station that happens at an instant; how many seconds later the same happens next."""

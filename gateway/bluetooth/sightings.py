"""The book of the devices in the air: which of them is which sensor, and what is forgotten of it.

A sensor is known by the ID that it advertises, and by its address where it advertises none: addresses change with
firmware and battery. Where two devices advertise the same ID at the same time, theirs is the address again.
"""

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.broadcast import Broadcast
from gateway.bluetooth.identity import (
    Model,
    SensorKind,
    advertised_heart_rate,
    advertised_id,
    clean_name,
    kind_of,
    model_of,
    sensor_id,
)
from gateway.bluetooth.reception import Reception

FORGET_AFTER_S = 50.0
"""What is nobody's sensor is not remembered for longer: where the caller is ten seconds late, for a minute."""

ONE_DEVICE_S = 30.0
"""A sensor that changes its address twice in this time is two devices with one ID. A new address comes with a new
battery or new firmware, or every 15 minutes; a device that is in the air is heard several times in it."""

MOST_SENSORS = 1000
"""What the book holds, besides the sensors of trackers. More are refused: those in it stay, and are heard at once."""

_MOST_UNKNOWN = 500
"""From here on, only devices of a known kind are taken in."""

_MOST_OTHERS = 5000
"""More than a full stand; beyond that the number says nothing."""

_FORMER_ADDRESSES = 8
"""A tracker may still know a sensor by one of these; with each new battery there may be another one."""


class Sensor:
    """One device in the air, or one that was.

    Attributes:
        id: For URLs; the same after a restart.
        kind: What all its advertisements together show of what it measures.
        name: As it advertises itself, cleaned; None if it does not.
        model: None if it is not known.
        advertised_id: The ID in its name; None if it has none.
        address: Its present one, in normal form.
        address_kind: What that promises.
        former_addresses: Those that it had before, newest last.
        reception: How well it is heard.
        broadcast: The heart rate that it advertises.
        moved_s: When it came to its present address; infinitely long ago if it has had no other.
        description: Stands for all that its newest advertisement says of what it is.
    """

    __slots__ = (
        "address",
        "address_kind",
        "advertised_id",
        "broadcast",
        "description",
        "former_addresses",
        "id",
        "kind",
        "model",
        "moved_s",
        "name",
        "reception",
    )

    def __init__(self, own_id: str, advertisement: Advertisement, now_s: float) -> None:
        self.id = own_id
        self.kind = SensorKind.UNKNOWN
        self.name: str | None = None
        self.model: Model | None = None
        self.advertised_id: str | None = None
        self.address = advertisement.address
        self.address_kind = advertisement.address_kind
        self.former_addresses: tuple[str, ...] = ()
        self.moved_s = -math.inf
        self.reception = Reception(now_s)
        self.broadcast = Broadcast()
        self.description = 0

    def describe(self, advertisement: Advertisement, description: int) -> None:
        """Learn what it is; what an earlier advertisement told and this one does not stays true."""
        self.description = description
        self.kind = self.kind.merged(kind_of(advertisement))
        name = clean_name(advertisement.name)
        new_id = advertised_id(name)
        if name is not None and (new_id is not None or self.advertised_id is None):
            self.name, self.model, self.advertised_id = name, model_of(name), new_id

    def is_worn(self, at_s: float) -> bool | None:
        """Whether it touched skin when it was heard at a time; None if it does not tell.

        A heart rate that does not move any more is no sign of life.
        """
        if self.broadcast.is_contact is False:
            return False
        return True if self.broadcast.value(at_s) is not None else None

    def move(self, advertisement: Advertisement, now_s: float) -> None:
        """It has a new address."""
        kept = [address for address in self.former_addresses if address != advertisement.address]
        self.former_addresses = (*kept, self.address)[-_FORMER_ADDRESSES:]
        self.address, self.address_kind = advertisement.address, advertisement.address_kind
        self.moved_s = now_s


@dataclass(slots=True)
class Counters:
    """What became of the advertisements.

    Attributes:
        advertisements: All that were heard.
        others: Of unknown devices with passing addresses, which are only counted.
        over_rate: Too many of one address in one second: not looked at.
        refused: Of devices that found no place in the book.
        moves: Sensors that were found again at a new address.
        shared_ids: IDs that turned out to be those of several devices.
        forgotten: Sensors that are no longer in the book.
    """

    advertisements: int = 0
    others: int = 0
    over_rate: int = 0
    refused: int = 0
    moves: int = 0
    shared_ids: int = 0
    forgotten: int = 0


class Sightings:
    """The book. Times are seconds of one monotonic clock.

    Attributes:
        counters: What became of the advertisements.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self._sensors: dict[str, Sensor] = {}
        self._at: dict[str, Sensor] = {}
        self._shared_ids: set[str] = set()
        self._kept: frozenset[str] = frozenset()
        # When each was heard last, the longest silent first. A number that leads back to no address.
        self._others: OrderedDict[int, float] = OrderedDict()

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """By their ids."""
        return MappingProxyType(self._sensors)

    def heard(self, advertisement: Advertisement, now_s: float) -> None:
        """Enter an advertisement, or only count it."""
        self.counters.advertisements += 1
        sensor = self._at.get(advertisement.address)
        if sensor is not None and not sensor.reception.admits(now_s):
            self.counters.over_rate += 1
            return
        heart_rate = advertised_heart_rate(advertisement)
        description = hash(
            (advertisement.name, advertisement.services, advertisement.appearance, heart_rate is not None)
        )
        if sensor is None or sensor.description != description:
            sensor = self._identify(sensor, advertisement, now_s)
            if sensor is None:
                return
            sensor.describe(advertisement, description)
        sensor.reception.heard(advertisement.rssi_dbm, now_s)
        sensor.broadcast.heard(heart_rate, now_s)

    def find(self, address: str, name: str | None) -> Sensor | None:
        """The sensor that somebody knows by an address, in normal form, and a name; the ID in the name counts more.

        None as well where several devices advertise that ID and none has the address: there is no telling which.
        """
        sensor, wanted_id = self._at.get(address), advertised_id(name)
        if wanted_id is not None:
            if sensor is not None and sensor.advertised_id in {None, wanted_id}:
                return sensor
            return self._sensors.get(wanted_id)
        if sensor is not None:
            return sensor
        return next((known for known in self._sensors.values() if address in known.former_addresses), None)

    def is_shared(self, own_id: str) -> bool:
        """Whether several devices in the air advertise this ID."""
        return own_id in self._shared_ids

    def keep(self, ids: Collection[str]) -> None:
        """These belong to a tracker, heard or not: they always find a place and keep it, until others are named."""
        self._kept = frozenset(ids)

    def forget(self, now_s: float) -> None:
        """Forget what is nobody's and has been silent for too long; to be called every second or so."""
        for sensor in list(self._sensors.values()):
            if sensor.id not in self._kept and now_s - sensor.reception.last_seen_s >= FORGET_AFTER_S:
                self._remove(sensor)
                self.counters.forgotten += 1
        for shared_id in list(self._shared_ids):
            bearers = [sensor for sensor in self._sensors.values() if sensor.advertised_id == shared_id]
            if len(bearers) <= 1:
                self._shared_ids.remove(shared_id)
            if len(bearers) == 1:
                self._rename(bearers[0], shared_id)
        self._forget_others(now_s)

    def others(self, now_s: float) -> int:
        """How many more devices were in the air just now: unknown ones with passing addresses, and those refused."""
        self._forget_others(now_s)
        return len(self._others)

    def _identify(self, sensor: Sensor | None, advertisement: Advertisement, now_s: float) -> Sensor | None:
        """The sensor that a device is, which has just come up or told more of itself; `sensor` had its address."""
        own_id = advertised_id(advertisement.name)
        if own_id is not None and (sensor is None or sensor.advertised_id != own_id):
            moved = self._moved(own_id, now_s)
            if moved is not None:
                if sensor is not None:
                    self._remove(sensor)
                del self._at[moved.address]
                moved.move(advertisement, now_s)
                self._at[moved.address] = moved
                self.counters.moves += 1
                return moved
            if sensor is not None:
                self._rename(sensor, self._id_for(own_id, sensor.address))
        return self._enter(own_id, advertisement, now_s) if sensor is None else sensor

    def _moved(self, own_id: str, now_s: float) -> Sensor | None:
        """Who had this ID at another address and so has a new one; None if nobody, or if it has turned out shared."""
        sensor = self._sensors.get(own_id)
        if sensor is None or now_s - sensor.moved_s >= ONE_DEVICE_S:
            return sensor
        self._shared_ids.add(own_id)
        self.counters.shared_ids += 1
        sensor.former_addresses = ()
        self._rename(sensor, self._id_for(own_id, sensor.address))
        return None

    def _enter(self, own_id: str | None, advertisement: Advertisement, now_s: float) -> Sensor | None:
        new_id = self._id_for(own_id, advertisement.address)
        if new_id not in self._kept:
            is_unknown = kind_of(advertisement) is SensorKind.UNKNOWN
            is_passing = is_unknown and not advertisement.address_kind.is_stable
            is_full = len(self._sensors) >= (_MOST_UNKNOWN if is_unknown else MOST_SENSORS)
            if is_passing or is_full:
                self.counters.others += is_passing
                self.counters.refused += not is_passing
                self._count_other(advertisement, now_s)
                return None
        self._others.pop(hash(advertisement.address), None)
        sensor = Sensor(new_id, advertisement, now_s)
        self._sensors[new_id] = self._at[sensor.address] = sensor
        return sensor

    def _id_for(self, own_id: str | None, address: str) -> str:
        if own_id in self._shared_ids:
            return f"{own_id}-{address.replace(':', '')}"
        return sensor_id(own_id, address)

    def _rename(self, sensor: Sensor, new_id: str) -> None:
        del self._sensors[sensor.id]
        if sensor.id in self._kept:
            self._kept |= {new_id}
        sensor.id = new_id
        self._sensors[new_id] = sensor

    def _remove(self, sensor: Sensor) -> None:
        del self._sensors[sensor.id], self._at[sensor.address]

    def _count_other(self, advertisement: Advertisement, now_s: float) -> None:
        number = hash(advertisement.address)
        self._others[number] = now_s
        self._others.move_to_end(number)
        if len(self._others) > _MOST_OTHERS:
            self._others.popitem(last=False)

    def _forget_others(self, now_s: float) -> None:
        while self._others and now_s - next(iter(self._others.values())) >= FORGET_AFTER_S:
            self._others.popitem(last=False)

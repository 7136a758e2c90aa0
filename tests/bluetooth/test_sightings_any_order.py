"""The book beside a plain model of it, in any order of events."""

import math
import re
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.presence import Presence, presence
from gateway.bluetooth.sightings import FORGET_AFTER_S, ONE_DEVICE_S, Sightings
from insiders_codecs.address import AddressKind
from tests.bluetooth.adverts import HEART_RATE, NOTHING, address, advertisement


@dataclass
class Strap:
    """A strap of the real world. It may get a new address, but not twice in half a minute."""

    unit: int
    number: int
    settled_s: float = -math.inf

    @property
    def name(self) -> str:
        return f"Polar H10 {self.unit:08X}"

    @property
    def id(self) -> str:
        return f"polar-h10-{self.unit:08x}"


@dataclass
class Entry:
    """What the model expects of a sensor."""

    number: int
    heard_s: float


BEACONS = range(21, 24)
BEACON_ADDRESSES = frozenset(map(address, BEACONS))
CLONES = (31, 32)
CLONE_NAME, CLONE_ID = "Polar H10 CCCCCCCC", "polar-h10-cccccccc"
PHONES = range(1000, 1021)


class Air(RuleBasedStateMachine):
    """Straps, nameless sensors, beacons, two straps with one ID, and phones; what the tracker and the radio do."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Sightings()
        self.now_s = 1000.0
        self.listening_since_s: float | None = self.now_s
        self.straps = [Strap(unit, unit) for unit in range(1, 5)]
        self.new_numbers = iter(range(100, 1000))
        self.expected: dict[str, Entry] = {}
        self.kept: set[str] = set()
        self.newest_clone: Entry | None = None
        self.phones: dict[int, float] = {}

    @rule(pause_s=st.one_of(st.floats(0.05, 3.0), st.floats(5.0, 60.0)))
    def time_passes(self, pause_s: float) -> None:
        self.now_s += pause_s

    @rule()
    def the_radio_begins_or_stops_to_listen(self) -> None:
        self.listening_since_s = self.now_s if self.listening_since_s is None else None

    @precondition(lambda self: self.listening_since_s is not None)
    @rule(which=st.integers(0, 3), tells_name=st.sampled_from([True, True, True, False]))
    def a_strap_is_heard(self, which: int, tells_name: bool) -> None:
        strap = self.straps[which]
        if not self._is_heard(strap.number, strap.name if tells_name else None, HEART_RATE):
            return
        before = next((own_id for own_id, entry in self.expected.items() if entry.number == strap.number), None)
        if not tells_name:
            self.expected[before or f"sensor-{strap.number:012x}"] = Entry(strap.number, self.now_s)
            return
        if strap.settled_s == math.inf:
            strap.settled_s = self.now_s
        if before is not None and before != strap.id:
            del self.expected[before]
            if before in self.kept and strap.id not in self.expected:
                self.kept.add(strap.id)
        self.expected[strap.id] = Entry(strap.number, self.now_s)

    @rule(which=st.integers(0, 3))
    def a_strap_gets_a_new_address(self, which: int) -> None:
        strap = self.straps[which]
        if self.now_s - strap.settled_s >= ONE_DEVICE_S:
            # Settled again when it is first heard there.
            strap.number, strap.settled_s = next(self.new_numbers), math.inf

    @precondition(lambda self: self.listening_since_s is not None)
    @rule(number=st.integers(11, BEACONS[-1]))
    def a_device_without_an_id_is_heard(self, number: int) -> None:
        if self._is_heard(number, "gadget", NOTHING if number in BEACONS else HEART_RATE):
            self.expected[f"sensor-{number:012x}"] = Entry(number, self.now_s)

    @precondition(lambda self: self.listening_since_s is not None)
    @rule(number=st.sampled_from(CLONES))
    def one_of_two_with_the_same_id_is_heard(self, number: int) -> None:
        if self._is_heard(number, CLONE_NAME, HEART_RATE):
            self.newest_clone = Entry(number, self.now_s)

    @precondition(lambda self: self.listening_since_s is not None)
    @rule()
    def both_of_them_are_heard_by_turns(self) -> None:
        for number in (*CLONES, *CLONES):
            self.now_s += 1.0
            self.one_of_two_with_the_same_id_is_heard(number)
        assert {f"{CLONE_ID}-{number:012x}" for number in CLONES} == self._clone_ids()

    @precondition(lambda self: self.listening_since_s is not None)
    @rule(number=st.sampled_from(PHONES))
    def a_phone_is_heard(self, number: int) -> None:
        phone = advertisement(number, "somebody's phone", address_kind=AddressKind.RESOLVABLE)
        self.book.heard(phone, self.now_s)
        self.phones[number] = self.now_s

    @rule(which=st.sets(st.integers(0, 3)), number=st.integers(11, BEACONS[-1]))
    def trackers_have_sensors(self, which: set[int], number: int) -> None:
        self.kept = {self.straps[i].id for i in which} | {f"sensor-{number:012x}"}
        self.book.keep(self.kept)

    @rule()
    def what_is_old_is_forgotten(self) -> None:
        self.book.forget(self.now_s)
        for own_id, entry in list(self.expected.items()):
            if own_id not in self.kept and self.now_s - entry.heard_s >= FORGET_AFTER_S:
                del self.expected[own_id]
        if self.newest_clone is not None and self.now_s - self.newest_clone.heard_s >= FORGET_AFTER_S:
            self.newest_clone = None
            assert not self._clone_ids()
        fresh = [heard_s for heard_s in self.phones.values() if self.now_s - heard_s < FORGET_AFTER_S]
        assert self.book.others(self.now_s) == len(fresh)

    @invariant()
    def the_book_holds_whom_it_should_and_nobody_else(self) -> None:
        clone_ids = self._clone_ids()
        held = {
            own_id: Entry(int(sensor.address.replace(":", ""), 16), sensor.reception.last_seen_s)
            for own_id, sensor in self.book.sensors.items()
            if own_id not in clone_ids
        }
        assert held == self.expected

    @invariant()
    def every_sensor_is_found_by_its_id_and_by_its_address(self) -> None:
        sensors = self.book.sensors
        assert len({sensor.address for sensor in sensors.values()}) == len(sensors)
        for own_id, sensor in sensors.items():
            assert sensor.id == own_id
            assert re.fullmatch(r"[a-z0-9-]{4,60}", own_id)
            assert self.book.find(sensor.address, sensor.name) is sensor
            assert sensor.address not in sensor.former_addresses
            assert (sensor.kind is SensorKind.UNKNOWN) == (sensor.address in BEACON_ADDRESSES)

    @invariant()
    def of_two_with_one_id_the_one_that_was_heard_last_has_a_sensor(self) -> None:
        assert len(self._clone_ids()) <= len(CLONES)
        if self.newest_clone is not None:
            sensor = self.book.find(address(self.newest_clone.number), CLONE_NAME)
            assert sensor is not None
            assert sensor.reception.last_seen_s == self.newest_clone.heard_s

    @invariant()
    def nobody_is_gone_whom_the_radio_could_not_hear(self) -> None:
        for sensor in self.book.sensors.values():
            reception = sensor.reception
            told = presence(reception.last_seen_s, reception.interval_s, self.listening_since_s, self.now_s)
            if self.listening_since_s is None:
                assert told is Presence.UNKNOWN
            elif self.now_s - max(self.listening_since_s, reception.last_seen_s) < 10.0:
                assert told is not Presence.GONE
            elif self.now_s - max(self.listening_since_s, reception.last_seen_s) >= 45.0:
                assert told is Presence.GONE

    def _is_heard(self, number: int, name: str | None, services: frozenset[str]) -> bool:
        """Whether it was not one too many of its second; nothing else may keep it out."""
        over_rate = self.book.counters.over_rate
        self.book.heard(advertisement(number, name, services), self.now_s)
        if self.book.counters.over_rate > over_rate:
            return False
        sensor = self.book.find(address(number), None)
        assert sensor is not None
        assert (sensor.address, sensor.reception.last_seen_s) == (address(number), self.now_s)
        return True

    def _clone_ids(self) -> set[str]:
        return {own_id for own_id in self.book.sensors if own_id.startswith(CLONE_ID)}


TestAir = Air.TestCase
TestAir.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)

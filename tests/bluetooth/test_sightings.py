"""Which device is which sensor, what is forgotten, and what a flood cannot do."""

import random

import pytest

from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.reception import MOST_PER_S
from gateway.bluetooth.sightings import FORGET_AFTER_S, MOST_SENSORS, ONE_DEVICE_S, Sensor, Sightings
from insiders_codecs.address import AddressKind
from tests.bluetooth.adverts import HEART_RATE, NOTHING, POWER, address, advertisement, polar_data

H10, ID = "Polar H10 AE60D42F", "polar-h10-ae60d42f"
A, B, C = 0xA09E1A_000001, 0xA09E1A_000002, 0xA09E1A_000003


def ids(book: Sightings) -> list[str]:
    return sorted(book.sensors)


def heard(book: Sightings, advertisement: Advertisement, now_s: float) -> Sensor | None:
    """The sensor in which an advertisement was entered; None if it was only counted."""
    book.heard(advertisement, now_s)
    sensor = book.find(advertisement.address, None)
    if sensor is None or (sensor.address, sensor.reception.last_seen_s) != (advertisement.address, now_s):
        return None
    return sensor


def entered(sensor: Sensor | None) -> Sensor:
    assert sensor is not None
    return sensor


# Identity


def test_a_sensor_is_known_by_the_id_in_its_name() -> None:
    book = Sightings()
    sensor = entered(heard(book, advertisement(A, H10, HEART_RATE, rssi_dbm=-55), 7.0))
    assert ids(book) == [ID]
    assert (sensor.id, sensor.name, sensor.address) == (ID, H10, address(A))
    assert sensor.model is not None
    assert sensor.model.name == "Polar H10"
    assert (sensor.kind, sensor.address_kind) == (SensorKind.HEART_RATE, AddressKind.PUBLIC)
    assert (sensor.reception.rssi_dbm, sensor.reception.last_seen_s) == (-55, 7.0)


def test_a_sensor_without_an_id_is_known_by_its_address() -> None:
    book = Sightings()
    book.heard(advertisement(A, "HW807", HEART_RATE), 0.0)
    book.heard(advertisement(B, None, POWER), 0.0)
    assert ids(book) == ["sensor-a09e1a000001", "sensor-a09e1a000002"]


def test_a_strap_with_a_new_address_stays_the_same_sensor() -> None:
    book = Sightings()
    for number, now_s in ((A, 0.0), (B, 40.0), (C, 80.0)):
        book.heard(advertisement(number, H10, HEART_RATE), now_s)
    sensor = book.sensors[ID]
    assert ids(book) == [ID]
    assert (sensor.address, sensor.former_addresses) == (address(C), (address(A), address(B)))
    assert sensor.reception.first_seen_s == 0.0
    assert book.counters.moves == 2


def test_a_strap_that_changes_its_address_at_once_stays_the_same_sensor() -> None:
    book = Sightings()
    for now_s in range(100):
        book.heard(advertisement(A if now_s < 50 else B, H10, HEART_RATE), now_s)
    assert ids(book) == [ID]
    assert book.sensors[ID].former_addresses == (address(A),)


def test_a_strap_that_goes_back_to_its_old_address_has_no_former_one_that_is_present() -> None:
    book = Sightings()
    for number, now_s in ((A, 0.0), (B, 40.0), (A, 80.0)):
        book.heard(advertisement(number, H10, HEART_RATE), now_s)
    assert book.sensors[ID].former_addresses == (address(B),)


def test_only_the_newest_former_addresses_are_remembered() -> None:
    book = Sightings()
    for change in range(100):
        book.heard(advertisement(change, H10, HEART_RATE), change * 900.0)
    assert book.sensors[ID].former_addresses == tuple(address(change) for change in range(91, 99))


@pytest.mark.parametrize("others_start_s", [0.1, 50.0, 200.0])
@pytest.mark.parametrize("interval_s", [0.1, 1.0, 10.0])
def test_two_devices_with_one_id_in_the_air_are_two_sensors(others_start_s: float, interval_s: float) -> None:
    book, events = Sightings(), [(float(now), A) for now in range(400)]
    events += [(others_start_s + event, B) for event in range(400)]
    for now, number in sorted(events):
        book.heard(advertisement(number, H10, HEART_RATE), now * interval_s)
    assert ids(book) == [f"{ID}-a09e1a000001", f"{ID}-a09e1a000002"]
    for number in (A, B):
        sensor = book.sensors[f"{ID}-{number:x}"]
        assert (sensor.address, sensor.former_addresses) == (address(number), ())
    assert book.counters.shared_ids == 1


def test_three_devices_with_one_id_have_the_same_ids_whoever_comes_first() -> None:
    seen = set()
    for seed in range(20):
        book, chance = Sightings(), random.Random(seed)
        for second in range(60):
            for number in chance.sample((A, B, C), 3):
                book.heard(advertisement(number, H10, HEART_RATE), second)
        seen.add(tuple(ids(book)))
    assert seen == {(f"{ID}-a09e1a000001", f"{ID}-a09e1a000002", f"{ID}-a09e1a000003")}


def test_the_id_is_whole_again_when_one_device_is_left() -> None:
    book = Sightings()
    for second in range(10):
        book.heard(advertisement(A, H10, HEART_RATE), second)
        book.heard(advertisement(B, H10, HEART_RATE), second)
    for second in range(10, 70):
        book.heard(advertisement(B, H10, HEART_RATE), second)
    book.forget(70.0)
    assert ids(book) == [ID]
    assert book.sensors[ID].address == address(B)


def test_an_id_that_was_shared_once_is_whole_when_all_have_left() -> None:
    book = Sightings()
    for second in range(10):
        book.heard(advertisement(A, H10, HEART_RATE), second)
        book.heard(advertisement(B, H10, HEART_RATE), second)
    book.forget(100.0)
    book.heard(advertisement(C, H10, HEART_RATE), 101.0)
    assert ids(book) == [ID]


def test_a_sensor_that_tells_its_name_late_gets_its_id_then() -> None:
    book = Sightings()
    book.heard(advertisement(A, None, HEART_RATE), 0.0)
    book.heard(advertisement(A, H10, HEART_RATE), 1.0)
    assert ids(book) == [ID]
    assert book.sensors[ID].reception.first_seen_s == 0.0


def test_a_moved_strap_that_tells_its_name_late_is_found_again() -> None:
    book = Sightings()
    book.heard(advertisement(A, H10, HEART_RATE), 0.0)
    book.heard(advertisement(B, None, HEART_RATE), 40.0)
    assert len(book.sensors) == 2
    book.heard(advertisement(B, H10, HEART_RATE), 41.0)
    assert ids(book) == [ID]
    assert book.sensors[ID].former_addresses == (address(A),)


def test_a_name_that_is_cut_off_does_not_replace_one_with_an_id() -> None:
    book = Sightings()
    book.heard(advertisement(A, H10, HEART_RATE), 0.0)
    for name in (None, "Polar H1", "Polar H10"):
        book.heard(advertisement(A, name, HEART_RATE), 1.0)
    assert book.sensors[ID].name == H10


def test_a_device_that_tells_another_id_is_the_one_that_it_says() -> None:
    book = Sightings()
    book.heard(advertisement(A, H10, HEART_RATE), 0.0)
    book.heard(advertisement(A, "Polar H10 11111111", HEART_RATE), 1.0)
    assert ids(book) == ["polar-h10-11111111"]


def test_kinds_add_up_over_time() -> None:
    book, told = Sightings(), []
    for second, services in enumerate((NOTHING, HEART_RATE, POWER, NOTHING)):
        told.append(entered(heard(book, advertisement(A, "gadget", services), second)).kind)
    assert told == [SensorKind.UNKNOWN, SensorKind.HEART_RATE, SensorKind.BOTH, SensorKind.BOTH]


def test_an_advertised_heart_rate_alone_makes_a_heart_rate_sensor() -> None:
    book = Sightings()
    sensor = entered(heard(book, advertisement(A), 0.0))
    for second in (1, 2):
        book.heard(advertisement(A, manufacturer_data=polar_data(71, second)), second)
    assert sensor.kind is SensorKind.HEART_RATE
    value = sensor.broadcast.value(2.0)
    assert value is not None
    assert value.heart_rate_bpm == 71


# Finding what the cloud names


def test_a_sensor_is_found_by_address_or_by_the_id_in_its_name() -> None:
    book = Sightings()
    sensor = entered(heard(book, advertisement(A, H10, HEART_RATE), 0.0))
    for number, name in ((A, H10), (A, None), (A, "Ada's strap"), (C, H10), (C, " polar H10  ae60d42f")):
        assert book.find(address(number), name) is sensor
    assert book.find(address(C), "Ada's strap") is None
    assert book.find(address(C), None) is None


def test_a_sensor_is_found_by_an_address_that_it_no_longer_has() -> None:
    book = Sightings()
    book.heard(advertisement(A, H10, HEART_RATE), 0.0)
    book.heard(advertisement(B, H10, HEART_RATE), 40.0)
    assert book.find(address(A), H10) is book.sensors[ID]
    assert book.find(address(A), "Ada's strap") is book.sensors[ID]


def test_the_id_counts_more_than_the_address() -> None:
    book = Sightings()
    book.heard(advertisement(A, "Polar H10 11111111", HEART_RATE), 0.0)
    assert book.find(address(A), H10) is None
    sensor = heard(book, advertisement(B, H10, HEART_RATE), 0.0)
    assert book.find(address(A), H10) is sensor


def test_a_sensor_that_has_not_told_its_name_is_found_by_its_address() -> None:
    book = Sightings()
    sensor = heard(book, advertisement(A, None, HEART_RATE), 0.0)
    assert book.find(address(A), H10) is sensor


def test_of_several_with_one_id_none_is_guessed() -> None:
    book = Sightings()
    for second in range(3):
        book.heard(advertisement(A, H10, HEART_RATE), second)
        book.heard(advertisement(B, H10, HEART_RATE), second)
    assert book.find(address(C), H10) is None
    assert entered(book.find(address(B), H10)).address == address(B)


# Forgetting


def test_nobodys_sensor_is_forgotten_in_time_and_a_trackers_is_not() -> None:
    book = Sightings()
    book.heard(advertisement(A, H10, HEART_RATE), 0.0)
    book.heard(advertisement(B, "TICKR 1A2B", HEART_RATE), 0.0)
    book.keep([ID])
    book.forget(FORGET_AFTER_S - 0.1)
    assert ids(book) == [ID, "tickr-1a2b"]
    book.forget(FORGET_AFTER_S)
    assert ids(book) == [ID]
    book.keep([])
    book.forget(10_000.0)
    assert ids(book) == []
    assert book.counters.forgotten == 2


def test_what_is_kept_stays_kept_under_a_new_id() -> None:
    book = Sightings()
    book.heard(advertisement(A, H10, HEART_RATE), 0.0)
    book.keep([ID])
    book.heard(advertisement(B, H10, HEART_RATE), 1.0)
    book.heard(advertisement(A, H10, HEART_RATE), 2.0)
    book.forget(1000.0)
    assert len(book.sensors) == 1


def test_strangers_with_passing_addresses_are_counted_and_nothing_else() -> None:
    book = Sightings()
    for number, kind in enumerate((AddressKind.RESOLVABLE, AddressKind.NON_RESOLVABLE, AddressKind.RESERVED)):
        for _ in range(3):
            assert heard(book, advertisement(number, "Ada's phone", address_kind=kind), 1.0) is None
    assert book.others(1.0) == 3
    assert (len(book.sensors), book.counters.others) == (0, 9)
    book.heard(advertisement(0, "Ada's phone", address_kind=AddressKind.RESOLVABLE), 30.0)
    assert book.others(1.0 + FORGET_AFTER_S) == 1
    assert book.others(30.0 + FORGET_AFTER_S) == 0


def test_no_name_and_no_address_of_a_stranger_is_in_memory() -> None:
    book = Sightings()
    book.heard(advertisement(0x5A5A5A_5A5A5A, "Ada's phone", address_kind=AddressKind.RESOLVABLE), 1.0)
    assert not _strings(book) & {"Ada's phone", address(0x5A5A5A_5A5A5A)}


def _strings(book: Sightings) -> set[str]:
    """Every string that the book holds, wherever."""
    found: set[str] = set()
    todo: list[object] = [getattr(book, name) for name in vars(book)]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict):
            todo += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            todo += value
        elif isinstance(value, Sensor):
            todo += [getattr(value, name) for name in Sensor.__slots__]
    return found


def test_a_stranger_that_turns_out_to_be_a_sensor_is_counted_no_more() -> None:
    book = Sightings()
    book.heard(advertisement(A, "watch", address_kind=AddressKind.RESOLVABLE), 0.0)
    assert heard(book, advertisement(A, "watch", HEART_RATE, address_kind=AddressKind.RESOLVABLE), 1.0) is not None
    assert book.others(1.0) == 0


# Floods


def test_a_flood_of_one_address_is_cut_to_twenty_a_second() -> None:
    book = Sightings()
    admitted = sum(heard(book, advertisement(A, H10, HEART_RATE), i / 1000) is not None for i in range(5000))
    # The first advertisement of a device is not counted: it makes the counter.
    assert admitted == 5 * MOST_PER_S + 1
    assert book.counters.over_rate == 5000 - admitted


def test_a_flood_of_junk_costs_no_memory_and_no_sensor() -> None:
    book, chance = Sightings(), random.Random(1)
    straps = [advertisement(number, f"Polar H10 {number:08X}", HEART_RATE) for number in range(30)]
    kinds = list(AddressKind)
    for second in range(120):
        for strap in straps:
            assert heard(book, strap, second) is not None
        for _ in range(300):
            junk, services = chance.getrandbits(48), chance.choice((HEART_RATE, POWER, NOTHING))
            name = chance.choice((None, "junk", f"Polar H10 {junk % 2**32:08X}", "x" * 200))
            book.heard(advertisement(junk, name, services, address_kind=chance.choice(kinds)), second)
        book.forget(second)
        assert len(book.sensors) <= MOST_SENSORS
        assert book.others(second) <= 5000
        assert all(f"polar-h10-{number:08x}" in book.sensors for number in range(30))
    assert book.counters.refused > 0
    book.forget(1000.0)
    assert (len(book.sensors), book.others(1000.0)) == (0, 0)


def test_a_crowd_of_strangers_is_counted_up_to_a_bound() -> None:
    book = Sightings()
    for number in range(8000):
        book.heard(advertisement(number, address_kind=AddressKind.RESOLVABLE), number / 1000)
    assert book.others(8.0) == 5000


def test_unknown_devices_leave_room_for_sensors() -> None:
    book = Sightings()
    for number in range(2 * MOST_SENSORS):
        book.heard(advertisement(number, "beacon"), 0.0)
    assert len(book.sensors) < MOST_SENSORS
    assert book.others(0.0) == 2 * MOST_SENSORS - len(book.sensors)
    assert heard(book, advertisement(A, H10, HEART_RATE), 0.0) is not None


def test_a_full_book_takes_in_a_trackers_sensor_all_the_same() -> None:
    book = Sightings()
    for number in range(MOST_SENSORS + 10):
        book.heard(advertisement(number, None, POWER), 0.0)
    assert heard(book, advertisement(A, H10, HEART_RATE), 1.0) is None
    book.keep([ID])
    assert heard(book, advertisement(A, H10, HEART_RATE), 2.0) is book.sensors[ID]


def test_a_trackers_sensor_that_hides_what_it_is_is_no_stranger() -> None:
    book = Sightings()
    band = advertisement(A, "band", address_kind=AddressKind.RESOLVABLE)
    assert heard(book, band, 0.0) is None
    book.keep(["sensor-a09e1a000001"])
    assert heard(book, band, 1.0) is book.sensors["sensor-a09e1a000001"]
    assert book.others(1.0) == 0


def test_a_flood_that_claims_a_straps_id_does_not_take_its_address() -> None:
    book = Sightings()
    for second in range(60):
        book.heard(advertisement(A, H10, HEART_RATE), second)
        for junk in range(10):
            book.heard(advertisement(second * 10 + junk, H10, HEART_RATE), second + junk / 20)
    assert entered(book.find(address(A), H10)).reception.last_seen_s == 59.0


def test_two_devices_with_one_id_are_two_as_soon_as_the_slowest_has_been_heard_twice() -> None:
    book = Sightings()
    for number, now_s in ((A, 0.0), (B, 5.0), (A, 10.24)):
        book.heard(advertisement(number, H10, HEART_RATE), now_s)
    assert len(book.sensors) == 2


def test_two_changes_of_address_in_the_window_are_the_border() -> None:
    for pause_s, sensors in ((ONE_DEVICE_S - 0.1, 2), (ONE_DEVICE_S, 1)):
        book = Sightings()
        for number, now_s in ((A, 0.0), (B, 1.0), (C, 1.0 + pause_s)):
            book.heard(advertisement(number, H10, HEART_RATE), now_s)
        assert len(book.sensors) == sensors

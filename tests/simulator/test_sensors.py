"""What simulated sensors say, read with the gateway's own decoders, which share nothing with them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bluetooth.identity import SensorKind, advertised_id, kind_of, model_of
from gateway.simulator import encoders
from gateway.simulator.bystanders import ROTATION_S, bystanders
from gateway.simulator.rhythm import Beats, Crank
from gateway.simulator.sensor_models import MODELS, Model, Unit, meter, strap
from gateway.simulator.sensors import Sensor, Vitals
from gateway.simulator.team_sensors import SPARES
from insiders_codecs.address import AddressKind, address_kind, normal_form
from insiders_codecs.cycling_power import (
    CyclingPowerFeature,
    crank_rate,
    decode_cycling_power_feature,
    decode_cycling_power_measurement,
    decode_sensor_location,
)
from insiders_codecs.device_info import decode_battery_level, decode_text
from insiders_codecs.gatt import BATTERY_LEVEL, CYCLING_POWER_FEATURE, MANUFACTURER_NAME, SENSOR_LOCATION
from insiders_codecs.heart_rate import decode_heart_rate_measurement
from insiders_codecs.polar import POLAR_COMPANY, PolarHeartRate, decode_polar_heart_rate
from tests.bluetooth.adverts import advertisement

WORKING = Vitals(heart_rate_bpm=150, power_w=240, cadence_rpm=90)
UINT16 = st.integers(0, 65535)


# --- names and addresses ----------------------------------------------------------------------------------------------


def test_no_two_sensors_of_a_large_team_have_one_name_or_one_address() -> None:
    units = [unit for place in range(1000) for unit in (strap(place), meter(place)) if unit is not None]
    units += SPARES
    assert len(units) == 1502
    assert len({unit.name for unit in units}) == len({unit.address for unit in units}) == 1502


@pytest.mark.parametrize("place", range(12))
def test_the_gateway_knows_the_sensors_of_a_team_by_their_printed_ids(place: int) -> None:
    """And their addresses, in the cloud's form, are such as stay."""
    for unit in filter(None, (strap(place), meter(place))):
        assert advertised_id(unit.name) is not None, unit.name
        assert model_of(unit.name) is not None
        assert normal_form(unit.address) == unit.address
        kind = address_kind(unit.address, is_random=unit.model.is_random)
        assert kind is (AddressKind.STATIC if unit.model.is_random else AddressKind.PUBLIC)


@pytest.mark.parametrize("key", MODELS)
def test_every_model_is_taken_for_what_it_is(key: str) -> None:
    sensor = Sensor(Unit(MODELS[key], 3))
    sensor.advertise(WORKING, 1.0)
    peripheral = sensor.peripheral
    seen = advertisement(
        1,
        peripheral.name,
        frozenset(peripheral.services),
        manufacturer_data=peripheral.manufacturer_data,
        appearance=peripheral.appearance,
    )
    assert kind_of(seen) is (SensorKind.POWER if sensor.is_meter else SensorKind.HEART_RATE)
    assert bool(peripheral.services) is (key != "whoop"), "one hides its service"


def test_the_address_of_a_polar_is_printed_on_it() -> None:
    assert (strap(0).name, strap(0).address) == ("Polar H10 AE60D42F", "a0:9e:1a:ae:60:d4")


# --- bytes ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.lists(UINT16, max_size=9), st.sampled_from([None, False, True]))
def test_a_heart_rate_is_read_as_it_was_meant(bpm: int, intervals: list[int], is_contact: bool | None) -> None:
    read = decode_heart_rate_measurement(encoders.heart_rate_measurement(bpm, intervals, is_contact=is_contact))
    assert (read.heart_rate_bpm, list(read.rr_intervals), read.is_contact) == (bpm, intervals, is_contact)


@given(
    power=st.integers(-32768, 32767),
    half_percent=st.none() | st.integers(0, 200),
    torque=st.none() | UINT16,
    crank=st.none() | st.tuples(UINT16, UINT16),
)
def test_a_power_is_read_as_it_was_meant(
    power: int, half_percent: int | None, torque: int | None, crank: tuple[int, int] | None
) -> None:
    data = encoders.cycling_power_measurement(
        power, left_half_percent=half_percent, torque_32nds_nm=torque, crank=crank
    )
    read = decode_cycling_power_measurement(data)
    assert read.power_w == power
    assert read.balance_percent == (None if half_percent is None else half_percent / 2)
    assert read.is_balance_of_left is (half_percent is not None)
    assert read.accumulated_torque_nm == (None if torque is None else torque / 32)
    assert read.is_torque_of_crank is (torque is not None)
    assert (read.crank and (read.crank.count, read.crank.event_ticks)) == crank


@given(st.integers(0, 255), st.integers(0, 1000), st.booleans(), st.none() | st.binary(max_size=20))
def test_a_broadcast_is_read_as_it_was_meant(bpm: int, counter: int, is_contact: bool, block: bytes | None) -> None:
    data = encoders.polar_broadcast(bpm, counter, is_contact=is_contact, block=block)
    assert decode_polar_heart_rate(data) == PolarHeartRate(bpm, is_contact, counter % 8, True, True)


def test_what_was_sent_by_real_devices() -> None:
    """An H10's notification, and an advertisement but for its fast average."""
    assert encoders.heart_rate_measurement(74, [865]) == bytes.fromhex("104A6103")
    assert encoders.polar_broadcast(56, 4, is_contact=True) == bytes.fromhex("33003838")


# --- rhythms ----------------------------------------------------------------------------------------------------------


@given(st.integers(30, 220), st.integers(0, 9))
def test_beat_intervals_fill_the_time_at_the_rate_of_the_heart(bpm: int, seed: int) -> None:
    beats = Beats(seed)
    intervals = [interval for second in range(121) for interval in beats.intervals(bpm, second)]
    assert sum(intervals) / 1024 == pytest.approx(120, abs=2.2)
    assert len(intervals) / 2 == pytest.approx(bpm, rel=0.04, abs=1)


def test_without_a_beat_or_after_a_pause_nothing_is_made_up() -> None:
    beats = Beats(0)
    assert beats.intervals(60, 0) == []
    assert beats.intervals(0, 1) == []
    assert beats.intervals(60, 2) == []
    assert len(beats.intervals(60, 3.1)) == 1
    assert beats.intervals(60, 100) == []


@given(st.integers(70, 150), st.floats(0.2, 1.0))
def test_crank_counters_tell_the_cadence(cadence_rpm: int, every_s: float) -> None:
    """To the gateway's codec as well, across the wrap of both counters' sixteen bits."""
    crank, rate = Crank(), crank_rate()
    start_s = 64 * 999 + 63.0
    for look in range(40):
        now_s = start_s + look * every_s
        turns = crank.turned(cadence_rpm, 200, now_s)
        data = encoders.cycling_power_measurement(200, crank=(turns.count + 65530, turns.event_ticks))
        read = decode_cycling_power_measurement(data).crank
        assert read is not None
        if turns.count:
            rate.update(read, now_s)
    assert rate.rpm(now_s) == pytest.approx(cadence_rpm, rel=0.02)


def test_the_torque_of_each_turn_is_power_through_cadence() -> None:
    crank = Crank()
    looks = [crank.turned(60, 200, second) for second in range(60)]
    for before, after in pairwise(looks):
        assert after.count - before.count == 1
        assert (after.torque_32nds_nm - before.torque_32nds_nm) / 32 == pytest.approx(200 / 6.2832, abs=0.1)


def test_a_crank_that_stands_repeats_its_last_event() -> None:
    crank = Crank()
    crank.turned(60, 200, 0)
    assert crank.turned(60, 200, 1.5) == crank.turned(0, 0, 2) == crank.turned(0, 0, 9)


# --- sensors ----------------------------------------------------------------------------------------------------------


def broadcast(sensor: Sensor) -> PolarHeartRate:
    read = decode_polar_heart_rate(sensor.peripheral.manufacturer_data[POLAR_COMPANY])
    assert read is not None
    return read


@pytest.mark.parametrize("key", [key for key, model in MODELS.items() if model.broadcasts])
def test_a_broadcast_heart_rate_is_a_new_one_once_a_second(key: str) -> None:
    sensor = Sensor(Unit(MODELS[key], 0))
    counters = []
    for tenth in range(40):
        sensor.advertise(WORKING, tenth / 10)
        assert (broadcast(sensor).heart_rate_bpm, broadcast(sensor).is_contact) == (150, True)
        counters.append(broadcast(sensor).frame_counter)
    assert counters == sorted(counters)
    assert counters[::10] == [0, 1, 2, 3]


def test_on_nobody_a_strap_repeats_its_last_heart_rate_with_a_counter_that_stands() -> None:
    sensor = Sensor(strap(0))
    sensor.advertise(WORKING, 5.0)
    before = broadcast(sensor)
    sensor.advertise(None, 9.0)
    assert broadcast(sensor) == PolarHeartRate(150, False, before.frame_counter, True, True)


@pytest.mark.parametrize("model", [model for model in MODELS.values() if model.power is not None])
def test_a_meter_measures_what_it_says_it_can(model: Model) -> None:
    sensor = Sensor(Unit(model, 0))
    sensor.measure(WORKING, 0)
    uuid, data = sensor.measure(WORKING, 10)
    read = decode_cycling_power_measurement(data)
    feature = decode_cycling_power_feature(sensor.peripheral.characteristic(CYCLING_POWER_FEATURE).value)
    assert uuid == encoders.CYCLING_POWER_MEASUREMENT
    assert read.power_w == 240
    assert (read.balance_percent is not None) is (CyclingPowerFeature.PEDAL_POWER_BALANCE in feature)
    assert (read.accumulated_torque_nm is not None) is (CyclingPowerFeature.ACCUMULATED_TORQUE in feature)
    assert read.crank is not None
    assert read.crank.count == 15
    location = decode_sensor_location(sensor.peripheral.characteristic(SENSOR_LOCATION).value)
    assert location is not None
    assert location.is_right_only is (model is MODELS["assioma_right"])


@pytest.mark.parametrize("key", [key for key, model in MODELS.items() if model.power is None])
def test_a_strap_tells_of_contact_and_beats_what_its_model_does(key: str) -> None:
    model = MODELS[key]
    sensor = Sensor(Unit(model, 0))
    sensor.measure(WORKING, 0)
    worn = decode_heart_rate_measurement(sensor.measure(WORKING, 2)[1])
    assert (worn.heart_rate_bpm, worn.is_contact) == (150, True if model.measures_contact else None)
    assert bool(worn.rr_intervals) is model.measures_rr
    off = decode_heart_rate_measurement(sensor.measure(None, 3)[1])
    assert (off.heart_rate_bpm, off.is_contact) == (0, False if model.measures_contact else None)
    assert not off.rr_intervals


def test_what_is_read_of_a_sensor_is_what_it_is_now() -> None:
    sensor = Sensor(strap(0), battery_percent=80)
    assert decode_text(sensor.peripheral.characteristic(MANUFACTURER_NAME).value) == "Polar Electro Oy"
    assert decode_battery_level(sensor.peripheral.characteristic(BATTERY_LEVEL).value) == 80
    sensor.battery_percent = 7
    assert decode_battery_level(sensor.peripheral.characteristic(BATTERY_LEVEL).value) == 7


def test_phones_nearby_have_private_addresses_that_change() -> None:
    phones = 0
    for bystander in bystanders(seed=4):
        addresses = set()
        for minute in range(60):
            bystander.advertise(None, minute * 60.0)
            addresses.add(bystander.peripheral.address)
        kinds = {address_kind(address, is_random=bystander.peripheral.is_random) for address in addresses}
        assert len(kinds) == 1
        is_phone = kinds == {AddressKind.RESOLVABLE}
        assert len(addresses) in ({4, 5} if is_phone else {1})
        phones += is_phone
    assert (phones, ROTATION_S) == (5, 900)

"""Cycling Power Measurement, Feature and Sensor Location."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs.cycling_power import (
    CyclingPowerFeature,
    CyclingPowerMeasurement,
    DistributedSystem,
    SensorLocation,
    crank_rate,
    decode_cycling_power_feature,
    decode_cycling_power_measurement,
    decode_sensor_location,
    wheel_rate,
)
from insiders_codecs.errors import DecodeError
from insiders_codecs.revolutions import Revolutions

UINT8, UINT12, UINT16 = st.integers(0, 255), st.integers(0, 0xFFF), st.integers(0, 0xFFFF)
SINT16 = st.integers(-0x8000, 0x7FFF)


@st.composite
def measurements(draw: st.DrawFn) -> CyclingPowerMeasurement:
    """Measurements with any of the optional fields; extremes are there in pairs."""
    measurement = CyclingPowerMeasurement(
        power_w=draw(SINT16),
        balance_percent=draw(st.none() | UINT8.map(lambda number: number / 2)),
        is_balance_of_left=draw(st.booleans()),
        accumulated_torque_nm=draw(st.none() | UINT16.map(lambda number: number / 32)),
        is_torque_of_crank=draw(st.booleans()),
        wheel=draw(st.none() | st.builds(Revolutions, count=st.integers(0, 2**32 - 1), event_ticks=UINT16)),
        crank=draw(st.none() | st.builds(Revolutions, count=UINT16, event_ticks=UINT16)),
        top_dead_spot_deg=draw(st.none() | UINT16),
        bottom_dead_spot_deg=draw(st.none() | UINT16),
        accumulated_energy_kj=draw(st.none() | UINT16),
        is_offset_compensated=draw(st.booleans()),
    )
    if draw(st.booleans()):
        measurement = replace(measurement, highest_force_n=draw(SINT16), lowest_force_n=draw(SINT16))
    if draw(st.booleans()):
        measurement = replace(measurement, highest_torque_nm=draw(SINT16) / 32, lowest_torque_nm=draw(SINT16) / 32)
    if draw(st.booleans()):
        measurement = replace(measurement, highest_angle_deg=draw(UINT12), lowest_angle_deg=draw(UINT12))
    return measurement


def encode(sent: CyclingPowerMeasurement, *, reserved: int = 0) -> bytes:
    """Written from the table of the characteristic, row by row, without a look at the decoder."""
    flags = (
        reserved << 13 | sent.is_balance_of_left << 1 | sent.is_torque_of_crank << 3 | sent.is_offset_compensated << 12
    )
    fields = b""

    def add(bit: int, *numbers: tuple[int, int]) -> None:
        nonlocal flags, fields
        flags |= 1 << bit
        for number, size in numbers:
            fields += (number % 256**size).to_bytes(size, "little")

    if sent.balance_percent is not None:
        add(0, (int(sent.balance_percent * 2), 1))
    if sent.accumulated_torque_nm is not None:
        add(2, (int(sent.accumulated_torque_nm * 32), 2))
    if sent.wheel is not None:
        add(4, (sent.wheel.count, 4), (sent.wheel.event_ticks, 2))
    if sent.crank is not None:
        add(5, (sent.crank.count, 2), (sent.crank.event_ticks, 2))
    if sent.highest_force_n is not None and sent.lowest_force_n is not None:
        add(6, (sent.highest_force_n, 2), (sent.lowest_force_n, 2))
    if sent.highest_torque_nm is not None and sent.lowest_torque_nm is not None:
        add(7, (int(sent.highest_torque_nm * 32), 2), (int(sent.lowest_torque_nm * 32), 2))
    if sent.highest_angle_deg is not None and sent.lowest_angle_deg is not None:
        add(8, (sent.lowest_angle_deg * 0x1000 + sent.highest_angle_deg, 3))
    if sent.top_dead_spot_deg is not None:
        add(9, (sent.top_dead_spot_deg, 2))
    if sent.bottom_dead_spot_deg is not None:
        add(10, (sent.bottom_dead_spot_deg, 2))
    if sent.accumulated_energy_kj is not None:
        add(11, (sent.accumulated_energy_kj, 2))
    return flags.to_bytes(2, "little") + (sent.power_w % 0x10000).to_bytes(2, "little") + fields


FULL = CyclingPowerMeasurement(
    power_w=-12,
    balance_percent=48.5,
    is_balance_of_left=True,
    accumulated_torque_nm=1023.25,
    is_torque_of_crank=True,
    wheel=Revolutions(0x01020304, 0x0506),
    crank=Revolutions(0x0708, 0x090A),
    highest_force_n=410,
    lowest_force_n=-35,
    highest_torque_nm=61.5,
    lowest_torque_nm=-2.25,
    highest_angle_deg=0xABC,
    lowest_angle_deg=0x123,
    top_dead_spot_deg=12,
    bottom_dead_spot_deg=190,
    accumulated_energy_kj=1500,
    is_offset_compensated=True,
)
FULL_PACKET = bytes.fromhex(
    "FF1F F4FF 61 E87F 04030201 0605 0807 0A09 9A01 DDFF B007 B8FF BC3A12 0C00 BE00 DC05".replace(" ", "")
)
"""Counted out by hand from the GATT specification's XML, which gives the packed angles as its example."""


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(
            "2C0000009F000C00E542",
            CyclingPowerMeasurement(
                0, accumulated_torque_nm=159 / 32, is_torque_of_crank=True, crank=Revolutions(12, 17125)
            ),
            id="a 4iiii's log, turn 12",
        ),
        pytest.param(
            "2C000000DF002B0039F6",
            CyclingPowerMeasurement(
                0, accumulated_torque_nm=223 / 32, is_torque_of_crank=True, crank=Revolutions(43, 63033)
            ),
            id="a 4iiii's log, turn 43",
        ),
        pytest.param("0000FA00", CyclingPowerMeasurement(250), id="power only"),
        pytest.param("0000D6FF", CyclingPowerMeasurement(-42), id="power against the pedals"),
        pytest.param(
            "0001640 0BC3A12".replace(" ", ""),
            CyclingPowerMeasurement(100, highest_angle_deg=0xABC, lowest_angle_deg=0x123),
            id="the packed angles of the GATT specification's XML",
        ),
        pytest.param(FULL_PACKET.hex(), FULL, id="every field of the GATT specification's XML"),
        pytest.param(
            "0A100000",
            CyclingPowerMeasurement(0, is_balance_of_left=True, is_torque_of_crank=True, is_offset_compensated=True),
            id="flags 1, 3 and 12 announce no field",
        ),
    ],
)
def test_a_packet_reads_as_its_origin_says(packet: str, expected: CyclingPowerMeasurement) -> None:
    assert decode_cycling_power_measurement(bytes.fromhex(packet)) == expected


def test_two_packets_of_a_4iiiis_log_are_a_cadence_of_41_5_rpm() -> None:
    rate = crank_rate()
    for packet, now_s in (("2C0000009F000C00E542", 100.0), ("2C000000DF002B0039F6", 144.9)):
        crank = decode_cycling_power_measurement(bytes.fromhex(packet)).crank
        assert crank is not None
        rate.update(crank, now_s)
    assert rate.rpm(144.9) == pytest.approx(41.5, abs=0.05)


def test_the_wheels_clock_ticks_2048_times_a_second() -> None:
    """GoldenCheetah read it as 1024 and showed half the speed: here a 2.1 m wheel at 10 m/s."""
    rate = wheel_rate()
    turns_per_s = 10 / 2.1
    for second in range(2):
        event_ticks = round(second * 20 / turns_per_s * 2048)
        packet = bytes.fromhex("10006400") + (second * 20).to_bytes(4, "little") + event_ticks.to_bytes(2, "little")
        wheel = decode_cycling_power_measurement(packet).wheel
        assert wheel is not None
        rate.update(wheel, second * 20 / turns_per_s)
    rpm = rate.rpm(20 / turns_per_s)
    assert rpm is not None
    assert rpm / 60 * 2.1 == pytest.approx(10, rel=1e-3)


@given(measurements(), st.integers(0, 7))
@example(FULL, 0)
@example(FULL, 7)
def test_what_was_sent_is_read_and_reserved_flags_change_nothing(sent: CyclingPowerMeasurement, reserved: int) -> None:
    assert decode_cycling_power_measurement(encode(sent, reserved=reserved)) == sent


@given(measurements(), st.binary(min_size=1, max_size=20))
def test_trailing_bytes_are_ignored(sent: CyclingPowerMeasurement, trailing: bytes) -> None:
    assert decode_cycling_power_measurement(encode(sent) + trailing) == sent


@given(measurements(), st.data())
def test_a_packet_that_is_cut_off_is_refused(sent: CyclingPowerMeasurement, data: st.DataObject) -> None:
    packet = encode(sent)
    with pytest.raises(DecodeError):
        decode_cycling_power_measurement(packet[: data.draw(st.integers(0, len(packet) - 1))])


@pytest.mark.parametrize("length", range(len(FULL_PACKET)))
def test_the_full_packet_is_refused_wherever_it_is_cut(length: int) -> None:
    with pytest.raises(DecodeError):
        decode_cycling_power_measurement(FULL_PACKET[:length])


@given(st.binary(max_size=600))
@example(b"\xff" * 34)
@example(b"\xff" * 33)
def test_any_bytes_are_a_measurement_or_refused(data: bytes) -> None:
    with suppress(DecodeError):
        decode_cycling_power_measurement(data)


FEATURES = [
    "PEDAL_POWER_BALANCE",
    "ACCUMULATED_TORQUE",
    "WHEEL_REVOLUTIONS",
    "CRANK_REVOLUTIONS",
    "EXTREME_MAGNITUDES",
    "EXTREME_ANGLES",
    "DEAD_SPOT_ANGLES",
    "ACCUMULATED_ENERGY",
    "OFFSET_COMPENSATION_INDICATOR",
    "OFFSET_COMPENSATION",
    "CONTENT_MASKING",
    "MULTIPLE_SENSOR_LOCATIONS",
    "CRANK_LENGTH_ADJUSTMENT",
    "CHAIN_LENGTH_ADJUSTMENT",
    "CHAIN_WEIGHT_ADJUSTMENT",
    "SPAN_LENGTH_ADJUSTMENT",
    "TORQUE_BASED",
    "INSTANTANEOUS_DIRECTION",
    "FACTORY_CALIBRATION_DATE",
    "ENHANCED_OFFSET_COMPENSATION",
]
"""By bit, in the order of the GATT specification's XML."""


@pytest.mark.parametrize(("bit", "name"), list(enumerate(FEATURES)))
def test_a_feature_is_its_bit(bit: int, name: str) -> None:
    features = decode_cycling_power_feature((1 << bit).to_bytes(4, "little"))
    assert [feature.name for feature in features] == [name]


@pytest.mark.parametrize(
    ("number", "system"),
    [
        (0, DistributedSystem.UNSPECIFIED),
        (1, DistributedSystem.NOT_SUPPORTED),
        (2, DistributedSystem.SUPPORTED),
        (3, DistributedSystem.UNSPECIFIED),
    ],
)
def test_bits_20_and_21_are_a_number_and_no_features(number: int, system: DistributedSystem) -> None:
    features = decode_cycling_power_feature((number << 20).to_bytes(4, "little"))
    assert features.distributed_system is system
    assert list(features) == []
    assert system.is_part == (number == 2)


@given(st.integers(0, 2**22 - 1), st.integers(0, 2**10 - 1), st.binary(max_size=8))
def test_reserved_features_and_trailing_bytes_are_ignored(known: int, reserved: int, trailing: bytes) -> None:
    features = decode_cycling_power_feature((reserved << 22 | known).to_bytes(4, "little") + trailing)
    assert features == known
    assert features & CyclingPowerFeature.CRANK_REVOLUTIONS == known & 8


@pytest.mark.parametrize("length", range(4))
def test_a_feature_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(DecodeError):
        decode_cycling_power_feature(bytes(length))


LOCATIONS = [
    "OTHER",
    "TOP_OF_SHOE",
    "IN_SHOE",
    "HIP",
    "FRONT_WHEEL",
    "LEFT_CRANK",
    "RIGHT_CRANK",
    "LEFT_PEDAL",
    "RIGHT_PEDAL",
    "FRONT_HUB",
    "REAR_DROPOUT",
    "CHAINSTAY",
    "REAR_WHEEL",
    "REAR_HUB",
    "CHEST",
    "SPIDER",
    "CHAIN_RING",
]
"""By number, in the order of the GATT specification's XML."""


@given(st.binary(max_size=3))
def test_any_bytes_are_a_location_or_a_reserved_one_or_refused(data: bytes) -> None:
    if not data:
        with pytest.raises(DecodeError):
            decode_sensor_location(data)
    elif data[0] < len(LOCATIONS):
        assert decode_sensor_location(data) is SensorLocation[LOCATIONS[data[0]]]
    else:
        assert decode_sensor_location(data) is None


def test_every_location_has_the_number_of_the_gatt_specification() -> None:
    assert [decode_sensor_location(bytes([number])) for number in range(17)] == [SensorLocation[x] for x in LOCATIONS]


def test_only_the_right_crank_and_pedal_see_the_right_leg_alone() -> None:
    right = {SensorLocation.RIGHT_CRANK, SensorLocation.RIGHT_PEDAL}
    assert {location for location in SensorLocation if location.is_right_only} == right

"""Heart Rate Measurement and Body Sensor Location."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs.errors import DecodeError
from insiders_codecs.heart_rate import (
    BodySensorLocation,
    HeartRateMeasurement,
    decode_body_sensor_location,
    decode_heart_rate_measurement,
)

UINT16 = st.integers(0, 0xFFFF)
CONTACT_BITS = {None: (0, 1), False: (2,), True: (3,)}
MEASUREMENTS = st.builds(
    HeartRateMeasurement,
    heart_rate_bpm=UINT16 | st.integers(0, 255),
    is_contact=st.none() | st.booleans(),
    energy_kj=st.none() | UINT16,
    rr_intervals=st.lists(UINT16, max_size=9).map(tuple),
)


def encode(measurement: HeartRateMeasurement, *, is_wide: bool, reserved: int, contact_bits: int) -> bytes:
    """Written from the table of the characteristic, field by field, without a look at the decoder."""
    has_energy, has_rr = measurement.energy_kj is not None, bool(measurement.rr_intervals)
    flags = is_wide | contact_bits << 1 | has_energy << 3 | has_rr << 4 | reserved << 5
    packet = bytes([flags]) + measurement.heart_rate_bpm.to_bytes(2 if is_wide else 1, "little")
    if measurement.energy_kj is not None:
        packet += measurement.energy_kj.to_bytes(2, "little")
    return packet + b"".join(interval.to_bytes(2, "little") for interval in measurement.rr_intervals)


@st.composite
def packets(
    draw: st.DrawFn, measurements: st.SearchStrategy[HeartRateMeasurement] = MEASUREMENTS
) -> tuple[HeartRateMeasurement, bytes]:
    """A measurement, and one of the ways in which a sensor may send it."""
    measurement = draw(measurements)
    return measurement, encode(
        measurement,
        is_wide=measurement.heart_rate_bpm > 255 or draw(st.booleans()),
        reserved=draw(st.integers(0, 7)),
        contact_bits=draw(st.sampled_from(CONTACT_BITS[measurement.is_contact])),
    )


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param("104A6103", HeartRateMeasurement(74, None, None, (865,)), id="a Polar H10's log"),
        pytest.param("044B", HeartRateMeasurement(75, is_contact=False), id="supported, not detected"),
        pytest.param("064B", HeartRateMeasurement(75, is_contact=True), id="supported and detected"),
        pytest.param("024B", HeartRateMeasurement(75, is_contact=None), id="detected, not supported"),
        pytest.param("004B", HeartRateMeasurement(75, is_contact=None), id="not supported"),
        pytest.param(
            "192C011000 6103 3A03",
            HeartRateMeasurement(300, None, 16, (865, 826)),
            id="every field of the GATT specification's XML",
        ),
        pytest.param(
            "164B", HeartRateMeasurement(75, is_contact=True), id="RR intervals announced, none in this second"
        ),
    ],
)
def test_a_packet_reads_as_its_origin_says(packet: str, expected: HeartRateMeasurement) -> None:
    assert decode_heart_rate_measurement(bytes.fromhex(packet)) == expected


def test_rr_intervals_are_1024ths_of_a_second() -> None:
    """A Polar H10's log: 865 is 844.7 ms and not 865 ms."""
    (interval_ms,) = decode_heart_rate_measurement(bytes.fromhex("104A6103")).rr_intervals_ms
    assert interval_ms == pytest.approx(844.7, abs=0.05)


@pytest.mark.parametrize(
    "packet", ["", "00", "014B", "104A61", "104A610342", "08", "084B", "084B10", "0B4B0010", "1F2C"]
)
def test_a_packet_that_is_cut_off_is_refused(packet: str) -> None:
    with pytest.raises(DecodeError):
        decode_heart_rate_measurement(bytes.fromhex(packet))


@given(packets())
def test_what_was_sent_is_read_and_reserved_flags_change_nothing(sent: tuple[HeartRateMeasurement, bytes]) -> None:
    measurement, packet = sent
    assert decode_heart_rate_measurement(packet) == measurement


@given(packets(), st.binary(max_size=20))
def test_without_rr_intervals_trailing_bytes_are_ignored(
    sent: tuple[HeartRateMeasurement, bytes], trailing: bytes
) -> None:
    measurement, packet = sent
    if not measurement.rr_intervals:
        assert decode_heart_rate_measurement(packet + trailing) == measurement


@given(packets(), st.data())
def test_a_cut_packet_is_refused_or_lacks_its_last_rr_intervals(
    sent: tuple[HeartRateMeasurement, bytes], data: st.DataObject
) -> None:
    """Where RR intervals end is nowhere told, so that a cut between two of them cannot be seen."""
    measurement, packet = sent
    cut = packet[: data.draw(st.integers(0, len(packet) - 1))]
    try:
        read = decode_heart_rate_measurement(cut)
    except DecodeError:
        return
    assert measurement.rr_intervals[: len(read.rr_intervals)] == read.rr_intervals
    assert len(packet) - len(cut) == 2 * (len(measurement.rr_intervals) - len(read.rr_intervals))


@given(st.binary(max_size=600))
@example(b"\xff" * 20)
def test_any_bytes_are_a_measurement_or_refused(data: bytes) -> None:
    with suppress(DecodeError):
        decode_heart_rate_measurement(data)


@pytest.mark.parametrize(("number", "location"), list(enumerate(BodySensorLocation)))
def test_a_body_sensor_location_is_its_number(number: int, location: BodySensorLocation) -> None:
    assert decode_body_sensor_location(bytes([number])) is location
    assert decode_body_sensor_location(bytes([number, 9])) is location


def test_body_sensor_locations_have_the_numbers_of_the_gatt_specification() -> None:
    names = "OTHER CHEST WRIST FINGER HAND EAR_LOBE FOOT"
    assert [location.name for location in sorted(BodySensorLocation)] == names.split()
    assert sorted(BodySensorLocation) == list(range(7))


@given(st.binary(max_size=3))
def test_any_bytes_are_a_body_sensor_location_or_a_reserved_one_or_refused(data: bytes) -> None:
    if not data:
        with pytest.raises(DecodeError):
            decode_body_sensor_location(data)
    else:
        assert (decode_body_sensor_location(data) is None) == (data[0] > 6)

"""The heart rate in Polar's advertisements."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from insiders_codecs.errors import DecodeError
from insiders_codecs.polar import POLAR_COMPANY, PolarHeartRate, decode_polar_heart_rate

UINT8 = st.integers(0, 255)
HEART_RATES = st.builds(
    PolarHeartRate,
    heart_rate_bpm=UINT8,
    is_contact=st.booleans(),
    frame_counter=st.integers(0, 7),
    battery_status=st.booleans(),
    has_counter=st.booleans(),
)
OTHER_BLOCKS = st.lists(st.tuples(UINT8, st.binary(max_size=12))).map(
    lambda blocks: b"".join(bytes([header | 0x40, len(content)]) + content for header, content in blocks)
)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[PolarHeartRate, bytes]:
    """A heart rate as the last of any blocks; the bits and bytes that nobody needs are anything."""
    sent = draw(HEART_RATES)
    free = draw(st.integers(0, 7))  # broadcast, status, and nothing
    flags = sent.battery_status | sent.is_contact << 1 | sent.frame_counter << 2 | (free & 1) << 5 | (free & 2) << 6
    averages = [draw(UINT8), sent.heart_rate_bpm] if sent.has_counter else [sent.heart_rate_bpm]
    return sent, draw(OTHER_BLOCKS) + bytes([flags, draw(UINT8), *averages])


def test_the_company_is_polars_in_the_assigned_numbers() -> None:
    assert POLAR_COMPANY == 107


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(
            "33000038",
            PolarHeartRate(56, is_contact=True, frame_counter=4, battery_status=True, has_counter=True),
            id="a sample in the ble_monitor project",
        ),
        pytest.param(
            "72067F443700000033003C",
            PolarHeartRate(60, is_contact=True, frame_counter=4, battery_status=True, has_counter=False),
            id="a Polar OH1's advertisement in Polar's SDK: a typed block, then three bytes",
        ),
        pytest.param(
            "720897C9C300000000007A0103330000",
            PolarHeartRate(0, is_contact=True, frame_counter=4, battery_status=True, has_counter=False),
            id="two typed blocks, then three bytes, in a test of Polar's SDK",
        ),
        pytest.param("720897C9C30000000000", None, id="a typed block only, in a test of Polar's SDK"),
        pytest.param("72014B", None, id="three bytes, but bit 6 says that they are no heart rate"),
        pytest.param("", None, id="nothing"),
        pytest.param("4000", None, id="an empty typed block"),
        pytest.param(
            "0300464B0000",
            PolarHeartRate(70, is_contact=True, frame_counter=0, battery_status=True, has_counter=True),
            id="more than four bytes",
        ),
    ],
)
def test_a_payload_reads_as_its_origin_says(payload: str, expected: PolarHeartRate | None) -> None:
    assert decode_polar_heart_rate(bytes.fromhex(payload)) == expected


@pytest.mark.parametrize("payload", ["33", "3300", "72", "7201", "7206 7F44", "4000 33", "4000 3300"])
def test_a_payload_that_is_cut_off_is_refused(payload: str) -> None:
    with pytest.raises(DecodeError):
        decode_polar_heart_rate(bytes.fromhex(payload))


@given(payloads())
def test_what_was_advertised_is_read(sent: tuple[PolarHeartRate, bytes]) -> None:
    heart_rate, payload = sent
    assert decode_polar_heart_rate(payload) == heart_rate


@given(OTHER_BLOCKS)
def test_other_blocks_are_no_heart_rate(payload: bytes) -> None:
    assert decode_polar_heart_rate(payload) is None


@given(st.binary(max_size=300))
@example(b"\x40" * 300)
@example(b"\xff" * 300)
def test_any_bytes_are_a_heart_rate_or_none_or_refused(payload: bytes) -> None:
    with suppress(DecodeError):
        decode_polar_heart_rate(payload)

"""Messages of the live protocol: both codecs, the same messages, the same numbers."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insiders_codecs.errors import DecodeError
from insiders_codecs.live import (
    MAX_FRAME_BYTES,
    MAX_ROWS,
    Arrivals,
    Codec,
    decode,
    encode,
    encode_rows,
    schema,
)
from insiders_codecs.packing import PackedBlock, pack
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, SampleBlock

ALL = tuple(range(len(QUANTITIES)))
GOLDEN = Path(__file__).parent / "golden"
NAN = float("nan")


def golden_runs() -> list[Arrivals]:
    """A rider and a player: even and uneven times, a late row, every column, and every column missing somewhere."""
    rider = SampleBlock(
        np.array([1_700_000_000_597, 1_700_000_000_697, 1_700_000_000_797]),
        np.array(
            [
                [46.5196535, 46.5196541, 46.5196548],
                [6.6322734, 6.6322751, NAN],
                [495.2, 495.2, 495.2],
                [11.417, 11.42, 11.431],
                [151, NAN, NAN],
                [243.5, NAN, NAN],
                [92.5, NAN, NAN],
                [90, NAN, NAN],
                [0, NAN, NAN],
            ]
        ),
    )
    player = SampleBlock(
        np.array([1_700_000_000_113, 1_700_000_000_413]),
        np.array([[-33.8567844, NAN], [151.2152967, NAN], [-3.25, NAN], [0, 9.999], *[[NAN, NAN]] * 5]),
    )
    return [Arrivals(1, 1001, rider), Arrivals(7, 88, player, is_late=True)]


def misdated_runs() -> list[Arrivals]:
    """A row of a tracker whose clock began anew in 1970, and one of a tracker whose clock is right."""
    block = SampleBlock(np.array([5_000]), np.array([[46.5196535], [6.6322734], [495.2], [11.417], *[[NAN]] * 5]))
    right = SampleBlock(np.array([1_700_000_000_597]), block.values)
    return [Arrivals(1, 1004, block, is_misdated=True), Arrivals(2, 7, right)]


@pytest.mark.parametrize("codec", Codec)
def test_a_misdated_block_says_so_and_no_other_does(codec: Codec) -> None:
    name = f"misdated.{codec.name.lower()}"
    frame = encode_rows({"op": "d", "sub": 1, "seq": 43}, misdated_runs(), ALL, codec)
    assert frame == (GOLDEN / name).read_bytes()
    message = decode(frame, codec)
    assert [block.get("misdated") for block in message["blocks"]] == [True, None]


@pytest.mark.parametrize(("codec", "name"), [(Codec.JSON, "frame.json"), (Codec.MSGPACK, "frame.msgpack")])
def test_the_golden_frames_are_what_we_write(codec: Codec, name: str) -> None:
    """Clients in the field read these bytes; a change here is a change of the protocol."""
    frame = encode_rows({"op": "d", "sub": 1, "seq": 42}, golden_runs(), ALL, codec)
    assert frame == (GOLDEN / name).read_bytes()


def test_the_msgpack_frame_reads_as_the_protocol_document_says() -> None:
    """Read with nothing but msgpack and struct, as somebody else's client would."""
    message = msgpack.unpackb((GOLDEN / "frame.msgpack").read_bytes())
    latitude, heart_rate, standstill = message["columns"][0], message["columns"][4], message["columns"][8]
    assert [int.from_bytes(latitude[i : i + 4], "little", signed=True) for i in range(0, 20, 4)] == [
        465196535,
        465196541,
        465196548,
        -338567844,
        -(2**31),
    ]
    assert [int.from_bytes(heart_rate[i : i + 2], "little") for i in (0, 2)] == [1510, 65535]
    assert list(standstill) == [0, 255, 255, 255, 255]
    assert message["blocks"][0] == {"ch": 1, "n0": 1001, "rows": 3, "t0": 1_700_000_000_597, "dt": 100}
    assert message["blocks"][1] == {
        "ch": 7,
        "n0": 88,
        "rows": 2,
        "t0": 1_700_000_000_113,
        "t": [1_700_000_000_113, 1_700_000_000_413],
        "late": True,
    }


def as_sent(values: list[float | None], column: int) -> list[float]:
    """Values with as many decimals as the cloud prints for the column."""
    scale = QUANTITIES[column].scale
    return [NAN if value is None else round(value * scale) / scale for value in values]


@st.composite
def runs_of_rows(draw: st.DrawFn) -> list[Arrivals]:
    runs = []
    for _ in range(draw(st.integers(0, 4))):
        rows = draw(st.integers(1, 5))
        t0 = draw(st.integers(0, 2**44))
        is_even = draw(st.booleans())
        steps = [100] * rows if is_even else draw(st.lists(st.integers(1, 10**6), min_size=rows, max_size=rows))
        values = [
            as_sent(draw(st.lists(st.none() | st.floats(q.lowest, q.highest), min_size=rows, max_size=rows)), column)
            for column, q in enumerate(QUANTITIES)
        ]
        block = SampleBlock(t0 + np.cumsum(steps), np.array(values))
        flags = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
        runs.append(Arrivals(draw(st.integers(1, 99)), draw(st.integers(1, 2**40)), block, *flags))
    return runs


@given(runs_of_rows())
def test_packed_rows_are_sent_like_those_they_were_packed_from(runs: list[Arrivals]) -> None:
    packed = [
        Arrivals(run.ch, run.n0, PackedBlock(pack(run.block)), run.is_late, run.is_misdated)
        for run in runs
        if isinstance(run.block, SampleBlock)
    ]
    for codec in Codec:
        assert encode_rows({"op": "d"}, packed, ALL, codec) == encode_rows({"op": "d"}, runs, ALL, codec)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("rows_per_run", [1, 200])
def test_the_largest_frame_keeps_the_announced_limit(codec: Codec, rows_per_run: int) -> None:
    """Every row with the longest numbers, in one run or each in a run of its own."""
    rows = MAX_ROWS[codec]
    lowest = np.array([[-89.1234567], [-179.1234567], [-999.123], [64.123], [399.5], [-2999.9], [499.5], [99.5], [1]])
    runs = [
        Arrivals(
            200,
            10**9 + start,
            SampleBlock(
                2**44 + 7 * np.arange(min(rows_per_run, rows - start)),
                np.repeat(lowest, min(rows_per_run, rows - start), 1),
            ),
            is_misdated=True,
        )
        for start in range(0, rows, rows_per_run)
    ]
    assert sum(len(run.block) for run in runs) == rows
    assert (
        len(encode_rows({"op": "snap", "sub": 2**31, "seq": 10**9, "end": True}, runs, ALL, codec)) <= MAX_FRAME_BYTES
    )


def test_a_column_without_any_value_is_left_out() -> None:
    block = SampleBlock(np.array([1, 2]), np.full((len(QUANTITIES), 2), NAN))
    for codec in Codec:
        message = decode(encode_rows({"op": "d"}, [Arrivals(1, 1, block)], ALL, codec), codec)
        assert message["columns"] == [None] * len(ALL)


def test_the_missing_value_lies_outside_every_measurement() -> None:
    for quantity in QUANTITIES:
        info = np.iinfo(quantity.dtype)
        for real in (quantity.lowest, quantity.highest):
            assert info.min <= round(real * quantity.scale) <= info.max
            assert round(real * quantity.scale) != quantity.missing


def test_the_schema_names_everything_that_unpacking_needs() -> None:
    entry = schema([4])[0]
    assert entry == {"name": "heart_rate", "unit": "bpm", "dtype": "<u2", "scale": 10, "missing": 65535}
    assert [column["name"] for column in schema(ALL)] == list(COLUMN_NAMES)


@pytest.mark.parametrize("codec", Codec)
def test_a_message_without_samples_makes_the_round_trip(codec: Codec) -> None:
    message = {"op": "time", "utc_ms": 1_700_000_000_000, "newest": [[1, 5]], "clock": {"synced": None}, "é": "✓"}
    assert decode(encode(message, codec), codec) == message


NOT_MESSAGES: list[Any] = [
    b"", b"x", b"[]", b"1", b"{}", b'{"op": 1}', b'{"op": "sub"',
    b"[" * 100_000, b'{"op":' * 50_000, "not json", '{"a":1}',
    b"\x81\xa2op\x01", b"\x82\xa2op\xa1x\x01\x02", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff",
    b"\x91" * 100_000,
    b"\x81\x91\x01\x02", b"\xc9\xff\xff\xff\xff\x01", b"\x81\xa2op\xc4\x01a",
    b"\x82\xa2op\xa1x\xc4\x01a\x01",
]  # fmt: skip


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("payload", NOT_MESSAGES, ids=range(len(NOT_MESSAGES)))
def test_what_is_no_message_is_a_decode_error(payload: bytes | str, codec: Codec) -> None:
    with pytest.raises(DecodeError):
        decode(payload, codec)


@given(st.binary(max_size=300) | st.text(max_size=100), st.sampled_from(Codec))
def test_any_payload_gives_a_message_or_the_documented_error(payload: bytes | str, codec: Codec) -> None:
    try:
        message = decode(payload, codec)
    except DecodeError:
        return
    assert isinstance(message["op"], str)


def test_golden_json_is_plain_json_with_null_for_missing() -> None:
    message = json.loads((GOLDEN / "frame.json").read_text())
    assert message["columns"][1] == [6.6322734, 6.6322751, None, 151.2152967, None]
    assert all(a != b for a, b in pairwise(message["columns"][0]))

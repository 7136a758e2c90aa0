"""What the gateway writes, read by the client: the same numbers to the last bit, in both codecs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from insiders_codecs import live
from insiders_codecs.live import Arrivals, encode_rows, schema
from insiders_codecs.samples import COLUMN_NAMES, SampleBlock
from insiders_gateway_client.messages import Codec, Message, MessageError, Run, decode, decode_rows, encode
from tests.codecs.test_live import ALL, GOLDEN, NOT_MESSAGES, golden_runs, misdated_runs, runs_of_rows


def bits(values: NDArray[np.float64]) -> bytes:
    """The bits of the numbers; a value that was not measured is one pattern, whatever NaN it is."""
    return np.where(np.isnan(values), np.nan, values).tobytes()


def is_same(read: Run, sent: Arrivals, columns: list[int]) -> bool:
    assert isinstance(sent.block, SampleBlock)
    heads = [
        (it.ch, it.n0, it.last, len(t_ms), it.is_late, it.is_misdated)
        for it, t_ms in ((read, read.t_ms), (sent, sent.block.t_ms))
    ]
    return (
        heads[0] == heads[1]
        and read.t_ms.dtype == np.int64
        and read.t_ms.tolist() == sent.block.t_ms.tolist()
        and list(read.columns) == [COLUMN_NAMES[column] for column in columns]
        and all(bits(read.columns[COLUMN_NAMES[column]]) == bits(sent.block.values[column]) for column in columns)
    )


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize(("name", "runs"), [("frame", golden_runs()), ("misdated", misdated_runs())])
def test_the_golden_frames_are_read_as_they_were_written(codec: Codec, name: str, runs: list[Arrivals]) -> None:
    message = decode((GOLDEN / f"{name}.{codec.name.lower()}").read_bytes(), codec)
    read = decode_rows(message, schema(ALL))
    assert len(read) == len(runs)
    assert all(is_same(got, sent, list(ALL)) for got, sent in zip(read, runs, strict=True))


@given(runs_of_rows(), st.permutations(ALL), st.integers(1, len(ALL)))
def test_rows_survive_both_codecs_to_the_last_bit(runs: list[Arrivals], order: list[int], count: int) -> None:
    columns = order[:count]
    for codec in Codec:
        frame = encode_rows({"op": "d", "sub": 1, "seq": 1}, runs, columns, live.Codec(codec))
        read = decode_rows(decode(frame, codec), schema(columns))
        assert len(read) == len(runs)
        assert all(is_same(got, sent, columns) for got, sent in zip(read, runs, strict=True))


def test_a_column_in_which_nothing_was_measured_is_nan() -> None:
    message = {"op": "d", "blocks": [{"ch": 1, "n0": 1, "rows": 2, "t0": 1, "dt": 100}], "columns": [None]}
    (run,) = decode_rows(message, schema([0]))
    assert np.isnan(run.columns["latitude"]).all()


@pytest.mark.parametrize("codec", Codec)
def test_what_the_client_says_is_what_the_gateway_reads(codec: Codec) -> None:
    said = {"op": "sub", "sub": 1, "from": {"epoch": "e", "cursors": [[1, 5]], "last_s": 2.5}, "devices": ["Ä"]}
    assert live.decode(encode(said, codec), live.Codec(codec)) == said
    heard = {"op": "time", "utc_ms": 1_700_000_000_000, "newest": [[1, 5]], "clock": {"synced": None}, "é": "✓"}
    assert decode(live.encode(heard, live.Codec(codec)), codec) == heard


def test_the_codecs_are_those_of_the_gateway() -> None:
    assert list(Codec) == [Codec(codec) for codec in live.Codec]


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("payload", NOT_MESSAGES, ids=range(len(NOT_MESSAGES)))
def test_what_is_no_message_is_said_to_be_none(payload: bytes | str, codec: Codec) -> None:
    with pytest.raises(MessageError):
        decode(payload, codec)


@given(st.binary(max_size=300) | st.text(max_size=100), st.sampled_from(Codec))
def test_any_payload_gives_a_message_or_the_documented_error(payload: bytes | str, codec: Codec) -> None:
    try:
        message = decode(payload, codec)
    except MessageError:
        return
    assert isinstance(message["op"], str)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=12)
anything = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
frame_like = st.fixed_dictionaries(
    {
        "blocks": anything
        | st.lists(
            st.dictionaries(
                st.sampled_from(["ch", "n0", "rows", "t0", "dt", "t", "late", "misdated"]),
                st.integers(-2, 40) | anything,
                max_size=8,
            ),
            max_size=3,
        ),
        "columns": anything | st.lists(st.binary(max_size=12) | st.lists(plain, max_size=4), min_size=2, max_size=2),
    }
)


@given(frame_like, st.just(schema([0, 4])) | st.lists(st.dictionaries(st.sampled_from(["name", "dtype"]), plain)))
def test_any_frame_gives_rows_or_the_documented_error(message: Message, columns: list[Mapping[str, Any]]) -> None:
    try:
        runs = decode_rows(message, columns)
    except MessageError:
        return
    for run in runs:
        assert len(run) >= 1
        assert all(values.shape == (len(run),) for values in run.columns.values())


@pytest.mark.parametrize("rows", [2**60, 10**9, 100_000])
def test_a_frame_that_claims_endless_rows_is_refused_without_allocating_them(rows: int) -> None:
    message = {"blocks": [{"ch": 1, "n0": 1, "rows": rows, "t0": 0, "dt": 100}], "columns": [None, None]}
    with pytest.raises(MessageError):
        decode_rows(message, schema([0, 4]))


@pytest.mark.parametrize("column", [[1.0], 1.0, b"\x0a\x00"])
def test_a_column_with_fewer_values_than_rows_is_an_error(column: object) -> None:
    message = {"blocks": [{"ch": 1, "n0": 1, "rows": 3, "t0": 0, "dt": 100}], "columns": [column]}
    with pytest.raises(MessageError):
        decode_rows(message, schema([4]))

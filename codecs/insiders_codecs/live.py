"""Messages of the live protocol to bytes and back, as JSON text or as msgpack.

A message is a map with ``op``. The two codecs carry the same messages and decode to the same numbers. Only columns of
samples differ in form: JSON writes the decoded numbers with null for "not measured"; msgpack writes each column as
little-endian integers whose type, scale and missing value the `channels` message announces.

Rows travel in blocks: consecutive arrivals of one channel, so that ``n0 + rows - 1`` is the cursor after the block. The
columns of a message hold the rows of all its blocks, one block after another.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgpack
import msgspec
import numpy as np
from numpy.typing import NDArray

from insiders_codecs.errors import DecodeError
from insiders_codecs.packing import ROW, PackedBlock, Rows, pack, unpack
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, SAMPLE_PERIOD_MS, SampleBlock

Message = dict[str, Any]

MAX_FRAME_BYTES = 32 * 1024
"""No message with samples is larger, so that a client can bound its buffers and the touchline's Wi-Fi never stalls."""

_MAX_ITEMS = 4096
"""Items in any list or map that a peer may send: the largest honest message, a resume of every channel, has 200."""


_PACKER = msgpack.Packer()
"""Kept, because making one costs as much as packing a frame."""


_FIXMAP, _SAMPLES_FIELDS = 0x80, 2
"""First byte of a small map in msgpack, less the number of its fields; and how many the samples take."""


class Codec(StrEnum):
    """The two forms; the value is the websocket subprotocol that asks for it."""

    JSON = "insiders.gw.v1+json"
    MSGPACK = "insiders.gw.v1+msgpack"


MAX_ROWS = {Codec.JSON: 200, Codec.MSGPACK: 470}
"""Rows of which a message of `MAX_FRAME_BYTES` can hold that many whatever their values are."""


class Arrivals(msgspec.Struct, frozen=True, eq=False):
    """Rows of one channel with consecutive arrival numbers.

    Attributes:
        ch: Channel number.
        n0: Arrival number of the first row.
        block: The rows in the order of their arrival: packed as the ring keeps them, or decoded from a message.
        is_late: Whether rows newer than these had arrived before them.
        is_misdated: Whether the tracker's clock was wrong: the rows are real, their times are not.
    """

    ch: int
    n0: int
    block: SampleBlock | PackedBlock
    is_late: bool = False
    is_misdated: bool = False

    @property
    def last(self) -> int:
        """Arrival number of the last row."""
        return self.n0 + len(self.block) - 1


def schema(columns: Sequence[int]) -> list[Message]:
    """What a client must know to read the named columns, for the `channels` message."""
    return [
        {"name": q.name, "unit": q.unit, "dtype": q.dtype, "scale": q.scale, "missing": q.missing}
        for q in (QUANTITIES[column] for column in columns)
    ]


def encode(message: Mapping[str, Any], codec: Codec) -> bytes:
    """Encode a message without samples."""
    if codec is Codec.JSON:
        return msgspec.json.encode(message)
    packed: bytes = _PACKER.pack(message)
    return packed


def decode(payload: bytes | str, codec: Codec) -> Message:
    """Decode any message a peer sent; columns of samples stay as they came.

    Raises:
        DecodeError: If the payload is no map with a string `op`, is nested too deeply or holds oversize lists.
    """
    try:
        if codec is Codec.JSON:
            message = msgspec.json.decode(payload)
        else:
            if isinstance(payload, str):
                raise DecodeError("a msgpack message comes as a binary frame")
            message = msgpack.unpackb(payload, max_array_len=_MAX_ITEMS, max_map_len=_MAX_ITEMS, max_ext_len=0)
    except DecodeError:
        raise
    # msgpack's own errors derive from ValueError; a hostile map may have an unhashable key, hostile nesting no end.
    except (ValueError, TypeError, RecursionError, msgspec.DecodeError):
        raise DecodeError(f"the message is not {'JSON' if codec is Codec.JSON else 'msgpack'}") from None
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise DecodeError("a message is a map with a text field 'op'")
    if not all(isinstance(key, str) for key in message):
        raise DecodeError("the fields of a message have text names")
    return message


def encode_rows(head: Mapping[str, Any], runs: Sequence[Arrivals], columns: Sequence[int], codec: Codec) -> bytes:
    """Encode a message with samples: what `encode_head` and `encode_samples` give, in one."""
    return encode_head(head, codec) + encode_samples(runs, columns, codec)


def encode_head(head: Mapping[str, Any], codec: Codec) -> bytes:
    """Encode what stands before the samples of a message, which `encode_samples` completes.

    Args:
        head: At most 13 fields, with `op`.
        codec: Form of the message.
    """
    if codec is Codec.JSON:
        return msgspec.json.encode(head)[:-1] + b","
    packed: bytes = _PACKER.pack(head)
    return bytes((_FIXMAP + len(head) + _SAMPLES_FIELDS,)) + packed[1:]


def encode_samples(runs: Sequence[Arrivals], columns: Sequence[int], codec: Codec) -> bytes:
    """Encode the samples of a message, behind any head: whoever gets the same ones gets the same bytes.

    All runs share one table, and each column is cut out of it once for all of them: numpy's price is per call and not
    per row.

    Args:
        runs: At most `MAX_ROWS` rows in all; may be none.
        columns: Which columns, in the order in which the message lists them.
        codec: Form of the message.
    """
    if not runs:
        return encode({"blocks": [], "columns": [None] * len(columns)}, codec)[1:]
    parts = [run.block.rows if isinstance(run.block, PackedBlock) else pack(run.block) for run in runs]
    rows: Rows = np.frombuffer(b"".join([part.tobytes() for part in parts]), ROW)
    t_ms: NDArray[np.int64] = rows["t_ms"]
    lengths = [len(part) for part in parts]
    starts = np.cumsum([0, *lengths[:-1]], dtype=np.intp)
    blocks: list[Message] = [
        {"ch": run.ch, "n0": run.n0, "rows": length, "t0": t0, "dt": SAMPLE_PERIOD_MS}
        for run, length, t0 in zip(runs, lengths, t_ms[starts].tolist(), strict=True)
    ]
    if not _is_even(t_ms, starts):
        _name_times(blocks, [part["t_ms"] for part in parts])
    for run, block in zip(runs, blocks, strict=True):
        if run.is_late:
            block["late"] = True
        if run.is_misdated:
            block["misdated"] = True
    cells = _numbers(rows, columns) if codec is Codec.JSON else _integers(rows, columns)
    return encode({"blocks": blocks, "columns": cells}, codec)[1:]


_MISSING_CELLS = [np.array(q.missing, q.dtype).tobytes() for q in QUANTITIES]


def _integers(rows: Rows, columns: Sequence[int]) -> list[bytes | None]:
    """Packed cells of each column, None for a column without any value."""
    cells = [rows[COLUMN_NAMES[column]].tobytes() for column in columns]
    return [
        None if packed == _MISSING_CELLS[column] * len(rows) else packed
        for packed, column in zip(cells, columns, strict=True)
    ]


def _numbers(rows: Rows, columns: Sequence[int]) -> list[list[float] | None]:
    """Decoded cells of each column, None for a column without any value; msgspec writes NaN as null."""
    values = unpack(rows)[list(columns)]
    is_empty = np.all(np.isnan(values), axis=1).tolist()
    return [None if empty else row for row, empty in zip(values.tolist(), is_empty, strict=True)]


def _is_even(t_ms: NDArray[np.int64], starts: NDArray[np.intp]) -> bool:
    """Whether the times of all runs, one run after another from the given rows on, step by the sample period."""
    steps = t_ms[1:] - t_ms[:-1]
    steps[starts[1:] - 1] = SAMPLE_PERIOD_MS  # from one run to the next is no step
    return bool(np.count_nonzero(steps == SAMPLE_PERIOD_MS) == len(steps))


def _name_times(blocks: Sequence[Message], times: Sequence[NDArray[np.int64]]) -> None:
    """Give every block whose times are uneven the list of them."""
    for block, t_ms in zip(blocks, times, strict=True):
        if not _is_even(t_ms, np.zeros(1, np.intp)):
            del block["dt"]
            block["t"] = t_ms.tolist()

"""Messages of the live protocol: bytes to maps and back, and columns of samples to numpy.

The two codecs carry the same messages and decode to the same numbers, to the last bit.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

Message = dict[str, Any]

MAX_FRAME_BYTES = 32 * 1024
"""No message with samples is larger."""

_MAX_ITEMS = 65_536
"""Items in any list or map of a message: more than honest ones have, less than would hurt."""


class MessageError(ValueError):
    """What came is not the live protocol."""


class Codec(StrEnum):
    """The two forms; the value is the websocket subprotocol that asks for it."""

    JSON = "insiders.gw.v1+json"
    MSGPACK = "insiders.gw.v1+msgpack"


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Rows of one channel with consecutive arrival numbers.

    Attributes:
        ch: Channel number.
        n0: Arrival number of the first row.
        t_ms: When each was measured, epoch ms: int64[rows].
        columns: Values by name of the column, NaN where nothing was measured: float64[rows] each.
        is_late: Whether rows newer than these had arrived before them.
        is_misdated: Whether the tracker's clock was wrong: the rows are real, their times are not.
    """

    ch: int
    n0: int
    t_ms: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    is_late: bool = False
    is_misdated: bool = False

    def __len__(self) -> int:
        return len(self.t_ms)

    @property
    def last(self) -> int:
        """Arrival number of the last row."""
        return self.n0 + len(self.t_ms) - 1

    def part(self, first: int, end: int) -> "Run":
        """Some of the rows, counted from 0."""
        columns = {name: cells[first:end] for name, cells in self.columns.items()}
        return Run(self.ch, self.n0 + first, self.t_ms[first:end], columns, self.is_late, self.is_misdated)


def encode(message: Mapping[str, Any], codec: Codec) -> bytes | str:
    """Encode a message: text of JSON, bytes of msgpack."""
    if codec is Codec.JSON:
        return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    packed: bytes = msgpack.packb(message)
    return packed


def decode(payload: bytes | str, codec: Codec) -> Message:
    """Decode any message; columns of samples stay as they came, see `decode_rows`.

    Raises:
        MessageError: If it is none.
    """
    try:
        if codec is Codec.JSON:
            message = json.loads(payload)
        elif isinstance(payload, bytes):
            message = msgpack.unpackb(payload, max_array_len=_MAX_ITEMS, max_map_len=_MAX_ITEMS, max_ext_len=0)
        else:
            raise MessageError("a msgpack message comes as a binary frame")
    except MessageError:
        raise
    # The errors of both derive from ValueError; a hostile map may have an unhashable key, hostile nesting no end.
    except (ValueError, TypeError, RecursionError):
        raise MessageError(f"the message is not {'JSON' if codec is Codec.JSON else 'msgpack'}") from None
    if not isinstance(message, dict) or not all(isinstance(name, str) for name in message):
        raise MessageError("a message is a map whose fields have text names")
    if not isinstance(message.get("op"), str):
        raise MessageError("a message is a map with a text field 'op'")
    return message


def decode_rows(message: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> list[Run]:
    """Decode the samples of a message with `blocks` and `columns`.

    Args:
        message: A decoded message, from either codec.
        columns: The entries of the subscription's columns in `channels`, in its order.

    Returns:
        One entry per block; a column in which nothing was measured is NaN as a whole.

    Raises:
        MessageError: If the message contradicts itself or its schema.
    """
    try:
        heads = [(int(block["ch"]), int(block["n0"]), int(block["rows"]), block) for block in message["blocks"]]
        total = sum(rows for _, _, rows, _ in heads)
        if total > _MAX_ITEMS:
            raise MessageError("a message claims more rows than fit into one")
        cells = {
            column["name"]: _cells(data, column, total)
            for column, data in zip(columns, message["columns"], strict=True)
        }
        runs = []
        start = 0
        for ch, n0, rows, block in heads:
            t_ms = _times(block, rows)
            values = {name: column[start : start + rows] for name, column in cells.items()}
            runs.append(Run(ch, n0, t_ms, values, bool(block.get("late", False)), bool(block.get("misdated", False))))
            start += rows
    except MessageError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError):
        raise MessageError("the samples do not fit their schema") from None
    return runs


def _times(block: Mapping[str, Any], rows: int) -> NDArray[np.int64]:
    if "t" in block:
        t_ms = np.array(block["t"], np.int64)
    else:
        t_ms = int(block["t0"]) + np.arange(rows, dtype=np.int64) * int(block["dt"])
    if t_ms.shape != (rows,) or rows < 1:
        raise MessageError("a block has other times than rows")
    return t_ms


def _cells(data: bytes | list[float | None] | None, column: Mapping[str, Any], rows: int) -> NDArray[np.float64]:
    if data is None:
        return np.full(rows, np.nan)
    if isinstance(data, bytes):
        packed = np.frombuffer(data, column["dtype"]).astype(np.float64)
        cells = np.where(packed == column["missing"], np.nan, packed / column["scale"])
    else:
        cells = np.array(data, np.float64)
    if cells.shape != (rows,):
        raise MessageError("a column has another number of values than there are rows")
    return cells

"""Samples as packed integers: 32 bytes a row, in memory, in a snapshot and in the columns of the live protocol.

The integers are those that `QUANTITIES` announces to clients, so whoever unpacks a row sees the same numbers: packed
value / scale. A row is one record and not a cell in each of eleven arrays, because numpy's price is per call: ten rows
are cut out, joined to others or made into bytes by one.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

Rows = NDArray[np.void]
"""Records of type `ROW`, shape (n,)."""

ROW = np.dtype([("t_ms", "<i8"), *((q.name, q.dtype) for q in QUANTITIES), ("flags", "|u1")])
"""One row: GNSS time in epoch milliseconds, the quantities in the order of `Column`, and what its keeper notes."""

_FLOATS = np.dtype([(name, "<f8") for name in ROW.names or ()])
_WIDTH = 2 + len(QUANTITIES)
_CELLS = slice(1, 1 + len(QUANTITIES))
_SCALE = np.array([q.scale for q in QUANTITIES], np.float64)
_MISSING = np.array([q.missing for q in QUANTITIES], np.float64)


class PackedBlock(msgspec.Struct, frozen=True, eq=False):
    """Samples of one tracker as packed rows; reads like a `SampleBlock`.

    Attributes:
        rows: Records of type `ROW`, shape (n,).
    """

    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def t_ms(self) -> NDArray[np.int64]:
        """GNSS time, epoch milliseconds, shape (n,), a view."""
        t_ms: NDArray[np.int64] = self.rows["t_ms"]
        return t_ms

    @property
    def values(self) -> NDArray[np.float64]:
        """What `SampleBlock.values` holds, unpacked anew by each use."""
        return unpack(self.rows)

    def column(self, column: Column) -> NDArray[np.float64]:
        """One column, shape (n,), unpacked anew by each use."""
        values: NDArray[np.float64] = self.values[column]
        return values

    def take(self, rows: Sequence[int] | NDArray[np.intp] | slice) -> Self:
        """The named rows, in the order named."""
        return type(self)(self.rows[rows])


class RowTable:
    """Memory for packed rows, zero at first.

    Attributes:
        raw: Its bytes, shape (slots, 32). Rows are copied as bytes: numpy copies records field by field, which takes
            forty times as long.
        rows: The same as records of type `ROW`, shape (slots,).
        t_ms: Their times.
        flags: What their keeper notes, uint8.
    """

    def __init__(self, slots: int) -> None:
        # Written to now, so that the memory is taken now and not lacking when half an hour has filled it.
        self.raw = np.full((slots, ROW.itemsize), 0, np.uint8)
        self.rows: Rows = as_rows(self.raw)
        self.t_ms: NDArray[np.int64] = self.rows["t_ms"]
        self.flags: NDArray[np.uint8] = self.rows["flags"]
        self._groups = [(columns, self.raw[:, place].view(f"<u{size}")) for size, columns, place in _GROUPS]

    def __len__(self) -> int:
        return len(self.raw)

    def write(self, start: int, block: SampleBlock, flags: int = 0) -> None:
        """Pack samples.

        Args:
            start: Where the first goes; there must be room for all.
            block: Values within the ranges of `QUANTITIES`, or NaN.
            flags: For every row.
        """
        cells = block.values.T * _SCALE
        np.rint(cells, out=cells)
        np.copyto(cells, _MISSING, where=np.isnan(cells))
        integers = cells.astype(np.int32)
        stop = start + len(block)
        self.t_ms[start:stop] = block.t_ms
        for columns, group in self._groups:
            group[start:stop] = integers[:, columns]  # the low bits, which are the number whether it has a sign or not
        self.flags[start:stop] = flags


def as_rows(raw: NDArray[np.uint8]) -> Rows:
    """Bytes, shape (n, 32), as records."""
    rows: Rows = raw.view(ROW)[:, 0]
    return rows


def pack(block: SampleBlock) -> Rows:
    """Packed samples; their flags are 0.

    Args:
        block: Values within the ranges of `QUANTITIES`, or NaN.
    """
    table = RowTable(len(block))
    table.write(0, block)
    return table.rows


def unpack(rows: Rows) -> NDArray[np.float64]:
    """Float64, shape (len(QUANTITIES), n), in the units of `QUANTITIES`; NaN where nothing was measured."""
    table = np.empty((len(rows), _WIDTH))
    table.view(_FLOATS)[:, 0] = rows
    cells = table[:, _CELLS]
    values: NDArray[np.float64] = cells / _SCALE
    np.copyto(values, np.nan, where=cells == _MISSING)
    return values.T


def _groups() -> list[tuple[int, slice, slice]]:
    """Neighbouring quantities of one size, which one call can write: the size, their columns, their bytes in a row."""
    groups = []
    sizes = [np.dtype(q.dtype).itemsize for q in QUANTITIES]
    start, offset = 0, ROW["t_ms"].itemsize
    for size, neighbours in groupby(sizes):
        count = len(list(neighbours))
        groups.append((size, slice(start, start + count), slice(offset, offset + size * count)))
        start, offset = start + count, offset + size * count
    return groups


_GROUPS = _groups()

"""Samples as packed integers: 32 bytes a row, in memory, in a snapshot and in the columns of the live protocol.

The integers are those that `QUANTITIES` announces to clients, so whoever unpacks a row sees the same numbers: packed
value / scale. A row is one record and not a cell in each of eleven arrays, because numpy's price is per call: ten rows
are kept, cut out or joined to others by one.
"""

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from insiders_codecs.samples import QUANTITIES, SampleBlock

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

    def take(self, rows: Sequence[int] | NDArray[np.intp] | slice) -> Self:
        """The named rows, in the order named."""
        return type(self)(self.rows[rows])


def pack(block: SampleBlock) -> Rows:
    """Pack samples; their flags are 0.

    Args:
        block: Values within the ranges of `QUANTITIES`, or NaN; times below 2^53.
    """
    cells = block.values.T * _SCALE
    np.rint(cells, out=cells)
    np.copyto(cells, _MISSING, where=np.isnan(cells))
    table = np.empty((len(block), _WIDTH))
    table[:, 0] = block.t_ms
    table[:, _CELLS] = cells
    table[:, -1] = 0
    rows: Rows = np.empty(len(block), ROW)
    rows[:] = table.view(_FLOATS)[:, 0]
    return rows


def unpack(rows: Rows) -> NDArray[np.float64]:
    """Float64, shape (len(QUANTITIES), n), in the units of `QUANTITIES`; NaN where nothing was measured."""
    table = np.empty((len(rows), _WIDTH))
    table.view(_FLOATS)[:, 0] = rows
    cells = table[:, _CELLS]
    values: NDArray[np.float64] = cells / _SCALE
    np.copyto(values, np.nan, where=cells == _MISSING)
    return values.T

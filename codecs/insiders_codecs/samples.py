"""The one telemetry value type: columns of a tracker's samples, and what each column means."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

_DAY_MS = 86_400_000

SAMPLE_PERIOD_MS = 100
"""Trackers measure at 10 Hz. Source: Insiders API 1.22, preprocessed data."""


class Column(IntEnum):
    """Row of `SampleBlock.values` in which a quantity stands."""

    LATITUDE = 0
    LONGITUDE = 1
    ALTITUDE = 2
    SPEED = 3
    HEART_RATE = 4
    POWER = 5
    CADENCE = 6
    BATTERY = 7
    STANDSTILL = 8


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a column holds, what of it can be real, and how the live protocol packs it.

    Attributes:
        name: The field's standard term, as clients see it.
        unit: Unit of the decoded value, "" for a flag.
        dtype: numpy name of the packed little-endian integer.
        scale: Packed value = decoded value x scale, rounded. Clients divide, because dividing two exact numbers gives
            the double nearest to the decimal that JSON prints; multiplying by a rounded 1e-7 would not.
        lowest: Smallest value taken as a measurement; less is a fault of the sender.
        highest: Largest value taken as a measurement.
    """

    name: str
    unit: str
    dtype: str
    scale: int
    lowest: float
    highest: float

    @property
    def missing(self) -> int:
        """The packed value that means "not measured": the one furthest from anything real."""
        info = np.iinfo(self.dtype)
        return int(info.min or info.max)


# Scales keep what the receiver delivers: 1e-7 degree is 1.1 cm (and the native step of common GNSS receivers), where
# a 32-bit float would step by 0.4 m at 47 degrees north; the cloud prints speed and altitude with three decimals.
QUANTITIES: tuple[Quantity, ...] = (
    Quantity("latitude", "deg", "<i4", 10_000_000, -90, 90),
    Quantity("longitude", "deg", "<i4", 10_000_000, -180, 180),
    Quantity("altitude", "m", "<i4", 1000, -1000, 10_000),
    Quantity("speed", "m/s", "<u2", 1000, 0, 65),
    Quantity("heart_rate", "bpm", "<u2", 10, 1, 400),
    Quantity("power", "W", "<i2", 10, -3000, 3200),  # nobody alive has pushed 3 kW
    Quantity("cadence", "rpm", "<u2", 10, 0, 500),
    Quantity("battery", "%", "<u2", 10, 0, 100),
    Quantity("standstill", "", "|u1", 1, 0, 1),
)
"""One entry per `Column`, in the same order."""

COLUMN_NAMES = tuple(quantity.name for quantity in QUANTITIES)


class SampleBlock(msgspec.Struct, frozen=True, eq=False):
    """Samples of one tracker; one row per measurement instant.

    A Struct and no dataclass, because thirty of them are made each second per reader and a frozen dataclass takes five
    times as long to make.

    Attributes:
        t_ms: GNSS time, epoch milliseconds, int64, shape (n,).
        values: float64, shape (len(QUANTITIES), n), in the units of `QUANTITIES`; NaN where nothing was measured.
    """

    t_ms: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.t_ms)

    def column(self, column: Column) -> NDArray[np.float64]:
        """One column, shape (n,), a view."""
        values: NDArray[np.float64] = self.values[column]
        return values

    def take(self, rows: Sequence[int] | NDArray[np.intp] | slice) -> Self:
        """The named rows, in the order named."""
        return type(self)(self.t_ms[rows], self.values[:, rows])

    def ascending(self) -> Self:
        """The rows in the order of their time, one per instant; of two with the same time the first stays."""
        _, first = np.unique(self.t_ms, return_index=True)
        return self.take(first)


def newer(known_ms: int, t_ms: int) -> int:
    """The time to go on with: the later of two, unless the known one is so far ahead that it must have been wrong.

    A receiver without satellites may be years off for a row; no delayed row is a day old.
    """
    return known_ms if 0 <= known_ms - t_ms < _DAY_MS else t_ms


def empty_block() -> SampleBlock:
    """A block without rows."""
    return SampleBlock(np.empty(0, np.int64), np.empty((len(QUANTITIES), 0), np.float64))

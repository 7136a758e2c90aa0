"""What is told of a stretch of time with rows missing: the values, without the bookkeeping."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.telemetry.holes import GapReason


class GapState(StrEnum):
    """How a gap stands: still growing, bounded, or filled."""

    OPEN = "open"
    CLOSED = "closed"
    REPAIRED = "repaired"


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of one tracker's time with rows missing.

    Attributes:
        id: Number of the gap, unique for its tracker.
        from_ms: Time of the last row before what is missing, epoch ms; once repaired, before what was missing at first.
        to_ms: Time of the first row after it, likewise; None while it is open.
        rows: Rows still missing at the sample rate; None while it is open.
        reason: Why they are missing: device_silent where the cloud has no more either.
        state: How it stands.
        rows_repaired: Rows that came after all.
        is_settled: History has had its say: what is still missing is not to be had, as far as anybody can know.
    """

    id: int
    from_ms: int
    to_ms: int | None
    rows: int | None
    reason: GapReason
    state: GapState
    rows_repaired: int = 0
    is_settled: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """What is missing between two neighbouring rows, as part of a gap; times exclusive, epoch ms."""

    gap: int
    after_ms: int
    before_ms: int
    reason: GapReason


@dataclass(frozen=True, slots=True)
class GapTotals:
    """Sums over all gaps since the first row, those that are no longer remembered included.

    Attributes:
        gaps: How many there have been.
        rows_missing: Rows that are missing now, by reason; holes that are too fresh to be gaps are among them. With
            the rows received they are all rows from the first to the newest.
        rows_repaired: Rows that came into a gap after all.
    """

    gaps: int
    rows_missing: Mapping[GapReason, int]
    rows_repaired: int

"""Every gap that a gateway remembers, as one document: what the gateway answers, and what its reader decodes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from gateway.live.requests import ErrorCode, RequestError
from gateway.live.source import Channels, ChannelView, GapsView, GapView


class GapState(StrEnum):
    """How a gap stands: still growing, bounded, or filled."""

    OPEN = "open"
    CLOSED = "closed"
    REPAIRED = "repaired"


class Gap(msgspec.Struct, frozen=True):
    """A stretch of one tracker's time without rows.

    Attributes:
        id: Number, unique for the tracker under one epoch.
        from_ms: Time of the last row before what is missing, epoch ms.
        to_ms: Time of the first row after it; None while it is open.
        rows: Rows still missing; None while it is open.
        rows_repaired: Rows that were missing and have come.
        reason: Why they are missing.
        state: How it stands.
        settled: Whether the cloud was asked after it had time to settle, and has no more of it.
    """

    id: int
    from_ms: int
    to_ms: int | None
    rows: int | None
    rows_repaired: int
    reason: str
    state: GapState
    settled: bool


class ChannelGaps(msgspec.Struct, frozen=True):
    """The gaps of one tracker.

    Attributes:
        ch: Number of the channel.
        serial_number: Printed on the tracker.
        name: Who wears it.
        number: Jersey number.
        rows_received: Rows that have come under this epoch.
        gaps: In the order in which they were found.
    """

    ch: int
    serial_number: str
    name: str | None
    number: int | None
    rows_received: int
    gaps: tuple[Gap, ...]


class Totals(msgspec.Struct, frozen=True):
    """All gaps of a document in numbers.

    Attributes:
        gaps: How many are listed, by state.
        gaps_forgotten: How many there were besides: a tracker's oldest are not remembered for ever.
        rows_missing: Rows still missing, by reason, those of forgotten gaps and of gaps too young to be listed
            included; ``device_silent`` is silence and no loss.
        rows_repaired: Rows that were missing and have come, likewise.
    """

    gaps: Mapping[str, int]
    gaps_forgotten: int
    rows_missing: Mapping[str, int]
    rows_repaired: int


class GapReport(msgspec.Struct, frozen=True, tag_field="op", tag="gaps"):
    """The gaps of all trackers.

    Attributes:
        epoch: Under which channels and gaps are numbered.
        utc_ms: When, epoch ms.
        channels: In the order of the roster.
        totals: Of these channels.
    """

    epoch: str
    utc_ms: int
    channels: tuple[ChannelGaps, ...]
    totals: Totals


def report_gaps(channels: Channels, epoch: str, utc_ms: int, query: Mapping[str, str]) -> GapReport:
    """Answer ``GET /api/v1/gaps``.

    Args:
        channels: All channels.
        epoch: Of this run of the gateway.
        utc_ms: The present time.
        query: May name one ``device`` by its serial number.

    Raises:
        RequestError: If it names one that is not there.
    """
    wanted = [channel for channel in channels.values() if query.get("device") in {None, channel.wearer.serial_number}]
    if "device" in query and not wanted:
        raise RequestError(ErrorCode.UNKNOWN_DEVICE, "Give device=SERIAL_NUMBER of a tracker of this gateway, or none.")
    return GapReport(epoch, utc_ms, tuple(map(_describe, wanted)), _sum(channel.gaps for channel in wanted))


def record(gap: GapView) -> Gap:
    """A gap of the telemetry as it is told to clients."""
    state = GapState(gap.state)
    return Gap(
        gap.id, gap.from_ms, gap.to_ms, gap.rows, gap.rows_repaired, str(gap.reason), state, settled=gap.is_settled
    )


def _describe(channel: ChannelView) -> ChannelGaps:
    wearer, gaps = channel.wearer, tuple(map(record, channel.gaps.gaps))
    name = wearer.athlete if channel.is_released else None
    return ChannelGaps(channel.ch, wearer.serial_number, name, wearer.number, channel.ring.newest, gaps)


def _sum(trackers: Iterable[GapsView]) -> Totals:
    states, forgotten, missing, repaired = Counter(dict.fromkeys(GapState, 0)), 0, Counter[str](), 0
    for tracker in trackers:
        gaps, totals = tracker.gaps, tracker.totals
        states.update(GapState(gap.state) for gap in gaps)
        forgotten += totals.gaps - len(gaps)
        missing.update({str(reason): rows for reason, rows in totals.rows_missing.items()})
        repaired += totals.rows_repaired
    return Totals({str(state): count for state, count in states.items()}, forgotten, missing, repaired)

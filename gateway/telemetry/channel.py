"""One tracker's place in the gateway: who wears it, its ring, its gaps, and how alive it is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.telemetry.gaps import GapTracker
from gateway.telemetry.ring import Ring
from insiders_codecs.samples import SampleBlock

STALE_AFTER_S = 3.0
"""Silence that makes a value old: three missed seconds of a feed that moves once a second."""

LOST_AFTER_S = 10.0
"""Silence after which a value must not be shown as the athlete's any more."""


class Presence(StrEnum):
    """How alive a channel is, judged by when its last new row arrived and not by any clock on the wall."""

    UNCLAIMED = "unclaimed"  # not known to be ours in the cloud: nothing is asked for
    WAITING = "waiting"  # ours, and no row has come yet
    LIVE = "live"
    STALE = "stale"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Wearer:
    """What the roster says of a tracker.

    Attributes:
        serial_number: Printed on the tracker.
        athlete: Display name of who wears it.
        number: Jersey number.
    """

    serial_number: str
    athlete: str | None = None
    number: int | None = None


@dataclass(slots=True)
class Counters:
    """What has happened to a channel's polls and rows since the start."""

    polls: int = 0
    polls_failed: int = 0
    turns_skipped: int = 0
    rows: int = 0
    rows_late: int = 0
    rows_history: int = 0
    rows_rejected: int = 0
    fields_rejected: int = 0


class Channel:
    """The live data of one tracker.

    Attributes:
        ch: Number of the channel, from 1, the same for as long as the process runs.
        wearer: Who wears the tracker.
        device_id: The tracker's id in the cloud; None while it is not ours.
        stale_after_ms: Silence that makes its values old.
    """

    stale_after_ms = round(STALE_AFTER_S * 1000)

    def __init__(
        self,
        ch: int,
        wearer: Wearer,
        ring_rows: int,
        refill_ms: int = 0,
        reference_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.ch = ch
        self.wearer = wearer
        self.device_id: int | None = None
        self.ring = Ring(ch, ring_rows)
        self.gaps = GapTracker()
        self.counters = Counters()
        self._refill_ms = refill_ms
        self._reference_ms = reference_ms
        self._last_new_s: float | None = None

    def rows_came(self, block: SampleBlock, now_s: float) -> int:
        """Keep the rows that are new; returns how many were."""
        newest_before_ms = self.ring.newest_ms
        new = self.ring.append(block)
        if len(new):
            self._last_new_s = now_s
            self.counters.rows += len(new)
            if newest_before_ms is not None:
                self.counters.rows_late += int((new.t_ms < newest_before_ms).sum())
        self.gaps.rows_came(new.t_ms)
        return len(new)

    def history_came(self, block: SampleBlock) -> int:
        """Keep the rows of history that are new; returns how many were. They are no sign of life."""
        new = self.ring.append(block)
        self.counters.rows_history += len(new)
        self.gaps.filled(new.t_ms)
        return len(new)

    def presence(self, now_s: float) -> Presence:
        """How alive the channel is at a time of the monotonic clock."""
        if self.device_id is None:
            return Presence.UNCLAIMED
        if self._last_new_s is None:
            return Presence.WAITING
        silent_s = now_s - self._last_new_s
        if silent_s < STALE_AFTER_S:
            return Presence.LIVE
        return Presence.STALE if silent_s < LOST_AFTER_S else Presence.LOST

    def lose(self) -> None:
        """The tracker is ours no longer: forget its samples, which are not ours to show."""
        self.device_id = None
        self._last_new_s = None
        self.ring.clear()
        self.gaps.forget()

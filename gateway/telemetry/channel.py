"""One tracker's place in the gateway: who wears it, its ring, its gaps, and how alive it is."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np

from gateway.telemetry.ages import Ages
from gateway.telemetry.gaps import GapTracker
from gateway.telemetry.ring import Ring
from gateway.telemetry.snapshot import SavedChannel
from gateway.telemetry.timekeeping import AHEAD_MS, BEHIND_MS, RowsOnTop, plausible
from insiders_codecs.samples import SampleBlock

STALE_AFTER_S = 3.0
"""Silence that makes a value old: three missed seconds of a feed that moves once a second."""

LOST_AFTER_S = 10.0
"""Silence after which a value must not be shown as the athlete's any more."""

BEHIND_AFTER_MS = 15_000
"""Age of the newest row at which it is not shown as now: more than a slow network and two lost seconds explain."""


class Presence(StrEnum):
    """How alive a channel is: by when its last new row came, and by how old the newest is; never by our wall clock."""

    UNRELEASED = "unreleased"  # who wears it is not to be shown: nothing is asked for
    UNCLAIMED = "unclaimed"  # not known to be ours in the cloud: nothing is asked for
    WAITING = "waiting"  # ours, and no row has come yet
    LIVE = "live"
    BEHIND = "behind"  # rows come, but not those of now: a backlog, or what was left of yesterday
    STALE = "stale"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Wearer:
    """What the roster says of a tracker.

    Attributes:
        serial_number: Printed on the tracker.
        athlete: Display name of who wears it.
        number: Jersey number.
        squads: Those of the athlete.
    """

    serial_number: str
    athlete: str | None = None
    number: int | None = None
    squads: tuple[str, ...] = ()


@dataclass(slots=True)
class Counters:
    """What has happened to a channel's polls, websocket messages and rows since the start.

    Attributes:
        rows: Rows that came live, with a time that can be right.
        rows_history: Rows that came from history.
        rows_misdated: Rows whose time cannot be right; kept, and flagged.
        rows_outdated: Rows older than anything that can be of use, found in the first answer and left out.
        rows_unreleased: Rows from before it was allowed to keep any, each time they were offered; left out.
    """

    polls: int = 0
    polls_failed: int = 0
    turns_skipped: int = 0
    updates: int = 0
    streams: int = 0
    streams_failed: int = 0
    rows: int = 0
    rows_late: int = 0
    rows_history: int = 0
    rows_misdated: int = 0
    rows_outdated: int = 0
    rows_unreleased: int = 0
    rows_rejected: int = 0
    fields_rejected: int = 0


class Channel:
    """The live data of one tracker: where its rows come together, whichever way they came.

    Attributes:
        ch: Number of the channel, from 1, the same for as long as the process runs.
        wearer: Who wears the tracker.
        device_id: The tracker's id in the cloud; None while it is not ours, or its wearer is not released.
        since_ms: Rows measured before are not kept, epoch ms: another wore the tracker then, or the wearer was not
            released yet. 0 where neither is so; None while the wearer is not released, and nothing may be kept at all.
        ring: Its rows.
        gaps: What is missing between them.
        counters: What has happened.
        ages: How old its rows are when they arrive.
        clock_error_ms: By how much its clock is ahead of the right time; None while it is right.
        moved_s: When it last brought rows newer than those known, whatever their time is worth; None if it never did.
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
        """Make an empty channel.

        Args:
            ch: Its number.
            wearer: Who wears the tracker.
            ring_rows: Rows that its ring holds.
            refill_ms: How much of the past before a start is wanted, milliseconds.
            reference_ms: Epoch ms by a clock that is right, or None while it is not known.
        """
        self.ch = ch
        self.wearer = wearer
        self.device_id: int | None = None
        self.since_ms: int | None = 0
        self.ring = Ring(ch, ring_rows)
        self.gaps = GapTracker()
        self.counters = Counters()
        self._refill_ms = refill_ms
        self._reference_ms = reference_ms
        self._begin()

    def _begin(self) -> None:
        """Know nothing of the tracker."""
        self.ages = Ages()
        self.clock_error_ms: int | None = None
        self.moved_s: float | None = None
        self._last_new_s: float | None = None
        self._on_top = RowsOnTop()
        self._unkept_on_top = RowsOnTop()  # those of them whose rows were not kept, so that the ring cannot know them
        self._outdated: frozenset[int] | None = None
        self._unkept_ms = -1  # the newest of the wrong times in the past whose rows were not kept
        self._is_undated = False

    @property
    def is_released(self) -> bool:
        """Whether its wearer may be shown."""
        return self.since_ms is not None

    def rows_came(self, block: SampleBlock, now_s: float) -> int:
        """Keep the rows that are new; returns how many were.

        Args:
            block: The tracker's newest rows, as far as they were asked for or sent; may be empty.
            now_s: Now, by the monotonic clock.
        """
        reference_ms = self._reference_ms()
        self._reconsider(reference_ms)
        right = plausible(block.t_ms, reference_ms)
        misdated = 0
        if reference_ms is not None and right != slice(0, len(block)):
            past, future = block.take(slice(right.start)), block.take(slice(right.stop, None))
            misdated = self._misdated_came(past, future, now_s, reference_ms)
            block = block.take(right)
        if self._outdated is None:
            self._outdated = frozenset()
        return misdated + self._dated_came(self._allowed(block), now_s, reference_ms)

    def history_came(self, block: SampleBlock) -> int:
        """Keep the rows of history that are new; returns how many were. They are no sign of life."""
        block = self._allowed(block)
        new = len(self.ring.append(block))
        self.counters.rows_history += new
        # All of them, because a row that was kept under a doubt is not missing either.
        self.gaps.filled(block.t_ms)
        return new

    def presence(self, now_s: float) -> Presence:
        """How alive the channel is at a time of the monotonic clock."""
        if not self.is_released:
            return Presence.UNRELEASED
        if self.device_id is None:
            return Presence.UNCLAIMED
        if self._last_new_s is None:
            return Presence.WAITING
        silent_s = now_s - self._last_new_s
        if silent_s >= LOST_AFTER_S:
            return Presence.LOST
        if self._is_old(self._reference_ms()):
            return Presence.BEHIND
        return Presence.LIVE if silent_s < STALE_AFTER_S else Presence.STALE

    def rows_on_top(self) -> int:
        """Rows from the future that lie on top of the cloud's latest ones and may hide them."""
        return self._on_top.count(self._reference_ms()) if self._on_top else 0

    def lose(self) -> None:
        """The tracker is ours no longer, or its wearer's release is: forget its samples, not ours to show any more."""
        self.device_id = None
        self.ring.clear()
        self.gaps.forget()
        self._begin()

    def saved(self) -> SavedChannel:
        """What a planned restart takes over; its rows hold until the next one comes."""
        return SavedChannel(
            self.wearer.serial_number,
            self.ch,
            self.device_id,
            self.ring.dump(),
            self.gaps.dump(),
            asdict(self.counters),
        )

    def restore(self, saved: SavedChannel) -> None:
        """Go on from what was saved, under the same arrival numbers; the tracker is taken to be ours still.

        If there is anything in it that may not be kept any more, all samples are forgotten.
        """
        self.device_id = saved.device_id
        self.ring = Ring.restore(self.ch, self.ring.capacity, saved.ring)
        self.gaps.restore(saved.gaps)
        known = set(asdict(self.counters))
        self.counters = Counters(**{name: count for name, count in saved.counters.items() if name in known})
        if self.since_ms is None or self.ring.count(0, self.since_ms):
            self.lose()

    def _allowed(self, block: SampleBlock) -> SampleBlock:
        """The rows that may be kept under their times: measured since then, and not known to be misdated."""
        if self.since_ms != 0:
            offered = len(block)
            first = offered if self.since_ms is None else int(np.searchsorted(block.t_ms, self.since_ms))
            block = block.take(slice(first, None)) if first else block
            if self._unkept_on_top:
                block = block.take(np.flatnonzero(~self._unkept_on_top.known(block.t_ms)))
            self.counters.rows_unreleased += offered - len(block)
        # A time that was wrong does not become right because it comes nearer.
        return self.ring.unlike_misdated(block)

    def _is_old(self, reference_ms: int | None) -> bool:
        newest_ms = self.ring.newest_ms
        return reference_ms is not None and newest_ms is not None and reference_ms - newest_ms > BEHIND_AFTER_MS

    def _reconsider(self, reference_ms: int | None) -> None:
        """Take back what was believed before anybody knew the time, if it would count as the newest for years."""
        if reference_ms is None:
            self._is_undated = True
        elif self._is_undated:
            self._is_undated = False
            newest_ms = self.ring.newest_ms
            if newest_ms is not None and newest_ms > reference_ms + AHEAD_MS:
                self.ring.clear()
                self.gaps.forget()
                self._begin()

    def _dated_came(self, block: SampleBlock, now_s: float, reference_ms: int | None) -> int:
        newest_before_ms = self.ring.newest_ms
        if newest_before_ms is None and len(block) and self._refill_ms:
            first_ms = int(block.t_ms[0])
            wanted_ms = (first_ms if reference_ms is None else reference_ms) - self._refill_ms
            if self.since_ms:
                wanted_ms = max(wanted_ms, self.since_ms)
            if wanted_ms < first_ms:
                self.gaps.began(wanted_ms)
        new = self.ring.append(block)
        if len(new):
            self._last_new_s = now_s
            self.counters.rows += len(new)
            newest_ms = int(new.t_ms[-1])
            if newest_before_ms is not None:
                self.counters.rows_late += int((new.t_ms < newest_before_ms).sum())
            if newest_before_ms is None or newest_ms > newest_before_ms:
                self.clock_error_ms = None
                if reference_ms is not None:
                    self.ages.add(reference_ms - newest_ms, now_s)
                # The first rows of all may be yesterday's: they show that the tracker moves only if they are fresh.
                if newest_before_ms is not None or (reference_ms is not None and not self._is_old(reference_ms)):
                    self.moved_s = now_s
        self.gaps.rows_came(new.t_ms)
        return len(new)

    def _misdated_came(self, past: SampleBlock, future: SampleBlock, now_s: float, reference_ms: int) -> int:
        """Keep rows whose times cannot be right, flagged; returns how many were new."""
        if self._outdated is None:
            # Before anything else came, old rows need not mean a wrong clock: the tracker may have rested for weeks.
            self._outdated = frozenset(past.t_ms.tolist())
            self.counters.rows_outdated += len(past)
        past = past.take([row for row, t_ms in enumerate(past.t_ms.tolist()) if t_ms not in self._outdated])
        future = future.take(np.flatnonzero(self._on_top.add(future.t_ms)))
        # Nobody knows when they were measured, only that no tracker keeps any for longer than that.
        is_allowed = self.since_ms is not None and reference_ms - self.since_ms > BEHIND_MS
        if not is_allowed:
            self._unkept_on_top.add(future.t_ms)
            past = past.take(slice(int(np.searchsorted(past.t_ms, self._unkept_ms, "right")), None))
            self._unkept_ms = int(past.t_ms[-1]) if len(past) else self._unkept_ms
        new = 0
        for block in (past, future):
            came = self.ring.append(block, is_misdated=True) if is_allowed else block
            if len(came):
                new += len(came)
                self.clock_error_ms = int(came.t_ms[-1]) - reference_ms
        if new:
            self.moved_s = now_s
            self.gaps.misdated()
        if not is_allowed:
            self.counters.rows_unreleased += new
            return 0
        self.counters.rows_misdated += new
        return new

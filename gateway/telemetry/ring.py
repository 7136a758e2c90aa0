"""The recent samples of one tracker, in memory, in the order in which they arrived.

Rows are numbered from 1 as they arrive, and late rows are appended like any other. A reader's position is therefore
an arrival number, and nobody who resumes from one can miss a row that came late. Nothing is ever moved: columns are
preallocated and written round and round.
"""

from collections.abc import Iterator

import numpy as np

from insiders_codecs.live import Arrivals
from insiders_codecs.samples import QUANTITIES, SAMPLE_PERIOD_MS, SampleBlock, empty_block

LIVE_WINDOW_MS = 30_000
"""What the cloud's latest-data endpoint reaches back: 300 rows at 10 Hz. Repeats come from inside this window, and what
is older can only come from history."""

_RECENT_ROWS = 2 * LIVE_WINDOW_MS // SAMPLE_PERIOD_MS


def rows_for(minutes: float) -> int:
    """Rows that hold the given span at the trackers' sample rate."""
    return max(1, round(minutes * 60_000 / SAMPLE_PERIOD_MS))


class Ring:
    """Preallocated columns of the last `capacity` rows of a tracker.

    Attributes:
        ch: Channel number.
        capacity: Rows it holds.
        duplicates: Rows that were offered and known already.
        withdrawn: Arrival number of the last row that `clear` took back; 0 if it never did.

    Arrays handed out are views: they hold until the next `append`.
    """

    def __init__(self, ch: int, capacity: int) -> None:
        """Make an empty ring.

        Args:
            ch: Channel number that its rows carry.
            capacity: Rows it holds, at least 1.
        """
        self.ch = ch
        self.capacity = capacity
        # Written to now, so that memory a full ring needs is taken at the start and not lacking half an hour later.
        self._t_ms = np.full(capacity, 0, np.int64)
        self._newest_by_then = np.full(capacity, 0, np.int64)  # the newest time at each row's arrival, its own included
        self._values = np.full((len(QUANTITIES), capacity), np.nan, np.float64)
        self.withdrawn = 0
        self._next = 1
        self._newest_ms = -1
        self._last_late = 0
        self._recent: set[int] = set()
        self.duplicates = 0

    @property
    def oldest(self) -> int:
        """Arrival number of the oldest row still here; one more than `newest` when there is none."""
        return max(self.withdrawn + 1, self._next - self.capacity)

    @property
    def newest(self) -> int:
        """Arrival number of the last row; one less than the first number when there is none."""
        return self._next - 1

    @property
    def newest_ms(self) -> int | None:
        """The newest time of all rows ever appended, epoch ms; None before the first."""
        return None if self._newest_ms < 0 else self._newest_ms

    def __len__(self) -> int:
        return self._next - self.oldest

    def append(self, block: SampleBlock) -> SampleBlock:
        """Keep the rows whose time is not here yet, and count the others as duplicates.

        Args:
            block: Rows, ascending and unique by time.

        Returns:
            The rows that were new.
        """
        times: list[int] = block.t_ms.tolist()
        if not times:
            return block
        if times[0] <= self._newest_ms:
            known = self._known(times)
            self.duplicates += len(known)
            rows = [row for row, t_ms in enumerate(times) if t_ms not in known]
            block = block.take(rows)
            times = [times[row] for row in rows]
            if not times:
                return block
        dropped = max(0, len(times) - self.capacity)
        self._next += dropped
        self._write(block.take(slice(dropped, None)) if dropped else block)
        self._recent.update(times)
        if len(self._recent) > 2 * _RECENT_ROWS:
            horizon = self._newest_ms - LIVE_WINDOW_MS
            self._recent = {t_ms for t_ms in self._recent if t_ms >= horizon}
        return block

    def read(self, after: int, limit: int) -> Arrivals | None:
        """The rows that arrived after a cursor, as far as they lie together and are all late or all not.

        Args:
            after: Arrival number of the last row already read. Rows no longer here are passed over; compare the
                result's `n0` with the cursor to see how many.
            limit: Most rows to return.

        Returns:
            At least one row, or None when there is nothing newer.
        """
        n0 = max(after + 1, self.oldest)
        if n0 >= self._next:
            return None
        start = n0 % self.capacity
        stop = min(start + min(limit, self._next - n0), self.capacity)
        is_late = False
        if n0 <= self._last_late:
            late = self._t_ms[start:stop] < self._newest_by_then[start:stop]
            is_late = bool(late[0])
            changes = np.flatnonzero(late != is_late)
            if len(changes):
                stop = start + int(changes[0])
        block = SampleBlock(self._t_ms[start:stop], self._values[:, start:stop])
        return Arrivals(self.ch, n0, block, is_late)

    def since(self, from_ms: int) -> int:
        """A cursor that lies before every row measured at or after a time, as close to them as can be."""
        for start, stop in self._spans():
            hits = np.flatnonzero(self._t_ms[start:stop] >= from_ms)
            if len(hits):
                return self._number(start + int(hits[0])) - 1
        return self.newest

    def newest_by_time(self, count: int) -> SampleBlock:
        """The `count` rows with the newest times, ascending by time.

        Looks only at the last arrivals, as far back as a row could hide that belongs to the answer.
        """
        if not len(self) or count < 1:
            return empty_block()
        looked_at = min(2 * count, len(self))
        while True:
            rows = np.arange(self._next - looked_at, self._next) % self.capacity
            times = self._t_ms[rows]
            order = np.argsort(times)[-count:]
            before = self._next - looked_at - 1
            if before < self.oldest or self._newest_by_then[before % self.capacity] < times[order[0]]:
                return SampleBlock(times[order], self._values[:, rows[order]])
            looked_at = min(2 * looked_at, len(self))

    def between(self, from_ms: int, to_ms: int) -> SampleBlock:
        """The rows measured in ``[from_ms, to_ms)``, ascending by time; copies."""
        parts = []
        for start, stop in self._spans():
            times = self._t_ms[start:stop]
            rows = start + np.flatnonzero((times >= from_ms) & (times < to_ms))
            parts.append(rows)
        rows = np.concatenate(parts) if parts else np.empty(0, np.intp)
        rows = rows[np.argsort(self._t_ms[rows])]
        return SampleBlock(self._t_ms[rows], self._values[:, rows])

    def clear(self) -> None:
        """Forget every row and overwrite it; arrival numbers go on."""
        self.withdrawn = self.newest
        self._t_ms.fill(0)
        self._values.fill(np.nan)
        self._recent.clear()
        self._newest_ms = -1

    def _known(self, times: list[int]) -> set[int]:
        """Those of the times, ascending, that are here already."""
        known = self._recent.intersection(times)
        # The set of recent times reaches back only so far; what is older is looked up in the ring itself.
        horizon = self._newest_ms - LIVE_WINDOW_MS
        if times[0] < horizon:
            older = np.array([t_ms for t_ms in times if t_ms < horizon], np.int64)
            for start, stop in self._spans():
                known.update(np.intersect1d(self._t_ms[start:stop], older).tolist())
        return known

    def _write(self, block: SampleBlock) -> None:
        count = len(block)
        newest_by_then = block.t_ms
        if newest_by_then[0] <= self._newest_ms:
            newest_by_then = np.maximum(newest_by_then, self._newest_ms)
            self._last_late = self._next + int(np.searchsorted(block.t_ms, self._newest_ms)) - 1
        start = self._next % self.capacity
        head = min(count, self.capacity - start)
        self._t_ms[start : start + head] = block.t_ms[:head]
        self._newest_by_then[start : start + head] = newest_by_then[:head]
        self._values[:, start : start + head] = block.values[:, :head]
        if head < count:
            self._t_ms[: count - head] = block.t_ms[head:]
            self._newest_by_then[: count - head] = newest_by_then[head:]
            self._values[:, : count - head] = block.values[:, head:]
        self._next += count
        self._newest_ms = int(newest_by_then[-1])

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Index ranges of the rows here, in the order of arrival."""
        if not len(self):
            return
        start, stop = self.oldest % self.capacity, self._next % self.capacity
        if start < stop:
            yield start, stop
        else:
            yield start, self.capacity
            if stop:
                yield 0, stop

    def _number(self, index: int) -> int:
        """Arrival number of the row at an index."""
        return self.oldest + (index - self.oldest) % self.capacity

"""The recent samples of one tracker, in memory, in the order in which they arrived.

Rows are numbered from 1 as they arrive, and late rows are appended like any other. A reader's position is therefore
an arrival number, and nobody who resumes from one can miss a row that came late. Rows are kept packed and are written
round and round in preallocated memory.

The ring is made for a span of time, and what arrived first is overwritten first. When rows of the past are fetched
again they stand behind younger ones, which would then have to go before their time: so the ring grows while it holds
such rows, and shrinks back when they have aged.
"""

from bisect import bisect_right
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from insiders_codecs.live import Arrivals
from insiders_codecs.packing import ROW, PackedBlock, Rows, RowTable, as_rows, unpack
from insiders_codecs.samples import SAMPLE_PERIOD_MS, SampleBlock

LIVE_WINDOW_MS = 30_000
"""What the cloud's latest-data endpoint reaches back: 300 rows at 10 Hz. Repeats come from inside this window, and what
is older can only come from history."""

# What a row's flags may be. Plain numbers: an `IntFlag` would make a read twice as dear.
_LATE = 1  # rows newer than it had arrived before it
_MISDATED = 2  # its time is wrong, and tells nothing of before and after


def rows_for(minutes: float) -> int:
    """Rows that hold the given span at the trackers' sample rate."""
    return max(1, round(minutes * 60_000 / SAMPLE_PERIOD_MS))


class RingDump(msgspec.Struct, frozen=True, eq=False):
    """Everything a ring knows, for `Ring.restore`.

    Attributes:
        rows: Records of type `ROW` in the order of arrival, the last of which has the number `newest`.
        newest: Arrival number of the last row.
        newest_ms: The newest time of all rows ever appended, -1 if there is none.
        withdrawn: As `Ring.withdrawn`.
        duplicates: As `Ring.duplicates`.
        overrun: As `Ring.overrun`.
    """

    rows: Rows
    newest: int
    newest_ms: int
    withdrawn: int
    duplicates: int
    overrun: int


class Ring:
    """The last rows of a tracker: at least `capacity` of them, and all that lie within its span as far as it may grow.

    Attributes:
        ch: Channel number.
        capacity: Rows in its span of time at the sample rate.
        duplicates: Rows that were offered and known already.
        overrun: Rows overwritten although they lay within the span, because the ring may not grow further.
        withdrawn: Arrival number of the last row that `clear` took back; 0 if it never did.
    """

    def __init__(self, ch: int, capacity: int) -> None:
        """Make an empty ring.

        Args:
            ch: Channel number that its rows carry.
            capacity: Rows in its span of time, at least 1. What the cloud repeats is known while its row is here, so
                let the span be longer than `LIVE_WINDOW_MS`.
        """
        self.ch = ch
        self.capacity = capacity
        self.duplicates = 0
        self.overrun = 0
        self.withdrawn = 0
        # How much more than needed is taken when the ring grows, so that it does not grow with every answer.
        self._margin = capacity // 20
        self._oldest = 1
        self._next = 1
        self._newest_ms = -1
        self._last_flagged = 0
        self._last_misdated = 0
        self._table = RowTable(capacity)
        # The newest time up to each row, while nobody appends one: what `since` looks into.
        self._peaks_ms: NDArray[np.int64] | None = None

    @classmethod
    def restore(cls, ch: int, capacity: int, dump: RingDump) -> Self:
        """The ring that was dumped, to go on with under the same arrival numbers.

        Args:
            ch: Channel number that its rows carry.
            capacity: As for a new ring; need not be what it was. Rows that find no room are forgotten, oldest first.
            dump: What `dump` gave.
        """
        ring = cls(ch, capacity)
        ring.duplicates, ring.overrun, ring.withdrawn = dump.duplicates, dump.overrun, dump.withdrawn
        ring._next = dump.newest + 1
        ring._newest_ms = dump.newest_ms
        slots = max(capacity, min(len(dump.rows), ring._most_rows))
        ring._move(dump.rows.view(np.uint8).reshape(-1, ROW.itemsize), slots)
        ring._last_flagged = ring.newest if dump.rows["flags"].any() else 0
        ring._last_misdated = ring.newest if (dump.rows["flags"] == _MISDATED).any() else 0
        return ring

    @property
    def oldest(self) -> int:
        """Arrival number of the oldest row still here; one more than `newest` when there is none."""
        return self._oldest

    @property
    def newest(self) -> int:
        """Arrival number of the last row; one less than the first number when there is none."""
        return self._next - 1

    @property
    def newest_ms(self) -> int | None:
        """The newest time of all rows ever appended whose time is right, epoch ms; None before the first."""
        return None if self._newest_ms < 0 else self._newest_ms

    def __len__(self) -> int:
        return self._next - self._oldest

    def append(self, block: SampleBlock, *, is_misdated: bool = False) -> SampleBlock:
        """Keep the rows whose time is not here yet, and count the others as duplicates.

        Args:
            block: Rows, ascending and unique by time.
            is_misdated: Whether their times are wrong: they are kept and numbered, but tell nothing of the present.

        Returns:
            The rows that were new.
        """
        offered = len(block)
        if not offered:
            return block
        block = self._misdated_news(block) if is_misdated else self._news(block)
        self.duplicates += offered - len(block)
        if not len(block):
            return block
        if is_misdated:
            self._write(block, _MISDATED)
            return block
        newest_ms = self._newest_ms
        self._newest_ms = max(newest_ms, int(block.t_ms[-1]))
        late = int(np.searchsorted(block.t_ms, newest_ms)) if block.t_ms[0] < newest_ms else 0
        if late:
            self._write(block.take(slice(late)), _LATE)
        if late < len(block):
            self._write(block.take(slice(late, None)) if late else block)
        return block

    def read(self, after: int, limit: int) -> Arrivals | None:
        """The rows that arrived after a cursor, as far as they lie together and are flagged alike.

        Args:
            after: Arrival number of the last row already read. Rows no longer here are passed over; compare the
                result's `n0` with the cursor to see how many.
            limit: Most rows to return.

        Returns:
            At least one row, a view that holds until the next `append`; or None when there is nothing newer.
        """
        n0 = max(after + 1, self._oldest)
        if n0 >= self._next:
            return None
        start = n0 % len(self._table)
        stop = min(start + min(limit, self._next - n0), len(self._table))
        flags = 0
        if n0 <= self._last_flagged:
            all_flags = self._table.flags[start:stop]
            flags = int(all_flags[0])
            changes = np.flatnonzero(all_flags != flags)
            if len(changes):
                stop = start + int(changes[0])
        block = PackedBlock(self._table.rows[start:stop])
        return Arrivals(self.ch, n0, block, flags == _LATE, flags == _MISDATED)

    def since(self, from_ms: int) -> int:
        """A cursor that lies before every row rightly measured at or after a time, as close to them as can be."""
        if self._peaks_ms is None:
            # Whoever comes at the same moment, as all laptops do after a cut, asks for about the same.
            t_ms = np.where(self._is_dated(), self._in_order(self._table.t_ms), np.iinfo(np.int64).min)
            self._peaks_ms = np.maximum.accumulate(t_ms)
        return self._oldest + int(np.searchsorted(self._peaks_ms, from_ms)) - 1

    def between(self, from_ms: int, to_ms: int) -> SampleBlock:
        """The rows rightly measured in ``[from_ms, to_ms)``, one per instant, ascending; copies."""
        t_ms = self._in_order(self._table.t_ms)
        numbers = self._oldest + np.flatnonzero((t_ms >= from_ms) & (t_ms < to_ms) & self._is_dated())
        raw = self._table.raw[numbers % len(self._table)]
        rows = as_rows(raw)
        block = SampleBlock(rows["t_ms"].copy(), unpack(rows)).ascending()
        raw.fill(0)  # it is ours to clear away: what lies about packed could be told to be rows
        return block

    def count(self, from_ms: int, to_ms: int) -> int:
        """How many instants in ``[from_ms, to_ms)`` rows are here of, by their own account: misdated ones too."""
        t_ms = self._in_order(self._table.t_ms)
        return len(np.unique(t_ms[(t_ms >= from_ms) & (t_ms < to_ms)]))

    def unlike_misdated(self, block: SampleBlock) -> SampleBlock:
        """The rows of a block that are not here as misdated; the others count as duplicates.

        The same time with other values is another row: one rightly measured at the instant that a wrong clock told.

        Args:
            block: Rows, ascending and unique by time.
        """
        if self._last_misdated < self._oldest or not len(block):
            return block
        places = np.flatnonzero(~self._is_dated())
        t_ms = self._in_order(self._table.t_ms)[places]
        _, here, offered = np.intersect1d(t_ms, block.t_ms, assume_unique=True, return_indices=True)
        if not len(offered):
            return block
        raw = self._table.raw[(self._oldest + places[here]) % len(self._table)]
        table = RowTable(len(offered))
        table.write(0, block.take(offered), _MISDATED)
        is_same = (raw == table.raw).all(axis=1)
        raw.fill(0)  # as in `between`
        table.raw.fill(0)
        self.duplicates += int(is_same.sum())
        return block.take(np.delete(np.arange(len(block)), offered[is_same]))

    def clear(self) -> None:
        """Forget every row and overwrite it; arrival numbers go on."""
        self.withdrawn = self.newest
        self._oldest = self._next
        self._newest_ms = -1
        self._peaks_ms = None
        self._table.raw.fill(0)
        if len(self._table) > self.capacity:
            self._table = RowTable(self.capacity)

    def dump(self) -> RingDump:
        """Everything the ring knows; holds until the next `append`."""
        return RingDump(
            rows=as_rows(self._in_order(self._table.raw)),
            newest=self.newest,
            newest_ms=self._newest_ms,
            withdrawn=self.withdrawn,
            duplicates=self.duplicates,
            overrun=self.overrun,
        )

    @property
    def _span_from_ms(self) -> int:
        """The span lies after this time, and ends with the newest row."""
        return self._newest_ms - self.capacity * SAMPLE_PERIOD_MS

    @property
    def _most_rows(self) -> int:
        # A ring whose whole past was fetched again holds it twice when the youngest of the rows before has aged: what
        # was fetched stands behind that one, and as many new rows behind both.
        return 2 * self.capacity + self._margin

    def _news(self, block: SampleBlock) -> SampleBlock:
        """The rows whose time is not here yet as a right one."""
        times: list[int] = block.t_ms.tolist()
        repeated = bisect_right(times, self._newest_ms)
        if not repeated:
            return block
        # Mostly an answer begins with the last rows as they came, which is seen without a look at all that is here.
        last = self._next % len(self._table)
        is_plain = self._last_flagged <= self.newest - repeated
        if is_plain and self._table.t_ms[max(0, last - repeated) : last].tolist() == times[:repeated]:
            return block.take(slice(repeated, None))
        t_ms = self._in_order(self._table.t_ms)
        is_asked = (t_ms >= times[0]) & (t_ms <= times[-1]) & self._is_dated()
        return _without(block, times, t_ms[is_asked])

    def _misdated_news(self, block: SampleBlock) -> SampleBlock:
        """The rows that are here neither as misdated nor as right, which they may have been taken for before."""
        t_ms = self._in_order(self._table.t_ms)
        return _without(block, block.t_ms.tolist(), t_ms[(t_ms >= block.t_ms[0]) & (t_ms <= block.t_ms[-1])])

    def _write(self, block: SampleBlock, flags: int = 0) -> None:
        """Append new rows that are flagged alike."""
        self._peaks_ms = None
        start, stop = 0, len(block)
        while start < stop:
            # More than the capacity as if it had come in several answers, each of which pushes out what is before it.
            count = min(stop - start, self.capacity)
            if self._next - self._oldest + count > len(self._table):
                self._make_room(count)
            slots = len(self._table)
            place = self._next % slots
            count = min(count, slots - place)
            part = block if count == stop else block.take(slice(start, start + count))
            self._table.write(place, part, flags)
            start += count
            self._next += count
            if flags:
                self._last_flagged = self.newest
            if flags == _MISDATED:
                self._last_misdated = self.newest
            if place + count == slots > self.capacity:
                self._shrink()

    def _make_room(self, count: int) -> None:
        """Give up the oldest rows for new ones; rather grow than give up one that lies within the span."""
        excess = len(self) + count - len(self._table)
        # Asked with every answer as soon as the ring is full, and of ten numbers Python finds the largest soonest.
        may_be_within = max(self._in_order(self._table.t_ms, excess).tolist()) > self._span_from_ms
        if may_be_within and (is_within := self._is_within(excess)).any():
            needed = len(self) - int(is_within.argmax()) + count
            slots = min(needed + self._margin, self._most_rows)
            if slots > len(self._table):
                self._resize(slots)
                excess = len(self) + count - slots
            self.overrun += int(np.count_nonzero(is_within[: max(0, excess)]))
        self._oldest += max(0, excess)

    def _shrink(self) -> None:
        """Give back memory no longer needed; but once in a round, and not a little, or each backlog would move it."""
        slots = max(self.capacity, self._needed() + self._margin)
        if slots + self._margin < len(self._table):
            self._resize(slots)

    def _needed(self) -> int:
        """How many of the last rows there must be, so that all within the span are here."""
        is_within = self._is_within()
        return len(self) - int(is_within.argmax()) if is_within.any() else 0

    def _is_within(self, count: int | None = None) -> NDArray[np.bool_]:
        """Which rows, of the oldest `count`, lie within the span."""
        is_within: NDArray[np.bool_] = self._in_order(self._table.t_ms, count) > self._span_from_ms
        return is_within & self._is_dated(count)

    def _is_dated(self, count: int | None = None) -> NDArray[np.bool_]:
        """Which rows, of the oldest `count`, have a right time."""
        is_dated: NDArray[np.bool_] = self._in_order(self._table.flags, count) != _MISDATED
        return is_dated

    def _in_order(self, array: NDArray[Any], count: int | None = None) -> NDArray[Any]:
        """What an array of the table holds of the oldest `count` rows, or of all, in the order of arrival."""
        count = len(self) if count is None else count
        start = self._oldest % len(self._table)
        stop = start + count
        if stop <= len(self._table):
            return array[start:stop]
        return np.concatenate([array[start:], array[: stop - len(self._table)]])

    def _resize(self, slots: int) -> None:
        """Hold the rows in a table of another size, and overwrite that before: what is given back may be anybody's."""
        before = self._table.raw
        raw = self._in_order(before)
        self._move(raw, slots)
        raw.fill(0)
        before.fill(0)

    def _move(self, raw: NDArray[np.uint8], slots: int) -> None:
        """Hold the last of these rows, which end with the newest, in a table of its own size."""
        self._table = RowTable(slots)
        raw = raw[max(0, len(raw) - slots) :]
        self._oldest = self._next - len(raw)
        start = self._oldest % slots
        head = slots - start
        self._table.raw[start : start + len(raw)] = raw[:head]
        self._table.raw[: max(0, len(raw) - head)] = raw[head:]


def _without(block: SampleBlock, times: list[int], known_ms: NDArray[np.int64]) -> SampleBlock:
    """The rows of a block whose times are none of those known."""
    known = set(known_ms.tolist())
    return block.take([row for row, t_ms in enumerate(times) if t_ms not in known])

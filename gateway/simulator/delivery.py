"""Which one-second batch of a tracker reaches the cloud when, and under which time.

A batch is measured, sent (at once, or when the network is back) and arrives after the tracker's latency, or later or
never by fault. Its times are decided when it is measured, under the faults of that moment, and nothing that has arrived
is ever taken back: so the answer for an instant does not depend on when or how often it is asked for. The caller
reports every instant it looks at with `advance`, and before any change.

The cloud knows a row by the time its tracker gave it. Where a tracker's clock goes back, it gives a time twice; then
the row measured later takes the place of the other as soon as it arrives.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.faults import Faults
from gateway.simulator.schedule import Schedule

Times = NDArray[np.int64]
Draws = NDArray[np.float64]

BATCH_MS = 1000
ROW_MS = 100
ROWS_PER_BATCH = 10
_LAST_ROW_MS = BATCH_MS - ROW_MS

# A batch without a time: never measured or lost on the way, or measured and waiting in the tracker for the network.
NEVER = 2**62
_WAITING = NEVER - 1

_DRAWS_PER_CHUNK = 512


class Delivery:
    """The batches of one tracker, numbered from 0 at `first_ms`.

    Args:
        seed: The world's seed.
        tracker: The tracker's place in the world.
        first_ms: Time of the first row of batch 0, epoch milliseconds.
        began_ms: When the simulator began, which counts as switching the tracker on; `first_ms` unless given.

    Attributes:
        powered, connected: Whether it is switched on, and not cut off from its network by hand.
        clock_error_s: By how much its clock was made wrong by hand, seconds.
    """

    def __init__(self, seed: int, tracker: int, first_ms: int, began_ms: int | None = None) -> None:
        self.first_ms = first_ms
        self.powered = True
        self.connected = True
        self.clock_error_s = 0
        self._key = (seed, tracker)
        self._latency_ms = int(np.random.default_rng((seed, 7, tracker)).integers(300, 800))
        # When in the period of the scheduled losses, and whether among those whose clocks are wrong; both in 0 to 1.
        self._loss_phase, self._clock_draw = np.random.default_rng((seed, 10, tracker)).random(2).tolist()
        self._sent = np.empty(1024, dtype=np.int64)
        self._arrival = np.empty(1024, dtype=np.int64)
        self._error_s = np.zeros(1024, dtype=np.int64)
        self._askew = False
        self._measured = 0
        self._advanced_ms = first_ms
        self._has_coverage = True
        self._powered_ms = first_ms
        self._started_ms = first_ms if began_ms is None else began_ms
        self._queue_free_ms = first_ms

    @property
    def online(self) -> bool:
        """Whether the tracker is switched on and has network."""
        return self.powered and self.connected and self._has_coverage

    # --- what the cloud has -------------------------------------------------------------------------------------------

    def arrived(self, as_of_ms: int, newest: int | None = None) -> Times:
        """Numbers of the batches the cloud has at an instant, in order of the times it has them under.

        With `newest` only that many, the last; while every clock is right these are found without looking at all.
        """
        if self._askew:
            batches = self._in_order_of_time(np.flatnonzero(self._arrival[: self._measured] <= as_of_ms))
            return batches if newest is None else batches[-newest:]
        reach = self._measured if newest is None else 2 * newest
        while True:
            start = max(0, self._measured - reach)
            batches = np.flatnonzero(self._arrival[start : self._measured] <= as_of_ms) + start
            if newest is None or start == 0 or batches.size >= newest:
                return batches if newest is None else batches[-newest:]
            reach *= 4

    def arrived_between(self, after_ms: int, until_ms: int) -> Times:
        """Numbers of the batches with after_ms < arrival <= until_ms, in order of arrival."""
        arrival = self._arrival[: self._measured]
        fresh = np.flatnonzero((arrival > after_ms) & (arrival <= until_ms))
        return fresh[np.argsort(arrival[fresh], kind="stable")]

    def next_arrival_ms(self, faults: Faults) -> int:
        """An instant before which no other batch arrives than those that have, unless something is changed by hand."""
        arrival = self._arrival[: self._measured]
        under_way = arrival[arrival > self._advanced_ms]
        measured_ms = self.first_ms + self._measured * BATCH_MS + _LAST_ROW_MS
        network_ms = self._losses(faults).next_change_ms(self._advanced_ms)
        return min(measured_ms, network_ms, int(under_way.min()) if under_way.size else NEVER)

    def waited(self, batches: Times) -> NDArray[np.bool_]:
        """Whether each batch was kept in the tracker before it was sent."""
        kept: NDArray[np.bool_] = self._sent[batches] > self.measured_ms(batches) + _LAST_ROW_MS
        return kept

    def times(self, batches: Times) -> Times:
        """Time of each batch's first row by the tracker's clock, epoch milliseconds."""
        return self.measured_ms(batches) + self._error_s[batches] * 1000

    def measured_ms(self, batches: Times) -> Times:
        """When each batch's first row was really measured, epoch milliseconds."""
        return self.first_ms + batches * BATCH_MS

    def draws(self, batches: Times) -> Draws:
        """Random numbers that belong to batches: latency, late or not, how late, fix, lost or not; shape (n, 5)."""
        chunks, rows = np.divmod(batches, _DRAWS_PER_CHUNK)
        if batches.size == 1:
            return _chunk(*self._key, int(chunks[0]))[rows]
        result = np.empty((batches.size, 5))
        for chunk in np.unique(chunks).tolist():
            chosen = chunks == chunk
            result[chosen] = _chunk(*self._key, chunk)[rows[chosen]]
        return result

    def _in_order_of_time(self, batches: Times) -> Times:
        """The batches by the times the cloud has them under; of those with one time the one measured last."""
        times = self.times(batches)
        order = np.lexsort((batches, times))
        is_last = np.append(np.diff(times[order]) != 0, True)[: batches.size]
        ordered: Times = batches[order][is_last]
        return ordered

    # --- what happens to the tracker ----------------------------------------------------------------------------------

    def advance(self, now_ms: int, faults: Faults) -> None:
        """Decide about every batch whose measurement has ended, and lose and regain the network on the way."""
        losses = self._losses(faults)
        # Knobs that changed took effect when they did, which is where the last call ended.
        self._cover(self._advanced_ms, faults, losses)
        while (change_ms := losses.next_change_ms(self._advanced_ms)) <= now_ms:
            self._measure(change_ms, faults)
            self._advanced_ms = change_ms
            self._cover(change_ms, faults, losses)
        self._measure(now_ms, faults)
        self._advanced_ms = max(self._advanced_ms, now_ms)

    def set_connected(self, now_ms: int, faults: Faults, *, connected: bool) -> None:
        """Take the tracker's network away or give it back; the scheduled losses go on beside it."""
        self.advance(now_ms, faults)
        was_online, self.connected = self.online, connected
        self._change(now_ms, faults, was_online=was_online)

    def set_powered(self, now_ms: int, faults: Faults, *, powered: bool) -> None:
        """Switch the tracker off or on; the batch in progress is lost, the waiting ones are kept."""
        self.advance(now_ms, faults)
        if powered and not self.powered:
            self._powered_ms = self._started_ms = now_ms
        was_online, self.powered = self.online, powered
        self._change(now_ms, faults, was_online=was_online)

    def set_clock(self, now_ms: int, faults: Faults, *, error_s: int) -> None:
        """Make the tracker's clock wrong from now on; 0 leaves it to the knobs again."""
        self.advance(now_ms, faults)
        self.clock_error_s = error_s

    def _losses(self, faults: Faults) -> Schedule:
        every_ms = round(faults.tracker_offline_every_s * 1000)
        first_ms = self.first_ms + round(self._loss_phase * every_ms)
        return Schedule(every_ms, round(faults.tracker_offline_s * 1000), first_ms)

    def _cover(self, now_ms: int, faults: Faults, losses: Schedule) -> None:
        was_online, self._has_coverage = self.online, not losses.covers(now_ms)
        self._change(now_ms, faults, was_online=was_online)

    def _change(self, now_ms: int, faults: Faults, *, was_online: bool) -> None:
        if was_online and not self.online:
            # What was still to be sent stays in the tracker.
            later = (self._sent[: self._measured] > now_ms) & (self._sent[: self._measured] < _WAITING)
            self._sent[: self._measured][later] = self._arrival[: self._measured][later] = _WAITING
            self._queue_free_ms = now_ms
        elif self.online and not was_online:
            self._drain(now_ms, faults)

    # --- batches ------------------------------------------------------------------------------------------------------

    def _measure(self, now_ms: int, faults: Faults) -> None:
        end = (now_ms - self.first_ms - _LAST_ROW_MS) // BATCH_MS + 1
        if end <= self._measured:
            return
        self._reserve(end)
        new = np.arange(self._measured, end)
        part = slice(self._measured, end)
        self._measured = end
        begins = self.measured_ms(new)
        self._error_s[part] = self._clock_errors(begins, faults)
        self._askew = self._askew or bool(self._error_s[part].any())
        if self.online:
            self._sent[part] = self._in_turn(begins + _LAST_ROW_MS, faults)
            self._arrival[part] = self._arrivals(new, self._sent[part], faults)
        else:
            self._sent[part] = self._arrival[part] = _WAITING if self.powered else NEVER
        unmeasured = begins < self._powered_ms
        self._sent[part][unmeasured] = self._arrival[part][unmeasured] = NEVER

    def _in_turn(self, ends: Times, faults: Faults) -> Times:
        """When live batches are sent: at once, or behind a backlog until the queue has caught up with them."""
        if self._queue_free_ms <= ends[0]:
            return ends
        gap_ms = _gap_ms(faults)
        steps = np.arange(ends.size) * gap_ms
        waiting: Times = np.maximum.accumulate(np.maximum(ends, self._queue_free_ms) - steps) + steps
        self._queue_free_ms = int(waiting[-1]) + gap_ms
        return waiting

    def _drain(self, now_ms: int, faults: Faults) -> None:
        waiting = np.flatnonzero(self._sent[: self._measured] == _WAITING)
        gap_ms = _gap_ms(faults)
        if faults.backlog_order == "newest_first":
            waiting = waiting[::-1]
        self._sent[waiting] = now_ms + np.arange(1, waiting.size + 1) * gap_ms
        self._arrival[waiting] = self._arrivals(waiting, self._sent[waiting], faults)
        if faults.backlog_order == "oldest_first":
            self._queue_free_ms = now_ms + (waiting.size + 1) * gap_ms

    def _arrivals(self, batches: Times, sent: Times, faults: Faults) -> Times:
        draws = self.draws(batches)
        late_ms = 1000 + draws[:, 2] * max(0.0, faults.late_s - 1) * 1000
        late = np.where(draws[:, 1] < faults.late_fraction, late_ms, 0)
        arrival = sent + (self._latency_ms + 100 * draws[:, 0] + late).astype(np.int64)
        return np.where(draws[:, 4] < faults.lost_fraction, NEVER, arrival)

    def _clock_errors(self, begins: Times, faults: Faults) -> Times | int:
        """By how much the clock is wrong for batches that begin at these instants, seconds."""
        if self.clock_error_s:
            return self.clock_error_s
        if not faults.clock_error_s or self._clock_draw >= faults.clock_error_fraction:
            return 0
        wrong = begins >= self._started_ms
        if faults.clock_error_for_s:
            wrong &= begins < self._started_ms + faults.clock_error_for_s * 1000
        return np.where(wrong, faults.clock_error_s, 0)

    def _reserve(self, batches: int) -> None:
        if batches > self._sent.size:
            more = np.zeros(max(batches, 2 * self._sent.size) - self._sent.size, dtype=np.int64)
            self._sent = np.concatenate([self._sent, more])
            self._arrival = np.concatenate([self._arrival, more])
            self._error_s = np.concatenate([self._error_s, more])


def _gap_ms(faults: Faults) -> int:
    """Time between two batches of a backlog; whole, so that the order of asking cannot add up rounding."""
    return max(1, round(1000 / faults.backlog_batches_per_s))


@lru_cache(maxsize=2048)
def _chunk(seed: int, tracker: int, chunk: int) -> Draws:
    first = np.random.default_rng((seed, 8, tracker, chunk)).random((_DRAWS_PER_CHUNK, 4))
    lost = np.random.default_rng((seed, 11, tracker, chunk)).random((_DRAWS_PER_CHUNK, 1))
    return np.hstack([first, lost])

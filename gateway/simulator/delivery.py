"""Which one-second batch of a tracker reaches the cloud when.

A batch is measured, sent (at once, or when the network is back) and arrives after the tracker's latency, or later by
fault. Its times are decided when it is measured, under the faults of that moment, and nothing that has arrived is ever
taken back: so the answer for an instant does not depend on when or how often it is asked for. The caller reports every
instant it looks at with `advance`, and before any change.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gateway.simulator.faults import Faults

Times = NDArray[np.int64]
Draws = NDArray[np.float64]

BATCH_MS = 1000
ROW_MS = 100
ROWS_PER_BATCH = 10
_LAST_ROW_MS = BATCH_MS - ROW_MS

# A batch without a time: never measured, or measured and waiting in the tracker for the network.
NEVER = 2**62
_WAITING = NEVER - 1

_DRAWS_PER_CHUNK = 512


class Delivery:
    """The batches of one tracker, numbered from 0 at `first_ms`.

    Args:
        seed: The world's seed.
        tracker: The tracker's place in the world.
        first_ms: Time of the first row of batch 0, epoch milliseconds.
    """

    def __init__(self, seed: int, tracker: int, first_ms: int) -> None:
        self.first_ms = first_ms
        self.powered = True
        self.connected = True
        self._key = (seed, tracker)
        self._latency_ms = int(np.random.default_rng((seed, 7, tracker)).integers(300, 800))
        self._sent = np.empty(1024, dtype=np.int64)
        self._arrival = np.empty(1024, dtype=np.int64)
        self._measured = 0
        self._powered_ms = first_ms
        self._queue_free_ms = first_ms

    def draws(self, batches: Times) -> Draws:
        """Random numbers that belong to batches: latency, late or not, how late, satellite fix; shape (n, 4)."""
        chunks, rows = np.divmod(batches, _DRAWS_PER_CHUNK)
        result = np.empty((batches.size, 4))
        for chunk in np.unique(chunks).tolist():
            chosen = chunks == chunk
            result[chosen] = _chunk(*self._key, chunk)[rows[chosen]]
        return result

    def arrived(self, as_of_ms: int) -> Times:
        """Numbers of the batches the cloud has at an instant, ascending."""
        return np.flatnonzero(self._arrival[: self._measured] <= as_of_ms)

    def arrived_between(self, after_ms: int, until_ms: int) -> Times:
        """Numbers of the batches with after_ms < arrival <= until_ms, in order of arrival."""
        arrival = self._arrival[: self._measured]
        fresh = np.flatnonzero((arrival > after_ms) & (arrival <= until_ms))
        return fresh[np.argsort(arrival[fresh], kind="stable")]

    def times(self, batches: Times) -> Times:
        """Time of each batch's first row, epoch milliseconds."""
        return self.first_ms + batches * BATCH_MS

    def advance(self, now_ms: int, faults: Faults) -> None:
        """Decide about every batch whose measurement has ended."""
        end = (now_ms - self.first_ms - _LAST_ROW_MS) // BATCH_MS + 1
        if end <= self._measured:
            return
        self._reserve(end)
        new = np.arange(self._measured, end)
        part = slice(self._measured, end)
        self._measured = end
        begins = self.times(new)
        ends = begins + _LAST_ROW_MS
        if not (self.powered and self.connected):
            self._sent[part] = self._arrival[part] = _WAITING if self.powered else NEVER
            self._forget_before_power(part, begins)
            return
        gap_ms = _gap_ms(faults)
        if self._queue_free_ms > ends[0]:
            # Strictly in order: live batches queue behind the backlog until the queue has caught up with them.
            steps = np.arange(new.size) * gap_ms
            waiting = np.maximum.accumulate(np.maximum(ends, self._queue_free_ms) - steps) + steps
            self._sent[part] = waiting
            self._queue_free_ms = int(waiting[-1]) + gap_ms
        else:
            self._sent[part] = ends
        self._arrival[part] = self._sent[part] + self._on_the_way_ms(new, faults)
        self._forget_before_power(part, begins)

    def set_connected(self, now_ms: int, faults: Faults, *, connected: bool) -> None:
        """Take the tracker's network away or give it back."""
        self.advance(now_ms, faults)
        self._change(now_ms, faults, powered=self.powered, connected=connected)

    def set_powered(self, now_ms: int, faults: Faults, *, powered: bool) -> None:
        """Switch the tracker off or on; the batch in progress is lost, the waiting ones are kept."""
        self.advance(now_ms, faults)
        if powered and not self.powered:
            self._powered_ms = now_ms
        self._change(now_ms, faults, powered=powered, connected=self.connected)

    def _change(self, now_ms: int, faults: Faults, *, powered: bool, connected: bool) -> None:
        was_online = self.powered and self.connected
        self.powered, self.connected = powered, connected
        online = powered and connected
        if was_online and not online:
            # What was still to be sent stays in the tracker.
            later = (self._sent[: self._measured] > now_ms) & (self._sent[: self._measured] < _WAITING)
            self._sent[: self._measured][later] = self._arrival[: self._measured][later] = _WAITING
            self._queue_free_ms = now_ms
        elif online and not was_online:
            self._drain(now_ms, faults)

    def _drain(self, now_ms: int, faults: Faults) -> None:
        waiting = np.flatnonzero(self._sent[: self._measured] == _WAITING)
        gap_ms = _gap_ms(faults)
        if faults.backlog_order == "newest_first":
            waiting = waiting[::-1]
        self._sent[waiting] = now_ms + np.arange(1, waiting.size + 1) * gap_ms
        self._arrival[waiting] = self._sent[waiting] + self._on_the_way_ms(waiting, faults)
        if faults.backlog_order == "oldest_first":
            self._queue_free_ms = now_ms + (waiting.size + 1) * gap_ms

    def _on_the_way_ms(self, batches: Times, faults: Faults) -> Times:
        draws = self.draws(batches)
        late_ms = 1000 + draws[:, 2] * max(0.0, faults.late_s - 1) * 1000
        late = np.where(draws[:, 1] < faults.late_fraction, late_ms, 0)
        return (self._latency_ms + 100 * draws[:, 0] + late).astype(np.int64)

    def _forget_before_power(self, part: slice, begins: Times) -> None:
        unmeasured = begins < self._powered_ms
        self._sent[part][unmeasured] = self._arrival[part][unmeasured] = NEVER

    def _reserve(self, batches: int) -> None:
        if batches > self._sent.size:
            more = np.empty(max(batches, 2 * self._sent.size) - self._sent.size, dtype=np.int64)
            self._sent = np.concatenate([self._sent, more])
            self._arrival = np.concatenate([self._arrival, more])


def _gap_ms(faults: Faults) -> int:
    """Time between two batches of a backlog; whole, so that the order of asking cannot add up rounding."""
    return max(1, round(1000 / faults.backlog_batches_per_s))


@lru_cache(maxsize=1024)
def _chunk(seed: int, tracker: int, chunk: int) -> Draws:
    return np.random.default_rng((seed, 8, tracker, chunk)).random((_DRAWS_PER_CHUNK, 4))

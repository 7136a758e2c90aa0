"""When to ask the cloud for a tracker's latest rows, and for how many. Pure decisions, told the time."""

import math
from dataclasses import dataclass

from gateway.telemetry.ring import LIVE_WINDOW_MS
from insiders_codecs.samples import SAMPLE_PERIOD_MS

MOST_ROWS = LIVE_WINDOW_MS // SAMPLE_PERIOD_MS
"""What the latest-data endpoint gives at most: 300. Source: Insiders API 1.22."""

_OVERLAP_ROWS = 10
"""Rows asked for twice, so that a batch (one second of rows) that slips in late is seen by the next poll."""

_DEEP_LOOK_S = 3.0
"""How often a hole is looked into while it can still be filled: ten chances before it leaves the window, without
reading 300 rows each second from a tracker whose reception is poor."""

DEFERRED_S = 3.0
"""How long a stream that brings rows puts off the next poll: missed three times, it is given up as a source."""

_AWAKE_S, _QUIET_S = 10.0, 60.0
_AWAKE_INTERVAL_S, _QUIET_INTERVAL_S, _ASLEEP_INTERVAL_S = 1.0, 2.0, 15.0
_LONGEST_RETRY_S = 4.0
"""A request that a dead network swallows lasts 8 s: with this pause the next one goes out 12 s after its return."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tracker's rows.

    Attributes:
        newest_ms: Time of its newest row; None before the first.
        hole_ms: Where the oldest hole begins that the latest-data endpoint can still fill; None if there is none.
        rows_on_top: Rows from the future, which lie on top of the newest in every answer.
    """

    newest_ms: int | None
    hole_ms: int | None
    rows_on_top: int = 0


class PollSchedule:
    """The polls of one tracker. Times are seconds of one monotonic clock.

    A tracker that moves sends a batch each second and is asked each second; one that has been silent for a minute
    sleeps and is asked rarely, always well inside the window, so that nothing is out of reach when it wakes. While a
    stream brings its rows, it is not asked at all.

    Attributes:
        next_s: When to ask next.
        failures: Polls that failed since the last answer.
    """

    def __init__(self, now_s: float) -> None:
        self.next_s = now_s
        self.failures = 0
        self._began_s = now_s
        self._read_s: float | None = None  # until when the tracker's rows are known
        self._last_rows_s = now_s
        self._last_deep_s = -math.inf
        self._deferred_s = -math.inf

    def unread_s(self, now_s: float) -> float:
        """How long the tracker has gone without an answer, seconds; infinite before the first."""
        return math.inf if self._read_s is None else now_s - self._read_s

    def overdue_s(self, now_s: float) -> float:
        """How long ago the tracker was due to be read again, seconds: its interval after the last reading."""
        if self._read_s is None:
            return now_s - self._began_s
        return now_s - self._read_s - self._interval_s(self._read_s)

    def rows(self, now_s: float, known: Known) -> int:
        """How many rows to ask for: as many as can be new, an overlap, and what reaches into a hole now and then."""
        if known.newest_ms is None or self._read_s is None:
            self._last_deep_s = now_s
            return MOST_ROWS
        rows = math.ceil((now_s - self._read_s) * 1000 / SAMPLE_PERIOD_MS) + _OVERLAP_ROWS + known.rows_on_top
        if known.hole_ms is not None and now_s - self._last_deep_s >= _DEEP_LOOK_S:
            self._last_deep_s = now_s
            rows += math.ceil((known.newest_ms - known.hole_ms) / SAMPLE_PERIOD_MS)
        return min(rows, MOST_ROWS)

    def peeks(self, now_s: float, known: Known) -> bool:
        """Whether to ask for the newest time first, and for rows only if it is newer than the newest known.

        Let p be the chance that a poll finds something, r the rows it would ask for, and 250 bytes a row: a poll that
        reads at once costs one request and 250 r bytes, one that peeks costs 1 + p requests and 100 + 250 p r bytes,
        and what it finds is seen one answer later. Awake (p = 1) that is twice the requests for nothing. Quiet, every
        2 s, r is 30, and a pause of play ends any moment. Asleep, every 15 s, r is 160 and 40 kB, and p is below 0.1,
        because a tracker that slept for a minute sleeps on: a tenth more requests save nine tenths of the bytes.

        The newest time says nothing of rows that fill a hole or lie beneath rows from the future, nor of a tracker
        that has never had any.
        """
        is_telling = known.newest_ms is not None and known.hole_ms is None and not known.rows_on_top
        return is_telling and self._read_s is not None and self._interval_s(now_s) == _ASLEEP_INTERVAL_S

    def answered(self, asked_s: float, sent_s: float, now_s: float, new_rows: int) -> int:
        """Plan the next poll after an answer; returns how many whole turns were missed meanwhile.

        Args:
            asked_s: When its turn came.
            sent_s: When the request went out.
            now_s: Now.
            new_rows: Rows that it brought.
        """
        self.failures = 0
        self._read_s = max(sent_s, self._read_s or sent_s)
        if new_rows:
            self._last_rows_s = now_s
        return self._plan(asked_s, now_s, self._interval_s(now_s))

    def failed(self, asked_s: float, now_s: float) -> int:
        """Plan the next poll after a failure; returns how many whole turns were missed meanwhile."""
        self.failures += 1
        backoff_s = _AWAKE_INTERVAL_S * 2.0 ** min(self.failures - 1, 10)
        return self._plan(asked_s, now_s, min(max(backoff_s, self._interval_s(now_s)), _LONGEST_RETRY_S))

    def streamed(self, now_s: float, *, has_hole: bool) -> None:
        """A stream brought newer rows: asking can wait, unless a hole is to be looked into."""
        self._read_s = self._last_rows_s = now_s
        self._deferred_s = now_s + DEFERRED_S
        if has_hole:
            self._deferred_s = min(self._deferred_s, max(now_s, self._last_deep_s + _DEEP_LOOK_S))
        # A tracker that slept is asked soon as well, should its stream stop again at once.
        self.next_s = max(self.next_s, self._deferred_s) if self.failures else self._deferred_s

    def resume(self, now_s: float) -> None:
        """The stream is over: what it brought last was a while ago, and what it missed is to be asked for."""
        self._deferred_s = now_s
        if not self.failures:
            self.next_s = min(self.next_s, now_s)

    def _interval_s(self, now_s: float) -> float:
        silent_s = now_s - self._last_rows_s
        if silent_s < _AWAKE_S:
            return _AWAKE_INTERVAL_S
        return _QUIET_INTERVAL_S if silent_s < _QUIET_S else _ASLEEP_INTERVAL_S

    def _plan(self, asked_s: float, now_s: float, interval_s: float) -> int:
        # Turns that passed while the cloud was slow are skipped, never caught up: the next answer holds their rows.
        missed = max(0, math.ceil((now_s - asked_s) / interval_s) - 1)
        self.next_s = max(asked_s + (missed + 1) * interval_s, self._deferred_s)
        return missed

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

_AWAKE_S, _QUIET_S = 10.0, 60.0
_AWAKE_INTERVAL_S, _QUIET_INTERVAL_S, _ASLEEP_INTERVAL_S = 1.0, 2.0, 15.0
_LONGEST_RETRY_S = 8.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tracker's rows.

    Attributes:
        newest_ms: Time of its newest row; None before the first.
        hole_ms: Where the oldest hole begins that the latest-data endpoint can still fill; None if there is none.
    """

    newest_ms: int | None
    hole_ms: int | None


class PollSchedule:
    """The polls of one tracker. Times are seconds of one monotonic clock.

    A tracker that moves sends a batch each second and is asked each second; one that has been silent for a minute
    sleeps and is asked rarely, always well inside the window, so that nothing is out of reach when it wakes.
    """

    def __init__(self, now_s: float) -> None:
        self.next_s = now_s
        self._began_s = now_s
        self._last_answer_s: float | None = None
        self._last_rows_s = now_s
        self._last_deep_s = -math.inf
        self._failures = 0

    @property
    def failures(self) -> int:
        """Polls that failed since the last answer."""
        return self._failures

    def unread_s(self, now_s: float) -> float:
        """How long the tracker has gone without an answer, seconds; infinite before the first."""
        return math.inf if self._last_answer_s is None else now_s - self._last_answer_s

    def overdue_s(self, now_s: float) -> float:
        """How long ago the tracker was due to be read again, seconds: its interval after the last reading."""
        if self._last_answer_s is None:
            return now_s - self._began_s
        return now_s - self._last_answer_s - self._interval_s(self._last_answer_s)

    def rows(self, now_s: float, known: Known) -> int:
        """How many rows to ask for: as many as can be new, an overlap, and what reaches into a hole now and then."""
        if known.newest_ms is None or self._last_answer_s is None:
            self._last_deep_s = now_s
            return MOST_ROWS
        rows = math.ceil((now_s - self._last_answer_s) * 1000 / SAMPLE_PERIOD_MS) + _OVERLAP_ROWS
        if known.hole_ms is not None and now_s - self._last_deep_s >= _DEEP_LOOK_S:
            self._last_deep_s = now_s
            rows += math.ceil((known.newest_ms - known.hole_ms) / SAMPLE_PERIOD_MS)
        return min(rows, MOST_ROWS)

    def answered(self, asked_s: float, now_s: float, new_rows: int) -> int:
        """Plan the next poll after an answer; returns how many whole turns were missed meanwhile."""
        self._failures = 0
        self._last_answer_s = asked_s
        if new_rows:
            self._last_rows_s = now_s
        return self._plan(asked_s, now_s, self._interval_s(now_s))

    def failed(self, asked_s: float, now_s: float) -> int:
        """Plan the next poll after a failure; returns how many whole turns were missed meanwhile."""
        self._failures += 1
        backoff_s = _AWAKE_INTERVAL_S * 2.0 ** min(self._failures - 1, 10)
        return self._plan(asked_s, now_s, min(max(backoff_s, self._interval_s(now_s)), _LONGEST_RETRY_S))

    def _interval_s(self, now_s: float) -> float:
        silent_s = now_s - self._last_rows_s
        if silent_s < _AWAKE_S:
            return _AWAKE_INTERVAL_S
        return _QUIET_INTERVAL_S if silent_s < _QUIET_S else _ASLEEP_INTERVAL_S

    def _plan(self, asked_s: float, now_s: float, interval_s: float) -> int:
        # Turns that passed while the cloud was slow are skipped, never caught up: the next answer holds their rows.
        missed = max(0, math.ceil((now_s - asked_s) / interval_s) - 1)
        self.next_s = asked_s + (missed + 1) * interval_s
        return missed

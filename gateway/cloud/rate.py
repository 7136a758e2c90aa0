"""How many requests per second the cloud takes: nobody publishes it, so it is learned from what it refuses. Pure."""

from collections import deque

START_PER_S = 30.0
"""Thirty trackers once a second. Too much for a small limit costs one refusal at the start."""

SLOWEST_PER_S = 0.1
FASTEST_PER_S = 1000.0

_DECREASE = 0.8
"""What a refusal leaves of the rate that was refused."""

_GREATEST_DECREASE = 0.2
"""What the worst refusal leaves, so that one strange answer does not end everything."""

_RETURN_S = 45.0
"""How long the way back to a refused rate takes: the 30 s that refusals are to lie apart, and half as much again."""

_DOUBLING_S = 20.0
"""Time after which the rate has doubled beyond it: an eighth more after half of it, nine times as much after twice."""

_MEMORY_S = 60.0
"""How long what was sent is remembered; limits per minute are the longest that are common."""

_RECENT_S = 20.0
"""Over how long the rate that was really sent is measured, where the pause is short against the time before it."""

_REST_S = 2.0
"""Pause between two requests that is none of the rate's."""

_AHEAD_S = 0.25
"""How far ahead of its schedule a token bucket runs: a few requests that come together need not wait."""


class LearnedRate:
    """Additive increase while the rate is what holds requests back, multiplicative decrease when one is refused.

    The way back is flat around the rate that was refused last and steep beyond, so that a steady limit is used almost
    whole and met rarely, and a raised one is found. Source of the curve: CUBIC, RFC 9438, section 4.2.

    Times are seconds of one monotonic clock.
    """

    def __init__(self, now_s: float) -> None:
        self.per_s = START_PER_S
        self._refused_per_s = START_PER_S
        self._limited_s = _RETURN_S
        self._sent_s: deque[float] = deque()
        self._since_s = now_s

    def sent(self, now_s: float) -> None:
        """A request goes out."""
        self._sent_s.append(now_s)
        while self._sent_s[0] < now_s - _MEMORY_S:
            self._sent_s.popleft()

    def accepted(self, *, was_limited: bool) -> None:
        """A request was not refused; it says something about the limit if only the rate had held it back."""
        if not was_limited:
            return
        self._limited_s += 1 / self.per_s
        ahead_s = self._limited_s - _RETURN_S
        if ahead_s < 0:
            grown = self._refused_per_s * (1 - (1 - _DECREASE) * (-ahead_s / _RETURN_S) ** 3)
        else:
            grown = self._refused_per_s * (1 + (ahead_s / _DOUBLING_S) ** 3)
        self.per_s = _bounded(max(self.per_s, grown))

    def refused(self, now_s: float, sent_s: float, pause_s: float) -> None:
        """A request was answered with 429.

        Args:
            now_s: When.
            sent_s: When it had gone out. What was under way when an earlier one was refused says nothing new.
            pause_s: How long the cloud asks everybody to wait.
        """
        if sent_s >= self._since_s:
            least = self.per_s * _GREATEST_DECREASE / _DECREASE
            self._refused_per_s = _bounded(min(max(self._too_fast_per_s(now_s, pause_s), least), self.per_s))
            self.per_s = _bounded(self._refused_per_s * _DECREASE)
            self._limited_s = 0.0
            self._sent_s.clear()
        self._since_s = max(self._since_s, now_s + pause_s)

    def _too_fast_per_s(self, now_s: float, pause_s: float) -> float:
        """What was really sent, which may be less than was allowed.

        A pause that is long against the time before it says that an allowance was used up, which has to last for both.
        """
        over_s = min(now_s - max(self._since_s, self._busy_since_s(now_s)), _MEMORY_S)
        if over_s > 4 * pause_s:
            over_s, pause_s = min(over_s, _RECENT_S), 0.0
        return sum(sent_s >= now_s - over_s for sent_s in self._sent_s) / (over_s + pause_s)

    def _busy_since_s(self, now_s: float) -> float:
        """Since when requests have gone out without a pause: an outage before says nothing about the limit."""
        longest_s = max(_REST_S, 5 / self.per_s)
        since_s = now_s
        for sent_s in reversed(self._sent_s):
            if since_s - sent_s > longest_s:
                break
            since_s = sent_s
        return since_s


class TokenBucket:
    """Spaces requests evenly; times are seconds of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._next_s = now_s  # by the schedule

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next request may go out."""
        return max(0.0, self._next_s - _AHEAD_S - now_s)

    def take(self, now_s: float, per_s: float) -> None:
        """A request goes out."""
        self._next_s = max(self._next_s, now_s) + 1 / per_s

    def pause_until(self, at_s: float) -> None:
        """Nothing goes out before an instant, and no burst at it."""
        self._next_s = max(self._next_s, at_s + _AHEAD_S)


def _bounded(per_s: float) -> float:
    return min(max(per_s, SLOWEST_PER_S), FASTEST_PER_S)

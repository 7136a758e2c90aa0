"""When to try, to look and to ask again: pure, in seconds of a monotonic clock that is handed in."""

import math
from dataclasses import dataclass

from gateway.cloud.retry import backoff_s
from gateway.uploads.standing import Standing

_BASE_S, _CAP_S = 2.0, 900.0
_LINE_CAP_S = 60.0

MAX_CUTS = 10
"""After so many it is rather the recording than the line: something in between may not let it through."""

_CUT_S, _CUT_CAP_S = 3600.0, 6 * 3600.0

_REFUSED_S = 60.0
_REFUSED_GROWTH = 4.0

RESEND_S = 3600.0
"""How long an answer is waited for in vain until a recording is sent again, where the cloud cannot be asked."""

ABSENT_APART_S = 60.0
"""Only what is absent twice, and this far apart, is absent: the cloud may still be filing it."""

_LOOKUP_S = 30.0

_POLLS_S = (1.0, 2.0, 5.0, 10.0)
_POLL_GROWTH, _POLL_CAP_S = 1.5, 300.0

STALE_S = 24 * 3600.0
"""The cloud's work on a recording should not take longer."""

_STALE_POLL_S = 3600.0


def again_s(failures: int, jitter: float) -> float:
    """Until one is sent again that did not get through for the n-th time (from 1) since the start."""
    return backoff_s(failures, jitter, _BASE_S, _CAP_S)


def after_cut_s(cuts: int, jitter: float) -> float:
    """Until one is sent again that was cut off in the middle n times in a row (from 1) since the start."""
    if cuts < MAX_CUTS:
        return again_s(cuts, jitter)
    return float(min(_CUT_CAP_S, _CUT_S * 2.0 ** min(cuts - MAX_CUTS, 8)))


def after_refusal_s(tries: int) -> float:
    """Until one is sent again that was sent n times (from 1) and not clearly taken.

    Never soon: a cloud that is unwell for minutes must not bring one out of the queue after another.
    """
    return float(min(_CAP_S, _REFUSED_S * _REFUSED_GROWTH ** min(tries - 1, 8)))


def lookup_s(asked: int) -> float:
    """Until the cloud is asked whether it has one, n times after that was asked."""
    return float(min(_CAP_S, _LOOKUP_S * 2.0 ** min(asked, 16)))


def poll_s(asked: int, age_s: float) -> float:
    """Until the cloud is asked how far its work is, n times after that was asked, on what it has for so long."""
    if age_s >= STALE_S:
        return _STALE_POLL_S
    if asked < len(_POLLS_S):
        return _POLLS_S[asked]
    return float(min(_POLL_CAP_S, _POLLS_S[-1] * _POLL_GROWTH ** min(asked - len(_POLLS_S) + 1, 64)))


def resend_s(known_s: float, sent_ago_s: float | None) -> float:
    """Until one is sent again of which the cloud cannot be asked.

    Args:
        known_s: For how long this process has known that the answer is lost.
        sent_ago_s: How long ago it was sent by the wall clock; None if that is not sure, or not needed.
    """
    waited_s = known_s if sent_ago_s is None else max(known_s, sent_ago_s)
    return max(0.0, RESEND_S - waited_s)


@dataclass(frozen=True, slots=True)
class Line:
    """Whether anything can be sent and asked at all; what stands in the way of one stands in the way of all.

    Attributes:
        failures: In a row.
        next_s: When to try again.
        trouble: Why it was not possible; None if it was, the last time.
    """

    failures: int = 0
    next_s: float = -math.inf
    trouble: Standing | None = None

    def wait_s(self, now_s: float) -> float:
        """Until something may be tried."""
        return max(0.0, self.next_s - now_s)

    def failed(self, trouble: Standing, now_s: float, jitter: float) -> "Line":
        """Something did not get through."""
        failures = self.failures + 1
        return Line(failures, now_s + backoff_s(failures, jitter, _BASE_S, _LINE_CAP_S), trouble)

    def held(self, trouble: Standing, now_s: float, pause_s: float) -> "Line":
        """Nobody is to try before that."""
        return Line(self.failures + 1, now_s + pause_s, trouble)

    def impatient(self, now_s: float) -> "Line":
        """A person wants it to be tried now."""
        return Line(self.failures, min(self.next_s, now_s), self.trouble)

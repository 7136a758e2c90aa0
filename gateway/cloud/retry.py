"""When to ask again: pure functions of what the server said and how often it failed."""

import math
from email.utils import parsedate_to_datetime

DEFAULT_RETRY_AFTER_S = 5.0
"""A 429 without a usable Retry-After; working clients of this API assume the same."""

SHORTEST_RETRY_AFTER_S = 1.0
LONGEST_RETRY_AFTER_S = 900.0
"""A longer silence would be a fault of the server: nobody accepts a blank screen for more than a quarter of an hour."""


def retry_after_s(retry_after: str | None, date: str | None = None) -> float:
    """How long a 429 asks us to wait, in seconds from 1 to 900.

    Args:
        retry_after: The Retry-After header: seconds or an HTTP date.
        date: The Date header of the same answer. A date to wait for is measured from it and never from our clock,
            which may not be set yet.

    Source: RFC 9110, section 10.2.3.
    """
    wait_s = math.nan
    try:
        wait_s = float(retry_after or "")
    except ValueError:
        try:
            until, since = parsedate_to_datetime(retry_after or ""), parsedate_to_datetime(date or "")
            wait_s = until.timestamp() - since.timestamp()
        except (ValueError, OverflowError, OSError):
            pass
    if math.isnan(wait_s):
        return DEFAULT_RETRY_AFTER_S
    return min(max(wait_s, SHORTEST_RETRY_AFTER_S), LONGEST_RETRY_AFTER_S)


def backoff_s(failures: int, jitter: float, base_s: float = 0.5, cap_s: float = 15.0) -> float:
    """Seconds to wait after the n-th failure in a row (from 1): a random part of a capped exponential.

    The whole wait is random, not a part added to it, so that gateways that failed together do not return together.

    Args:
        failures: Failures in a row, 1 or more.
        jitter: Uniform in [0, 1).
        base_s: Longest wait after the first failure.
        cap_s: Longest wait at all.
    """
    return jitter * min(cap_s, base_s * 2.0 ** min(failures - 1, 64))


class RetryBudget:
    """Keeps retries to a tenth of the requests, so that a struggling server is not struck by more than before.

    The first ten are free: a short command must survive a bad second too.
    """

    _EARNED_PER_REQUEST = 0.1
    _FULL = 10.0

    def __init__(self) -> None:
        self._left = self._FULL

    def earn(self) -> None:
        """Count one request that is no retry."""
        self._left = min(self._FULL, self._left + self._EARNED_PER_REQUEST)

    def spend(self) -> bool:
        """Take one retry; False if none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

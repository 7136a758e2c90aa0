"""The wall clock, as far as it can be trusted."""

import math
from collections.abc import Callable

SURE_S = 1.0
"""For how long it is believed that the clock is sure, or not: to find out is a look at the disk."""


class WallClock:
    """What time it is, and how long ago something was.

    Attributes:
        utc_ms: The time, epoch ms, right or not.
    """

    def __init__(self, utc_ms: Callable[[], int], is_sure: Callable[[], bool], now: Callable[[], float]) -> None:
        """Make it.

        Args:
            utc_ms: The wall clock, epoch ms.
            is_sure: Whether that can be trusted.
            now: The monotonic clock, seconds.
        """
        self.utc_ms = utc_ms
        self._ask = is_sure
        self._now = now
        self._is_sure, self._until_s = False, -math.inf

    def ago_s(self, at_ms: int) -> float | None:
        """How long ago something was, at epoch ms; None if that is not known."""
        if (now_s := self._now()) >= self._until_s:
            self._is_sure, self._until_s = self._ask(), now_s + SURE_S
        return max(0.0, (self.utc_ms() - at_ms) / 1000) if self._is_sure else None

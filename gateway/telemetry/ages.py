"""How old a tracker's newest rows are when they arrive: from the measurement to the ring."""

from statistics import median

import numpy as np

_SLOTS = 60
_NEVER = -_SLOTS


class Ages:
    """The last minute of one tracker: the worst age of each second, so that memory and cost do not grow.

    An age is negative where the tracker's clock runs ahead of the reference.
    """

    def __init__(self) -> None:
        self._age_ms = np.zeros(_SLOTS, np.int64)
        self._second = np.full(_SLOTS, _NEVER, np.int64)

    def add(self, age_ms: int, now_s: float) -> None:
        """Newer rows arrived, the newest of them this old, at a time of the monotonic clock."""
        second = int(now_s)
        slot = second % _SLOTS
        if self._second[slot] != second or self._age_ms[slot] < age_ms:
            self._second[slot] = second
            self._age_ms[slot] = age_ms

    def median_ms(self, now_s: float) -> int | None:
        """Of the last 60 seconds; None if nothing newer arrived in them."""
        ages_ms: list[int] = self._age_ms[self._second > int(now_s) - _SLOTS].tolist()
        # Not numpy's median: of sixty numbers it takes ten times as long.
        return round(median(ages_ms)) if ages_ms else None

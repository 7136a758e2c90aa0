"""The session lock: while athletes train, and for some time after, nothing of their sensors is changed. Pure."""

LOCK_S = 600.0
"""For how long after somebody last ran: a break, an explanation at the board, is no end."""


class SessionLock:
    """Of the whole fleet. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._ran_s: float | None = None

    def moved(self, now_s: float) -> None:
        """Somebody runs."""
        self._ran_s = now_s

    def until_s(self, now_s: float) -> float | None:
        """Until when athletes are taken to train; None if they do not."""
        if self._ran_s is None or now_s >= self._ran_s + LOCK_S:
            return None
        return self._ran_s + LOCK_S

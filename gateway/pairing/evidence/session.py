"""The session lock: while athletes train, and for some time after, nothing of their sensors is changed. Pure."""

LOCK_S = 600.0
"""For how long after somebody last ran: a break, an explanation at the board, is no end."""


LISTEN_S = 15.0
"""Before that nobody knows whether somebody runs: a gateway may be started in the middle of a session."""


class SessionLock:
    """Of the whole fleet. Times are seconds of one monotonic clock."""

    def __init__(self, now_s: float) -> None:
        self._listened_s = now_s + LISTEN_S
        self._ran_s: float | None = None

    def moved(self, now_s: float) -> None:
        """Somebody runs."""
        self._ran_s = now_s

    def until_s(self, now_s: float) -> float | None:
        """Until when athletes are taken to train; None if they do not."""
        until_s = self._listened_s if self._ran_s is None else self._ran_s + LOCK_S
        return until_s if now_s < until_s else None

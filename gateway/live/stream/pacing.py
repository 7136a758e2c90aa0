"""How fast: the past to those who ask for it, and messages from them. Pure: they are told the time."""

SNAPSHOT_BYTES_PER_S = 256 * 1024
"""To one client, so that a laptop that connects does not take the Wi-Fi from the others."""

SNAPSHOTS_BYTES_PER_S = 1024 * 1024
"""To all, who may come at once after a cut."""


class Pace:
    """A speed that is kept by waiting after each portion."""

    def __init__(self, per_s: float, burst: float = 0.0) -> None:
        """Make one that was not used.

        Args:
            per_s: The speed.
            burst: How much more may go at once, so that small portions do not wait for each other.
        """
        self._per_s = per_s
        self._burst_s = burst / per_s
        self._spent_until_s = float("-inf")

    @property
    def due_s(self) -> float:
        """When the next portion may go."""
        return self._spent_until_s - self._burst_s

    def spend(self, amount: float, now_s: float) -> None:
        """A portion goes now."""
        self._spent_until_s = max(self._spent_until_s, now_s) + amount / self._per_s


class Bucket:
    """A speed with something in hand: so many at once, refilled at so many per second."""

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._at_s = now_s

    def take(self, now_s: float, count: int = 1) -> bool:
        """Take one or some; False if there are not as many."""
        self._level = min(self._burst, self._level + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._level < count:
            return False
        self._level -= count
        return True

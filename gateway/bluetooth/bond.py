"""What there has been between a sensor and its tracker: one moment alone misleads."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bond:
    """Of one sensor and one tracker. Times are seconds of one monotonic clock.

    Attributes:
        both_since_s: Since when the sensor is in the air and the tracker delivers; None if that is not so.
        unused_since_s: Since when it is in the air and the tracker, which is on, gets nothing; None if that is not so.
        delivered_s: When the tracker delivered last; None if it never did.
    """

    both_since_s: float | None = None
    unused_since_s: float | None = None
    delivered_s: float | None = None
    _both_for_s: float = 0.0

    def note(self, *, is_seen: bool, delivers: bool | None, now_s: float) -> None:
        """Take in how it stands.

        Args:
            is_seen: Whether the sensor is in the air.
            delivers: Whether the tracker sends what the sensor measures; None if it is silent.
            now_s: Now.
        """
        if delivers:
            self.delivered_s = now_s
        self.both_since_s = _since(self.both_since_s, now_s, is_so=is_seen and delivers is True)
        self.unused_since_s = _since(self.unused_since_s, now_s, is_so=is_seen and delivers is False)
        if delivers is not None:
            self._both_for_s = 0.0 if self.both_since_s is None else now_s - self.both_since_s

    @property
    def both_for_s(self) -> float:
        """For how long both were so, up to when the tracker fell silent."""
        return self._both_for_s


def _since(since_s: float | None, now_s: float, *, is_so: bool) -> float | None:
    if not is_so:
        return None
    return now_s if since_s is None else since_s

"""Whether the cloud as a whole answers the tails: one problem for a person, however many trackers feel it."""

from gateway.cloud.errors import CloudError

UNREACHABLE_AFTER_S = 5.0
"""How long nobody may have had an answer: longer than a hiccup, short enough to be on the screen within ten seconds."""


class Reachability:
    """Told of every poll's outcome; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._error: CloudError | None = None
        self._failing_since_s = 0.0

    def answered(self) -> None:
        """Some poll had its answer."""
        self._error = None

    def failed(self, error: CloudError, now_s: float) -> None:
        """Some poll failed; the newest cause is the one to tell."""
        if self._error is None:
            self._failing_since_s = now_s
        self._error = error

    def trouble(self, now_s: float) -> CloudError | None:
        """What to tell people; None while the cloud answers anybody or has only just stopped."""
        return self._error if now_s - self._failing_since_s >= UNREACHABLE_AFTER_S else None

"""Whether the cloud as a whole answers: one problem for a person, however many trackers feel it."""

from gateway.cloud.errors import Broken, CloudError, Unreachable

UNREACHABLE_AFTER_S = 6.0
"""How long nobody may have had an answer: longer than a hiccup, and short enough to be on the screen within ten seconds
even where every tracker has a stream, which is missed for 3 s before anybody asks."""


class Reachability:
    """Told of every question and of how it ended; times are seconds of one monotonic clock.

    Judged by the last answer that anybody had and not by failures: in a network that swallows everything, the first
    failure comes only when the first request has waited in vain.

    Attributes:
        error: How the newest question ended, if nobody had an answer since.
    """

    def __init__(self) -> None:
        self.error: CloudError | None = None
        self._waiting_since_s: float | None = None

    def asked(self, now_s: float) -> None:
        """Somebody asks the cloud something."""
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s

    def answered(self) -> None:
        """Somebody had an answer, or rows that the cloud sent by itself."""
        self.error = None
        self._waiting_since_s = None

    def idle(self) -> None:
        """Nobody asks any more; who asked last may have been stopped before his answer came."""
        self.answered()

    def failed(self, error: CloudError, now_s: float) -> None:
        """Somebody's question failed; the newest cause is the one to tell."""
        self.asked(now_s)
        self.error = error

    def trouble(self, now_s: float) -> CloudError | None:
        """What to tell people; None while the cloud answers anybody, or has only just stopped, or nobody asks."""
        if self._waiting_since_s is None or now_s - self._waiting_since_s < UNREACHABLE_AFTER_S:
            return None
        return self.error or Unreachable("latest_data", Broken.TIMEOUT)

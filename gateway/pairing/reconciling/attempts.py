"""When a tracker is tried again after a failure, and what makes the waiting start anew: pure."""

import math
from dataclasses import dataclass, replace

from gateway.cloud.errors import (
    BadAnswer,
    CloudError,
    Forbidden,
    LoginRefused,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    Unauthorized,
)
from gateway.cloud.retry import backoff_s
from gateway.pairing.observation import Trouble

BASE_S, CAP_S = 2.0, 120.0
STABLE_S = 600.0
SPREAD_S = 30.0
"""Over how long all trackers come back after the cloud was out of reach for all of them."""

LOST_AFTER = 3
"""Failures in a row, whoever's they are, after which the cloud counts as out of reach."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Of one tracker.

    Attributes:
        failures: That count for the next wait; a success does not forget them.
        next_s: When the next request may be sent, monotonic seconds.
        failed_s: When the last one failed.
    """

    failures: int = 0
    next_s: float = -math.inf
    failed_s: float = -math.inf

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next request may be sent."""
        return max(0.0, self.next_s - now_s)

    def failed(self, now_s: float, jitter: float) -> "Attempts":
        """One more time; those before ten minutes without any are forgotten."""
        failures = (self.failures if now_s - self.failed_s < STABLE_S else 0) + 1
        return Attempts(failures, now_s + backoff_s(failures, jitter, BASE_S, CAP_S), now_s)

    def throttled(self, now_s: float, pause_s: float) -> "Attempts":
        """The cloud asked for a pause: nobody's failure."""
        return replace(self, next_s=max(self.next_s, now_s + pause_s))

    def postponed(self, now_s: float, jitter: float) -> "Attempts":
        """Wait once more as after the last failure."""
        return replace(self, next_s=now_s + backoff_s(max(1, self.failures), jitter, BASE_S, CAP_S))

    def restored(self, now_s: float, jitter: float) -> "Attempts":
        """The cloud is back for everybody: a long wait has lost its cause, and not all come at once."""
        return Attempts(next_s=min(self.next_s, now_s + SPREAD_S * jitter))


class Connection:
    """Whether the cloud can be reached at all, as far as everybody's requests tell."""

    def __init__(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        """A request found no cloud, or none that works."""
        self._failures += 1

    def answered(self) -> bool:
        """A request was answered, with a refusal perhaps; True if the cloud was out of reach before."""
        was_lost, self._failures = self._failures >= LOST_AFTER, 0
        return was_lost


def trouble_of(error: CloudError) -> Trouble:
    """The class of a failure."""
    match error:
        case Throttled():
            return Trouble.RATE_LIMITED
        case LoginRefused() | Unauthorized():
            return Trouble.AUTH
        case Forbidden():
            return Trouble.FORBIDDEN
        case ServerFailed():
            return Trouble.SERVER
        case NotFound() if not error.is_path_unknown:
            return Trouble.REJECTED
        case Rejected():
            return Trouble.REJECTED
        case BadAnswer() | NotFound():
            return Trouble.BAD_ANSWER
        case _:
            return Trouble.OFFLINE


FOR_ALL = frozenset({Trouble.OFFLINE, Trouble.AUTH, Trouble.SERVER})
"""Failures that may be everybody's; any other, a pause that is asked for among them, shows that the cloud is there."""

"""What the sessions of one server have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway.access.audit import DONE
from gateway.access.caller import Caller
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS, Limits
from gateway.live.stream.groups import Groups
from gateway.live.stream.pacing import SNAPSHOTS_BYTES_PER_S, Pace
from gateway.live.stream.times import Times
from gateway.secret import Secret
from insiders_codecs.live import MAX_FRAME_BYTES


class DoorkeeperView(Protocol):
    """Who knows which tokens let in."""

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        """Whose token this is; raises `NotAdmittedError`."""

    def holds(self, caller: Caller) -> bool:
        """Whether who was let in still is."""


class AuditView(Protocol):
    """Who takes note of who does what."""

    def note(self, caller: Caller | None, deed: str, subject: str = "", outcome: str = DONE, address: str = "") -> None:
        """Take note."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of one server have in common.

    Attributes:
        hub: The gateway.
        served: What can be asked for over HTTP besides the samples.
        limits: What one client may take.
        doorkeeper: Knows the tokens; None if there are none.
        audit: Takes note of who looks; None if nobody does.
        groups: All subscriptions.
        pace: Of the past to all clients.
        times: Makes the messages that tell the time.
    """

    hub: Hub
    served: Sequence[str] = ()
    limits: Limits = LIMITS
    doorkeeper: DoorkeeperView | None = None
    audit: AuditView | None = None
    groups: Groups = field(default_factory=Groups)
    pace: Pace = field(default_factory=lambda: Pace(SNAPSHOTS_BYTES_PER_S, MAX_FRAME_BYTES))
    times: Times = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", Times(self.hub))

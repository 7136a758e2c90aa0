"""Who asks: the person and device behind a request, and how much of the team they may see."""

from dataclasses import dataclass

from gateway.access.roles import Action, Role, may


@dataclass(frozen=True, slots=True)
class Scope:
    """How much of the team somebody may see.

    Attributes:
        squads: Only athletes of these; None for all.
        is_gnss_only: Position, speed and what the tracker says of itself, but neither heart rate nor power.
    """

    squads: frozenset[str] | None = None
    is_gnss_only: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """A person on a device, let in.

    Attributes:
        person: Their name, as it was given when they were let in.
        device: Which of their devices.
        role: What they may do.
        scope: Of whom.
        grant: Id of what lets them in; None if the place does: the local socket, or an open loopback.
        expires_ms: When that ends, epoch ms; None if it does not.
    """

    person: str
    device: str
    role: Role
    scope: Scope = Scope()
    grant: str | None = None
    expires_ms: int | None = None

    def may(self, action: Action) -> bool:
        """Whether they may do something."""
        return may(self.role, action)

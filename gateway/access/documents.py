"""What is said about access over HTTP, by the gateway and by those who ask it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.access.audit import Line
from gateway.access.caller import Scope
from gateway.access.grants import Grant, NewGrant
from gateway.access.roles import Role


class GrantForm(Struct, frozen=True):
    """Who is to be let in: the body of ``POST /api/v1/access`` and, without device, of ``POST /api/v1/access/codes``.

    Attributes:
        person: Their name.
        device: Which of their devices.
        role: What they may do.
        squads: Only athletes of these; None for all. Only for viewers, as is
        gnss_only: Neither heart rate nor power.
        days: How long; None until the season ends.
    """

    person: str
    device: str = ""
    role: Role = Role.VIEWER
    squads: tuple[str, ...] | None = None
    gnss_only: bool = False
    days: int | None = None

    def new(self) -> NewGrant:
        """The same, not yet checked."""
        squads = None if self.squads is None else frozenset(self.squads)
        return NewGrant(self.person, self.device, self.role, Scope(squads, self.gnss_only), self.days)


class PairForm(Struct, frozen=True, rename={"form": "as"}):
    """The body of ``POST /api/v1/pair``.

    Attributes:
        code: The one-time code.
        device: What the device calls itself.
        form: How it wants its token: told, or as a cookie.
    """

    code: Annotated[str, Meta(max_length=100)]
    device: str
    form: Literal["token", "cookie"] = "token"


class GrantReport(Struct, frozen=True):
    """A device that is let in; `Grant` says what the fields are."""

    id: str
    person: str
    device: str
    role: Role
    squads: tuple[str, ...] | None
    gnss_only: bool
    created_ms: int
    created_by: str
    expires_ms: int
    used_ms: int | None


class AccessReport(Struct, frozen=True):
    """The answer of ``GET /api/v1/access``.

    Attributes:
        grants: All devices, oldest first.
        problem: Why what was changed last may be undone by a restart, one sentence; "" if it will not.
    """

    grants: tuple[GrantReport, ...]
    problem: str = ""


class SquadsReport(Struct, frozen=True):
    """The answer of ``GET /api/v1/access/squads``.

    Attributes:
        squads: Those of the configuration, to which viewers can be limited.
    """

    squads: tuple[str, ...]


class GrantedReport(Struct, frozen=True):
    """The answer of ``POST /api/v1/access``: the token is told once."""

    grant: GrantReport
    token: str


class CodeReport(Struct, frozen=True):
    """The answer of ``POST /api/v1/access/codes``.

    Attributes:
        code: The one-time code.
        url: What to open; the code stands behind "#", so that it never reaches a log.
        qr: The same as an image, a ``data:`` URL.
        expires_ms: When it is worth nothing any more, epoch ms.
        fingerprint: SHA-256 of the gateway's certificate, hexadecimal; None if it has none.
    """

    code: str
    url: str
    qr: str
    expires_ms: int
    fingerprint: str | None


class AuditReport(Struct, frozen=True):
    """The answer of ``GET /api/v1/audit``: lines, newest first; ask for older ones with ``before`` = the last id."""

    lines: tuple[Line, ...]


def reported(grant: Grant) -> GrantReport:
    """A grant as it is told."""
    squads = None if grant.scope.squads is None else tuple(sorted(grant.scope.squads))
    return GrantReport(
        grant.id,
        grant.person,
        grant.device,
        grant.role,
        squads,
        grant.scope.is_gnss_only,
        grant.created_ms,
        grant.created_by,
        grant.expires_ms,
        grant.used_ms,
    )

"""Who may do what: the one table. What it does not name, nobody may."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a person is to the gateway."""

    VIEWER = "viewer"  # a coach: released athletes, live
    TECHNICIAN = "technician"  # also sensors, pairings, recordings
    ADMIN = "admin"  # also people, releases, certificates, the audit log


class Action(StrEnum):
    """What can be done, as far as it is allowed or not as a whole."""

    FOLLOW = "follow"  # live rows, their recent past, gaps
    SEE_SENSORS = "see_sensors"
    INSPECT_SENSORS = "inspect_sensors"
    SEE_PAIRINGS = "see_pairings"
    CHANGE_PAIRINGS = "change_pairings"
    SEE_RECORDINGS = "see_recordings"
    ADD_RECORDINGS = "add_recordings"
    DECIDE_RECORDINGS = "decide_recordings"
    SEE_COUNTERS = "see_counters"
    INVITE_VIEWERS = "invite_viewers"
    SEE_RELEASES = "see_releases"
    WITHDRAW_RELEASES = "withdraw_releases"
    GIVE_RELEASES = "give_releases"
    MANAGE_ACCESS = "manage_access"  # everybody's devices, codes for every role
    READ_AUDIT = "read_audit"
    MANAGE_TLS = "manage_tls"


_VIEWER = frozenset({Action.FOLLOW})
_TECHNICIAN = _VIEWER | {
    Action.SEE_SENSORS,
    Action.INSPECT_SENSORS,
    Action.SEE_PAIRINGS,
    Action.CHANGE_PAIRINGS,
    Action.SEE_RECORDINGS,
    Action.ADD_RECORDINGS,
    Action.DECIDE_RECORDINGS,
    Action.SEE_COUNTERS,
    Action.INVITE_VIEWERS,
    Action.SEE_RELEASES,
    Action.WITHDRAW_RELEASES,
}
_ADMIN = _TECHNICIAN | {Action.GIVE_RELEASES, Action.MANAGE_ACCESS, Action.READ_AUDIT, Action.MANAGE_TLS}

MAY: Mapping[Role, frozenset[Action]] = MappingProxyType(
    {Role.VIEWER: _VIEWER, Role.TECHNICIAN: _TECHNICIAN, Role.ADMIN: _ADMIN}
)
"""What each role may do."""


def may(role: Role, action: Action) -> bool:
    """Whether a role may do something."""
    return action in MAY.get(role, frozenset())

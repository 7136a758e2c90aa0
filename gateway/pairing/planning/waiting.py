"""Waiting for a tracker: why it has not taken over what the cloud has for it, since when too long, when to look again.

Nothing in here ever makes a write. Ages are seconds of one monotonic clock.
"""

from gateway.pairing.conditions import Reason
from gateway.pairing.documents import Slot
from gateway.pairing.observation import Observation

OFFLINE_AFTER_S = 30.0
"""A tracker that has brought nothing for so long is off, or has no network: it is silent."""

LISTENED_AFTER_S = 60.0
"""So long a gateway must have listened before the silence of a tracker means anything."""

STALLED_CONTACTS = 3
"""So often it may come back without taking over what the cloud has for it: the first acknowledgement may be lost."""

STALLED_AFTER_S = 30 * 60.0
"""So long after it came back it has had every opportunity."""

STUCK_WRITE_S = 60.0
"""A write is three requests, each with a time-out and some patience with the cloud's budget."""

PUSH_S = 120.0
"""So long a tracker that was told at once may take before somebody has to switch it off and on."""

IN_SYNC_S, UNMANAGED_S, NEEDS_HUMAN_S = 60.0, 120.0, 900.0
"""How old a reading may become where nothing is expected."""

_SCHEDULE = ((120.0, 15.0), (STALLED_AFTER_S, 60.0))
_LATER_S = 300.0
"""While a tracker is waited for: until so long after something moved, every so many seconds; after that, rarely."""


def is_hardly_known(seen: Observation) -> bool:
    """Whether nothing has come of a tracker, and nothing had to."""
    return seen.contact_ago_s is None and seen.listened_s < LISTENED_AFTER_S


def awaited(seen: Observation, slot: Slot) -> Reason:
    """Why a slot of a tracker is not as the cloud has it: the one thing that a person can do about it."""
    if not seen.is_released:
        return Reason.AWAITING_POWER_CYCLE  # nobody listens to it, so it may be switched on or not
    if is_hardly_known(seen):
        return Reason.AWAITING_DEVICE
    if seen.contact_ago_s is None or seen.contact_ago_s >= OFFLINE_AFTER_S:
        return Reason.DEVICE_OFFLINE  # nor stalled, however often it came: it has no opportunity now
    if seen.contacts >= STALLED_CONTACTS or (seen.contacts and seen.still_s >= STALLED_AFTER_S):
        return Reason.DEVICE_CONTACTED_BUT_UNCHANGED
    was_pushed = seen.desired.word(slot).is_immediate and (seen.waiting_s is None or seen.waiting_s < PUSH_S)
    return Reason.AWAITING_DEVICE if seen.contacts or was_pushed else Reason.AWAITING_POWER_CYCLE


def read_every_s(seen: Observation, *, is_awaited: bool, is_given_up: bool) -> float:
    """How old what was read of a tracker may become; a failure puts that off, whatever it is.

    Args:
        seen: The tracker.
        is_awaited: Whether it does not have yet what the cloud has for it, in a slot that is ours to watch.
        is_given_up: Whether only a person can go on.
    """
    if seen.is_ours is False:
        return UNMANAGED_S
    if seen.documents is None or seen.memory.intent is not None:
        return 0.0
    if not seen.desired.managed:
        return UNMANAGED_S
    if is_given_up:
        return NEEDS_HUMAN_S
    return _awaiting_every_s(seen) if is_awaited else IN_SYNC_S


def is_fresh(seen: Observation, every_s: float) -> bool:
    """Whether what was read still counts: two periods, and longer as long as nothing says that reading fails."""
    least_s = IN_SYNC_S if seen.trouble else _LATER_S
    return seen.read_ago_s is not None and seen.read_ago_s < 2 * max(every_s, least_s)


def _awaiting_every_s(seen: Observation) -> float:
    """How old a reading may become while a tracker is waited for: often after anything has moved, then rarely."""
    still_s = seen.still_s if seen.waiting_s is None else min(seen.still_s, seen.waiting_s)
    return next((every_s for until_s, every_s in _SCHEDULE if still_s < until_s), _LATER_S)

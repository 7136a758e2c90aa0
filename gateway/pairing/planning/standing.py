"""Where one tracker stands: the first of all that stands in the way of what is wanted, from the most basic on.

1. It is not ours, or was never read: nothing is known.
2. Nothing is wanted of it: it is left alone.
3. A write is going on, or what became of the last one is not known: that is read first, before anything else.
4. A sensor cannot be what is wanted.
5. A sensor belongs to another slot: one that keeps it, one that is about to let it go, or nobody knows yet; or
   somebody else wanted it as it is, which is only told.
6. Another controller writes too; a person has stopped our writes, or the clock or the disk has.
7. The cloud has refused just this before.
8. A person has to agree, also to undo what somebody else did.
9. Athletes train.
10. The cloud answers nobody, or the last request has failed and the next one waits.
11. The target has changed under each of several attempts.

What passes all of them is written. 4, 5, 8 and 9 are of one slot, and do not keep the other from being written. 6 to 11
matter only if something is to be written: a tracker that has what is wanted is in sync while athletes train.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from gateway.pairing.conditions import ConditionType, Finding, Reason, Status
from gateway.pairing.memory import Refusal
from gateway.pairing.planning.cases import Case
from gateway.pairing.planning.changes import is_drifted
from gateway.pairing.planning.findings import OK, Findings, Key
from gateway.pairing.planning.steps import Step, StepKind
from gateway.pairing.planning.waiting import STUCK_WRITE_S

REPLANS = 3
"""So often in a row what was to be written may be based on a target that has changed meanwhile."""


class State(StrEnum):
    """Where one tracker stands."""

    UNKNOWN = "unknown"  # never read, or not ours
    UNMANAGED = "unmanaged"
    IN_SYNC = "in_sync"
    PROPOSED = "proposed"  # waits until all of the fleet was read
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_RELEASE = "awaiting_release"  # a handover: another tracker has to let the sensor go first
    WRITING = "writing"  # now, or something was, and it is not known what became of it
    AWAITING_DEVICE = "awaiting_device"
    DRIFTED = "drifted"
    CONFLICT = "conflict"  # another tracker has or wants the sensor, and a person has to decide
    REJECTED = "rejected"  # the sensor is not taken by the cloud, or cannot be what is wanted
    BACKOFF = "backoff"
    STALLED = "stalled"
    NEEDS_HUMAN = "needs_human"
    SUSPENDED = "suspended"  # something is to be written, and must not be now


class Standing(NamedTuple):
    """Where a tracker stands.

    Attributes:
        state: Where.
        because: What says so: one of the conditions that were found, or what no other condition tells.
        is_due: Whether what is due may be written now.
    """

    state: State
    because: Key | Finding
    is_due: bool = False


def standing(case: Case, found: Findings, refusal: Refusal | None) -> Standing:
    """The first that stands in the way.

    Args:
        case: The tracker.
        found: What is true of it.
        refusal: That the cloud has refused before what is due now.
    """
    seen = case.seen
    if not seen.is_ours or seen.documents is None or found[_REACHABLE].reason is Reason.FORBIDDEN:
        return Standing(State.UNKNOWN, _REACHABLE)
    if not case.steps:
        return Standing(State.UNMANAGED, Finding(Status.TRUE, Reason.UNMANAGED))
    if seen.is_busy or seen.memory.intent is not None:
        return _writing(case, found)
    slot_in_trouble = _slot_in_trouble(case)
    obstacle = _obstacle(case, found, refusal) if case.due else None
    is_due = bool(case.granted) and obstacle is None
    if slot_in_trouble is not None:
        return slot_in_trouble._replace(is_due=is_due)
    if obstacle is not None:
        return obstacle
    if is_due:
        return Standing(State.WRITING, _unaccepted(case, found), is_due=True)
    return _waiting(case, found)


_REACHABLE: Key = (ConditionType.CLOUD_REACHABLE, None)
_SUSPENDED: Key = (ConditionType.SUSPENDED, None)
_APPROVED: Key = (ConditionType.APPROVED, None)


def _writing(case: Case, found: Findings) -> Standing:
    """A write that is going on, or of which it is not known what has become."""
    seen = case.seen
    if case.fleet.outage is not None:
        return Standing(State.BACKOFF, _REACHABLE)
    if seen.is_busy and seen.busy_s >= STUCK_WRITE_S:
        since = {"since": case.ago(seen.busy_s)}
        return Standing(State.STALLED, Finding(Status.FALSE, Reason.NO_PROGRESS, since))
    is_put_off = not seen.is_busy and seen.next_try_s > 0
    return Standing(State.BACKOFF if is_put_off else State.WRITING, _unaccepted(case, found))


def _slot_in_trouble(case: Case) -> Standing | None:
    """The worst that keeps one slot from having its sensor, or from having it for itself."""
    for state, is_it, condition in _TROUBLES:
        for slot, step in case.steps.items():
            if is_it(step):
                # What waits for others and for a person as well goes on only with that person.
                is_unapproved = state is State.AWAITING_RELEASE and slot in case.unapproved
                return _unapproved(case) if is_unapproved else Standing(state, (condition, slot))
    return None


def _is_kept_elsewhere(step: Step) -> bool:
    if step.kind is StepKind.IN_PLACE:
        return step.unique is Status.FALSE and step.reason is not Reason.AWAITING_RELEASE
    return step.kind is StepKind.HELD


_TROUBLES: Sequence[tuple[State, Callable[[Step], bool], ConditionType]] = (
    (State.REJECTED, lambda step: step.kind is StepKind.INVALID, ConditionType.VALID),
    (State.CONFLICT, _is_kept_elsewhere, ConditionType.UNIQUE),
    (State.DRIFTED, lambda step: step.kind is StepKind.WATCHED, ConditionType.TARGET_ACCEPTED),
    (State.AWAITING_RELEASE, lambda step: step.kind is StepKind.AWAIT_RELEASE, ConditionType.UNIQUE),
    (State.PROPOSED, lambda step: step.kind is StepKind.NOT_READ, ConditionType.UNIQUE),
)


def _obstacle(case: Case, found: Findings, refusal: Refusal | None) -> Standing | None:
    """The first that keeps a tracker from being written."""
    suspended = found[_SUSPENDED]
    if suspended.status is Status.TRUE and suspended.reason is not Reason.SESSION_LOCK:
        return Standing(State.SUSPENDED, _SUSPENDED)
    if refusal is not None:
        return Standing(State.REJECTED, _unaccepted(case, found))
    if not case.granted:
        return Standing(State.SUSPENDED, _SUSPENDED) if not case.unapproved else _unapproved(case)
    if case.fleet.outage is not None:
        return Standing(State.BACKOFF, _REACHABLE)
    if case.seen.next_try_s > 0:
        is_cloud = found[_REACHABLE].status is not Status.TRUE
        return Standing(State.BACKOFF, _REACHABLE if is_cloud else _unaccepted(case, found))
    if case.seen.replans >= REPLANS:
        return Standing(State.NEEDS_HUMAN, Finding(Status.FALSE, Reason.NEEDS_HUMAN))
    return None


def _unapproved(case: Case) -> Standing:
    is_drift = any(is_drifted(case.seen, slot) for slot in case.unapproved)
    return Standing(State.DRIFTED if is_drift else State.AWAITING_APPROVAL, _APPROVED)


def _waiting(case: Case, found: Findings) -> Standing:
    """All targets are as wanted: what is left is the tracker's to do."""
    is_read = found[_REACHABLE].status is Status.TRUE
    for slot in case.steps:
        key = (ConditionType.DEVICE_CONVERGED, slot)
        if found[key].status is not Status.TRUE:
            is_stalled = is_read and found[key].reason is Reason.DEVICE_CONTACTED_BUT_UNCHANGED
            return Standing(State.STALLED if is_stalled else State.AWAITING_DEVICE, key if is_read else _REACHABLE)
    keys = (key for key in found if key[0] in _OF_READY and found[key].status is not Status.TRUE)
    return Standing(State.IN_SYNC, next(keys, OK))


_OF_READY = {ConditionType.CLOUD_REACHABLE, ConditionType.VALID, ConditionType.UNIQUE}
"""Without which a tracker is not as it should be though it has the right sensors."""


def _unaccepted(case: Case, found: Findings) -> Key | Finding:
    """What is said of the first slot that the cloud does not have as wanted; all may be as wanted again by now."""
    keys = ((ConditionType.TARGET_ACCEPTED, slot) for slot in sorted(case.steps, key=lambda slot: slot not in case.due))
    key = next((key for key in keys if found[key].status is not Status.TRUE), None)
    return Finding(Status.UNKNOWN, Reason.NOT_READ_YET) if key is None else key

"""What is true of one tracker's pairings, condition by condition, before it is put into words."""

from collections.abc import Mapping

from gateway.pairing.conditions import ConditionType, Finding, Reason, Status
from gateway.pairing.documents import Document, Sensor, Slot, Wanted
from gateway.pairing.memory import Refusal
from gateway.pairing.observation import Observation, Trouble
from gateway.pairing.planning import sensing, waiting
from gateway.pairing.planning.cases import Case
from gateway.pairing.planning.changes import Why, change_of, is_drifted
from gateway.pairing.planning.holding import Where
from gateway.pairing.planning.sentences import approving, called, explaining, taking
from gateway.pairing.planning.steps import Step
from gateway.pairing.planning.validity import validity

Key = tuple[ConditionType, Slot | None]
"""A condition, and the slot that it is of; None if it is the tracker's."""

Findings = dict[Key, Finding]

OK = Finding(Status.TRUE, Reason.OK)
_NOT = Finding(Status.FALSE, Reason.OK)


def findings(case: Case, refusal: Refusal | None, every_s: float) -> Findings:
    """What is true of a tracker; the summary, and whether work goes on, follow from these.

    Args:
        case: The tracker.
        refusal: That the cloud has refused before what is due now.
        every_s: How often it is to be read.
    """
    found: Findings = {
        (ConditionType.SUSPENDED, None): _suspended(case),
        (ConditionType.CLOUD_REACHABLE, None): _reachable(case, every_s),
    }
    if not case.steps:
        return found
    found[ConditionType.APPROVED, None] = _approved(case)
    for slot, step in case.steps.items():
        wanted = case.seen.desired[slot]
        if case.seen.documents is None:
            found[ConditionType.TARGET_ACCEPTED, slot] = Finding(Status.UNKNOWN, Reason.NOT_READ_YET)
            found[ConditionType.DEVICE_CONVERGED, slot] = Finding(Status.UNKNOWN, Reason.NOT_READ_YET)
        else:
            found[ConditionType.TARGET_ACCEPTED, slot] = _accepted(case, slot, case.seen.documents.target, refusal)
            found[ConditionType.DEVICE_CONVERGED, slot] = _converged(case, slot)
        if isinstance(wanted, Sensor):
            found[ConditionType.VALID, slot] = Finding(*validity(wanted, slot, case.seen.air.get(slot)))
            found[ConditionType.UNIQUE, slot] = _unique(case, slot, step)
            found[ConditionType.SENSOR_SEEN, slot] = sensing.seen(case.seen, slot, wanted, case.fleet, case.zone)
            found[ConditionType.SENSOR_DELIVERING, slot] = sensing.delivering(case.seen, slot, wanted)
            if slot is Slot.HEART_RATE:
                found[ConditionType.SENSOR_MATCHED, slot] = sensing.matched(case.seen, wanted)
    return found if case.fleet.outage is None else {key: _unproved(finding) for key, finding in found.items()}


def _unproved(finding: Finding) -> Finding:
    """The same while the cloud is away: that a tracker is silent then proves nothing about it."""
    is_silence = finding.reason in {Reason.DEVICE_OFFLINE, Reason.TRACKER_OFFLINE}
    return Finding(Status.UNKNOWN, Reason.CLOUD_AWAY) if is_silence else finding


def _suspended(case: Case) -> Finding:
    """What stops all writes of a tracker; the session comes last because it ends by itself."""
    fleet, memory = case.fleet, case.seen.memory
    if memory.rival_since_ms is not None:
        return _stopped(Reason.DUPLICATE_CONTROLLER, since=case.clock(memory.rival_since_ms))
    for reason, by in ((Reason.OPERATOR_SUSPEND, memory.suspension), (Reason.FLEET_PAUSE, fleet.pause)):
        if by is not None:
            return _stopped(reason, author=by.author or "somebody", since=case.clock(by.at_ms))
    if not fleet.is_clock_sure:
        return _stopped(Reason.CLOCK_UNSYNCED)
    if not fleet.is_store_working:
        return _stopped(Reason.STORE_FAILED)
    pending = ((slot, case.pending[slot]) for slot in case.due)
    waiting = next((slot for slot, it in pending if it.change_set and not it.is_during_session), None)
    if fleet.session_until_ms is None or not case.is_in_session or waiting is None:
        return _NOT
    return _stopped(Reason.SESSION_LOCK, until=case.clock(fleet.session_until_ms), hash=_hash(case, waiting))


def _stopped(reason: Reason, **facts: str) -> Finding:
    return Finding(Status.TRUE, reason, facts)


_TROUBLES: Mapping[Trouble, Reason] = {
    Trouble.OFFLINE: Reason.OFFLINE,
    Trouble.AUTH: Reason.AUTH_FAILED,
    Trouble.RATE_LIMITED: Reason.RATE_LIMITED,
    Trouble.SERVER: Reason.SERVER_ERROR,
    Trouble.BAD_ANSWER: Reason.BAD_ANSWER,
    Trouble.REJECTED: Reason.BAD_ANSWER,
}


def _reachable(case: Case, every_s: float) -> Finding:
    """Whether a tracker's documents were read lately: one failure is none as long as they are young."""
    seen = case.seen
    if seen.is_ours is False:
        return Finding(Status.FALSE, Reason.NOT_OURS)
    if case.fleet.outage is not None:
        outage = {"outage": case.fleet.outage.text, "remedy": case.fleet.outage.action}
        return Finding(Status.FALSE, Reason.CLOUD_AWAY, outage)
    if seen.trouble is Trouble.FORBIDDEN:
        return Finding(Status.FALSE, Reason.FORBIDDEN)
    if seen.is_ours and seen.documents is not None and waiting.is_fresh(seen, every_s):
        return OK
    if seen.trouble is not None and seen.trouble in _TROUBLES:
        read = "not read yet" if seen.read_ago_s is None else f"last read at {case.ago(seen.read_ago_s)}"
        return Finding(Status.FALSE, _TROUBLES[seen.trouble], {"read": read})
    return Finding(Status.UNKNOWN, Reason.NOT_READ_YET)


_WHY: Mapping[Why, str] = {
    Why.SWAP: "A sensor moves to another tracker",
    Why.REMOVAL: "A sensor is taken away",
    Why.BULK: "Many trackers change at once",
    Why.DRIFT: "Somebody else has changed it",
}


def _approved(case: Case) -> Finding:
    if not case.pending or not any(it.change_set for it in case.pending.values()):
        return Finding(Status.TRUE, Reason.NOTHING_TO_APPROVE)
    if not case.unapproved:
        return OK
    slot = case.unapproved[0]
    it = case.pending[slot]
    facts = {"hash": _hash(case, slot), "why": _WHY[it.change_set.why[0]] if it.change_set else ""}
    if it.latest is not None:
        facts |= {"author": it.latest.author or "somebody", "since": case.clock(it.latest.at_ms)}
    return Finding(Status.FALSE, it.consent, facts)


def _hash(case: Case, slot: Slot) -> str:
    change_set = case.pending[slot].change_set
    return "" if change_set is None else change_set.hash


def _unique(case: Case, slot: Slot, step: Step) -> Finding:
    if step.reason is Reason.OK:
        return OK
    if step.other is None:
        return Finding(step.unique, step.reason)
    facts = {"other": step.other, "taking": _taking(case, slot, step), "release": _release(case, step)}
    return Finding(step.unique, step.reason, facts)


def _taking(case: Case, slot: Slot, step: Step) -> str:
    """How a sensor is taken from another tracker; one that is to lose it anyway says by itself what that waits for."""
    other = case.others[step.other or case.seen.serial_number]
    if other.is_ours is False:  # what it has is only remembered, and no command reaches it
        return f"claim {other.serial_number} again, or take it out of the configuration"
    its = _slot_with(other, case.seen.desired[slot], slot)
    if step.where is None or change_of(other, its) is None:
        return taking(other.serial_number, other.desired.origin, its)
    change_set = case.sets.get((other.serial_number, its))
    if change_set is not None and not change_set.is_approved:
        return approving(change_set.hash)
    return explaining(other.serial_number)


def _slot_with(seen: Observation, wanted: Wanted, otherwise: Slot) -> Slot:
    """The slot of a tracker that has a sensor or shall have it."""
    address = wanted.address if isinstance(wanted, Sensor) else None
    for slot in Slot:
        had = None if seen.documents is None else seen.documents.target[slot]
        if any(isinstance(it, Sensor) and it.address == address for it in (had, seen.desired[slot])):
            return slot
    return otherwise


def _release(case: Case, step: Step) -> str:
    holder = case.others.get(step.other or "")
    is_safe = holder is not None and not any(_is_unwanted(holder, slot) for slot in holder.desired.managed)
    if step.where is Where.CURRENT and is_safe:
        return f"switch {step.other} off and on"
    return explaining(step.other or "")


def _accepted(case: Case, slot: Slot, target: Document, refusal: Refusal | None) -> Finding:
    """Whether the cloud has what is wanted of a slot, and how it stands with telling it."""
    seen, intent = case.seen, case.seen.memory.intent
    if intent is not None and slot in intent.changed:
        return Finding(Status.UNKNOWN, Reason.WRITING if seen.is_busy else Reason.OUTCOME_UNKNOWN)
    wanted = seen.desired[slot]
    if seen.memory.is_same(target[slot], wanted if isinstance(wanted, Sensor) else None):
        return OK
    if slot in case.due and seen.is_busy:
        return being_written(slot, case.due[slot])
    if slot in case.due and refusal is not None:
        return _refused(refusal)
    if is_drifted(seen, slot):
        return Finding(Status.FALSE, Reason.OVERWRITTEN_BY_OTHER)
    is_failing = slot in case.due and seen.trouble is not None and seen.next_try_s > 0
    return Finding(Status.FALSE, Reason.WRITE_FAILED if is_failing else Reason.NOT_WRITTEN)


def being_written(slot: Slot, sensor: Sensor | None) -> Finding:
    """That a slot becomes this: what is wanted, or nothing for as long as another tracker needs what it has."""
    return Finding(Status.FALSE, Reason.WRITING, {"sensor": called(sensor, slot)})


def _refused(refusal: Refusal) -> Finding:
    facts = {"remark": f": {refusal.text}" if refusal.text else ""}
    if refusal.kind is Refusal.Kind.REJECTED:
        return Finding(Status.FALSE, Reason.REJECTED, facts)
    if refusal.form is not None:
        facts["correct"] = "set another clear_form under [pairing] in the configuration"
    return Finding(Status.FALSE, Reason.NOT_ECHOED, facts)


def _converged(case: Case, slot: Slot) -> Finding:
    """Whether a tracker has what the cloud has for it, whether or not that is wanted."""
    seen = case.seen
    if is_converged(seen, slot):
        return OK
    if any(_is_unwanted(seen, its) for its in seen.desired.managed):
        return Finding(Status.FALSE, Reason.TARGET_UNWANTED)
    reason = waiting.awaited(seen, slot)
    return Finding(Status.FALSE, reason, {"since": case.ago(seen.waiting_s or 0.0)})


def _is_unwanted(seen: Observation, slot: Slot) -> bool:
    """Whether a tracker that starts now takes over what nobody wants; a slot cleared for a handover is meant so."""
    change = change_of(seen, slot)
    if change is None or is_converged(seen, slot):
        return False
    return change.before is not None or is_drifted(seen, slot)


def is_converged(seen: Observation, slot: Slot) -> bool:
    """Whether a slot of the current document is as in the target; false before these were read."""
    if seen.documents is None:
        return False
    return seen.memory.is_same(seen.documents.current[slot], seen.documents.target[slot])

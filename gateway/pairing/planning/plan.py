"""From all that is known of a fleet to what is true, what to do next, and when to look again: a pure function.

In `standing` is written in which order the things that stand in the way of a write count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

import msgspec

from gateway.pairing.conditions import Condition, ConditionType, Finding, Reason, Status
from gateway.pairing.documents import Document, Sensor, Slot
from gateway.pairing.memory import Refusal, fingerprint
from gateway.pairing.observation import Fleet, Observation
from gateway.pairing.planning.cases import Case, cases
from gateway.pairing.planning.changes import ChangeSet, change_sets, hash_of
from gateway.pairing.planning.findings import Findings, Key, being_written, findings, is_converged
from gateway.pairing.planning.sentences import condition, slot_facts, tracker_facts
from gateway.pairing.planning.standing import REPLANS, Standing, State, standing
from gateway.pairing.planning.waiting import read_every_s

__all__ = ["Plan", "State", "TrackerPlan", "Write", "plan"]


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one target that is due now.

    Attributes:
        base: The target it is made for: if the cloud has another one by now, it must not be written.
        changes: What becomes of which slots; None clears one. Only managed slots.
        generation: Of what is desired.
        is_immediate: Whether the tracker is told at once.
        approvals: Hashes of the approvals that it rests on, needed or not.
    """

    base: Document
    changes: Mapping[Slot, Sensor | None]
    generation: int
    is_immediate: bool = False
    approvals: tuple[str, ...] = ()

    @property
    def payload(self) -> Document:
        """The target that it makes."""
        document = self.base
        for slot, sensor in self.changes.items():
            document = document.with_(slot, sensor)
        return document

    @property
    def fingerprint(self) -> str:
        """Of the generation and of what is sent, as `Intent` and `Refusal` keep it."""
        return fingerprint(self.generation, self.payload)


@dataclass(frozen=True, slots=True)
class TrackerPlan:
    """Of one tracker.

    Attributes:
        serial_number: Of the tracker.
        state: Where it stands.
        conditions: What is true of it, the summary first.
        write: What to write now; None mostly.
        read_every_s: How old what was read of it may become before it is read again, seconds; 0 is at once.
        change_set: Hash of the changes that it is part of, of those that wait for a person if there are two; None if
            nothing is to change.
    """

    serial_number: str
    state: State
    conditions: tuple[Condition, ...]
    write: Write | None
    read_every_s: float
    change_set: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Of the fleet.

    Attributes:
        trackers: By serial number, in the order of the roster.
        change_sets: What is to change, in groups that are approved and done together.
        hash: Of all of it together; "" if nothing is to change.
    """

    trackers: Mapping[str, TrackerPlan]
    change_sets: tuple[ChangeSet, ...]
    hash: str


def plan(fleet: Fleet, zone: tzinfo | None = None) -> Plan:
    """What is true of each tracker, and what to do about it next.

    Args:
        fleet: All that is known.
        zone: In which times are told; None is that of this machine.
    """
    sets = change_sets(fleet)
    trackers = {case.seen.serial_number: _tracker(case) for case in cases(fleet, sets, zone)}
    return Plan(trackers, sets, hash_of(change for one in sets for change in one.changes))


def _tracker(case: Case) -> TrackerPlan:
    seen, write = case.seen, _write(case)
    every_s = read_every_s(
        seen,
        is_awaited=any(not is_converged(seen, slot) for slot in case.steps),
        is_given_up=write is not None and seen.replans >= REPLANS,
    )
    refusal = None if write is None else _refusal(write, seen)
    found = findings(case, refusal, every_s)
    stands = standing(case, found, refusal)
    return TrackerPlan(
        serial_number=seen.serial_number,
        state=stands.state,
        conditions=_in_words(case, found, stands),
        write=write if stands.is_due else None,
        read_every_s=every_s,
        change_set=_change_set(case),
    )


def _write(case: Case) -> Write | None:
    """What is due as far as other trackers go, whether or not it may be written now."""
    if not case.due or case.seen.documents is None:
        return None
    pending = [case.pending[slot] for slot in case.due]
    return Write(
        base=case.seen.documents.target,
        changes=case.due,
        generation=case.seen.desired.generation,
        is_immediate=any(it.is_immediate for it in pending),
        approvals=tuple(sorted({it.approval.hash for it in pending if it.approval is not None})),
    )


def _change_set(case: Case) -> str | None:
    hashes = [it.change_set.hash for slot in (*case.unapproved, *case.pending) if (it := case.pending[slot]).change_set]
    return next(iter(hashes), None)


def _refusal(write: Write, seen: Observation) -> Refusal | None:
    if not seen.memory.refusals:
        return None
    fingerprint = write.fingerprint
    return next((it for it in seen.memory.refusals if it.fingerprint == fingerprint), None)


def _in_words(case: Case, found: Findings, stands: Standing) -> tuple[Condition, ...]:
    """All conditions in their order. The summary says again what says where the tracker stands."""
    if stands.is_due:
        found |= {(ConditionType.TARGET_ACCEPTED, slot): being_written(slot, it) for slot, it in case.due.items()}
    if case.steps:
        found |= _work(stands, found)
    facts = _facts(case)
    told = {(type_, slot): condition(type_, slot, it, facts[slot]) for (type_, slot), it in found.items()}
    if isinstance(stands.because, Finding):
        ready = condition(ConditionType.READY, None, stands.because, facts[None])
    else:
        because = told[stands.because]
        status = Status.UNKNOWN if because.status is Status.UNKNOWN else Status.FALSE
        ready = msgspec.structs.replace(because, type=ConditionType.READY, slot=None, status=status)
    return (ready, *(told[key] for key in _IN_ORDER if key in told))


_IN_ORDER: Sequence[Key] = tuple((type_, slot) for type_ in ConditionType for slot in (None, *Slot))


_WORK: Mapping[State, Reason] = {
    State.WRITING: Reason.WRITING,
    State.BACKOFF: Reason.RETRYING,
    State.AWAITING_RELEASE: Reason.WAITING,
    State.AWAITING_DEVICE: Reason.WAITING,
    State.PROPOSED: Reason.WAITING,
}


def _work(stands: Standing, found: Findings) -> Findings:
    """Whether work goes on, and whether it is stuck."""
    reason = Reason.WRITING if stands.is_due else _WORK.get(stands.state, Reason.IDLE)
    stuck = Finding(Status.FALSE, Reason.OK)
    if stands.state in {State.STALLED, State.NEEDS_HUMAN}:
        why = stands.because if isinstance(stands.because, Finding) else found[stands.because]
        stuck = why._replace(status=Status.TRUE)
    return {
        (ConditionType.RECONCILING, None): Finding(Status.FALSE if reason is Reason.IDLE else Status.TRUE, reason),
        (ConditionType.STALLED, None): stuck,
    }


def _facts(case: Case) -> Mapping[Slot | None, Mapping[str, str]]:
    """What sentences name: those about the tracker, and those about each slot."""
    seen, origin = case.seen, case.seen.desired.origin
    of_tracker = tracker_facts(seen.serial_number, origin)
    facts: dict[Slot | None, Mapping[str, str]] = {None: of_tracker}
    for slot in case.steps:
        wanted, found = seen.desired[slot], None if seen.documents is None else seen.documents.target[slot]
        facts[slot] = slot_facts(of_tracker, origin, slot, wanted if isinstance(wanted, Sensor) else None, found)
    return facts

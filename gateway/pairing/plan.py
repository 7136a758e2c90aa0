"""From all that is known of a fleet to what is true, what to do next, and when to look again: a pure function."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from gateway.pairing.changes import ChangeSet
from gateway.pairing.conditions import Condition, ConditionType, Reason, Status
from gateway.pairing.documents import Document, Sensor, Slot
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Fleet, Observation


class State(StrEnum):
    """Where one tracker stands."""

    UNKNOWN = "unknown"  # never read, or not ours
    UNMANAGED = "unmanaged"
    IN_SYNC = "in_sync"
    PROPOSED = "proposed"
    AWAITING_APPROVAL = "awaiting_approval"
    AWAITING_RELEASE = "awaiting_release"  # a handover: another tracker has to let the sensor go first
    WRITING = "writing"
    AWAITING_DEVICE = "awaiting_device"
    DRIFTED = "drifted"
    CONFLICT = "conflict"
    REJECTED = "rejected"
    BACKOFF = "backoff"
    STALLED = "stalled"
    NEEDS_HUMAN = "needs_human"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Write:
    """A change of one target that is due now.

    Attributes:
        base: The target it is made for: if the cloud has another one by now, it must not be written.
        changes: What becomes of which slots; None clears one. Only managed slots.
        generation: Of what is desired.
        is_immediate: Whether the tracker is told at once.
        approval: Hash of the approval that it rests on; None if it needs none.
    """

    base: Document
    changes: Mapping[Slot, Sensor | None]
    generation: int
    is_immediate: bool = False
    approval: str | None = None

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
        content = msgspec.json.encode((self.generation, self.payload), order="deterministic")
        return hashlib.sha256(content).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class TrackerPlan:
    """Of one tracker.

    Attributes:
        serial_number: Of the tracker.
        state: Where it stands.
        conditions: What is true of it, the summary first.
        write: What to write now; None mostly.
        read_every_s: How old what was read of it may become before it is read again, seconds; 0 is at once.
        change_set: Hash of the changes that it is part of; None if nothing is to change.
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


def plan(fleet: Fleet) -> Plan:
    """What is true of each tracker, and what to do about it next."""
    return Plan({tracker.serial_number: _tracker(tracker) for tracker in fleet.trackers}, (), "")


def _tracker(seen: Observation) -> TrackerPlan:
    state, write, every_s = _state(seen)
    status = Status.TRUE if state in {State.IN_SYNC, State.UNMANAGED} else Status.FALSE
    ready = Condition(ConditionType.READY, None, status, Reason.OK, state.value.replace("_", " ").capitalize())
    return TrackerPlan(seen.serial_number, state, (ready,), write, every_s, None)


def _state(seen: Observation) -> tuple[State, Write | None, float]:
    if not seen.is_ours or seen.documents is None:
        return State.UNKNOWN, None, 0.0
    if not seen.desired.managed:
        return State.UNMANAGED, None, 120.0
    if seen.memory.intent is not None or seen.is_busy:
        return State.WRITING, None, 0.0
    target, current = seen.documents.target, seen.documents.current
    changes: dict[Slot, Sensor | None] = {}
    for slot in seen.desired.managed:
        wanted = seen.desired[slot]
        sensor = wanted if isinstance(wanted, Sensor) else None
        if not _is_same(target[slot], sensor, seen.memory):
            changes[slot] = sensor
    if changes:
        write = Write(target, changes, seen.desired.generation, seen.desired.is_immediate)
        if any(refusal.fingerprint == write.fingerprint for refusal in seen.memory.refusals):
            return State.REJECTED, None, 60.0
        if seen.next_try_s > 0:
            return State.BACKOFF, None, 60.0
        return State.WRITING, write, 60.0
    is_done = all(_is_same(current[slot], target[slot], seen.memory) for slot in seen.desired.managed)
    return (State.IN_SYNC, None, 60.0) if is_done else (State.AWAITING_DEVICE, None, 15.0)


def _is_same(kept: Sensor | None, wanted: Sensor | None, memory: Memory) -> bool:
    """Whether what the cloud keeps is what is wanted, its own way with names aside."""
    return kept == wanted or any((known.wanted, known.kept) == (wanted, kept) for known in memory.renamings)

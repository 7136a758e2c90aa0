"""From all that is known of a fleet to what is true, what to do next, and when to look again: a pure function."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.pairing.changes import ChangeSet
from gateway.pairing.conditions import Condition
from gateway.pairing.documents import Document, Sensor, Slot
from gateway.pairing.observation import Fleet


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
    raise NotImplementedError

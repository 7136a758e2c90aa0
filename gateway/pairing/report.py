"""What is told about the trackers' pairings: the bodies of `/api/v1/pairings…`.

Closed sets are plain strings here, so that an older reader survives what a newer gateway says.
"""

import msgspec

from gateway.pairing.documents import Sensor, Wanted


class ConditionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One condition.

    Attributes:
        type: A `ConditionType`.
        slot: "heart_rate" or "power"; None if it is the tracker's.
        status: "true", "false" or "unknown".
        reason: A `Reason`.
        text: The same for a technician, one sentence without full stop.
        action: What to do next, one clause; "" if nothing is to be done.
        other: Serial number of the other tracker that it is about, one that is to let a sensor go for example.
        since_ms: Since when status and reason are what they are, epoch ms.
    """

    type: str
    slot: str | None
    status: str
    reason: str
    text: str
    action: str
    since_ms: int
    other: str | None = None


class SlotReport(msgspec.Struct, frozen=True, kw_only=True):
    """One slot of a tracker.

    Attributes:
        slot: "heart_rate" or "power".
        desired: What we want: a sensor, "none", or "unmanaged".
        target: What the cloud will give the tracker; None if nothing, or if it was not read yet.
        current: What the tracker last acknowledged.
    """

    slot: str
    desired: Wanted
    target: Sensor | None
    current: Sensor | None


class EventReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a pairing.

    Attributes:
        slot: Of which slot; None if of the tracker.
        reason: What, a short word.
        text: One sentence without full stop.
        author: Who did it; "" if nobody in particular.
        count: How often, repeats merged.
        first_ms: When first, epoch ms.
        last_ms: When last, epoch ms.
    """

    slot: str | None
    reason: str
    text: str
    author: str
    count: int
    first_ms: int
    last_ms: int


class PairingReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="pairing"):
    """One tracker.

    Attributes:
        serial_number: On its label.
        name: Of its athlete; None if nobody in particular wears it.
        number: Of the athlete's shirt.
        managed_by: "file", "field" or "nobody".
        state: A `State`.
        text: How it stands, one sentence without full stop.
        action: What to do next, one clause; "" if nothing is to be done.
        generation: Of what is desired.
        slots: Heart rate, then power.
        conditions: All of them, the summary first.
        change_set: Hash of the changes that it is part of; None if nothing is to change.
        read_ms: When the cloud said so, epoch ms; None if it did not yet.
        events: What has happened, newest first; empty in a list of all trackers.
    """

    serial_number: str
    name: str | None
    number: int | None
    managed_by: str
    state: str
    text: str
    action: str
    generation: int
    slots: tuple[SlotReport, ...]
    conditions: tuple[ConditionReport, ...]
    change_set: str | None
    read_ms: int | None
    events: tuple[EventReport, ...] = ()


class PairingsReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="pairings"):
    """All trackers.

    Attributes:
        utc_ms: When this was written, epoch ms.
        mode: What is done about changes by others: "observe", "propose" or "enforce".
        paused_by: Who has stopped all writes; None if nobody has.
        session_until_ms: Until when athletes are taken to train, epoch ms; None if they do not.
        trackers: In the order of the roster.
    """

    utc_ms: int
    mode: str
    paused_by: str | None
    session_until_ms: int | None
    trackers: tuple[PairingReport, ...]


class ChangeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What would become different in one slot.

    Attributes:
        serial_number, name, number: The tracker.
        slot: "heart_rate" or "power".
        before, after: The sensor now, and then; None is none.
        state: Where the tracker stands.
        text: The same, one sentence without full stop.
    """

    serial_number: str
    name: str | None
    number: int | None
    slot: str
    before: Sensor | None
    after: Sensor | None
    state: str
    text: str


class ChangeSetReport(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that are approved and done together.

    Attributes:
        hash: To approve them by.
        why: Why a person must: "swap", "removal", "bulk", "drift"; empty if nobody must.
        is_approved: Whether nobody must, or somebody has.
        changes: What they are.
    """

    hash: str
    why: tuple[str, ...]
    is_approved: bool
    changes: tuple[ChangeReport, ...]


class PlanReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="pairing_plan"):
    """What is to change.

    Attributes:
        hash: To approve all of it by; "" if nothing is to change.
        session_until_ms: Until when athletes are taken to train and changes wait, epoch ms; None if they do not.
        change_sets: In groups.
    """

    hash: str
    session_until_ms: int | None
    change_sets: tuple[ChangeSetReport, ...]


class TeamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of one tracker, in a list for a team.

    Attributes:
        serial_number: On its label.
        heart_rate, power: What is wanted.
        generation: Of that; None in a list that somebody has written by hand.
    """

    serial_number: str
    heart_rate: Wanted
    power: Wanted
    generation: int | None = None


class TeamReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="pairing_team"):
    """What is wanted of all trackers: what an export gives and an import takes."""

    trackers: tuple[TeamEntry, ...]

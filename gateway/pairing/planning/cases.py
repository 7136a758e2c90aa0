"""Each tracker of a fleet together with what the rest of the fleet, and people's approvals, mean for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from gateway.pairing.approval import Approval, Consents, consents, covering
from gateway.pairing.conditions import Reason
from gateway.pairing.documents import Document, Sensor, Slot
from gateway.pairing.observation import Fleet, Observation
from gateway.pairing.planning.changes import ChangeSet, change_of, was_served
from gateway.pairing.planning.holding import Place
from gateway.pairing.planning.sentences import clock
from gateway.pairing.planning.steps import Step, steps_of


@dataclass(frozen=True, slots=True)
class Pending:
    """A slot that is to change.

    Attributes:
        change_set: What it is to change with; None if we cannot change it.
        consent: Whether a person agreed where one must: OK, or why not.
        approval: The newest that covers the change, whether or not one must; None if none does.
        latest: The newest that was about this slot, whether or not it covers anything; None if there is none.
        is_during_session: Whether it may be written though athletes train.
        is_immediate: Whether the tracker is told at once.
    """

    change_set: ChangeSet | None
    consent: Reason
    approval: Approval | None
    latest: Approval | None
    is_during_session: bool
    is_immediate: bool


@dataclass(frozen=True, slots=True)
class Case:
    """One tracker with all that bears on it.

    Attributes:
        fleet: All of them.
        others: The same by serial number.
        sets: What each slot of the fleet is to change with.
        zone: In which times are told; None is that of this machine.
        seen: The tracker.
        steps: What may be done with each managed slot; empty if there is none.
        pending: Its slots that are to change.
        granted: What becomes of those slots whose turn it is and that people let change now; None clears one.
        due: The same as granted; if nothing is, of all slots whose turn it is.
    """

    fleet: Fleet
    others: Mapping[str, Observation]
    sets: Mapping[Place, ChangeSet]
    zone: tzinfo | None
    seen: Observation
    steps: Mapping[Slot, Step]
    pending: Mapping[Slot, Pending]
    granted: Mapping[Slot, Sensor | None]
    due: Mapping[Slot, Sensor | None]

    @property
    def unapproved(self) -> Sequence[Slot]:
        """The slots that wait for a person."""
        return [slot for slot, it in self.pending.items() if it.change_set and it.consent is not Reason.OK]

    @property
    def is_in_session(self) -> bool:
        """Whether athletes train."""
        return _is_in_session(self.fleet)

    def clock(self, at_ms: float) -> str:
        """An instant, for people."""
        return clock(at_ms, self.fleet.now_ms, self.zone)

    def ago(self, age_s: float) -> str:
        """An instant so long ago, for people."""
        return self.clock(self.fleet.now_ms - 1000 * age_s)


def cases(fleet: Fleet, change_sets: tuple[ChangeSet, ...], zone: tzinfo | None) -> Iterator[Case]:
    """Each tracker, in the order of the roster."""
    others = {seen.serial_number: seen for seen in fleet.trackers}
    sets = {(change.serial_number, change.slot): one for one in change_sets for change in one.changes}
    steps: dict[str, dict[Slot, Step]] = {}
    for (serial_number, slot), step in steps_of(fleet).items():
        steps.setdefault(serial_number, {})[slot] = step
    given = consents(fleet.approvals)
    for seen in fleet.trackers:
        its = steps.get(seen.serial_number, {})
        turns = {slot: step.sensor for slot, step in its.items() if step.is_write}
        pending = dict(_pending(seen, sets, given, fleet.now_ms))
        granted = _granted(seen, turns, pending, is_in_session=_is_in_session(fleet))
        yield Case(fleet, others, sets, zone, seen, its, pending, granted, granted or turns)


def _pending(
    seen: Observation, sets: Mapping[Place, ChangeSet], given: Consents, now_ms: int
) -> Iterator[tuple[Slot, Pending]]:
    for slot in seen.desired.managed:
        change = change_of(seen, slot)
        if change is None:
            continue
        place, word = (seen.serial_number, slot), seen.desired.word(slot)
        change_set = sets.get(place)
        approval, why_not = covering(change, given, seen.memory, now_ms)
        # What was said of a wish was said of fulfilling it, and not of defending it for ever.
        is_meant = not was_served(seen, slot)
        is_during_session = is_meant and word.is_during_session
        is_immediate = is_meant and word.is_immediate
        is_agreed = change_set is None or change_set.is_approved
        yield (
            slot,
            Pending(
                change_set=change_set,
                consent=Reason.OK if is_agreed else Reason.APPROVAL_NEEDED if why_not is Reason.OK else why_not,
                approval=approval,
                latest=given[place][0][0] if place in given else None,
                is_during_session=is_during_session or (approval is not None and approval.is_during_session),
                is_immediate=is_immediate or (approval is not None and approval.is_immediate),
            ),
        )


def _granted(
    seen: Observation,
    turns: Mapping[Slot, Sensor | None],
    pending: Mapping[Slot, Pending],
    *,
    is_in_session: bool,
) -> Mapping[Slot, Sensor | None]:
    """Of the slots whose turn it is those that people let change, and that do not rest on one that they do not."""
    target = seen.documents.target if seen.documents is not None else Document()
    granted = {
        slot: sensor
        for slot, sensor in turns.items()
        if pending[slot].consent is Reason.OK and (pending[slot].is_during_session or not is_in_session)
    }
    kept = {had.address for slot in Slot if slot not in granted and (had := target[slot]) is not None}
    return {slot: sensor for slot, sensor in granted.items() if sensor is None or sensor.address not in kept}


def _is_in_session(fleet: Fleet) -> bool:
    return fleet.session_until_ms is not None and fleet.now_ms < fleet.session_until_ms

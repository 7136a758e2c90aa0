"""Each tracker of a fleet together with what the rest of the fleet, and people's approvals, mean for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from gateway.pairing.approval import Approval, Consents, consents, covering
from gateway.pairing.conditions import Reason
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.observation import Fleet, Mode, Observation
from gateway.pairing.planning.changes import ChangeSet, change_of, is_drifted
from gateway.pairing.planning.sentences import clock
from gateway.pairing.planning.steps import Step, steps_of


@dataclass(frozen=True, slots=True)
class Case:
    """One tracker with all that bears on it.

    Attributes:
        fleet: All of them.
        others: The same by serial number.
        zone: In which times are told; None is that of this machine.
        seen: The tracker.
        steps: What may be done with each managed slot; empty if there is none.
        due: What becomes of the slots whose turn it is; None clears one.
        change_set: What it is to change with; None if nothing is to change.
        consent: Whether a person agreed where one must: OK, or why not.
        approval: The newest that covers any of these changes, whether or not one must; None if none does.
        latest: The newest that was about this tracker, whether or not it covers anything; None if there is none.
        is_drift: Whether somebody else made the target what it is.
        is_during_session: Whether it may be written though athletes train.
        is_immediate: Whether the tracker is told at once.
    """

    fleet: Fleet
    others: Mapping[str, Observation]
    zone: tzinfo | None
    seen: Observation
    steps: Mapping[Slot, Step]
    due: Mapping[Slot, Sensor | None]
    change_set: ChangeSet | None
    consent: Reason
    approval: Approval | None
    latest: Approval | None
    is_drift: bool
    is_during_session: bool
    is_immediate: bool

    @property
    def is_watched(self) -> bool:
        """Whether what somebody else did is only to be told."""
        return self.is_drift and self.fleet.mode is Mode.OBSERVE

    def clock(self, at_ms: float) -> str:
        """An instant, for people."""
        return clock(at_ms, self.fleet.now_ms, self.zone)

    def ago(self, age_s: float) -> str:
        """An instant so long ago, for people."""
        return self.clock(self.fleet.now_ms - 1000 * age_s)


def cases(fleet: Fleet, change_sets: tuple[ChangeSet, ...], zone: tzinfo | None) -> Iterator[Case]:
    """Each tracker, in the order of the roster."""
    others = {seen.serial_number: seen for seen in fleet.trackers}
    sets = {change.serial_number: one for one in change_sets for change in one.changes}
    steps: dict[str, dict[Slot, Step]] = {}
    for (serial_number, slot), step in steps_of(fleet).items():
        steps.setdefault(serial_number, {})[slot] = step
    given = consents(fleet.approvals)
    for seen in fleet.trackers:
        its = steps.get(seen.serial_number, {})
        due = {slot: step.sensor for slot, step in its.items() if step.is_write}
        resting = [_covering(seen, slot, given, fleet.now_ms) for slot in due]
        approvals = [approval for approval, _ in resting if approval is not None]
        change_set = sets.get(seen.serial_number)
        yield Case(
            fleet=fleet,
            others=others,
            zone=zone,
            seen=seen,
            steps=its,
            due=due,
            change_set=change_set,
            consent=_consent(seen, change_set, given, fleet.now_ms),
            approval=max(approvals, key=lambda approval: approval.at_ms, default=None),
            latest=next((given[key][0][0] for slot in Slot if (key := (seen.serial_number, slot)) in given), None),
            is_drift=is_drifted(seen),
            is_during_session=seen.desired.is_during_session
            or all(approval is not None and approval.is_during_session for approval, _ in resting),
            is_immediate=seen.desired.is_immediate or any(approval.is_immediate for approval in approvals),
        )


def _consent(seen: Observation, change_set: ChangeSet | None, given: Consents, now_ms: int) -> Reason:
    """Why a tracker's changes may not be made yet; OK if they may, or if there are none."""
    if change_set is None or change_set.is_approved:
        return Reason.OK
    why_not = (_covering(seen, slot, given, now_ms)[1] for slot in Slot if change_of(seen, slot) is not None)
    return next((reason for reason in why_not if reason is not Reason.OK), Reason.APPROVAL_NEEDED)


def _covering(seen: Observation, slot: Slot, given: Consents, now_ms: int) -> tuple[Approval | None, Reason]:
    change = change_of(seen, slot)
    return (None, Reason.OK) if change is None else covering(change, given, seen.memory, now_ms)

"""What may be done with each slot now, so that no sensor ever belongs to two trackers.

A slot is given a sensor only when no other tracker holds it any more. Everything follows from what the documents say
now: after a crash, or somebody else's write, the same rules go on from wherever things stand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gateway.pairing.approval import Approval, consents, covering
from gateway.pairing.conditions import Reason, Status
from gateway.pairing.documents import Sensor, Slot, Wish
from gateway.pairing.observation import Fleet, Observation
from gateway.pairing.planning.changes import as_change, change_of, is_refused, is_watched, was_served
from gateway.pairing.planning.circles import circle_of
from gateway.pairing.planning.holding import Hold, Place, Where, holds_of
from gateway.pairing.planning.validity import validity


class StepKind(StrEnum):
    """What to do with a slot."""

    IN_PLACE = "in_place"  # nothing: its target is as desired
    SET = "set"  # give it the sensor
    CLEAR = "clear"  # take its sensor away: none is desired, or another slot has to get it first
    AWAIT_RELEASE = "await_release"  # wait until another slot has let the sensor go
    HELD = "held"  # nothing: another slot has or wants the sensor, and keeps it until a person decides
    WATCHED = "watched"  # nothing: somebody else wanted it as it is, which is only told
    INVALID = "invalid"  # nothing: the sensor cannot be what is wanted
    NOT_READ = "not_read"  # wait until the fleet was read


@dataclass(frozen=True, slots=True)
class Step:
    """What to do with one slot now.

    Attributes:
        kind: What.
        reason: Of the condition that the sensor has one owner. Not all is well with every slot that is in place.
        other: The tracker that is waited for, or has or wants the sensor too; perhaps its own, with its other slot.
        where: Where that one holds it; None if it only wants it.
        sensor: What the slot becomes by SET; None otherwise.
    """

    kind: StepKind
    reason: Reason = Reason.OK
    other: str | None = None
    where: Where | None = None
    sensor: Sensor | None = None

    @property
    def is_write(self) -> bool:
        """Whether it changes the target. Those of one tracker belong into one write: one may rest on the other."""
        return self.kind in {StepKind.SET, StepKind.CLEAR}

    @property
    def unique(self) -> Status:
        """Whether the sensor has one owner."""
        if self.reason is Reason.OK:
            return Status.TRUE
        return Status.UNKNOWN if self.reason is Reason.FLEET_NOT_READ else Status.FALSE


def steps_of(fleet: Fleet) -> Mapping[Place, Step]:
    """The step of each managed slot.

    A chain (A waits for B, B for C) goes from its end, and nobody is without a sensor meanwhile. Where each waits for
    another in a circle, the targets of all of them are cleared first; then each gets its sensor as soon as it is free.
    """
    return _Steps(fleet).found()


class _Steps:
    """What is found about one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._observations = {observation.serial_number: observation for observation in fleet.trackers}
        self._holds = holds_of(fleet)
        self._consents = consents(fleet.approvals)
        self._wanting: dict[str, list[Place]] = {}
        for observation in fleet.trackers:
            for slot in observation.desired.managed:
                if isinstance(wanted := observation.desired[slot], Sensor):
                    self._wanting.setdefault(wanted.address, []).append((observation.serial_number, slot))
        unread = (it.serial_number for it in fleet.trackers if it.documents is None and it.is_ours is not False)
        self._unread = next(unread, None)
        self._steps: dict[Place, Step] = {}
        self._waits: dict[Place, set[Place]] = {}  # of each slot that waits: those that it waits for

    def found(self) -> Mapping[Place, Step]:
        """All steps."""
        for observation in self._fleet.trackers:
            steps = {slot: self._step(observation, slot) for slot in observation.desired.managed}
            self._steps |= {(observation.serial_number, slot): step for slot, step in steps.items()}
            if len(steps) == len(Slot):
                self._mind_own_slots(observation, steps)
        if self._unread is None:
            self._open_circles()
        return self._steps

    def _step(self, observation: Observation, slot: Slot) -> Step:
        """Of one slot, as far as other trackers go, and a slot of its own that stays as it is."""
        place, wanted = (observation.serial_number, slot), observation.desired[slot]
        if observation.documents is None:
            return Step(StepKind.NOT_READ, Reason.FLEET_NOT_READ, observation.serial_number)
        is_in_place = change_of(observation, slot) is None
        if not isinstance(wanted, Sensor):
            kind = StepKind.WATCHED if is_watched(observation, slot, self._fleet.mode) else StepKind.CLEAR
            return Step(StepKind.IN_PLACE if is_in_place else kind)
        holds = self._holds_of_others(observation, slot, wanted)
        claim = self._claim(place, wanted, holds)
        if is_in_place:
            if claim.reason is Reason.AWAITING_RELEASE and claim.where is not None:
                return replace(claim, reason=_HELD[claim.where])  # nothing waits for the other one: it is told
            return claim
        if is_watched(observation, slot, self._fleet.mode):
            return replace(claim, kind=StepKind.WATCHED)
        if validity(wanted, slot, observation.air.get(slot))[0] is Status.FALSE:
            return replace(claim, kind=StepKind.INVALID)
        if claim.reason is Reason.DUPLICATE_DESIRED:
            return replace(claim, kind=StepKind.HELD)
        if self._unread is not None and not holds:
            return Step(StepKind.NOT_READ, Reason.FLEET_NOT_READ, self._unread)
        if self._unread is None and self._is_free(observation, slot, holds):
            return replace(claim, kind=StepKind.SET, sensor=wanted)
        if claim.reason is not Reason.AWAITING_RELEASE:
            return replace(claim, kind=StepKind.HELD)
        self._waits[place] = {hold.place for hold in holds}
        return replace(claim, kind=StepKind.AWAIT_RELEASE)

    def _holds_of_others(self, observation: Observation, slot: Slot, wanted: Sensor) -> list[Hold]:
        """Those that have to end before the slot can have the sensor, targets first."""
        serial_number, other = observation.serial_number, _OTHER[slot]
        holds = [hold for hold in self._holds.get(wanted.address, ()) if hold.place[0] != serial_number]
        if observation.desired[other] is Wish.UNMANAGED and _has(observation, other, wanted):
            holds.append(Hold((serial_number, other), Where.TARGET))
        return sorted(holds, key=lambda hold: hold.where is Where.CURRENT)

    def _claim(self, place: Place, wanted: Sensor, holds: Sequence[Hold]) -> Step:
        """That a slot has its sensor, and whose else it is."""
        rival = next((it for it in self._wanting[wanted.address] if it != place), None)
        if rival is not None:
            return Step(StepKind.IN_PLACE, Reason.DUPLICATE_DESIRED, rival[0])
        kept = next((hold for hold in holds if not self._lets_go(hold)), None)
        if kept is not None:
            return Step(StepKind.IN_PLACE, _HELD[kept.where], kept.place[0], kept.where)
        if holds:
            return Step(StepKind.IN_PLACE, Reason.AWAITING_RELEASE, holds[0].place[0], holds[0].where)
        return Step(StepKind.IN_PLACE)

    def _lets_go(self, hold: Hold) -> bool:
        """Whether the holder will, without a person who sees to it: something else is desired of its slot."""
        serial_number, slot = hold.place
        holder = self._observations[serial_number]
        if holder.is_ours is False or holder.desired[slot] is Wish.UNMANAGED:
            return False
        return hold.where is Where.CURRENT or not self._is_stopped(holder, slot)

    def _is_free(self, observation: Observation, slot: Slot, holds: Sequence[Hold]) -> bool:
        """Whether nobody has the sensor, or it was taken from all who had and a person said not to wait for them."""
        if any(hold.where is Where.TARGET for hold in holds):
            return False
        approvals = [self._approval(observation, slot)]
        if not all(approval is not None and approval.is_unconfirmed_ok for approval in approvals):
            approvals = [self._approval(self._observations[hold.place[0]], hold.place[1]) for hold in holds]
        return all(approval is not None and approval.is_unconfirmed_ok for approval in approvals)

    def _approval(self, observation: Observation, slot: Slot) -> Approval | None:
        """What a change of a slot rests on, made already or not."""
        if observation.documents is None:
            return None
        change = as_change(observation, observation.documents.target, slot)
        return covering(change, self._consents, observation.memory, self._fleet.now_ms)[0]

    def _mind_own_slots(self, observation: Observation, steps: Mapping[Slot, Step]) -> None:
        """A sensor that moves within a tracker: both slots in one write, or after the other slot has let it go."""
        serial_number = observation.serial_number
        for slot, found in steps.items():
            other, wanted, step = _OTHER[slot], observation.desired[slot], found
            if not isinstance(wanted, Sensor) or not _has(observation, other, wanted) or steps[other].is_write:
                continue
            if step.kind is StepKind.SET:
                step = replace(step, kind=StepKind.AWAIT_RELEASE, sensor=None)
            if step.reason is Reason.OK:
                step = replace(step, reason=Reason.AWAITING_RELEASE, other=serial_number, where=Where.TARGET)
            self._steps[serial_number, slot] = step
            if step.kind is StepKind.AWAIT_RELEASE:
                self._waits.setdefault((serial_number, slot), set()).add((serial_number, other))

    def _open_circles(self) -> None:
        """Where slots wait for each other in a circle, those whose target another one of it wants clear it."""
        circle = circle_of(self._waits, [place for place, step in self._steps.items() if self._is_stuck(place, step)])
        wanted = {address for address, places in self._wanting.items() if not circle.isdisjoint(places)}
        for serial_number, slot in circle:
            had = _target(self._observations[serial_number], slot)
            if had is not None and had.address in wanted:
                step = self._steps[serial_number, slot]
                self._steps[serial_number, slot] = replace(step, kind=StepKind.CLEAR)

    def _is_stuck(self, place: Place, step: Step) -> bool:
        """Whether a slot does not go on by itself, so that it would be wrong to take another one's sensor for it."""
        if step.kind is StepKind.IN_PLACE:
            return False
        return step.kind in _STOPPED or not self._may_write(self._observations[place[0]], place[1])

    def _may_write(self, observation: Observation, slot: Slot) -> bool:
        """Whether nothing keeps a slot from being written but that a person may have to agree."""
        fleet = self._fleet
        if self._is_stopped(observation, slot):
            return False
        if fleet.session_until_ms is None or fleet.now_ms >= fleet.session_until_ms:
            return True
        approval = self._approval(observation, slot)
        is_said = observation.desired.word(slot).is_during_session and not was_served(observation, slot)
        return is_said or (approval is not None and approval.is_during_session)

    def _is_stopped(self, observation: Observation, slot: Slot) -> bool:
        """Whether a slot is not written before a person has seen to something."""
        memory = observation.memory
        if observation.is_ours is False or memory.suspension is not None or memory.rival_since_ms is not None:
            return True
        return is_watched(observation, slot, self._fleet.mode) or is_refused(observation, slot)


_OTHER = {Slot.HEART_RATE: Slot.POWER, Slot.POWER: Slot.HEART_RATE}
_HELD = {Where.TARGET: Reason.HELD_BY_OTHER_TARGET, Where.CURRENT: Reason.HELD_BY_OTHER_CURRENT}
_STOPPED = {StepKind.HELD, StepKind.WATCHED, StepKind.INVALID, StepKind.NOT_READ}


def _target(observation: Observation, slot: Slot) -> Sensor | None:
    return None if observation.documents is None else observation.documents.target[slot]


def _has(observation: Observation, slot: Slot, sensor: Sensor) -> bool:
    """Whether the target of a slot has a sensor, whatever it is called there."""
    given = _target(observation, slot)
    return given is not None and given.address == sensor.address

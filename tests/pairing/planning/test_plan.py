"""The plan over the whole product of what documents can be: most cells are "wait", and each says why."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC
from itertools import combinations, product
from typing import Any

import msgspec
import pytest

from gateway.pairing.conditions import Condition, ConditionType, Reason, Status
from gateway.pairing.desired import Basis
from gateway.pairing.documents import Document, Documents, Sensor, Slot, Wish
from gateway.pairing.memory import Intent, Memory, Refusal, Renaming, Suspension
from gateway.pairing.observation import Fleet, Mode, Observation, Trouble
from gateway.pairing.planning.changes import Why, approval_of, change_sets
from gateway.pairing.planning.plan import Plan, State, TrackerPlan, Write, plan
from tests.pairing.fleets import FREE, HR, NONE, NOW_MS, POWER, drifted, fleet, sensor, tracker

SENSORS = ("", "A", "B")
WANTS = (FREE, NONE, "A", "B")

# What becomes of one slot, row by row: what is wanted; what the target has; what the current document has; the state,
# and what is written ("-" is nothing, "clear" takes the sensor away).
ONE_SLOT = """
    unmanaged  any  any   unmanaged        -
    none       .    .     in_sync          -
    none       .    A     awaiting_device  -
    none       .    B     awaiting_device  -
    none       A    any   writing          clear
    none       B    any   writing          clear
    A          .    any   writing          A
    A          A    .     awaiting_device  -
    A          A    A     in_sync          -
    A          A    B     awaiting_device  -
    A          B    any   writing          A
    B          .    any   writing          B
    B          A    any   writing          B
    B          B    .     awaiting_device  -
    B          B    A     awaiting_device  -
    B          B    B     in_sync          -
"""


def one_slot() -> Mapping[tuple[str, str, str], tuple[State, str]]:
    cells = {}
    for line in ONE_SLOT.strip().splitlines():
        wants, target, current, state, written = line.split()
        for had, has in product(SENSORS, SENSORS):
            if target in {"any", had or "."} and current in {"any", has or "."}:
                assert (wants, had, has) not in cells
                cells[wants, had, has] = State(state), written
    return cells


CELLS = one_slot()


def planned(one: Fleet) -> Plan:
    return plan(one, UTC)


def of(one: Fleet, serial_number: str = "T1") -> TrackerPlan:
    return planned(one).trackers[serial_number]


def told(of_tracker: TrackerPlan, type_: ConditionType, slot: Slot | None = None) -> Condition:
    (found,) = (it for it in of_tracker.conditions if (it.type, it.slot) == (type_, slot))
    return found


def word(wants: str | Wish) -> str:
    return str(wants)


def written(write: Write | None, slot: Slot) -> str:
    if write is None or slot not in write.changes:
        return "-"
    given_ = write.changes[slot]
    return "clear" if given_ is None else given_.name.removeprefix("Strap ")


def test_the_table_has_a_row_for_every_cell() -> None:
    assert set(CELLS) == set(product(map(word, WANTS), SENSORS, SENSORS))


@pytest.mark.parametrize(("wants", "target", "current"), [*product(WANTS, SENSORS, SENSORS)])
@pytest.mark.parametrize("slot", Slot)
def test_one_slot(slot: Slot, wants: str | Wish, target: str, current: str) -> None:
    if slot is HR:
        found = of(fleet(tracker("T1", wants, target, current)))
    else:
        found = of(fleet(tracker("T1", power=(wants, target, current))))
    state, expected = CELLS[word(wants), target, current]
    assert (found.state, written(found.write, slot)) == (state, expected)
    assert told(found, ConditionType.READY).is_right == (state in {State.IN_SYNC, State.UNMANAGED})


# Of two slots the one that has to be written comes first, then the one that is waited for.
WORST = (State.WRITING, State.AWAITING_DEVICE, State.IN_SYNC, State.UNMANAGED)


def test_two_slots_are_two_cells_in_one_write() -> None:
    """All 1296 cells: the power meters have other letters."""
    for (hr, hr_cell), (power, power_cell) in product(CELLS.items(), CELLS.items()):
        wants, target, current = (_power(it) for it in power)
        heart_rate = FREE if hr[0] == "unmanaged" else NONE if hr[0] == "none" else hr[0]
        one = fleet(tracker("T1", heart_rate, hr[1], hr[2], power=(wants, target, current)))
        found = of(one)
        expected = [hr_cell[1], _power(power_cell[1]) if len(power_cell[1]) == 1 else power_cell[1]]
        assert [written(found.write, slot) for slot in Slot] == expected, (hr, power)
        assert found.state is min((hr_cell[0], power_cell[0]), key=WORST.index), (hr, power)
        if found.write is not None:
            assert all(
                found.write.payload[slot] == _target(one)[slot] for slot in Slot if slot not in found.write.changes
            )


def _power(letter: str) -> str | Wish:
    return {"unmanaged": FREE, "none": NONE, "A": "P", "B": "Q"}.get(letter, letter)


def _target(one: Fleet) -> Document:
    documents = one.trackers[0].documents
    assert documents is not None
    return documents.target


class Side:
    """One of two trackers, in letters."""

    def __init__(self, wants: str | Wish, target: str, current: str) -> None:
        self.wants, self.target, self.current = word(wants), target, current

    @property
    def is_to_change(self) -> bool:
        return self.wants != "unmanaged" and self.target != self.wants.replace("none", "")

    def holds(self, letter: str) -> bool:
        return letter in {self.target, self.current}

    def waits_for(self, other: "Side") -> bool:
        """Whether it wants what the other has, and the other will let go."""
        wants_sensor = self.wants in {"A", "B"}
        lets_go = other.wants not in {"unmanaged", self.wants}
        return self.is_to_change and wants_sensor and other.holds(self.wants) and lets_go

    def expected(self, other: "Side") -> str:
        """What is written once a person has agreed to everything."""
        if not self.is_to_change:
            return "-"
        if self.wants == "none":
            return "clear"
        if not other.holds(self.wants):
            return "-" if other.wants == self.wants else self.wants
        is_circle = self.waits_for(other) and other.waits_for(self)
        return "clear" if is_circle and self.target and self.target == other.wants else "-"


def test_two_trackers_and_two_sensors() -> None:
    """All 1296 cells: nobody is given what the other holds or wants, and a circle is opened on both sides."""
    for left, right in product(product(WANTS, SENSORS, SENSORS), repeat=2):
        unapproved = fleet(tracker("T1", *left), tracker("T2", *right))
        sides = Side(*left), Side(*right)
        everything = [change for one in change_sets(unapproved) for change in one.changes]
        agreed = replace(unapproved, approvals=(approval_of(everything, unapproved, "Kim"),))
        made = planned(agreed)
        found = [written(made.trackers[serial_number].write, HR) for serial_number in ("T1", "T2")]
        assert found == [sides[0].expected(sides[1]), sides[1].expected(sides[0])], (left, right)
        if any(one.is_to_change and one.wants == other.target for one, other in (sides, sides[::-1])):
            for it in planned(unapproved).trackers.values():
                assert it.write is None or it.change_set not in {None, _swap(unapproved)}, "a swap without consent"


def _swap(one: Fleet) -> str:
    (found,) = (group.hash for group in change_sets(one) if Why.SWAP in group.why)
    return found


def test_a_swap_goes_through_both_steps_and_says_which() -> None:
    """Both are cleared; the one that has confirmed waits for the other; each gets its own as soon as that is free."""
    one = fleet(tracker("T1", "A", "B"), tracker("T2", "B", "A"))
    approvals = (approval_of([change for group in change_sets(one) for change in group.changes], one, "Kim"),)
    cleared = planned(replace(one, approvals=approvals))
    for it in cleared.trackers.values():
        assert (it.state, written(it.write, HR)) == (State.WRITING, "clear")
        assert "no heart-rate strap" in told(it, ConditionType.READY).text
    ours = Memory(ours=Document(), ours_ms=NOW_MS)
    one = fleet(tracker("T1", "A", "", "B", memory=ours), tracker("T2", "B", "", "", memory=ours))
    after = planned(replace(one, approvals=approvals)).trackers
    assert (after["T1"].state, written(after["T1"].write, HR)) == (State.WRITING, "A")
    assert (after["T2"].state, written(after["T2"].write, HR)) == (State.AWAITING_RELEASE, "-")
    assert told(after["T2"], ConditionType.READY).action == "switch T1 off and on"
    one = fleet(tracker("T1", "A", "A", "B", memory=ours), tracker("T2", "B", "", "", memory=ours))
    after = planned(replace(one, approvals=approvals)).trackers
    assert (after["T1"].state, after["T2"].state) == (State.AWAITING_DEVICE, State.AWAITING_RELEASE)
    one = fleet(tracker("T1", "A", "A", "A", memory=ours), tracker("T2", "B", "", "", memory=ours))
    after = planned(replace(one, approvals=approvals)).trackers
    assert (after["T1"].state, written(after["T2"].write, HR)) == (State.IN_SYNC, "B")


DRIFT = {"drifted": {HR: sensor("A")}}

Hindrance = Callable[[Observation, Fleet], tuple[Observation, Fleet]]


def _remembers(**what: Any) -> Hindrance:
    return lambda seen, one: (replace(seen, memory=msgspec.structs.replace(seen.memory, **what)), one)


def _is(**what: Any) -> Hindrance:
    return lambda seen, one: (replace(seen, **what), one)


def _fleet(**what: Any) -> Hindrance:
    return lambda seen, one: (seen, replace(one, **what))


def _refused(seen: Observation, one: Fleet) -> tuple[Observation, Fleet]:
    """The cloud has refused what would be written if nothing else were in the way."""
    assert seen.documents is not None
    wants = {slot: seen.desired[slot] for slot in seen.desired.managed}
    changes = {slot: it if isinstance(it, Sensor) else None for slot, it in wants.items()}
    write = Write(seen.documents.target, changes, seen.desired.generation)
    refusal = Refusal(write.fingerprint, Refusal.Kind.REJECTED)
    return _remembers(refusals=(refusal,))(seen, one)


def _bulk(seen: Observation, one: Fleet) -> tuple[Observation, Fleet]:
    return replace(seen, desired=msgspec.structs.replace(seen.desired, is_bulk=True)), one


_STOPPED = Suspension("Kim", "", NOW_MS)

# In the order in which they stand in the way, with the state and the reason that the summary gives.
OBSTACLES = {
    "not ours": (_is(is_ours=False), State.UNKNOWN, Reason.NOT_OURS),
    "forbidden": (_is(trouble=Trouble.FORBIDDEN), State.UNKNOWN, Reason.FORBIDDEN),
    "unknown outcome": (
        _remembers(intent=Intent(Document(), Document(), (HR,), 1, "f", NOW_MS)),
        State.WRITING,
        Reason.OUTCOME_UNKNOWN,
    ),
    "rival": (_remembers(rival_since_ms=NOW_MS), State.SUSPENDED, Reason.DUPLICATE_CONTROLLER),
    "suspended": (_remembers(suspension=_STOPPED), State.SUSPENDED, Reason.OPERATOR_SUSPEND),
    "paused": (_fleet(pause=_STOPPED), State.SUSPENDED, Reason.FLEET_PAUSE),
    "clock": (_fleet(is_clock_sure=False), State.SUSPENDED, Reason.CLOCK_UNSYNCED),
    "store": (_fleet(is_store_working=False), State.SUSPENDED, Reason.STORE_FAILED),
    "refused": (_refused, State.REJECTED, Reason.REJECTED),
    "approval": (_bulk, State.AWAITING_APPROVAL, Reason.APPROVAL_NEEDED),
    "session": (_fleet(session_until_ms=NOW_MS + 1), State.SUSPENDED, Reason.SESSION_LOCK),
    "back-off": (_is(next_try_s=4.0, trouble=Trouble.SERVER), State.BACKOFF, Reason.WRITE_FAILED),
    "conflicts": (_is(replans=3), State.NEEDS_HUMAN, Reason.NEEDS_HUMAN),
}
BEFORE_ALL = {"not ours", "forbidden", "unknown outcome"}
"""These matter even if nothing is to be written."""


def hindered(seen: Observation, *names: str) -> Fleet:
    one = fleet(seen)
    for name in names:
        seen, one = OBSTACLES[name][0](seen, one)
    return replace(one, trackers=(seen,))


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_one_slot_with_something_in_the_way(obstacle: str) -> None:
    """All 36 cells: nothing is written, and what needs no writing stands where it stood."""
    _, state, reason = OBSTACLES[obstacle]
    for (wants, target, current), (usual, action) in CELLS.items():
        wanted = FREE if wants == "unmanaged" else NONE if wants == "none" else wants
        found = of(hindered(tracker("T1", wanted, target, current), obstacle))
        assert found.write is None
        ready = told(found, ConditionType.READY)
        is_hidden = obstacle in BEFORE_ALL and (usual is not State.UNMANAGED or state is State.UNKNOWN)
        if action != "-" or is_hidden:
            assert (found.state, ready.reason) == (state, reason), (wants, target, current)
            assert not ready.is_right
        else:
            assert found.state is usual, (wants, target, current)


@pytest.mark.parametrize(("first", "second"), [*combinations(OBSTACLES, 2)])
def test_of_two_obstacles_the_more_basic_one_is_told(first: str, second: str) -> None:
    found = of(hindered(tracker("T1", "A"), second, first))
    _, state, reason = OBSTACLES[first]
    if (first, second) == ("unknown outcome", "back-off"):
        state = State.BACKOFF  # what has become of it is not even asked before the wait is over
    assert (found.state, told(found, ConditionType.READY).reason) == (state, reason)
    assert found.write is None


@pytest.mark.parametrize("obstacle", sorted(set(OBSTACLES) - BEFORE_ALL - {"refused"}))
def test_a_sensor_in_trouble_is_told_before_what_keeps_a_tracker_from_being_written(obstacle: str) -> None:
    """Invalid, then held by another, then all the rest."""
    seen = tracker("T1", "A", power=("P", "", ""))
    bad = Sensor("nonsense", "Strap A")
    invalid = replace(seen, desired=msgspec.structs.replace(seen.desired, heart_rate=bad))
    assert of(hindered(invalid, obstacle)).state is State.REJECTED
    one = hindered(seen, obstacle)
    held = replace(one, trackers=(*one.trackers, tracker("T2", FREE, "A")))
    assert (found := of(held)).state is State.CONFLICT
    assert found.write is None
    both = replace(held, trackers=(replace(held.trackers[0], desired=invalid.desired), held.trackers[1]))
    assert of(both).state is State.REJECTED


def test_a_slot_in_trouble_does_not_keep_the_other_from_being_written() -> None:
    one = fleet(tracker("T1", "A", power=("P", "", "")), tracker("T2", FREE, "", "A"))
    found = of(one)
    assert found.state is State.CONFLICT
    assert found.write is not None
    assert found.write.changes == {POWER: sensor("P")}
    assert told(found, ConditionType.TARGET_ACCEPTED, POWER).reason is Reason.WRITING
    assert told(found, ConditionType.TARGET_ACCEPTED, HR).reason is Reason.NOT_WRITTEN


@pytest.mark.parametrize("mode", Mode)
def test_drift_is_told_proposed_or_undone(mode: Mode) -> None:
    seen, one = _remembers(**DRIFT)(tracker("T1", "A", "B", "A"), fleet())
    one = replace(one, trackers=(seen, tracker("T2"), tracker("T3")), mode=mode)
    made = planned(one)
    found = made.trackers["T1"]
    assert (found.write is not None) == (mode is Mode.ENFORCE)
    assert found.state is (State.WRITING if mode is Mode.ENFORCE else State.DRIFTED)
    assert bool(made.change_sets) == (mode is not Mode.OBSERVE)
    if mode is Mode.PROPOSE:
        assert told(found, ConditionType.READY).action.endswith(f"apply --approve {made.change_sets[0].hash}`")
        agreed = replace(one, approvals=(approval_of(made.change_sets[0].changes, one, "Kim"),))
        again = of(agreed)
        assert again.state is State.WRITING
        assert again.write is not None
        assert again.write.approvals == (made.change_sets[0].hash,)


def test_drift_that_is_watched_is_not_written_even_with_consent() -> None:
    seen, one = _remembers(**DRIFT)(tracker("T1", "A", "B", "A"), fleet())
    one = replace(one, trackers=(seen, tracker("T2"), tracker("T3")))
    agreed = replace(one, approvals=(approval_of(change_sets(one)[0].changes, one, "Kim"),), mode=Mode.OBSERVE)
    found = of(agreed)
    assert (found.state, found.write) == (State.DRIFTED, None)


def said_apart(seen: Observation, slot: Slot, **said: Any) -> Observation:
    """The same, with another word about a slot."""
    word = msgspec.structs.replace(seen.desired.word(slot), **said)
    return replace(seen, desired=msgspec.structs.replace(seen.desired, earlier={slot: word}))


def changes_of(found: TrackerPlan) -> set[Slot]:
    return set() if found.write is None else set(found.write.changes)


@pytest.mark.parametrize("mode", Mode)
def test_what_somebody_else_changed_does_not_keep_the_other_slot_waiting_nor_goes_with_it(mode: Mode) -> None:
    one = replace(fleet(drifted(tracker("T1", "A", "B", power=("P", "Q", "Q")))), mode=mode)
    found = of(one)
    assert changes_of(found) == ({HR, POWER} if mode is Mode.ENFORCE else {POWER})
    after = of(replace(one, trackers=(drifted(tracker("T1", "A", "B", power=("P", "P", "Q"))),)))
    assert changes_of(after) == ({HR} if mode is Mode.ENFORCE else set())
    if mode is not Mode.ENFORCE:
        assert after.state is State.DRIFTED
        assert told(after, ConditionType.TARGET_ACCEPTED, HR).reason is Reason.OVERWRITTEN_BY_OTHER
        assert told(after, ConditionType.TARGET_ACCEPTED, POWER).reason is Reason.OK


def test_what_waits_for_a_person_does_not_keep_the_other_slot_waiting_if_it_was_said_apart() -> None:
    swap = tracker("T1", "B", "A", power=("P", "", "")), tracker("T2", "A", "B")
    assert changes_of(of(fleet(*swap))) == set(), "one word, one matter"
    apart = fleet(said_apart(swap[0], HR), swap[1])
    found = of(apart)
    assert (found.state, changes_of(found)) == (State.WRITING, {POWER})
    assert len(change_sets(apart)) == 2
    assert found.change_set == _swap(apart), "the one that a person is asked about"
    after = of(fleet(said_apart(tracker("T1", "B", "A", power=("P", "P", "")), HR), swap[1]))
    assert after.state is State.AWAITING_APPROVAL


@pytest.mark.parametrize("approved", [HR, POWER])
def test_an_approval_of_one_slot_is_none_of_the_other(approved: Slot) -> None:
    seen = drifted(tracker("T1", "A", "B", power=("P", "Q", "Q")), HR, POWER)
    one = fleet(said_apart(seen, HR))
    chosen = next(it for it in change_sets(one) if it.changes[0].slot is approved)
    agreed = replace(one, approvals=(approval_of(chosen.changes, one, "Kim"),))
    assert changes_of(of(agreed)) == {approved}


def test_an_approval_holds_whatever_else_is_wanted_of_the_other_slot_meanwhile() -> None:
    seen = drifted(tracker("T1", "A", "B", power=("P", "P", "P")))
    one = fleet(seen)
    agreed = replace(one, approvals=(approval_of(change_sets(one)[0].changes, one, "Kim"),))
    desired = msgspec.structs.replace(seen.desired, power=Wish.NONE).after(seen.desired).about([POWER], seen.desired)
    assert changes_of(of(replace(agreed, trackers=(replace(seen, desired=desired),)))) == {HR, POWER}
    back = msgspec.structs.replace(seen.desired, heart_rate=sensor("C")).after(seen.desired)
    back = msgspec.structs.replace(back, heart_rate=sensor("A")).after(back)
    assert changes_of(of(replace(agreed, trackers=(replace(seen, desired=back),)))) == set(), "it was wanted anew"


@pytest.mark.parametrize("slot", Slot)
def test_what_was_said_of_one_slot_allows_nothing_to_the_other(slot: Slot) -> None:
    """A removal by command, a write during the session, a push: each of the slot that was named."""
    other = POWER if slot is HR else HR
    seen = tracker("T1", NONE, "A", power=(NONE, "P", "P"))
    listed = said_apart(seen, other, basis=Basis.IMPORT, is_bulk=True)
    assert changes_of(of(fleet(listed))) == {slot}
    commanded = replace(seen, desired=msgspec.structs.replace(seen.desired, is_during_session=True, is_immediate=True))
    one = replace(
        fleet(said_apart(commanded, other, is_during_session=False, is_immediate=False)), session_until_ms=NOW_MS + 1
    )
    found = of(one)
    assert changes_of(found) == {slot}
    assert found.write is not None
    assert found.write.is_immediate
    later = of(replace(one, trackers=(said_apart(commanded, slot, is_immediate=False, is_during_session=True),)))
    assert later.write is not None
    assert later.write.is_immediate, "one of the two is told at once, and the tracker takes both"
    pushed = replace(seen, desired=msgspec.structs.replace(seen.desired, is_immediate=True))
    alone = of(replace(one, trackers=(said_apart(pushed, slot, is_during_session=True, is_immediate=False),)))
    assert changes_of(alone) == {slot}
    assert alone.write is not None
    assert not alone.write.is_immediate
    rest = replace(one, trackers=(said_apart(commanded, slot),))
    assert changes_of(of(rest)) == {HR, POWER}


def test_a_sensor_does_not_move_within_a_tracker_by_half() -> None:
    """Power may be written while athletes train, heart rate not: else both slots had the same."""
    seen = tracker("T1", "A", "B", power=("B", "", ""))
    seen = replace(seen, desired=msgspec.structs.replace(seen.desired, is_during_session=True))
    half = said_apart(seen, HR, is_during_session=False)
    one = replace(fleet(half), session_until_ms=NOW_MS + 1)
    assert (of(one).state, changes_of(of(one))) == (State.SUSPENDED, set())
    assert changes_of(of(replace(one, session_until_ms=None))) == {HR, POWER}
    watched = replace(fleet(drifted(seen)), mode=Mode.OBSERVE)
    assert (of(watched).state, changes_of(of(watched))) == (State.DRIFTED, set())


def test_a_write_rests_on_all_the_approvals_that_cover_it() -> None:
    one = fleet(said_apart(tracker("T1", "A", power=("P", "", "")), HR))
    approvals = tuple(approval_of(it.changes, one, "Kim") for it in change_sets(one))
    write = of(replace(one, approvals=approvals)).write
    assert write is not None
    assert set(write.approvals) == {it.hash for it in approvals}
    assert len(write.approvals) == 2


def test_a_fleet_that_was_found_as_the_file_wants_it_is_not_many_when_one_tracker_drifts() -> None:
    seen, one = _bulk(drifted(tracker("T1", "A", "B")), fleet())
    one = replace(one, trackers=(seen, tracker("T2", "C", "C")), mode=Mode.ENFORCE)
    assert of(one).state is State.DRIFTED
    seen, _ = _remembers(served={HR: sensor("A")})(seen, one)
    assert changes_of(of(replace(one, trackers=(seen, one.trackers[1])))) == {HR}


def test_a_sensor_that_somebody_else_gave_to_another_tracker_too_is_a_conflict_with_the_way_out() -> None:
    one = fleet(tracker("T1", "A", "A"), drifted(tracker("T2", "B", "A", "B")))
    found = of(one)
    unique = told(found, ConditionType.UNIQUE, HR)
    assert (found.state, unique.status, unique.reason) == (State.CONFLICT, Status.FALSE, Reason.HELD_BY_OTHER_TARGET)
    (group,) = change_sets(one)
    assert unique.action == f"type `insiders-gateway pair apply --approve {group.hash}`"
    watched = told(of(replace(one, mode=Mode.OBSERVE)), ConditionType.UNIQUE, HR)
    assert watched.action == "see `insiders-gateway pair explain T2`"
    free = fleet(one.trackers[0], tracker("T2", FREE, "A"))
    assert "pair clear T2 --slot heart_rate" in told(of(free), ConditionType.UNIQUE, HR).action
    free = fleet(one.trackers[0], tracker("T2", power=(FREE, "A", "A")))
    assert "pair clear T2 --slot power" in told(of(free), ConditionType.UNIQUE, HR).action


def test_who_waits_for_a_sensor_and_for_a_person_is_told_of_the_person() -> None:
    one = fleet(tracker("T1", "C", "B"), tracker("T2", "B", "A"))
    found = of(one, "T2")
    assert found.state is State.AWAITING_APPROVAL
    assert _swap(one) in told(found, ConditionType.READY).action
    agreed = replace(one, approvals=(approval_of(change_sets(one)[0].changes, one, "Kim"),))
    assert of(agreed, "T2").state is State.AWAITING_RELEASE


@pytest.mark.parametrize("mode", Mode)
def test_nobody_is_sent_to_start_a_tracker_that_would_take_over_what_others_wanted(mode: Mode) -> None:
    """Not for its other slot either."""
    seen = drifted(tracker("T1", "A", "B", "A", power=("P", "P", "Q")))
    for it in (told(of(replace(fleet(seen), mode=mode)), ConditionType.DEVICE_CONVERGED, slot) for slot in Slot):
        assert (it.status, it.reason, it.action) == (Status.FALSE, Reason.TARGET_UNWANTED, "")
    taken = drifted(tracker("T1", "A", "", "A"))
    assert told(of(fleet(taken)), ConditionType.DEVICE_CONVERGED, HR).reason is Reason.TARGET_UNWANTED
    harmless = drifted(tracker("T1", "A", "B", "B", power=("P", "P", "Q")))
    assert told(of(fleet(harmless)), ConditionType.DEVICE_CONVERGED, POWER).action


def test_a_slot_that_was_cleared_for_a_handover_is_confirmed_by_a_start() -> None:
    cleared = told(
        of(fleet(tracker("T1", "B", "", "A"), tracker("T2", "A", "", "B"))), ConditionType.DEVICE_CONVERGED, HR
    )
    assert cleared.reason is not Reason.TARGET_UNWANTED
    assert cleared.action


@pytest.mark.parametrize(("command", "consent"), [*product([False, True], [None, False, True])])
def test_during_a_session_only_who_said_so_is_written(command: bool, consent: bool | None) -> None:
    seen = tracker("T1", "A")
    seen = replace(seen, desired=msgspec.structs.replace(seen.desired, is_during_session=command))
    one = replace(fleet(seen), session_until_ms=NOW_MS + 600_000)
    if consent is not None:
        approval = approval_of(change_sets(one)[0].changes, one, "Kim", is_during_session=consent)
        one = replace(one, approvals=(approval,))
    found = of(one)
    assert (found.write is not None) == (command or consent is True)
    if found.write is None:
        assert "22:23" in told(found, ConditionType.SUSPENDED).text


def test_a_session_holds_nothing_back_of_a_tracker_that_is_not_ours() -> None:
    one = replace(fleet(replace(tracker("T1", "A"), is_ours=False)), session_until_ms=NOW_MS + 1)
    assert told(of(one), ConditionType.SUSPENDED).status is Status.FALSE


def test_a_session_that_is_over_holds_nothing_back() -> None:
    one = fleet(tracker("T1", "A"))
    assert of(replace(one, session_until_ms=NOW_MS + 1)).state is State.SUSPENDED
    assert of(replace(one, session_until_ms=NOW_MS)).state is State.WRITING


def test_an_approval_says_whether_trackers_are_told_at_once() -> None:
    one = fleet(tracker("T1", "A"))
    approval = approval_of(change_sets(one)[0].changes, one, "Kim", is_immediate=True)
    write = of(replace(one, approvals=(approval,))).write
    assert write is not None
    assert write.is_immediate
    assert write.approvals == (approval.hash,)


def test_a_refusal_is_of_this_content_for_this_generation_whoever_agreed_and_however_it_is_sent() -> None:
    write = Write(Document(), {HR: sensor("A")}, 1)
    same = replace(write, is_immediate=True, approvals=("3f2a9c0d11e2",))
    onto_other = replace(write, base=Document(sensor("B")))
    others = [replace(write, generation=2), replace(write, changes={HR: sensor("B")}), replace(write, changes={})]
    assert {same.fingerprint, onto_other.fingerprint} == {write.fingerprint}
    assert len({write.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_a_write_that_hangs_is_stalled() -> None:
    seen = replace(tracker("T1", "A"), is_busy=True)
    assert of(fleet(replace(seen, busy_s=59))).state is State.WRITING
    found = of(fleet(replace(seen, busy_s=60)))
    assert (found.state, found.write) == (State.STALLED, None)
    assert told(found, ConditionType.STALLED).reason is Reason.NO_PROGRESS


def test_a_name_that_the_cloud_keeps_in_its_own_way_is_as_wanted() -> None:
    kept = Sensor(sensor("A").address, "STRAP A")
    seen, one = _remembers(renamings=(Renaming(sensor("A"), kept),))(tracker("T1", "A"), fleet())
    documents = Documents(Document(kept), Document(kept))
    assert of(replace(one, trackers=(replace(seen, documents=documents),))).state is State.IN_SYNC
    other = Documents(Document(kept), Document(Sensor(kept.address, "another")))
    assert of(replace(one, trackers=(replace(seen, documents=other),))).state is State.AWAITING_DEVICE


def test_nothing_is_written_before_all_of_the_fleet_was_read() -> None:
    one = fleet(tracker("T1", "A"), tracker("T2", is_read=False))
    found = of(one)
    assert (found.state, found.write) == (State.PROPOSED, None)
    assert told(found, ConditionType.READY).status is Status.UNKNOWN
    in_sync = of(fleet(tracker("T1", "A", "A"), tracker("T2", is_read=False)))
    assert in_sync.state is State.IN_SYNC


def test_who_has_what_another_one_wants_is_named() -> None:
    one = fleet(tracker("T1", "A"), tracker("T2", "A", "A"), tracker("T3", FREE, "B"), tracker("T4", "B"))
    assert "T2" in told(of(one, "T1"), ConditionType.READY).text
    found = told(of(one, "T4"), ConditionType.READY)
    assert "T3" in found.text
    assert found.action == "type `insiders-gateway pair clear T3 --slot heart_rate`"


@pytest.mark.parametrize(
    ("trouble", "read_ago_s", "status", "reason"),
    [
        (None, 5.0, Status.TRUE, Reason.OK),
        (None, 599.0, Status.TRUE, Reason.OK),
        (None, 600.0, Status.UNKNOWN, Reason.NOT_READ_YET),
        (Trouble.SERVER, 119.0, Status.TRUE, Reason.OK),
        (Trouble.SERVER, 120.0, Status.FALSE, Reason.SERVER_ERROR),
        (Trouble.OFFLINE, 120.0, Status.FALSE, Reason.OFFLINE),
        (Trouble.AUTH, 120.0, Status.FALSE, Reason.AUTH_FAILED),
        (Trouble.RATE_LIMITED, 120.0, Status.FALSE, Reason.RATE_LIMITED),
        (Trouble.BAD_ANSWER, 120.0, Status.FALSE, Reason.BAD_ANSWER),
        (Trouble.FORBIDDEN, 1.0, Status.FALSE, Reason.FORBIDDEN),
    ],
)
def test_one_failure_is_none_as_long_as_what_was_read_is_young(
    trouble: Trouble | None, read_ago_s: float, status: Status, reason: Reason
) -> None:
    found = of(fleet(replace(tracker("T1", "A", "A"), trouble=trouble, read_ago_s=read_ago_s)))
    reach = told(found, ConditionType.CLOUD_REACHABLE)
    assert (reach.status, reach.reason) == (status, reason)
    assert told(found, ConditionType.READY).is_right == (status is Status.TRUE)


@pytest.mark.parametrize(
    ("seen", "every_s"),
    [
        (tracker("T1", is_read=False), 0.0),
        (tracker("T1"), 120.0),
        (tracker("T1", "A", "A"), 60.0),
        (replace(tracker("T1", "A", "A", ""), waiting_s=10.0), 15.0),
        (replace(tracker("T1", "A", "A", ""), waiting_s=500.0, still_s=500.0), 60.0),
        (replace(tracker("T1", "A"), replans=3), 900.0),
        (_remembers(intent=Intent(Document(), Document(), (HR,), 1, "f", 0))(tracker("T1"), fleet())[0], 0.0),
    ],
)
def test_how_often_it_is_read(seen: Observation, every_s: float) -> None:
    assert of(fleet(seen)).read_every_s == every_s

"""What may be done with each slot: tables of every situation that has a name."""

from collections.abc import Mapping
from dataclasses import replace as replaced

import pytest
from msgspec.structs import replace

from gateway.pairing.conditions import Reason, Status
from gateway.pairing.documents import Document, Sensor, Slot
from gateway.pairing.memory import Intent, Memory, Refusal, Renaming, Suspension, fingerprint
from gateway.pairing.observation import Air, Fleet, Mode, Observation
from gateway.pairing.planning.changes import approval_of, change_sets
from gateway.pairing.planning.holding import LATE_MS, Where
from gateway.pairing.planning.steps import Step, StepKind, steps_of
from tests.pairing.fleets import FREE, HR, NONE, NOW_MS, POWER, document, drifted, fleet, sensor, tracker

AWAIT, HELD, SET, CLEAR = StepKind.AWAIT_RELEASE, StepKind.HELD, StepKind.SET, StepKind.CLEAR
IN_PLACE, NOT_READ, INVALID = StepKind.IN_PLACE, StepKind.NOT_READ, StepKind.INVALID


def kinds(*trackers: Observation, slot: Slot = HR) -> dict[str, StepKind]:
    return kinds_of(fleet(*trackers), slot)


def kinds_of(all_: Fleet, slot: Slot = HR) -> dict[str, StepKind]:
    return {serial_number: step.kind for (serial_number, its), step in steps_of(all_).items() if its is slot}


def steps(*trackers: Observation) -> Mapping[str, Step]:
    return {serial_number: step for (serial_number, slot), step in steps_of(fleet(*trackers)).items() if slot is HR}


def about(step: Step) -> tuple[StepKind, Reason, str | None, Where | None]:
    return step.kind, step.reason, step.other, step.where


class TestOne:
    """One tracker, and nobody else has or wants its sensor."""

    @pytest.mark.parametrize(
        ("wants", "target", "kind"),
        [("s", "", SET), ("s", "r", SET), ("s", "s", IN_PLACE), (NONE, "s", CLEAR), (NONE, "", IN_PLACE)],
    )
    @pytest.mark.parametrize("current", ["", "s", "r"])
    def test_the_target_decides_and_current_does_not(
        self, wants: str, target: str, kind: StepKind, current: str
    ) -> None:
        step = steps(tracker("1", wants, target, current))["1"]
        assert about(step) == (kind, Reason.OK, None, None)
        assert step.sensor == (sensor("s") if kind is SET else None)
        assert step.unique is Status.TRUE
        assert step.is_write == (kind in {SET, CLEAR})

    def test_a_slot_of_which_nothing_is_wanted_has_no_step(self) -> None:
        assert steps_of(fleet(tracker("1", FREE, "s"), tracker("2", FREE, "s"))) == {}

    def test_another_name_is_another_sensor_unless_the_cloud_made_it(self) -> None:
        kept = Sensor(sensor("s").address, "STRAP S")
        one = tracker("1", "s")
        assert one.documents is not None
        one = replaced(one, documents=replace(one.documents, target=Document(kept)))
        assert kinds(one) == {"1": SET}
        memory = replace(one.memory, renamings=(Renaming(sensor("s"), kept),))
        assert kinds(replaced(one, memory=memory)) == {"1": IN_PLACE}

    def test_what_cannot_be_wanted_is_not_set(self) -> None:
        one = replaced(tracker("1", "s"), air={HR: Air("seen", kind="power")})
        assert kinds(one) == {"1": INVALID}
        assert kinds(replaced(one, air={POWER: Air("seen", kind="heart_rate")})) == {"1": SET}


class TestHandover:
    """A sensor goes from tracker 1 to tracker 2."""

    @pytest.mark.parametrize("wants", [NONE, "r"])
    def test_it_is_given_when_the_first_tracker_has_confirmed_that_it_let_go(self, wants: str) -> None:
        new = "" if wants == NONE else wants
        two = tracker("2", "s")
        before = steps(tracker("1", wants, "s"), two)
        assert before["1"].kind is (CLEAR if wants == NONE else SET)
        assert about(before["2"]) == (AWAIT, Reason.AWAITING_RELEASE, "1", Where.TARGET)
        assert before["2"].unique is Status.FALSE
        meanwhile = steps(tracker("1", wants, new, "s"), two)
        assert meanwhile["1"].kind is IN_PLACE
        assert about(meanwhile["2"]) == (AWAIT, Reason.AWAITING_RELEASE, "1", Where.CURRENT)
        assert steps(tracker("1", wants, new, new), two)["2"] == Step(SET, sensor=sensor("s"))

    OURS = Memory(ours=Document(), ours_ms=NOW_MS + 1)

    @pytest.mark.parametrize("of", ["both", "who gives", "who gets"])
    def test_a_person_can_say_not_to_wait_for_a_tracker_that_is_off_for_days(self, of: str) -> None:
        before = fleet(tracker("1", NONE, "s"), tracker("2", "s"))
        changes = [change for it in change_sets(before) for change in it.changes]
        chosen = {"both": changes, "who gives": changes[:1], "who gets": changes[1:]}[of]
        given = (approval_of(chosen, before, "Ada", is_unconfirmed_ok=True),)
        assert kinds_of(replaced(before, approvals=given))["2"] is AWAIT, "it is not even told yet"
        told = fleet(tracker("1", NONE, "", "s", memory=self.OURS), tracker("2", "s"))
        step = steps_of(replaced(told, approvals=given))["2", HR]
        assert about(step) == (SET, Reason.AWAITING_RELEASE, "1", Where.CURRENT)
        assert step.unique is Status.FALSE, "it is given, and two may have it for a while"

    @pytest.mark.parametrize("what", ["written by others since", "cleared by others", "wanted anew", "expired"])
    def test_what_a_person_said_of_another_situation_is_void(self, what: str) -> None:
        before = fleet(tracker("1", NONE, "s"))
        given = approval_of(change_sets(before)[0].changes, before, "Ada", is_unconfirmed_ok=True)
        memory, generation = self.OURS, 1
        if what == "written by others since":
            memory = replace(memory, foreign_ms=(NOW_MS + 2,))
        elif what == "cleared by others":
            memory = Memory()
        elif what == "wanted anew":
            generation = 2
        else:
            given = replace(given, expires_ms=NOW_MS)
        one = tracker("1", NONE, "", "s", memory=memory, generation=generation)
        assert kinds_of(replaced(fleet(one, tracker("2", "s")), approvals=(given,)))["2"] is AWAIT

    def test_it_is_not_his_alone_until_the_other_one_has_confirmed_but_he_waits_for_nothing(self) -> None:
        step = steps(tracker("1", NONE, "", "s"), tracker("2", "s", "s", ""))["2"]
        assert about(step) == (IN_PLACE, Reason.HELD_BY_OTHER_CURRENT, "1", Where.CURRENT)

    def test_what_somebody_else_has_given_to_another_tracker_as_well_is_told_and_not_waited_for(self) -> None:
        found = steps(drifted(tracker("1", "r", "s")), tracker("2", "s", "s"))
        assert about(found["2"]) == (IN_PLACE, Reason.HELD_BY_OTHER_TARGET, "1", Where.TARGET)
        assert found["2"].unique is Status.FALSE

    @pytest.mark.parametrize("trouble", ["suspended", "rival", "watched", "refused", "session"])
    def test_only_who_lets_go_without_a_person_is_waited_for(self, trouble: str) -> None:
        one, all_ = tracker("1", "r", "s"), fleet()
        if trouble == "suspended":
            one = replaced(one, memory=replace(one.memory, suspension=Suspension("Ada", "", 0)))
        elif trouble == "rival":
            one = replaced(one, memory=replace(one.memory, rival_since_ms=1))
        elif trouble == "watched":
            one, all_ = drifted(one), replaced(all_, mode=Mode.OBSERVE)
        elif trouble == "refused":
            one = replaced(one, memory=replace(one.memory, refusals=(self.refusal("r"),)))
        else:
            all_ = replaced(all_, session_until_ms=NOW_MS + 1)
        step = steps_of(replaced(all_, trackers=(one, tracker("2", "s"))))["2", HR]
        if trouble == "session":
            assert about(step) == (AWAIT, Reason.AWAITING_RELEASE, "1", Where.TARGET)
        else:
            assert about(step) == (HELD, Reason.HELD_BY_OTHER_TARGET, "1", Where.TARGET)

    @staticmethod
    def refusal(heart_rate: str, power: str = "") -> Refusal:
        return Refusal(fingerprint(1, document(heart_rate, power)), Refusal.Kind.REJECTED)

    @pytest.mark.parametrize(
        ("target", "where", "reason"),
        [("s", Where.TARGET, Reason.HELD_BY_OTHER_TARGET), ("", Where.CURRENT, Reason.HELD_BY_OTHER_CURRENT)],
    )
    @pytest.mark.parametrize("is_in_place", [False, True])
    def test_of_a_tracker_that_is_left_alone_nobody_takes_it(
        self, target: str, where: Where, reason: Reason, is_in_place: bool
    ) -> None:
        step = steps(tracker("1", FREE, target, "s"), tracker("2", "s", "s" if is_in_place else ""))["2"]
        assert about(step) == (IN_PLACE if is_in_place else HELD, reason, "1", where)

    def test_when_it_is_gone_from_a_tracker_that_is_left_alone_it_is_given(self) -> None:
        assert kinds(tracker("1", FREE, ""), tracker("2", "s")) == {"2": SET}

    def test_what_a_person_decides_comes_before_what_only_takes_time(self) -> None:
        step = steps(tracker("1", "r", "s"), tracker("2", FREE, "", "s"), tracker("3", "s"))["3"]
        assert about(step) == (HELD, Reason.HELD_BY_OTHER_CURRENT, "2", Where.CURRENT)

    def test_a_tracker_that_leaves_the_fleet_holds_nothing(self) -> None:
        assert kinds(tracker("2", "s")) == {"2": SET}

    @pytest.mark.parametrize("is_read", [True, False])
    def test_a_tracker_of_another_account_holds_what_it_had(self, is_read: bool) -> None:
        """It is away for a moment, mostly; nobody can tell it to let go meanwhile."""
        one = tracker("1", NONE, "s", is_ours=False, is_read=is_read)
        step = steps(one, tracker("2", "s"))["2"]
        assert about(step) == (HELD, Reason.HELD_BY_OTHER_TARGET, "1", Where.TARGET)


class TestTwice:
    """A sensor is wanted twice."""

    @pytest.mark.parametrize("target", ["", "s", "r"])
    def test_it_stays_where_it_is_until_a_person_decides(self, target: str) -> None:
        found = steps(tracker("1", "s", target), tracker("2", "s", "q"))
        kind = IN_PLACE if target == "s" else HELD
        assert about(found["1"]) == (kind, Reason.DUPLICATE_DESIRED, "2", None)
        assert about(found["2"]) == (HELD, Reason.DUPLICATE_DESIRED, "1", None)

    def test_by_the_two_slots_of_one_tracker_too(self) -> None:
        step = steps(tracker("1", "s", power=("s", "", "")))["1"]
        assert about(step) == (HELD, Reason.DUPLICATE_DESIRED, "1", None)

    def test_under_two_names_too(self) -> None:
        one, two = tracker("1", "s"), tracker("2", "s")
        two = replaced(two, desired=replace(two.desired, heart_rate=Sensor(sensor("s").address, "Other")))
        assert kinds(one, two) == {"1": HELD, "2": HELD}


class TestNotRead:
    """Nobody knows yet what some tracker has."""

    @pytest.mark.parametrize("is_ours", [True, None])
    def test_no_sensor_is_given_before_the_whole_fleet_was_read(self, is_ours: bool | None) -> None:
        unread = tracker("2", FREE, is_read=False, is_ours=is_ours)
        found = steps(tracker("1", "s"), unread, tracker("3", NONE, "r"), tracker("4", "q", "q"))
        assert about(found["1"]) == (NOT_READ, Reason.FLEET_NOT_READ, "2", None)
        assert found["1"].unique is Status.UNKNOWN
        assert found["3"].kind is CLEAR, "taking one away needs nobody else"
        assert found["4"].kind is IN_PLACE

    def test_a_tracker_that_was_not_read_has_no_step_of_its_own(self) -> None:
        step = steps(tracker("1", NONE, "s", is_read=False))["1"]
        assert about(step) == (NOT_READ, Reason.FLEET_NOT_READ, "1", None)

    def test_a_tracker_of_another_account_is_not_waited_for(self) -> None:
        assert kinds(tracker("1", "s"), tracker("2", FREE, is_ours=False, is_read=False)) == {"1": SET}

    def test_no_circle_is_opened(self) -> None:
        found = kinds(tracker("1", "b", "a"), tracker("2", "a", "b"), tracker("3", FREE, is_read=False))
        assert found == {"1": AWAIT, "2": AWAIT}

    def test_a_person_who_does_not_want_to_wait_waits_for_this(self) -> None:
        all_ = fleet(tracker("1", NONE, "", "s"), tracker("2", "s"), tracker("3", FREE, is_read=False))
        given = approval_of(change_sets(all_)[0].changes, all_, "Ada", is_unconfirmed_ok=True)
        assert kinds_of(replaced(all_, approvals=(given,)))["2"] is AWAIT
        read = replaced(all_, trackers=all_.trackers[:2])
        assert kinds_of(replaced(read, approvals=(given,)))["2"] is SET


class TestUnknownOutcome:
    """A write of ours may have reached the cloud, or may yet."""

    INTENT = Intent(document("a"), document("b"), (HR,), 1, "f" * 12, NOW_MS - 1000)

    @pytest.mark.parametrize("strap", ["a", "b"])
    def test_a_tracker_holds_what_it_had_and_what_it_may_have(self, strap: str) -> None:
        """The gateway was killed in the middle of a write; meanwhile something else is wanted."""
        one = tracker("1", "c", "a" if strap == "b" else "b", memory=Memory(intent=self.INTENT))
        found = steps(one, tracker("2", strap))
        assert about(found["2"]) == (AWAIT, Reason.AWAITING_RELEASE, "1", Where.TARGET)

    def test_its_own_write_does_not_stand_in_its_way(self) -> None:
        assert kinds(tracker("1", "b", "a", memory=Memory(intent=self.INTENT))) == {"1": SET}

    @pytest.mark.parametrize(("age_ms", "kind"), [(0, AWAIT), (LATE_MS - 1, AWAIT), (LATE_MS, SET)])
    def test_a_write_that_did_not_arrive_may_do_so_late(self, age_ms: int, kind: StepKind) -> None:
        late = replace(self.INTENT, at_ms=NOW_MS - age_ms)
        assert kinds(tracker("1", "a", "a", memory=Memory(late=late)), tracker("2", "b"))["2"] is kind


class TestOwnSlots:
    """A sensor moves from one slot of a tracker to its other one."""

    def test_in_one_write(self) -> None:
        one = tracker("1", NONE, "s", power=("s", "", ""))
        assert steps_of(fleet(one)) == {("1", HR): Step(CLEAR), ("1", POWER): Step(SET, sensor=sensor("s"))}

    def test_two_change_places_in_one_write(self) -> None:
        one = tracker("1", "s", "r", power=("r", "s", "s"))
        assert [step.kind for step in steps_of(fleet(one)).values()] == [SET, SET]

    def test_not_out_of_a_slot_that_is_left_alone(self) -> None:
        step = steps_of(fleet(tracker("1", FREE, "s", power=("s", "", ""))))["1", POWER]
        assert about(step) == (HELD, Reason.HELD_BY_OTHER_TARGET, "1", Where.TARGET)

    def test_what_the_tracker_last_acknowledged_does_not_matter(self) -> None:
        """It takes both slots at once."""
        found = steps_of(fleet(tracker("1", NONE, "", "s", power=("s", "", ""))))
        assert found["1", POWER] == Step(SET, sensor=sensor("s"))

    def test_not_before_its_other_slot_gets_its_own(self) -> None:
        one, two = tracker("1", "r", "s", power=("s", "", "")), tracker("2", NONE, "r")
        found = steps_of(fleet(one, two))
        assert about(found["1", HR]) == (AWAIT, Reason.AWAITING_RELEASE, "2", Where.TARGET)
        assert about(found["1", POWER]) == (AWAIT, Reason.AWAITING_RELEASE, "1", Where.TARGET)
        assert {step.kind for step in steps_of(fleet(one, tracker("2", NONE, ""))).values()} == {SET, IN_PLACE}

    def test_it_is_not_its_own_alone_while_both_have_it(self) -> None:
        one, two = tracker("1", "s", "s", power=("r", "s", "s")), tracker("2", NONE, "r")
        step = steps(one, two)["1"]
        assert about(step) == (IN_PLACE, Reason.AWAITING_RELEASE, "1", Where.TARGET)

    def test_a_circle_through_both_slots_opens(self) -> None:
        """Power waits for heart rate, that for the other tracker, and that one for power."""
        one, two = tracker("1", "r", "s", power=("s", "y", "y")), tracker("2", "y", "r")
        assert [step.kind for step in steps_of(fleet(one, two)).values()] == [CLEAR, CLEAR, CLEAR]


class TestChainsAndCircles:
    def test_a_chain_goes_from_its_end_and_nobody_is_cleared(self) -> None:
        chain = [tracker("1", "b", "a"), tracker("2", "c", "b"), tracker("3", "d", "c")]
        assert kinds(*chain) == {"1": AWAIT, "2": AWAIT, "3": SET}

    def test_a_chain_into_a_circle_is_not_cleared(self) -> None:
        """3 waits for what 1 still has until it starts, and 4 for 3; nobody in the circle waits for them."""
        pair = [tracker("1", "b", "a", "x"), tracker("2", "a", "b")]
        chain = [tracker("3", "x", "c"), tracker("4", "c", "d")]
        assert kinds(*pair, *chain) == {"1": CLEAR, "2": CLEAR, "3": AWAIT, "4": AWAIT}

    def test_two_straps_change_places_step_by_step(self) -> None:
        def swap(*documents: tuple[str, str]) -> list[StepKind]:
            (target, current), (other_target, other_current) = documents
            one, two = tracker("1", "b", target, current), tracker("2", "a", other_target, other_current)
            return list(kinds(one, two).values())

        assert swap(("a", "a"), ("b", "b")) == [CLEAR, CLEAR]
        assert swap(("", "a"), ("b", "b")) == [AWAIT, CLEAR], "the second of them clears though the first has"
        assert swap(("", "a"), ("", "b")) == [AWAIT, AWAIT]
        assert swap(("", ""), ("", "b")) == [AWAIT, SET], "each gets its own as soon as it is free"
        assert swap(("", ""), ("a", "b")) == [AWAIT, IN_PLACE]
        assert swap(("", ""), ("a", "a")) == [SET, IN_PLACE]
        assert swap(("b", ""), ("a", "a")) == [IN_PLACE, IN_PLACE]

    def test_what_nobody_waits_for_is_not_cleared(self) -> None:
        """2 waits for what 1 only has until it starts; the strap that 1 gets then is wanted by nobody else."""
        assert kinds(tracker("1", "y", "x", "s"), tracker("2", "s", "y")) == {"1": AWAIT, "2": CLEAR}

    def test_a_circle_of_1000_opens_at_once(self) -> None:
        circle = [tracker(str(n), f"s{(n + 1) % 1000}", f"s{n}") for n in range(1000)]
        assert set(kinds(*circle).values()) == {CLEAR}
        circle[500] = tracker("500", "free", "s500")
        assert [serial for serial, kind in kinds(*circle).items() if kind is not AWAIT] == ["500"]

    @pytest.mark.parametrize(
        "trouble", ["suspended", "rival", "invalid", "left alone", "wanted twice", "watched", "refused"]
    )
    def test_nobody_is_cleared_for_a_circle_that_cannot_close(self, trouble: str) -> None:
        one, two, three = tracker("1", "b", "a"), tracker("2", "c", "b"), tracker("3", "a", "c")
        more: list[Observation] = []
        mode = Mode.PROPOSE
        if trouble == "suspended":
            two = replaced(two, memory=replace(two.memory, suspension=Suspension("Ada", "", 0)))
        elif trouble == "rival":
            two = replaced(two, memory=replace(two.memory, rival_since_ms=1))
        elif trouble == "watched":
            two, mode = drifted(two), Mode.OBSERVE
        elif trouble == "refused":
            two = replaced(two, memory=replace(two.memory, refusals=(TestHandover.refusal("c"),)))
        elif trouble == "invalid":
            two = replaced(two, air={HR: Air("seen", kind="power")})
        elif trouble == "left alone":
            more = [tracker("4", FREE, "", "c")]
        else:
            more = [tracker("4", "c")]
        assert CLEAR not in kinds_of(replaced(fleet(one, two, three, *more), mode=mode)).values()
        assert set(kinds(one, tracker("2", "c", "b"), three).values()) == {CLEAR}

    @pytest.mark.parametrize("who", ["all", "command of one", "command of both", "approval", "other approval"])
    def test_in_a_session_a_circle_opens_only_if_all_of_it_may_be_written(self, who: str) -> None:
        """Or an athlete would run without a strap until the session of the others is over."""
        pair = [tracker("1", "b", "a"), tracker("2", "a", "b")]
        commanded = {"command of one": 1, "command of both": 2}.get(who, 0)
        for place in range(commanded):
            desired = replace(pair[place].desired, is_during_session=True)
            pair[place] = replaced(pair[place], desired=desired)
        until_ms = NOW_MS if who == "all" else NOW_MS + 1
        changes = change_sets(fleet(*pair))[0].changes
        approval = approval_of(changes, fleet(*pair), "Ada", is_during_session=who == "approval")
        given = (approval,) if "approval" in who else ()
        found = kinds_of(replaced(fleet(*pair), session_until_ms=until_ms, approvals=given))
        may = who in {"all", "command of both", "approval"}
        assert list(found.values()) == ([CLEAR, CLEAR] if may else [AWAIT, AWAIT])

    def test_a_word_about_the_other_slot_does_not_open_a_circle_in_a_session(self) -> None:
        pair = []
        for one in (tracker("1", "b", "a"), tracker("2", "a", "b")):
            desired = replace(one.desired, is_during_session=True, earlier={HR: one.desired.word(HR)})
            pair.append(replaced(one, desired=desired))
        found = kinds_of(replaced(fleet(*pair), session_until_ms=NOW_MS + 1))
        assert list(found.values()) == [AWAIT, AWAIT]

    def test_somebody_else_in_the_middle_of_a_swap(self) -> None:
        """Both were cleared; then an app gave the strap that 2 wants to 3, which is left alone."""
        found = steps(tracker("1", "b", "", ""), tracker("2", "a", "", ""), tracker("3", FREE, "a", ""))
        assert about(found["1"])[0] is SET
        assert about(found["2"]) == (HELD, Reason.HELD_BY_OTHER_TARGET, "3", Where.TARGET)

    def test_a_late_write_of_a_cleared_slot_is_not_cleared_again(self) -> None:
        """Nothing stands there that could be cleared."""
        late = Intent(document(), document("a"), (HR,), 1, "f" * 12, NOW_MS - 1000)
        one = tracker("1", "b", "", "", memory=Memory(late=late))
        assert kinds(one, tracker("2", "a", "b")) == {"1": AWAIT, "2": CLEAR}

"""What is to change, in which groups, who must approve it, and what becomes of an approval."""

import hashlib
from dataclasses import replace as replaced

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.pairing.approval import Change
from gateway.pairing.desired import Basis
from gateway.pairing.documents import Sensor, Slot, Wish
from gateway.pairing.memory import Intent, Memory, Renaming
from gateway.pairing.observation import Fleet, Mode, Observation
from gateway.pairing.planning.changes import ChangeSet, Why, approval_of, change_sets, hash_of, is_many, living, same
from tests.pairing.fleets import FREE, HR, NONE, NOW_MS, POWER, document, drifted, fleet, sensor, tracker

MINUTE_MS = 60_000


def sets(*trackers: Observation, mode: Mode = Mode.PROPOSE) -> tuple[ChangeSet, ...]:
    return change_sets(replaced(fleet(*trackers), mode=mode))


def whys(*trackers: Observation, mode: Mode = Mode.PROPOSE) -> list[tuple[Why, ...]]:
    return [it.why for it in sets(*trackers, mode=mode)]


def members(*trackers: Observation) -> list[list[str]]:
    return [[change.serial_number for change in it.changes] for it in sets(*trackers)]


def away(serial_number: str, wants: str | Wish, target: str, *, basis: Basis = Basis.FILE) -> Observation:
    return drifted(tracker(serial_number, wants, target, basis=basis))


class TestSame:
    def test_address_and_name_count_and_what_the_cloud_makes_of_them(self) -> None:
        strap = Sensor("a0:00:00:00:00:01", "Polar H10")
        kept = Sensor(strap.address, "POLAR H10")
        known = Memory(renamings=(Renaming(strap, kept),))
        assert same(strap, strap, Memory())
        assert not same(strap, kept, Memory())
        assert same(strap, kept, known)
        assert not same(kept, strap, known), "what was kept is not what was wanted"
        assert not same(strap, None, known)

    def test_none_is_none_and_what_is_left_alone_is_as_wanted(self) -> None:
        assert same(Wish.NONE, None, Memory())
        assert not same(Wish.NONE, sensor("s"), Memory())
        assert same(Wish.UNMANAGED, None, Memory())
        assert same(Wish.UNMANAGED, sensor("s"), Memory())


class TestChanges:
    def test_a_change_tells_the_sensor_now_and_then(self) -> None:
        (found,) = sets(tracker("1", "s", "r", generation=7, power=(NONE, "p", "p")))
        assert found.changes == (
            Change("1", HR, sensor("r"), sensor("s"), 7),
            Change("1", POWER, sensor("p"), None, 7),
        )
        assert found.is_approved

    @pytest.mark.parametrize(
        "one",
        [
            tracker("1", "s", "s", ""),
            tracker("1", NONE, "", "s"),
            tracker("1", FREE, "s"),
            tracker("1", "s", is_read=False),
            tracker("1", "s", is_ours=False),
        ],
        ids=["awaits its tracker", "awaits its tracker, cleared", "left alone", "never read", "not ours"],
    )
    def test_nothing_is_to_change(self, one: Observation) -> None:
        assert sets(one) == ()

    def test_a_hash_is_of_what_the_changes_are_and_not_of_their_order(self) -> None:
        one, two = Change("1", HR, None, sensor("s"), 1), Change("1", POWER, None, sensor("s"), 1)
        assert hash_of([one, two]) == hash_of((two, one))
        assert len(hash_of([one])) == 12
        assert not hash_of([])
        others = [
            replace(one, serial_number="2"),
            replace(one, before=sensor("r")),
            replace(one, after=None),
            replace(one, after=Sensor(sensor("s").address, "Other")),
            replace(one, generation=2),
            two,
        ]
        assert len({hash_of([it]) for it in [one, *others]}) == 7

    def test_a_hash_is_of_plain_json(self) -> None:
        """An approval outlives a restart, and so an update, whatever makes the JSON then."""
        change = Change("G-1", HR, None, Sensor("a0:00:00:00:00:01", "Polar H10"), 3)
        text = (
            '[{"serial_number":"G-1","slot":"heart_rate","before":null,'
            '"after":{"address":"a0:00:00:00:00:01","name":"Polar H10"},"generation":3}]'
        )
        assert hash_of([change]) == hashlib.sha256(text.encode()).hexdigest()[:12]


class TestGroups:
    def test_trackers_between_which_sensors_move_are_one_group(self) -> None:
        chain = [tracker("1", "b", "a"), tracker("5", "x"), tracker("2", "c", "b"), tracker("3", NONE, "c")]
        assert members(*chain) == [["1", "2", "3"], ["5"]]

    def test_in_the_order_of_the_roster_whoever_gives(self) -> None:
        assert members(tracker("9", NONE, "a"), tracker("1", "a"), tracker("5", NONE, "q")) == [["9", "1"], ["5"]]

    def test_also_by_way_of_the_other_slot(self) -> None:
        assert members(tracker("1", "p"), tracker("2", NONE, "q", power=(NONE, "p", "p")), tracker("3", "q")) == [
            ["1", "2", "2", "3"]
        ]

    def test_two_trackers_that_have_nothing_to_do_with_each_other_are_approved_apart(self) -> None:
        assert members(tracker("1", NONE, "a"), tracker("2", NONE, "b")) == [["1"], ["2"]]

    def test_a_tracker_that_stays_as_it_is_is_no_link(self) -> None:
        """What 1 and 2 want is in two places of it, and nobody asked it to give them away."""
        assert members(tracker("1", "a"), tracker("3", FREE, "a", power=(FREE, "b", "b")), tracker("2", "b")) == [
            ["1"],
            ["2"],
        ]


class TestWhy:
    @pytest.mark.parametrize("basis", Basis)
    def test_a_sensor_that_is_only_set_needs_nobody(self, basis: Basis) -> None:
        assert whys(tracker("1", "s", "r", basis=basis)) == [()]

    @pytest.mark.parametrize("basis", Basis)
    def test_a_sensor_that_moves_needs_a_person_even_by_command(self, basis: Basis) -> None:
        assert whys(tracker("1", "r", "s", basis=basis), tracker("2", "s", basis=basis)) == [(Why.SWAP,)]

    def test_also_one_that_moves_away_from_a_tracker_that_is_left_alone(self) -> None:
        assert whys(tracker("1", FREE, "s"), tracker("2", "s")) == [(Why.SWAP,)]

    def test_also_one_that_another_tracker_may_have_by_a_write_of_unknown_outcome(self) -> None:
        intent = Intent(document(), document("s"), (HR,), 1, "f" * 12, 0)
        assert whys(tracker("1", NONE, memory=Memory(intent=intent)), tracker("2", "s")) == [(Why.SWAP,)]

    def test_not_one_that_another_tracker_loses_anyway_when_it_starts(self) -> None:
        """It was taken away by somebody who may; the gateway waits for the tracker and asks nobody again."""
        assert whys(tracker("1", NONE, "", "s"), tracker("2", "s")) == [()]

    def test_not_one_that_moves_within_a_tracker(self) -> None:
        assert whys(tracker("1", NONE, "s", power=("s", "", ""))) == [()]

    @pytest.mark.parametrize("basis", Basis)
    def test_a_sensor_is_taken_away_only_by_a_command(self, basis: Basis) -> None:
        is_command = basis in {Basis.COMMAND, Basis.SCAN, Basis.ADOPTED}
        assert whys(tracker("1", NONE, "s", basis=basis)) == [() if is_command else (Why.REMOVAL,)]

    def test_what_came_with_many_others_needs_a_person_until_it_was_done_once(self) -> None:
        assert whys(tracker("1", "s", "r", is_bulk=True)) == [(Why.BULK,)]
        assert whys(tracker("1", "s", "r", is_bulk=True, memory=Memory(served={HR: sensor("q")}))) == [(Why.BULK,)]
        assert whys(tracker("1", "s", "r", is_bulk=True, memory=Memory(served={HR: sensor("s")}))) == [()]

    def test_all_reasons_are_told_in_their_order(self) -> None:
        one = away("1", NONE, "s")
        one = replaced(one, desired=replace(one.desired, is_bulk=True))
        assert whys(one, tracker("2", "s")) == [tuple(Why)]


class TestDrift:
    @pytest.mark.parametrize(
        ("mode", "why"), [(Mode.PROPOSE, [(Why.DRIFT,)]), (Mode.ENFORCE, [()]), (Mode.OBSERVE, [])]
    )
    def test_by_mode(self, mode: Mode, why: list[tuple[Why, ...]]) -> None:
        assert whys(away("1", "s", "r"), mode=mode) == why

    @pytest.mark.parametrize("mode", Mode)
    def test_of_something_that_is_not_wanted_any_more_it_is_none(self, mode: Mode) -> None:
        assert whys(tracker("1", "s", "r", memory=Memory(drifted={HR: sensor("q")})), mode=mode) == [()]

    @pytest.mark.parametrize(
        ("drifts", "others", "is_bulk"), [(1, 0, False), (2, 8, False), (2, 7, True), (5, 25, False), (6, 1000, True)]
    )
    def test_so_much_of_it_at_once_is_not_changed_back_without_a_person(
        self, drifts: int, others: int, is_bulk: bool
    ) -> None:
        gone = [away(f"d{n}", f"s{n}", f"r{n}") for n in range(drifts)]
        rest = [tracker(f"t{n}", f"q{n}", f"q{n}") for n in range(others)]
        pending = tracker("pending", "new")
        assert whys(*gone, *rest[:-1], pending, mode=Mode.ENFORCE)[:drifts] == [(Why.BULK,) if is_bulk else ()] * drifts
        assert whys(*gone, *rest[:-1], pending, mode=Mode.ENFORCE)[drifts:] == [()]

    @given(st.integers(1, 2000))
    def test_one_tracker_is_never_many(self, count: int) -> None:
        assert not is_many(1, count)
        assert is_many(6, count)


class TestApproval:
    def approved(self, *trackers: Observation, later_ms: int = 0) -> Fleet:
        """All that is to change was approved, `later_ms` ago."""
        then = fleet(*trackers)
        given = approval_of([change for it in change_sets(then) for change in it.changes], then, "Ada")
        return replaced(then, approvals=(given,), now_ms=NOW_MS + later_ms)

    def test_a_group_is_approved_when_all_of_it_is(self) -> None:
        swap = tracker("1", "b", "a"), tracker("2", "a", "b")
        all_ = self.approved(*swap)
        assert [it.is_approved for it in change_sets(fleet(*swap))] == [False]
        assert [it.is_approved for it in change_sets(all_)] == [True]
        half = replace(all_.approvals[0], changes=all_.approvals[0].changes[:1])
        assert [it.is_approved for it in change_sets(replaced(all_, approvals=(half,)))] == [False]

    def test_groups_can_be_approved_one_by_one_or_all_together(self) -> None:
        one, two = tracker("1", NONE, "a", basis=Basis.FILE), tracker("2", NONE, "b", basis=Basis.FILE)
        assert [it.is_approved for it in change_sets(self.approved(one, two))] == [True, True]
        given = self.approved(one).approvals
        assert [it.is_approved for it in change_sets(replaced(fleet(one, two), approvals=given))] == [True, False]

    def test_its_hash_is_that_of_the_group(self) -> None:
        (found,) = sets(tracker("1", "b", "a"), tracker("2", "a", "b"))
        approval = approval_of(found.changes, fleet(), "Ada", is_during_session=True)
        assert (approval.hash, approval.author, approval.at_ms) == (found.hash, "Ada", NOW_MS)
        assert (approval.is_during_session, approval.is_immediate, approval.is_unconfirmed_ok) == (True, False, False)

    @pytest.mark.parametrize(("basis", "minutes"), [(Basis.FILE, 24 * 60), (Basis.COMMAND, 24 * 60), (Basis.SCAN, 15)])
    def test_what_was_held_to_the_gateway_is_approved_for_a_short_time(self, basis: Basis, minutes: int) -> None:
        swap = tracker("1", "b", "a"), tracker("2", "a", "b", basis=basis)
        for later_ms, is_approved in [(minutes * MINUTE_MS - 1, True), (minutes * MINUTE_MS, False)]:
            assert change_sets(self.approved(*swap, later_ms=later_ms))[0].is_approved is is_approved

    @pytest.mark.parametrize(("slot", "minutes"), [(HR, 15), (POWER, 24 * 60)])
    def test_it_is_short_for_the_slot_that_was_scanned(self, slot: Slot, minutes: int) -> None:
        one = tracker("1", "b", "a", power=("q", "p", "p"), basis=Basis.SCAN)
        word = replace(one.desired.word(POWER), basis=Basis.COMMAND)
        one = replaced(one, desired=replace(one.desired, earlier={POWER: word}))
        (found,) = (it for it in sets(one) if it.changes[0].slot is slot)
        assert approval_of(found.changes, fleet(one), "Ada").expires_ms == NOW_MS + minutes * MINUTE_MS

    def test_it_lasts_through_every_phase_of_a_swap(self) -> None:
        """Both are cleared and set while all else that it rests on is on disk; hours may lie in between."""
        phases = [("a", "b"), ("", "b"), ("", ""), ("", "a"), ("b", "a")]
        given = self.approved(tracker("1", "b", "a"), tracker("2", "a", "b")).approvals
        given = (replace(given[0], has_begun=True),)
        for target, other in phases:
            ours = [Memory(ours=document(it), ours_ms=NOW_MS + 1) for it in (target, other)]
            swap = tracker("1", "b", target, "a", memory=ours[0]), tracker("2", "a", other, "b", memory=ours[1])
            now = replaced(fleet(*swap), approvals=given, now_ms=NOW_MS + 100 * 60 * MINUTE_MS)
            assert all(it.is_approved for it in change_sets(now)), (target, other)

    def test_somebody_else_in_the_middle_of_a_swap_voids_it(self) -> None:
        given = self.approved(tracker("1", "b", "a"), tracker("2", "a", "b")).approvals
        foreign = Memory(foreign_ms=(NOW_MS + 1,), drifted={HR: sensor("b")})
        swap = tracker("1", "b", "c", memory=foreign), tracker("2", "a", "b")
        assert [it.is_approved for it in change_sets(replaced(fleet(*swap), approvals=given))] == [False]


class TestForgetting:
    """An approval is kept as long as it can cover anything."""

    DAY_MS = 24 * 60 * MINUTE_MS

    def left(self, now: Observation, *, has_begun: bool, later_ms: int) -> bool:
        then = fleet(tracker("1", NONE, "s", basis=Basis.FILE))
        approval = approval_of(change_sets(then)[0].changes, then, "Ada")
        approval = replace(approval, has_begun=has_begun)
        return bool(living(replaced(fleet(now), approvals=(approval,), now_ms=NOW_MS + later_ms)))

    def test_until_it_expires_whatever_happens(self) -> None:
        done = tracker("1", NONE, "")
        assert self.left(done, has_begun=False, later_ms=self.DAY_MS - 1)
        assert not self.left(done, has_begun=False, later_ms=self.DAY_MS)
        assert not self.left(tracker("1", NONE, "s"), has_begun=False, later_ms=self.DAY_MS)

    def test_what_has_begun_until_it_is_done(self) -> None:
        later = self.DAY_MS
        assert self.left(tracker("1", NONE, "s"), has_begun=True, later_ms=later)
        assert self.left(tracker("1", NONE, "s", is_read=False), has_begun=True, later_ms=later), "after a restart"
        assert not self.left(tracker("1", NONE, ""), has_begun=True, later_ms=later)
        again = tracker("1", NONE, "s", generation=2)
        assert not self.left(again, has_begun=True, later_ms=later)
        other = replaced(again, desired=replace(again.desired, since={HR: 1}))
        assert self.left(other, has_begun=True, later_ms=later), "the new generation is the other slot's"
        assert not self.left(tracker("2", NONE, "s"), has_begun=True, later_ms=later), "it left the fleet"


def test_the_change_of_a_whole_fleet_is_found() -> None:
    """1000 trackers that pass their straps on by one are one group."""
    (found,) = sets(*(tracker(str(n), f"s{(n + 1) % 1000}", f"s{n}") for n in range(1000)))
    assert [change.serial_number for change in found.changes] == [str(n) for n in range(1000)]
    assert found.why == (Why.SWAP,)

"""What followers are told of the pairings, and what people are told is wrong: once, and without a name in the log."""

import logging
from dataclasses import replace

import pytest

from gateway.live.board import Board
from gateway.pairing.conditions import Condition, ConditionType, Reason, Status
from gateway.pairing.desk.publisher import publish, publish_fleet
from gateway.pairing.desk.reporting import report_tracker
from gateway.pairing.desk.trouble import Trouble
from gateway.pairing.memory import Memory, Suspension
from gateway.pairing.observation import Fleet, Observation
from gateway.pairing.planning.plan import Plan, State, TrackerPlan
from gateway.problems import Problems
from gateway.store import StoreError
from tests.pairing.desks import situation
from tests.pairing.fleets import NOW_MS, fleet, tracker


class Follower:
    """Who looks at the board now and then."""

    def __init__(self) -> None:
        self.board = Board()
        self._revision = 0

    def told(self, seen: Observation, read_ms: int | None = None) -> list[dict[str, object]]:
        met = situation(seen)
        planned = met.plan.trackers[seen.serial_number]
        publish(self.board, planned, report_tracker(met, seen, {}, read_ms))
        news, self._revision = self.board.since(self._revision), self.board.revision
        return news


def test_a_tracker_is_told_once_and_again_when_it_stands_otherwise() -> None:
    follower = Follower()
    (first,) = follower.told(tracker("A", "one", "one", "two"))
    assert (first["key"], first["value"], first["name"], first["managed_by"]) == (
        "pairing/A",
        "awaiting_device",
        "Anna",
        "field",
    )
    assert follower.told(tracker("A", "one", "one", "two"), read_ms=5) == [], "that it was read again is no news"
    (second,) = follower.told(tracker("A", "one", "one"))
    assert second["value"] == "in_sync"


def test_only_what_a_person_should_know_of_is_told() -> None:
    (told,) = Follower().told(tracker("A", "one", "one", "two"))
    conditions = told["conditions"]
    assert isinstance(conditions, list | tuple)
    types = [it["type"] for it in conditions]
    assert "DeviceConverged" in types
    assert not {"Ready", "Reconciling", "Suspended", "Stalled", "Unique"} & {*types}


def of_all(board: Board, of: Fleet) -> dict[str, object]:
    """What is told of the fleet."""
    publish_fleet(board, situation(of=of))
    (told,) = board.since(0)
    return told


def test_the_fleet_is_told_once_and_again_when_something_else_is_to_change() -> None:
    board, all_well = Board(), fleet(tracker("A", "one", "one"))
    assert of_all(board, all_well) == {
        "op": "state",
        "key": "pairings",
        "value": "running",
        "mode": "propose",
        "paused_by": None,
        "session_until_ms": None,
        "hash": "",
    }
    of_all(board, replace(all_well, now_ms=NOW_MS + 1000))
    assert board.revision == 1
    assert len(str(of_all(board, fleet(tracker("A", "one", "")))["hash"])) == 12


def test_the_end_of_a_session_that_goes_on_is_told_once_a_minute() -> None:
    board, minute_ms = Board(), NOW_MS - NOW_MS % 60_000
    for second in range(121):
        until_ms = minute_ms + 1 + 1000 * second
        told = of_all(board, replace(fleet(tracker("A")), session_until_ms=until_ms))
        assert told["value"] == "session"
        assert isinstance(told["session_until_ms"], int)
        assert 0 <= told["session_until_ms"] - until_ms < 60_000
    assert board.revision == 3
    assert of_all(board, fleet(tracker("A")))["session_until_ms"] is None


def test_a_fleet_that_is_stopped_says_by_whom() -> None:
    met = fleet(tracker("A"))
    for stopped, by in (
        (replace(met, pause=Suspension("Kim", "", 0), session_until_ms=NOW_MS), "Kim"),
        (replace(met, pause=Suspension("", "", 0)), "somebody"),
        (replace(met, is_clock_sure=False), None),
        (replace(met, is_store_working=False), None),
    ):
        told = of_all(Board(), stopped)
        assert (told["value"], told["paused_by"]) == ("suspended", by)


def test_a_condition_names_the_other_tracker_that_it_is_about() -> None:
    waiting, holder = tracker("A", "one", ""), tracker("B", "two", "two", "one")
    met = situation(waiting, holder)
    report = report_tracker(met, waiting, {}, None)
    unique = next(it for it in report.conditions if it.type == "Unique")
    assert (report.state, unique.other) == ("awaiting_release", "B")
    assert [it.other for it in report.conditions if it.type == "Valid"] == [None]


def problems() -> Problems:
    return Problems(lambda: NOW_MS)


def planned(state: State, *conditions: Condition, serial: str = "A") -> Plan:
    return Plan({serial: TrackerPlan(serial, state, conditions, None, 60.0, None)}, (), "")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.REJECTED, "pairing_rejected"),
        (State.STALLED, "pairing_stalled"),
        (State.NEEDS_HUMAN, "pairing_needs_human"),
    ],
)
def test_what_needs_a_person_is_a_problem_until_it_does_not(state: State, code: str) -> None:
    known = problems()
    trouble = Trouble(known)
    for _ in range(3):
        trouble.update(planned(state))
    (told,) = known
    assert (told.code, told.subject) == (code, "A")
    assert "`insiders-gateway pair explain A`" in told.action
    assert known.revision == 1
    trouble.update(planned(State.IN_SYNC))
    assert len(known) == 0


@pytest.mark.parametrize("state", [it for it in State if it not in {State.REJECTED, State.STALLED, State.NEEDS_HUMAN}])
def test_what_waits_or_is_decided_in_peace_is_no_problem(state: State) -> None:
    known = problems()
    Trouble(known).update(planned(state))
    assert len(known) == 0


def test_one_problem_becomes_another() -> None:
    known = problems()
    trouble = Trouble(known)
    trouble.update(planned(State.STALLED))
    rival = Condition(ConditionType.SUSPENDED, None, Status.TRUE, Reason.DUPLICATE_CONTROLLER, "", "")
    trouble.update(planned(State.SUSPENDED, rival))
    assert [it.code for it in known] == ["pairing_rival"]
    trouble.update(Plan({}, (), ""))
    assert len(known) == 0


def test_the_disk_is_told_in_its_own_words() -> None:
    known = problems()
    trouble = Trouble(known)
    trouble.check(store=StoreError("The disk is full", "free some space"), damage=StoreError("It was lost", "import"))
    assert {(it.code, it.text, it.action) for it in known} == {
        ("pairing_store", "The disk is full", "free some space"),
        ("pairing_store_damaged", "It was lost", "import"),
    }
    trouble.check(store=None, damage=None)
    assert len(known) == 0


def test_no_name_of_a_sensor_or_an_athlete_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    trouble, follower = Trouble(problems()), Follower()
    seen = tracker("A", "Annas strap", "one", memory=Memory(rival_since_ms=NOW_MS, foreign_ms=(NOW_MS,)))
    with caplog.at_level(logging.DEBUG):
        follower.told(seen)
        trouble.update(situation(seen).plan)
        follower.told(replace(seen, read_ago_s=500.0))
    assert "pairing_rival [A]" in caplog.text
    for name in ("Anna", "strap", "a0:"):
        assert name not in caplog.text

"""What is told of recordings without being asked: on the websocket, and as problems, which also reach the log."""

import logging
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from gateway.live.board import Board
from gateway.problems import Problems
from gateway.store import StoreError
from gateway.uploads.overview import MAX_TOLD, TOLD_DONE_MS, overview
from gateway.uploads.publisher import GONE_FOR_S, Publisher
from gateway.uploads.recording import Recording, State
from gateway.uploads.report import InboxReport, ProgressReport
from gateway.uploads.reporter import Reporter
from gateway.uploads.standing import LONG_MS, Standing, standing
from gateway.uploads.trouble import Trouble
from tests.uploads.keeping.stages import recording

NOW_MS = 1_000
DELETED = {State.PURGED, State.DISCARDED}


@dataclass(frozen=True)
class Wearer:
    serial_number: str
    athlete: str | None
    number: int | None


@dataclass
class Told:
    """A publisher, and what stands behind it and before it."""

    board: Board = field(default_factory=Board)
    recordings: dict[str, Recording] = field(default_factory=dict)
    progress_bytes: int | None = None
    left_s: float | None = None
    revision: int = 0

    def __post_init__(self) -> None:
        self.publisher = Publisher(self.board)
        self.reporter = Reporter(self, {"A": Wearer("A", "Anna", None)}, 7, lambda: NOW_MS)

    def put(self, *recordings: Recording) -> None:
        self.recordings |= {it.sha256: it for it in recordings}

    def news(self, now_ms: int = NOW_MS, now_s: float = 0.0) -> list[dict[str, object]]:
        """What is told anew at a time."""
        some = overview(self.recordings.values()).told(now_ms)
        self.publisher.publish(some, self.recordings, self.reporter.lasting, now_s)
        told, self.revision = self.board.since(self.revision), self.board.revision
        return told

    @property
    def is_lookup(self) -> bool:
        return False

    def progress(self, _sha256: str) -> ProgressReport | None:
        if self.progress_bytes is None:
            return None
        return ProgressReport(sent_bytes=self.progress_bytes, bytes_per_s=None, left_s=None)

    def next_s(self, _sha256: str) -> float | None:
        return self.left_s

    def job_state(self, _sha256: str) -> str | None:
        return "STARTED"

    def hindrance(self, _sha256: str) -> Standing | None:
        return None


def test_a_recording_is_told_once_and_again_when_it_stands_otherwise() -> None:
    told = Told()
    told.put(recording(1, State.QUEUED))
    (first,) = told.news()
    assert (first["key"], first["value"]) == (f"recording/{recording(1, State.QUEUED).id}", "queued")
    assert (first["text"], first["athlete"], first["deeds"]) == (
        "It waits for its turn",
        "Anna",
        ("assign", "retry", "discard"),
    )
    told.left_s = 9.0
    assert told.news() == [], "that time passes is no news"
    told.put(recording(1, State.SENDING))
    (second,) = told.news()
    assert (second["value"], second["progress"]) == ("sending", None)
    told.progress_bytes = 20
    (third,) = told.news()
    assert third["progress"] == {"sent_bytes": 20, "bytes_per_s": None, "left_s": None}


@pytest.mark.parametrize("state", sorted(DELETED))
def test_the_last_word_on_what_is_deleted_is_said_and_then_nothing(state: State) -> None:
    told = Told()
    told.put(recording(1, State.DONE))
    told.news()
    told.put(recording(1, state))
    (last,) = told.news(now_s=5.0)
    assert (last["value"], set(last)) == (state, {"op", "key", "value"})
    assert told.news(now_s=5.0 + GONE_FOR_S - 1) == []
    assert len(told.board.since(0)) == 1, "for who comes meanwhile"
    told.news(now_s=5.0 + GONE_FOR_S)
    assert told.board.since(0) == []


def test_what_comes_again_while_it_is_forgotten_stays() -> None:
    told = Told()
    told.put(recording(1, State.DISCARDED))
    assert told.news() == []
    told.put(recording(1, State.QUEUED))
    told.news()
    told.put(recording(1, State.DISCARDED))
    told.news(now_s=1.0)
    told.put(recording(1, State.QUEUED))
    assert [it["value"] for it in told.news(now_s=2.0)] == ["queued"]
    told.news(now_s=60.0)
    assert [it["value"] for it in told.board.since(0)] == ["queued"]


def test_what_is_done_is_told_for_a_day() -> None:
    told = Told()
    told.put(recording(1, State.DONE))
    assert [it["value"] for it in told.news()] == ["done"]
    assert told.news(now_ms=recording(1, State.DONE).changed_ms + TOLD_DONE_MS - 1) == []
    (last,) = told.news(now_ms=recording(1, State.DONE).changed_ms + TOLD_DONE_MS)
    assert (last["value"], "text" in last) == ("done", False)


def test_of_very_many_the_newest_are_told() -> None:
    told = Told()
    told.put(*(replace(recording(it, State.QUEUED), taken_ms=it) for it in range(MAX_TOLD + 10)))
    news = told.news()
    assert len(news) == MAX_TOLD
    assert min(int(str(it["taken_ms"])) for it in news) == 10
    told.put(recording(0, State.SENDING), *(recording(1000 + it, State.UNASSIGNED) for it in range(MAX_TOLD)))
    told.put(*(replace(it, taken_ms=5000) for it in told.recordings.values() if it.state is State.UNASSIGNED))
    told.publisher = Publisher(told.board)
    assert [it["value"] for it in told.news() if it["value"] != "unassigned"] == ["sending"], "however old"


def test_what_stands_as_before_is_not_looked_at_anew() -> None:
    told = Told()
    told.put(*(recording(it, State.QUEUED) for it in range(50)))
    told.news()
    reports = [told.reporter.lasting(it) for it in told.recordings.values()]
    told.put(recording(7, State.SENDING))
    again = [told.reporter.lasting(it) for it in told.recordings.values()]
    assert [place for place, it in enumerate(again) if it is not reports[place]] == [7]


def test_what_time_makes_of_a_recording_is_told() -> None:
    """What was told of it is remembered, and nothing else changes meanwhile."""
    one, now_ms = recording(1, State.ACCEPTED), 0
    reporter = Reporter(Told(), {}, 7, lambda: now_ms)
    told = []
    for ago_ms in (0, LONG_MS, LONG_MS + 1, 2 * LONG_MS, 3 * LONG_MS):
        now_ms = one.changed_ms + ago_ms
        told.append(reporter.lasting(one).text)
        assert told[-1] == standing(one, now_ms).text
    assert len(set(told)) == 4


def problems(known: Problems) -> dict[str, tuple[str, str]]:
    return {it.code: (it.text, it.action) for it in known}


def left(action: str) -> InboxReport:
    return InboxReport(name="annas.jpg", size=1, code="x", text="It is", action=action, since_ms=0)


def test_what_waits_for_a_person_is_a_problem_with_numbers_until_somebody_has_come() -> None:
    known = Problems(lambda: NOW_MS)
    trouble = Trouble(known)
    some = [recording(1, State.UNASSIGNED), recording(2, State.UNASSIGNED), recording(3, State.CORRUPT)]
    trouble.update(some, NOW_MS)
    text, action = problems(known)["recordings_waiting_for_person"]
    assert text == "3 recordings wait for somebody: 2 without a tracker, 1 that the card has damaged"
    assert "`insiders-gateway recordings list`" in action
    trouble.update(some[:1], NOW_MS)
    text, _ = problems(known)["recordings_waiting_for_person"]
    assert text == "1 recording waits for somebody: 1 without a tracker"
    trouble.update([recording(1, State.QUEUED)], NOW_MS)
    assert len(known) == 0


@pytest.mark.parametrize("state", State)
def test_a_state_is_a_problem_if_it_waits_for_a_person_and_else_after_a_day(state: State) -> None:
    known = Problems(lambda: NOW_MS)
    one = recording(1, state)
    for now_ms, codes in (
        (NOW_MS, {"recordings_waiting_for_person"}),
        (one.changed_ms + LONG_MS + 1, {"recordings_waiting_for_person", "recordings_overdue"}),
    ):
        Trouble(known).update([one], now_ms)
        assert {it.code for it in known} <= codes
    is_over = state in {*DELETED, State.DONE}
    assert bool(len(known)) is not is_over


def test_what_lies_in_the_inbox_for_a_person_is_a_problem_and_what_takes_its_time_is_none() -> None:
    known = Problems(lambda: NOW_MS)
    Trouble(known).look([left(""), left("")])
    assert len(known) == 0
    Trouble(known).look([left("remove it"), left(""), left("remove it")])
    assert problems(known)["inbox_not_taken"][0] == "2 files lie in the inbox and cannot be taken"


def test_the_disk_is_told_in_its_own_words() -> None:
    known = Problems(lambda: NOW_MS)
    trouble = Trouble(known)
    disk, damage, inbox = (StoreError(f"{it} is bad", "mend it") for it in ("This", "That", "Something"))
    trouble.check(disk=disk, damage=damage, inbox=inbox)
    assert problems(known) == {
        "recordings_disk": ("This is bad", "mend it"),
        "recordings_damage": ("That is bad", "mend it"),
        "inbox_unreadable": ("Something is bad", "mend it"),
    }
    trouble.check(disk=None, damage=None, inbox=None)
    assert len(known) == 0


def test_a_setting_that_keeps_recordings_from_getting_on_needs_somebody() -> None:
    known = Problems(lambda: NOW_MS)
    trouble = Trouble(known)
    trouble.set_right(Standing("the cloud is deaf", "set ears = 2"))
    assert problems(known) == {
        "recordings_setting": (
            "Recordings do not get on: the cloud is deaf",
            "set ears = 2, and start the gateway again",
        )
    }
    trouble.set_right(None)
    assert len(known) == 0


def test_no_name_of_a_file_or_an_athlete_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    with caplog.at_level(logging.DEBUG):
        for number, state in enumerate(State):
            told.put(recording(number, state))
        told.news()
        trouble = Trouble(Problems(lambda: NOW_MS))
        trouble.update(told.recordings.values(), LONG_MS * 9)
        trouble.look([left("remove it")])
    assert "recordings_overdue" in caplog.text
    for name in ("asi", "anna", "Anna"):
        assert name not in caplog.text

"""Since when things are as they are, and what of it is worth an event; events that repeat are counted."""

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pairing.conditions import Condition, ConditionType, Reason, Status
from gateway.pairing.documents import Slot
from gateway.pairing.keeping.chronicle import Chronicle, Mark, Marks
from gateway.pairing.keeping.events import (
    CHATTER,
    CHATTER_MERGED_MS,
    MERGED_MS,
    SCHEMA,
    Event,
    event,
    events_of,
    merged,
    merged_all,
    note,
)
from gateway.pairing.planning.plan import Plan, State, TrackerPlan

WAITING = Condition(
    ConditionType.DEVICE_CONVERGED, Slot.HEART_RATE, Status.FALSE, Reason.AWAITING_POWER_CYCLE, "It was not started"
)
DONE = msgspec.structs.replace(WAITING, status=Status.TRUE, reason=Reason.OK, text="It listens to it")
UNREAD = msgspec.structs.replace(WAITING, status=Status.UNKNOWN, reason=Reason.NOT_READ_YET, text="It was not read yet")
READY = Condition(ConditionType.READY, None, Status.TRUE, Reason.OK, "All is well")
NOT_READY = msgspec.structs.replace(READY, status=Status.FALSE, reason=Reason.AWAITING_POWER_CYCLE)
SEEN = Condition(ConditionType.SENSOR_SEEN, Slot.HEART_RATE, Status.TRUE, Reason.OK, "It is heard")
QUIET = msgspec.structs.replace(SEEN, status=Status.FALSE, reason=Reason.SEEN_STALE, text="It is not heard")


class Notebook:
    """What would be kept."""

    def __init__(self, marks: Mapping[str, Marks] | None = None) -> None:
        self.kept = dict(marks or {})
        self.events: list[Event] = []

    @property
    def marks(self) -> Mapping[str, Marks]:
        return self.kept

    def note(self, events: Iterable[Event]) -> None:
        self.events += events

    def mark(self, serial_number: str, marks: Marks) -> None:
        self.kept[serial_number] = marks

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]


def plan(*conditions: Condition) -> Plan:
    return Plan({"A": TrackerPlan("A", State.UNKNOWN, conditions, None, 60.0, None)}, (), "")


def dates(chronicle: Chronicle, now_ms: int, *conditions: Condition) -> list[int]:
    dated = chronicle.dated(plan(*conditions), now_ms)["A"]
    assert [condition for condition, _ in dated] == list(conditions)
    return [since_ms for _, since_ms in dated]


def test_a_condition_keeps_its_date_until_status_or_reason_change() -> None:
    """Its words may change as they like: they tell how long it has lasted."""
    notes = Notebook()
    chronicle = Chronicle(notes)
    assert dates(chronicle, 10, WAITING) == [10]
    assert dates(chronicle, 20, msgspec.structs.replace(WAITING, text="For 3 min")) == [10]
    assert dates(chronicle, 30, DONE) == [30]
    assert dates(chronicle, 40, WAITING) == [40]
    assert [(it.reason, it.first_ms, it.text) for it in notes.events] == [
        ("DeviceConverged", 30, "It listens to it"),
        ("AwaitingPowerCycle", 40, "It was not started"),
    ]


def test_a_restart_ends_nothing() -> None:
    """What was so before and is so when it was read again has been so all the time, and nothing has happened."""
    notes = Notebook()
    dates(Chronicle(notes), 10, WAITING, READY)
    later = Notebook(msgspec.json.decode(msgspec.json.encode(notes.kept), type=dict[str, dict[str, Mark]]))
    chronicle = Chronicle(later)
    assert dates(chronicle, 100, UNREAD) == [100]
    assert dates(chronicle, 110, UNREAD) == [100]
    assert dates(chronicle, 120, WAITING) == [10]
    assert dates(Chronicle(Notebook(notes.kept)), 200, UNREAD) == [200]
    assert later.events == []


def test_what_changed_while_the_gateway_was_off_is_an_event() -> None:
    notes = Notebook()
    dates(Chronicle(notes), 10, WAITING)
    later = Notebook(notes.kept)
    assert dates(Chronicle(later), 100, DONE) == [100]
    assert later.reasons() == ["DeviceConverged"]


def test_a_first_look_at_a_tracker_is_no_event() -> None:
    notes = Notebook()
    dates(Chronicle(notes), 10, WAITING, NOT_READY, QUIET)
    assert notes.events == []


def test_what_appears_later_is_an_event_if_it_is_not_right() -> None:
    """A slot that somebody has begun to manage has conditions that were not there before."""
    notes = Notebook()
    chronicle = Chronicle(notes)
    dates(chronicle, 10, READY)
    dates(chronicle, 20, NOT_READY, WAITING, SEEN)
    assert notes.reasons() == ["AwaitingPowerCycle"]
    dates(chronicle, 30, READY)
    dates(chronicle, 40, NOT_READY, WAITING)
    assert notes.reasons() == ["AwaitingPowerCycle", "AwaitingPowerCycle"]


def test_what_is_right_is_news_only_after_it_was_wrong() -> None:
    notes = Notebook()
    chronicle = Chronicle(notes)
    fine = Condition(ConditionType.STALLED, None, Status.FALSE, Reason.OK, "It is not stuck")
    stuck = Condition(ConditionType.STALLED, None, Status.TRUE, Reason.NO_PROGRESS, "It hangs")
    unsure = msgspec.structs.replace(SEEN, status=Status.UNKNOWN, reason=Reason.JUST_LISTENING)
    dates(chronicle, 10, READY)
    dates(chronicle, 20, fine, SEEN)
    dates(chronicle, 30, fine, unsure)
    assert notes.events == []
    dates(chronicle, 40, stuck, SEEN)
    dates(chronicle, 50, fine, SEEN)
    assert [it.text for it in notes.events] == ["It hangs", "It is not stuck"]
    assert notes.reasons() == ["NoProgress", "NotStalled"]


def test_what_comes_and_goes_with_the_athletes_is_not_written_down_each_time() -> None:
    """A card is written to as rarely as can be."""
    notes = Notebook()
    chronicle = Chronicle(notes)
    dates(chronicle, 10, WAITING, SEEN)
    notes.kept.clear()
    assert dates(chronicle, 20, WAITING, QUIET) == [10, 20]
    assert notes.kept == {}
    assert notes.reasons() == ["SeenStale"]


REASONS = st.sampled_from(["SeenStale", "AwaitingPowerCycle", "Ready"])
EVENTS = st.builds(
    lambda serial, slot, reason, author, at_ms: event(serial, slot, reason, "text", at_ms, author),
    st.sampled_from("AB"),
    st.sampled_from([None, *Slot]),
    REASONS,
    st.sampled_from(["", "Ada"]),
    st.integers(0, 10 * CHATTER_MERGED_MS),
)


def test_what_happens_again_soon_is_counted() -> None:
    first = event("A", Slot.POWER, "Rejected", "it is not taken", 1000)
    again = event("A", Slot.POWER, "Rejected", "it is not taken", 1000 + MERGED_MS)
    assert merged(first, again) == Event("A", Slot.POWER, "Rejected", "it is not taken", "", 2, 1000, 1000 + MERGED_MS)
    assert merged(first, event("A", Slot.POWER, "Rejected", "it is not taken", 1001 + MERGED_MS)) is None
    assert merged(first, msgspec.structs.replace(again, author="Ada")) is None
    assert merged(first, msgspec.structs.replace(again, slot=None)) is None
    quiet = event("A", None, Reason.SEEN_STALE, "quiet", 0)
    assert merged(quiet, event("A", None, Reason.SEEN_STALE, "quiet", CHATTER_MERGED_MS)) is not None
    away = event("A", None, Reason.OFFLINE, "The cloud does not answer; read 1 min ago", 0)
    assert merged(away, event("A", None, Reason.OFFLINE, "The cloud does not answer; read 5 min ago", 9)) is not None


@pytest.mark.parametrize("author", ["Kim", ""])
def test_what_somebody_wanted_is_never_replaced_by_what_they_wanted_next(author: str) -> None:
    """One after the other within seconds, and the first once more: all of it happened."""
    texts = ["Strap one is wanted", "Strap two is wanted", "Strap one is wanted", "Strap one is wanted"]
    events = [event("A", Slot.HEART_RATE, "Wanted", text, at_ms, author) for at_ms, text in enumerate(texts)]
    lines = [(it.text, it.count, it.first_ms) for it in merged_all(events)]
    assert lines == [("Strap one is wanted", 1, 0), ("Strap two is wanted", 1, 1), ("Strap one is wanted", 2, 2)]
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA)
    for one in events:
        note(database, [one])
    assert [(it.text, it.count, it.first_ms) for it in events_of(database, "A")] == lines


@given(st.lists(EVENTS, max_size=30))
def test_merging_loses_no_event_and_never_mixes_two_kinds(events: list[Event]) -> None:
    lines = merged_all(events)
    for key in {(it.serial_number, it.slot, it.reason, it.author) for it in events}:
        of = [it for it in events if (it.serial_number, it.slot, it.reason, it.author) == key]
        mine = [it for it in lines if (it.serial_number, it.slot, it.reason, it.author) == key]
        assert sum(it.count for it in mine) == len(of)
        assert max(it.last_ms for it in mine) == max(it.last_ms for it in of)


@given(st.lists(EVENTS.map(lambda it: msgspec.structs.replace(it, slot=None)), max_size=30))
def test_in_order_of_time_one_kind_has_one_line_in_each_window(events: list[Event]) -> None:
    lines = merged_all(sorted(events, key=lambda it: it.first_ms))
    for one, line in enumerate(lines):
        for other in lines[one + 1 :]:
            if (line.serial_number, line.reason, line.author) == (other.serial_number, other.reason, other.author):
                assert other.first_ms - line.last_ms > (CHATTER_MERGED_MS if line.reason in CHATTER else MERGED_MS)

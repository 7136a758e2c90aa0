"""What of very many recordings is listed, and what is said of the rest."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.uploads.overview import MAX_ALL_DONE, MAX_DELETED, MAX_DONE, MAX_OPEN, overview
from gateway.uploads.recording import DELETED, FOR_A_PERSON, Recording, State
from gateway.uploads.report import LeftOutReport
from tests.uploads.keeping.stages import recording

ONE_OF_EACH = {state: recording(1, state) for state in State}


def many(state: State, count: int, begin: int = 0) -> list[Recording]:
    """Of ever later times."""
    one = ONE_OF_EACH[state]
    return [replace(one, sha256=f"{state}-{it}", taken_ms=begin + it, changed_ms=begin + it) for it in range(count)]


def test_of_what_is_done_the_latest_are_listed_and_of_what_is_not_all() -> None:
    all_of_them = [
        *many(State.DONE, MAX_ALL_DONE + 7),
        *many(State.PURGED, MAX_DELETED + 3),
        *many(State.UNASSIGNED, 300),
        *many(State.QUEUED, 400),
    ]
    listed, left_out = overview(all_of_them).listed(is_all=False)
    assert left_out == LeftOutReport(done=MAX_ALL_DONE + 7 - MAX_DONE)
    assert len(listed) == MAX_DONE + 700
    assert min(it.changed_ms for it in listed if it.state is State.DONE) == MAX_ALL_DONE + 7 - MAX_DONE
    listed, left_out = overview(all_of_them).listed(is_all=True)
    assert left_out == LeftOutReport(done=7, deleted=3)
    assert len(listed) == MAX_ALL_DONE + MAX_DELETED + 700


def test_no_list_is_endless_and_what_is_being_sent_is_in_each() -> None:
    moving = many(State.SENDING, 1)
    some = overview([*moving, *many(State.FAILED, MAX_OPEN + 1), *many(State.QUEUED, MAX_OPEN + 4, begin=1)])
    listed, left_out = some.listed(is_all=False)
    assert left_out == LeftOutReport(needs_person=1, under_way=5)
    assert moving[0] in listed, "though it is the oldest"
    assert [it.taken_ms for it in listed] == sorted((it.taken_ms for it in listed), reverse=True)


@given(st.lists(st.sampled_from(State), max_size=60))
def test_every_recording_is_in_one_place_and_counted(states: list[State]) -> None:
    some = [replace(ONE_OF_EACH[state], sha256=str(number)) for number, state in enumerate(states)]
    seen = overview(some)
    assert sorted(it.sha256 for part in (seen.waiting, seen.open, seen.done, seen.deleted) for it in part) == sorted(
        it.sha256 for it in some
    )
    assert {it.state for it in seen.waiting} <= FOR_A_PERSON
    assert {it.state for it in seen.deleted} <= DELETED
    assert {it.state: it.recordings for it in seen.counts} == {state: states.count(state) for state in states}
    listed, left_out = seen.listed(is_all=True)
    assert (len(listed), left_out) == (len(some), LeftOutReport())

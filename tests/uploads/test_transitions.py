"""What may become of a recording: only what is meant to, and whatever happens in whatever order, these things hold."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.uploads import transitions as t
from gateway.uploads.recording import (
    DELETED,
    FOR_A_PERSON,
    MAX_SOURCES,
    MAX_TRAIL,
    WITHOUT_FILE,
    Basis,
    Clue,
    Recording,
    Source,
    Span,
    State,
    Step,
    Way,
)

SHA = "ab" * 32
SPAN = Span(1, 2, Clue.NAME)

Change = Callable[[Recording, int], Recording]


def source(at_ms: int = 1, name: str = "run.asi", way: Way = Way.INBOX) -> Source:
    return Source(way, name, at_ms)


CHANGES: dict[str, Change] = {
    "taken again": lambda it, at: t.taken_again(it, source(at)),
    "taken again for A": lambda it, at: t.taken_again(it, source(at), serial_number="A"),
    "taken again for B": lambda it, at: t.taken_again(it, source(at), serial_number="B"),
    "assigned A": lambda it, at: t.assigned(it, "A", "Ada", at),
    "assigned B": lambda it, at: t.assigned(it, "B", "Ada", at),
    "questioned": lambda it, at: t.questioned(it, "it is from Tuesday", at),
    "checked": lambda it, _: t.checked(it),
    "sending": t.sending,
    "closing": t.closing,
    "postponed": lambda it, at: t.postponed(it, "offline", "no line", at),
    "refused": lambda it, at: t.refused(it, "rejected", "no", at, is_final=False),
    "refused for good": lambda it, at: t.refused(it, "rejected", "no", at, is_final=True),
    "unanswered": lambda it, at: t.unanswered(it, "timeout", "no answer", at),
    "found absent": t.found_absent,
    "sent again": t.sent_again,
    "accepted": lambda it, at: t.accepted(it, "job-1", at),
    "done": t.done,
    "failed": lambda it, at: t.failed(it, "no rows", at),
    "found corrupt": lambda it, at: t.found_corrupt(it, "other bytes", at),
    "found missing": t.found_missing,
    "found again": t.found_again,
    "doubted": t.doubted,
    "retried": lambda it, at: t.retried(it, "Ada", at),
    "purged": t.purged,
    "redated": t.redated,
    "discarded": lambda it, at: t.discarded(it, "Ada", at),
    "recovered": t.recovered,
}

S = State
ALL = frozenset(S)
WITH_FILE = ALL - WITHOUT_FILE - {S.ACCEPTED, S.DONE}

ALLOWED: dict[str, frozenset[State]] = {
    "taken again": ALL,
    "taken again for A": ALL,
    "taken again for B": ALL,
    "assigned A": frozenset({S.UNASSIGNED, S.QUESTIONED, S.QUEUED, S.AMBIGUOUS, S.FAILED, S.QUARANTINED}),
    "assigned B": frozenset({S.UNASSIGNED, S.QUESTIONED, S.QUEUED, S.AMBIGUOUS, S.FAILED, S.QUARANTINED}),
    "questioned": frozenset({S.UNASSIGNED, S.QUESTIONED, S.QUEUED}),
    "checked": frozenset({S.QUEUED}),
    "sending": frozenset({S.QUEUED}),
    "closing": frozenset({S.SENDING}),
    "postponed": frozenset({S.SENDING, S.CLOSING}),
    "refused": frozenset({S.SENDING, S.CLOSING}),
    "refused for good": frozenset({S.SENDING, S.CLOSING}),
    "unanswered": frozenset({S.CLOSING}),
    "found absent": frozenset({S.AMBIGUOUS}),
    "sent again": frozenset({S.AMBIGUOUS}),
    "accepted": frozenset({S.SENDING, S.CLOSING, S.AMBIGUOUS}),
    "done": frozenset({S.ACCEPTED}),
    "failed": frozenset({S.ACCEPTED}),
    "found corrupt": WITH_FILE,
    "found missing": WITH_FILE,
    "found again": WITHOUT_FILE | {S.CORRUPT},
    "doubted": ALL,
    "retried": frozenset({S.QUEUED, S.AMBIGUOUS, S.FAILED, S.QUARANTINED, S.CORRUPT, S.ACCEPTED}),
    "purged": frozenset({S.DONE}),
    "redated": frozenset({S.DONE}),
    "discarded": ALL - DELETED - {S.SENDING, S.CLOSING},
    "recovered": ALL,
}

WAYS: dict[State, tuple[str, ...]] = {
    S.UNASSIGNED: (),
    S.QUESTIONED: ("questioned",),
    S.QUEUED: ("assigned A",),
    S.SENDING: ("assigned A", "sending"),
    S.CLOSING: ("assigned A", "sending", "closing"),
    S.AMBIGUOUS: ("assigned A", "sending", "closing", "unanswered"),
    S.ACCEPTED: ("assigned A", "sending", "closing", "accepted"),
    S.DONE: ("assigned A", "sending", "closing", "accepted", "done"),
    S.PURGED: ("assigned A", "sending", "closing", "accepted", "done", "purged"),
    S.FAILED: ("assigned A", "sending", "closing", "accepted", "failed"),
    S.QUARANTINED: ("assigned A", "sending", "refused for good"),
    S.CORRUPT: ("assigned A", "found corrupt"),
    S.MISSING: ("assigned A", "found missing"),
    S.DISCARDED: ("assigned A", "discarded"),
}


def fresh() -> Recording:
    return t.taken(SHA, 7, source(), span=SPAN)


def at(state: State, *changes: str) -> Recording:
    """A recording that has come into a state, and what has become of it then."""
    recording = fresh()
    for at_ms, change in enumerate((*WAYS[state], *changes), start=2):
        recording = CHANGES[change](recording, at_ms)
    if not changes:
        assert recording.state is state
    return recording


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("name", CHANGES)
def test_what_may_become_of_each_state_and_what_not(state: State, name: str) -> None:
    recording = at(state)
    if state in ALLOWED[name]:
        changed = CHANGES[name](recording, 99)
        is_dated = changed.state is not state or name == "redated"
        assert changed.changed_ms == (99 if is_dated else recording.changed_ms)
    else:
        with pytest.raises(t.TransitionError):
            CHANGES[name](recording, 99)


TARGETS: dict[str, dict[State, State]] = {
    "assigned A": dict.fromkeys(ALLOWED["assigned A"], S.QUEUED) | {S.AMBIGUOUS: S.AMBIGUOUS},
    "taken again": dict(zip(ALL, ALL, strict=True))
    | {S.PURGED: S.DONE, S.DISCARDED: S.QUEUED, S.MISSING: S.QUEUED, S.CORRUPT: S.QUEUED},
    "taken again for B": dict(zip(ALL, ALL, strict=True))
    | {S.PURGED: S.DONE, S.DISCARDED: S.QUEUED, S.MISSING: S.QUEUED, S.CORRUPT: S.QUEUED}
    | {S.UNASSIGNED: S.QUEUED, S.QUESTIONED: S.QUEUED, S.QUEUED: S.QUESTIONED},
    "found again": {S.PURGED: S.DONE, S.DISCARDED: S.QUESTIONED, S.MISSING: S.QUEUED, S.CORRUPT: S.QUEUED},
    "doubted": dict(zip(ALL, ALL, strict=True))
    | {S.QUEUED: S.AMBIGUOUS, S.SENDING: S.AMBIGUOUS, S.CLOSING: S.AMBIGUOUS},
    "recovered": dict(zip(ALL, ALL, strict=True)) | {S.SENDING: S.QUEUED, S.CLOSING: S.AMBIGUOUS},
    "refused": {S.SENDING: S.QUEUED, S.CLOSING: S.QUEUED},
    "retried": dict.fromkeys(ALLOWED["retried"], S.QUEUED),
}


@pytest.mark.parametrize(
    ("name", "state"), [(name, state) for name, targets in TARGETS.items() for state in sorted(targets)]
)
def test_where_it_goes_from_each_state(name: str, state: State) -> None:
    assert CHANGES[name](at(state), 99).state is TARGETS[name][state]


def test_a_recording_whose_tracker_is_known_waits_for_its_turn_and_another_for_somebody() -> None:
    known = t.taken(SHA, 7, source(5), serial_number="A", basis=Basis.PERSON, author="Ada", lacks_magic_v2=True)
    assert (known.state, known.basis, known.author, known.version) == (S.QUEUED, Basis.PERSON, "Ada", 1)
    assert (known.taken_ms, known.changed_ms, known.trail) == (5, 5, (Step(S.QUEUED, 5, "Ada"),))
    assert (known.id, known.name) == ("abababab", "run.asi")
    unknown = t.taken(SHA, 7, source(5))
    assert (unknown.state, unknown.basis, unknown.serial_number) == (S.UNASSIGNED, None, None)


def test_why_its_tracker_is_not_known_is_kept_until_somebody_has_said_it() -> None:
    unknown = t.taken(SHA, 7, source(5), question="its name says two")
    assert t.taken_again(unknown, source(6)).question == "its name says two"
    assert t.assigned(unknown, "A", "Ada", 7).question == ""
    assert t.taken(SHA, 7, source(5), serial_number="A", question="no").question == ""


def test_who_has_decided_something_is_known_with_its_step() -> None:
    known = t.assigned(t.taken(SHA, 7, source(5), author="Kim"), "A", "Ada", 7)
    assert known.trail == (Step(S.UNASSIGNED, 5), Step(S.QUEUED, 7, "Ada"))
    assert t.discarded(known, "Bea", 8).trail[-1] == Step(S.DISCARDED, 8, "Bea")
    failed = t.failed(t.accepted(t.sending(known, 8), "job", 9), "no", 10)
    assert t.retried(failed, "Cleo", 11).trail[-2:] == (Step(S.FAILED, 10), Step(S.QUEUED, 11, "Cleo"))


def test_what_is_not_clearly_taken_five_times_is_taken_out_of_the_queue() -> None:
    for end, state in (("refused", S.QUEUED), ("unanswered", S.AMBIGUOUS)):
        recording = at(S.QUEUED)
        for number in range(1, t.MAX_TRIES + 1):
            for change in ("sending", "closing", end):
                recording = CHANGES[change](recording, number)
            assert recording.tries == number
            assert recording.state is (state if number < t.MAX_TRIES else S.QUARANTINED)
            if recording.state is S.AMBIGUOUS:
                recording = t.sent_again(recording, number)
        assert t.retried(recording, "Ada", 99).tries == 0


def test_what_says_nothing_about_the_file_is_no_try() -> None:
    recording = at(S.QUEUED)
    for _ in range(20):
        recording = t.postponed(t.sending(recording, 5), "offline", "no line", 6)
        recording = t.recovered(t.closing(t.sending(recording, 7), 8), 9)
        recording = t.sent_again(recording, 10)
    assert (recording.tries, recording.state) == (0, S.QUEUED)


def test_what_may_be_in_the_cloud_is_marked_when_it_is_sent_again_and_only_then() -> None:
    again = t.sending(at(S.AMBIGUOUS, "sent again"), 99)
    assert again.maybe_duplicate
    assert t.accepted(t.closing(again, 99), "job-2", 100).maybe_duplicate
    assert not t.sending(at(S.AMBIGUOUS, "found absent"), 99).maybe_duplicate
    assert not t.sending(at(S.SENDING, "postponed"), 99).maybe_duplicate
    assert not t.sending(at(S.FAILED, "retried"), 99).maybe_duplicate
    failed = t.failed(t.accepted(t.closing(again, 99), "job-2", 100), "no rows", 101)
    assert t.sending(t.retried(failed, "Ada", 102), 103).maybe_duplicate
    twice = t.unanswered(t.closing(again, 99), "timeout", "no answer", 100)
    assert not t.found_absent(twice, 101).maybe_duplicate
    assert t.accepted(twice, "job-2", 101).maybe_duplicate, "both may be there, and one of them was found"
    found = t.accepted(at(S.AMBIGUOUS), "job-1", 99)
    assert not found.may_be_in_cloud
    assert not found.maybe_duplicate


def test_what_may_be_in_the_cloud_for_another_tracker_is_not_looked_for_but_marked() -> None:
    """To be asked, the cloud has to be told for which tracker."""
    other = t.assigned(at(S.AMBIGUOUS), "B", "Ada", 99)
    assert (other.state, other.may_be_in_cloud) == (S.QUEUED, True)
    assert t.sending(other, 100).maybe_duplicate
    assert t.assigned(t.doubted(fresh(), 5), "B", "Ada", 99).state is S.AMBIGUOUS
    lost = t.unanswered(t.closing(t.sending(other, 100), 100), "timeout", "no answer", 101)
    absent = t.found_absent(lost, 102)
    assert (absent.may_be_in_cloud, t.sending(absent, 103).maybe_duplicate) == (True, True)
    assert t.accepted(lost, "job-1", 102).maybe_duplicate
    twice = t.failed(t.accepted(t.closing(t.sending(at(S.AMBIGUOUS, "sent again"), 9), 9), "job-1", 9), "no rows", 9)
    lost = CHANGES["unanswered"](t.closing(t.sending(t.assigned(twice, "B", "Ada", 10), 10), 10), 10)
    assert t.sending(t.found_absent(lost, 11), 12).maybe_duplicate


@pytest.mark.parametrize("detour", ["discarded", "found missing", "found corrupt"])
def test_what_comes_in_again_for_another_tracker_takes_the_doubt_with_it(detour: str) -> None:
    other = CHANGES["taken again for B"](at(S.AMBIGUOUS, detour), 50)
    assert (other.state, other.serial_number) == (S.QUEUED, "B")
    assert other.may_be_elsewhere
    assert not CHANGES["taken again for B"](at(S.QUEUED, "discarded"), 50).may_be_elsewhere


DETOURS = {
    "discarded": (S.AMBIGUOUS, S.ACCEPTED, S.DONE),
    "found missing": (S.CLOSING, S.AMBIGUOUS),
    "found corrupt": (S.CLOSING, S.AMBIGUOUS),
    "retried": (S.AMBIGUOUS, S.ACCEPTED),
}


@pytest.mark.parametrize(("detour", "state"), [(detour, state) for detour in DETOURS for state in DETOURS[detour]])
def test_no_detour_forgets_that_the_cloud_may_have_it(detour: str, state: State) -> None:
    recording = at(state, detour)
    if recording.state is not S.QUEUED:
        recording = t.taken_again(recording, source(50))
    if recording.state is S.AMBIGUOUS:
        recording = t.sent_again(recording, 60)
    assert t.sending(recording, 70).maybe_duplicate


def test_the_answer_of_a_person_ends_the_question() -> None:
    recording = t.assigned(at(S.QUESTIONED), "A", "Ada", 99)
    assert (recording.question, recording.is_checked, recording.basis) == ("", True, Basis.PERSON)
    twice = t.taken_again(recording, source(100), serial_number="B")
    assert (twice.state, twice.serial_number) == (S.QUESTIONED, "A")
    assert twice.question == "it came in for A and once more for B"


def test_another_tracker_for_what_is_on_its_way_or_done_changes_nothing() -> None:
    for state in ALL - {S.UNASSIGNED, S.QUESTIONED, S.QUEUED, S.DISCARDED, S.MISSING, S.CORRUPT}:
        again = t.taken_again(at(state), source(99), serial_number="B")
        assert (again.serial_number, again.remark) == ("A", "it came in once more, for B")
        assert t.taken_again(at(state), source(99), serial_number="A").remark == ""
    assert CHANGES["assigned A"](at(S.AMBIGUOUS, "taken again for B"), 99).remark == ""


def test_the_first_source_and_the_latest_ones_are_kept() -> None:
    recording = fresh()
    for number in range(20):
        recording = t.taken_again(recording, source(number, f"{number}.asi"))
    assert [it.name for it in recording.sources] == ["run.asi", "16.asi", "17.asi", "18.asi", "19.asi"]


def test_of_what_was_only_found_in_the_spool_the_next_source_tells_name_and_time() -> None:
    """As after a power cut between the file and its row: without its time it would be sent without being compared."""
    found = t.taken(SHA, 10, source(1, "abababab.asi", Way.SPOOL))
    again = t.taken_again(found, source(50), serial_number="A", span=SPAN)
    assert (again.state, again.name, again.span, again.is_checked) == (S.QUEUED, "run.asi", SPAN, False)
    assert again.sources == (source(50),)
    other = t.taken_again(again, source(60, "other.asi"), span=Span(5, 6, Clue.NAME))
    assert (other.name, other.span) == ("run.asi", SPAN)


def test_the_latest_states_are_kept() -> None:
    recording = at(S.QUEUED)
    for number in range(100):
        recording = t.postponed(t.sending(recording, 2 * number), "offline", "no line", 2 * number + 1)
    assert len(recording.trail) == MAX_TRAIL
    assert recording.trail[-2:] == (Step(S.SENDING, 198), Step(S.QUEUED, 199))


def test_nobody_sends_what_has_no_tracker() -> None:
    corrupt = t.found_corrupt(fresh(), "other bytes", 5)
    with pytest.raises(t.TransitionError, match="which tracker"):
        t.retried(corrupt, "Ada", 6)


def check(before: Recording, after: Recording) -> None:
    """What holds of any change."""
    # What a crash leaves undone is known by that.
    assert after.version == before.version + (after != before)
    assert (after.sha256, after.size, after.taken_ms) == (before.sha256, before.size, before.taken_ms)
    assert after.sources[0] == before.sources[0]
    assert len(after.sources) <= MAX_SOURCES
    assert len(after.trail) <= MAX_TRAIL
    assert (after.trail[-1].state, after.trail[-1].at_ms) == (after.state, after.changed_ms)
    assert (after.question != "") == (after.state is S.QUESTIONED)
    assert t.waits_for_a_person(after) == (after.state in FOR_A_PERSON)
    if after.state is not before.state:
        check_step(before, after)
    if after.serial_number is None:
        assert after.state in WITHOUT_FILE | {S.UNASSIGNED, S.QUESTIONED, S.CORRUPT}


def check_step(before: Recording, after: Recording) -> None:
    """What holds of a change of state."""
    match after.state:
        case S.SENDING:
            assert before.state is S.QUEUED
            assert after.maybe_duplicate or not after.may_be_in_cloud
        case S.CLOSING:
            assert before.state is S.SENDING
        case S.AMBIGUOUS:
            assert after.may_be_in_cloud
        case S.ACCEPTED:
            assert before.state in {S.SENDING, S.CLOSING, S.AMBIGUOUS}
            assert after.job_id is not None
        case S.DONE:
            assert before.state in {S.ACCEPTED, S.PURGED}
        case S.PURGED:
            assert before.state is S.DONE
    # Only the cloud's own word, or that of a lookup, takes it back that something may have arrived there.
    if before.may_be_in_cloud and not after.may_be_in_cloud:
        assert after.state in {S.ACCEPTED, S.QUEUED}
        assert before.state in {S.SENDING, S.CLOSING, S.AMBIGUOUS}
    if before.maybe_duplicate and not after.maybe_duplicate:
        assert (before.state, after.state) == (S.AMBIGUOUS, S.QUEUED)
    if before.state is S.CLOSING and after.state in {S.MISSING, S.CORRUPT, S.AMBIGUOUS}:
        assert after.may_be_in_cloud


@settings(max_examples=300)
@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=60))
def test_whatever_happens_in_whatever_order_these_things_hold(names: list[str]) -> None:
    recording = fresh()
    for at_ms, name in enumerate(names, start=2):
        if recording.state in ALLOWED[name] and not (name == "retried" and recording.serial_number is None):
            changed = CHANGES[name](recording, at_ms)
            check(recording, changed)
            recording = changed
        else:
            with pytest.raises(t.TransitionError):
                CHANGES[name](recording, at_ms)


OPEN_ENDS = frozenset({"unanswered", "recovered", "doubted", "found missing", "found corrupt"})
"""What leaves a recording of which the cloud may have all."""


@settings(max_examples=300)
@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=60))
def test_no_second_copy_goes_to_the_cloud_without_a_mark(names: list[str]) -> None:
    """By a model: what the cloud has taken, for whichever tracker, is sent with a mark, known or not."""
    recording = fresh()
    having: set[str | None] = set()
    for at_ms, name in enumerate(names, start=2):
        try:
            changed = CHANGES[name](recording, at_ms)
        except t.TransitionError:
            continue
        if name in {"found absent", "failed"}:
            having.discard(recording.serial_number)
        if name == "sending":
            assert changed.maybe_duplicate or not having
        if name == "accepted" or (name in OPEN_ENDS and recording.state is S.CLOSING):
            having.add(recording.serial_number)
        recording = changed

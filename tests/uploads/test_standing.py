"""How recordings stand in words: each state and each code has a sentence, what a person can do, and no jargon."""

import re
from contextlib import nullcontext
from functools import partial

import pytest
from msgspec.structs import replace

from gateway.cloud import errors
from gateway.uploads import transitions
from gateway.uploads.recording import FOR_A_PERSON, WITHOUT_FILE, Recording, State
from gateway.uploads.standing import LONG_MS, Standing, deeds, deletes_ms, is_only_copy, is_overdue, standing, warnings
from gateway.uploads.transitions import TransitionError, assigned, discarded, retried
from tests.uploads.keeping.stages import recording

CODES = sorted(
    {it.code for it in vars(errors).values() if isinstance(it, type) and issubclass(it, errors.CloudError)}
    | {"interrupted", "job_failed", "corrupt", "missing", "something that comes later"}
)
JARGON = re.compile(
    r"ambiguous|quarantin|corrupt|purge|spool|queue|sha|hash|job(?!( job)?-1)|state|transition|postpone|HTTP|null|None"
    r"|insiders-gateway|click|button|--",
    re.IGNORECASE,
)


def variants(state: State) -> list[Recording]:
    """A recording in a state, with all that may be known of it beside."""
    known = recording(1, state)
    plain = [known, replace(known, error="", error_code="")]
    some = [replace(it, may_be_in_cloud=True, maybe_duplicate=True) for it in plain]
    tried = [replace(it, tries=transitions.MAX_TRIES) for it in plain + some]
    told = [replace(known, error_code=code, error="the cloud does something") for code in CODES]
    remarked = [replace(known, remark="it came in once more, for B")]
    return plain + some + tried + told + remarked


def is_clause(text: str) -> bool:
    return bool(text) and text == " ".join(text.split()) and text[-1] not in ".!,;:" and not JARGON.search(text)


@pytest.mark.parametrize("state", State)
def test_every_state_with_every_code_has_a_sentence_and_says_what_to_do(state: State) -> None:
    for known in variants(state):
        for later_ms in (0, LONG_MS + 1, 3 * LONG_MS):
            text, action = standing(known, known.changed_ms + later_ms)
            assert is_clause(text), text
            assert text[0].isupper(), text
            assert not action or (is_clause(action) and action[0].islower()), action
            assert action or state not in FOR_A_PERSON


@pytest.mark.parametrize("state", [State.QUEUED, State.AMBIGUOUS, State.FAILED, State.QUARANTINED, State.CORRUPT])
def test_the_cause_is_told(state: State) -> None:
    known = replace(recording(1, state), error="the moon was full")
    assert "the moon was full" in standing(known, 0).text


def test_a_lost_answer_is_called_so() -> None:
    told = standing(recording(1, State.AMBIGUOUS), 0).text
    assert told == (
        "The cloud's answer was lost (no answer); it may have it, so it is sent again after an hour, and marked as "
        "maybe twice"
    )
    told = standing(recording(1, State.AMBIGUOUS), 0, is_lookup=True).text
    assert told == (
        "The cloud's answer was lost (no answer); it may have it, so the gateway asks, and sends it again if it is not "
        "there"
    )


@pytest.mark.parametrize("state", [State.QUEUED, State.AMBIGUOUS, State.FAILED, State.QUARANTINED, State.CORRUPT])
def test_what_the_cloud_has_said_as_a_sentence_is_a_part_of_ours(state: State) -> None:
    known = replace(recording(1, state), error="The file could not be processed.", may_be_in_cloud=False)
    told = standing(known, 0).text
    assert "The file could not be processed" in told
    assert "processed." not in told


@pytest.mark.parametrize("state", [it for it in State if it not in {*WITHOUT_FILE, State.SENDING, State.CLOSING}])
def test_what_the_cloud_may_have_is_told_wherever_it_is(state: State) -> None:
    known = replace(recording(1, state), may_be_in_cloud=True)
    told = standing(known, 0).text
    if state is State.QUESTIONED:
        assert told == "Is it from tracker A? It is from Tuesday"
    elif state is State.FAILED:
        assert "the cloud could not work with it" in told.lower()
    else:
        assert re.search("(cloud|it) (may have|has) it", told), told


def test_what_came_too_late_for_a_question_is_told_all_the_same() -> None:
    known = replace(recording(1, State.DONE), remark="it came in once more, for B")
    assert standing(known, 0) == Standing(
        "The cloud has it and has finished its work; it came in once more, for B",
        "look in the cloud whether its tracker is right",
    )
    waits = Standing("it rains", "wait for the sun")
    told = standing(replace(known, state=State.QUEUED), 0, hindrance=waits)
    assert told == Standing("It waits: it rains; it came in once more, for B", "wait for the sun")


def test_a_file_that_was_declined_after_a_lost_answer_does_not_say_that_the_answer_was_lost() -> None:
    known = replace(recording(1, State.QUARANTINED), may_be_in_cloud=True, tries=2)
    assert standing(known, 0).text == "The cloud does not take it: no; the cloud may have it"
    unclear = replace(known, tries=transitions.MAX_TRIES, error="status 500")
    told = "It was sent 5 times without a clear answer (status 500); the cloud may have it"
    assert standing(unclear, 0) == (
        told,
        "look in the cloud whether it is there: discard it if it is, retry if it is not",
    )


def test_what_keeps_it_from_going_on_is_told_with_what_to_do_about_that() -> None:
    hindrance = Standing("its tracker is not ours", "claim it")
    assert standing(recording(1, State.QUEUED), 0, hindrance=hindrance) == (
        "It waits: its tracker is not ours",
        "claim it",
    )
    accepted = standing(recording(1, State.ACCEPTED), 0, hindrance=hindrance)
    assert accepted == (
        "The cloud has taken it and cannot be asked how far its work is: its tracker is not ours",
        "claim it",
    )
    works = recording(1, State.ACCEPTED)
    text, action = standing(works, works.changed_ms + LONG_MS + 1, hindrance=Standing("it knows no such work", ""))
    assert text == (
        "The cloud has taken it, and for a day has not said that its work is finished; it knows no such work"
    )
    assert action == "ask the vendor about job job-1; retry sends it once more"
    lost = standing(recording(1, State.AMBIGUOUS), 0, hindrance=Standing("the cloud is silent", ""))
    assert lost.text.endswith("; the cloud is silent")
    assert lost.action, "that of the state, if the other says none"
    assert standing(recording(1, State.DONE), 0, hindrance=hindrance) == standing(recording(1, State.DONE), 0)


def test_why_its_tracker_is_not_known_is_told() -> None:
    unknown = replace(recording(1, State.UNASSIGNED), question="its name says two: A, B")
    assert standing(unknown, 0) == ("Its name says two: A, B", "assign it")
    assert standing(replace(unknown, question=""), 0) == ("Nobody has said which tracker it comes from", "assign it")


def test_what_is_odd_is_a_sentence_of_its_own() -> None:
    assert warnings(recording(1, State.QUEUED)) == ()
    (told,) = warnings(replace(recording(1, State.QUEUED), lacks_magic_v2=True))
    assert '"ASI V2" is missing' in told
    assert told[0] == '"'
    assert told[-1].isalpha()


def test_what_takes_longer_than_a_day_needs_attention() -> None:
    for state in State:
        known = recording(1, state)
        assert not is_overdue(known, known.taken_ms + LONG_MS)
        is_moving = state in {State.QUEUED, State.SENDING, State.CLOSING, State.AMBIGUOUS, State.ACCEPTED}
        assert is_overdue(known, known.changed_ms + LONG_MS + 1) is is_moving
    works = recording(1, State.ACCEPTED)
    text, action = standing(works, works.changed_ms + 49 * 3_600_000)
    assert text == "The cloud has taken it, and for 2 days has not said that its work is finished"
    assert action == "ask the vendor about job job-1; retry sends it once more"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.UNASSIGNED, "assign discard"),
        (State.QUESTIONED, "assign discard"),
        (State.QUEUED, "assign retry discard"),
        (State.SENDING, ""),
        (State.CLOSING, ""),
        (State.AMBIGUOUS, "assign retry discard"),
        (State.ACCEPTED, "retry discard"),
        (State.DONE, "discard"),
        (State.PURGED, ""),
        (State.FAILED, "assign retry discard"),
        (State.QUARANTINED, "assign retry discard"),
        (State.CORRUPT, "retry discard"),
        (State.MISSING, "discard"),
        (State.DISCARDED, ""),
    ],
)
def test_what_a_person_may_ask_for(state: State, expected: str) -> None:
    known = recording(1, state)
    assert " ".join(deeds(known)) == expected
    for deed, change in (
        ("assign", partial(assigned, serial_number="B", author="", at_ms=9)),
        ("retry", partial(retried, author="", at_ms=9)),
        ("discard", partial(discarded, author="", at_ms=9)),
    ):
        with nullcontext() if deed in deeds(known) else pytest.raises(TransitionError):
            change(known)


def test_what_has_no_tracker_cannot_be_retried() -> None:
    for state in State:
        assert "retry" not in deeds(replace(recording(1, state), serial_number=None))


@pytest.mark.parametrize("state", sorted(FOR_A_PERSON))
def test_whoever_is_asked_for_something_can_do_something(state: State) -> None:
    assert deeds(recording(1, state))


def test_only_what_the_cloud_has_finished_with_is_no_only_copy() -> None:
    for state in State:
        is_there = state not in WITHOUT_FILE
        assert is_only_copy(recording(1, state)) is (is_there and state is not State.DONE)


def test_only_what_is_done_is_deleted_by_itself() -> None:
    for state in State:
        known = recording(1, state)
        expected = known.changed_ms + 7 * 86_400_000 if state is State.DONE else None
        assert deletes_ms(known, 7) == expected

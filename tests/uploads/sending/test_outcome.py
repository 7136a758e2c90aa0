"""What every end of an attempt means: a table, and what holds for all of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    LoginRefused,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from gateway.uploads.recording import Recording, Source, State, Way
from gateway.uploads.sending.outcome import HOUR_S, MAX_REASON, Verdict, Wait, is_about_all, outcome_of, words_of
from gateway.uploads.transitions import closing, sending, taken

P, DOUBTED, DECLINED, UNANSWERED = Verdict.POSTPONED, Verdict.DOUBTED, Verdict.DECLINED, Verdict.UNANSWERED
UP = "load_asi"

TABLE: list[tuple[CloudError, Verdict, Verdict, Verdict]] = [
    # what came back, and what that means: before anything had left, in the middle, after the end
    (Unreachable(UP, Broken.NAME), P, P, UNANSWERED),
    (Unreachable(UP, Broken.CONNECT), P, P, UNANSWERED),
    (Unreachable(UP, Broken.TIMEOUT), P, P, UNANSWERED),
    (Unreachable(UP, Broken.CUT), P, P, UNANSWERED),
    (TlsFailed(UP, "certificate has expired"), P, P, UNANSWERED),
    (LoginRefused("token", "invalid_grant"), P, P, P),
    (Unreachable("token", Broken.TIMEOUT), P, P, P),
    (ServerFailed("token", 500), P, P, P),
    (BadAnswer("token", Fault.NOT_JSON), P, P, P),
    (Unauthorized(UP), P, P, P),
    (NetworkLoginNeeded(UP, "login.example"), P, P, UNANSWERED),
    (NetworkLoginNeeded(UP), P, P, UNANSWERED),
    (Throttled(UP, 120.0), P, P, P),
    (Forbidden(UP, "Not yours"), P, P, P),
    (NotFound(UP, "devices/1/asi/", is_path_unknown=False), P, P, P),
    (NotFound(UP, "devices/1/asi/", is_path_unknown=True), P, P, P),
    (Rejected(UP, 400), DECLINED, DECLINED, DECLINED),
    (Rejected(UP, 405), P, P, P),
    (Rejected(UP, 408), P, P, UNANSWERED),
    (Rejected(UP, 409), DOUBTED, DOUBTED, UNANSWERED),
    (Rejected(UP, 413), DECLINED, DECLINED, DECLINED),
    (Rejected(UP, 415), DECLINED, DECLINED, DECLINED),
    (Rejected(UP, 418), DOUBTED, DOUBTED, DOUBTED),
    (Rejected(UP, 422), DECLINED, DECLINED, DECLINED),
    (Rejected(UP, 425), P, P, UNANSWERED),
    (Rejected(UP, 499), DOUBTED, DOUBTED, UNANSWERED),
    (ServerFailed(UP, 500), DOUBTED, DOUBTED, UNANSWERED),
    (ServerFailed(UP, 502), P, P, UNANSWERED),
    (ServerFailed(UP, 503), P, P, P),
    (ServerFailed(UP, 504), P, P, UNANSWERED),
    (ServerFailed(UP, 507), DOUBTED, DOUBTED, UNANSWERED),
    (BadAnswer(UP, Fault.NOT_JSON), P, P, UNANSWERED),
    (BadAnswer(UP, Fault.WRONG_SHAPE), P, P, UNANSWERED),
    (BadAnswer(UP, Fault.TOO_LARGE), P, P, UNANSWERED),
]

ENDS = [(False, False), (True, False), (True, True)]
"""Has it begun, has it ended."""


CASES = [(error, *end, verdict) for error, *verdicts in TABLE for end, verdict in zip(ENDS, verdicts, strict=True)]


@pytest.mark.parametrize(("error", "has_begun", "has_ended", "verdict"), CASES)
def test_the_table(error: CloudError, has_begun: bool, has_ended: bool, verdict: Verdict) -> None:
    outcome = outcome_of(error, has_begun=has_begun, has_ended=has_ended)
    assert outcome.verdict is verdict
    assert outcome.code == error.code
    assert outcome.text
    assert not outcome.text.endswith(".")
    assert (outcome.text[:1].lower(), outcome.text.isprintable()) == (outcome.text[:1], True)


@pytest.mark.parametrize(("error", "has_begun", "has_ended", "verdict"), CASES)
def test_only_what_has_ended_is_in_doubt_and_every_verdict_has_its_state(
    error: CloudError, has_begun: bool, has_ended: bool, verdict: Verdict
) -> None:
    known = sending(taken("a" * 64, 5, Source(Way.INBOX, "a.asi", 1), serial_number="S1"), 2)
    known = closing(known, 3) if has_ended else known
    outcome = outcome_of(error, has_begun=has_begun, has_ended=has_ended)
    after: Recording = outcome.applied(known, 4)
    expected = {P: State.QUEUED, DOUBTED: State.QUEUED, DECLINED: State.QUARANTINED, UNANSWERED: State.AMBIGUOUS}
    assert after.state is expected[outcome.verdict]
    assert after.may_be_in_cloud == (outcome.verdict is UNANSWERED)
    assert after.tries == (outcome.verdict is not P)
    assert not (outcome.verdict is UNANSWERED and not has_ended)
    assert (after.error_code, after.error) == (outcome.code, outcome.text)


def test_what_concerns_everybody_holds_everybody_and_not_the_recording() -> None:
    def outcome(error: CloudError, *, has_begun: bool = True) -> tuple[Wait, bool, float | None]:
        it = outcome_of(error, has_begun=has_begun, has_ended=False)
        return it.wait, it.is_for_all, it.pause_s

    assert outcome(Throttled(UP, 120.0)) == (Wait.NOTHING, True, 120.0)
    assert outcome(NotFound(UP, "asi/", is_path_unknown=True)) == (Wait.NOTHING, True, HOUR_S)
    assert outcome(Rejected(UP, 405)) == (Wait.NOTHING, True, HOUR_S)
    assert outcome(Unreachable(UP, Broken.CONNECT), has_begun=False) == (Wait.NOTHING, True, None)
    assert outcome(Unreachable(UP, Broken.CUT)) == (Wait.AGAIN, True, None)
    assert outcome(ServerFailed(UP, 503)) == (Wait.AGAIN, True, None)
    assert outcome(Forbidden(UP)) == (Wait.AGAIN, False, None)
    assert outcome(Rejected(UP, 413))[1:] == (False, None)
    assert outcome(Rejected(UP, 418)) == (Wait.REFUSAL, False, None)


def test_what_is_broken_off_in_the_middle_is_called_a_cut() -> None:
    cuts = [
        error.status if isinstance(error, Rejected) else error.code
        for error, *_ in TABLE
        if outcome_of(error, has_begun=True, has_ended=False).is_cut
    ]
    assert cuts == ["cloud_unreachable"] * 4 + [408, 425]
    assert not any(outcome_of(error, has_begun=True, has_ended=True).is_cut for error, *_ in TABLE)


def test_whose_tracker_it_is_is_doubted_where_the_cloud_doubts_it() -> None:
    doubts = [
        error.status if isinstance(error, Rejected) else type(error)
        for error, *_ in TABLE
        if outcome_of(error, has_begun=True, has_ended=False).is_ours_in_doubt
    ]
    assert doubts == [Forbidden, NotFound]


def test_texts_name_what_a_person_can_change() -> None:
    def told(error: CloudError) -> str:
        outcome = outcome_of(error, has_begun=True, has_ended=True)
        return f"{outcome.text}: {outcome.action}"

    assert told(Rejected(UP, 405)).endswith("correct load_asi in [cloud.paths]")
    assert "load_asi in [cloud.paths]" in told(NotFound(UP, "asi/", is_path_unknown=True))
    assert told(Rejected(UP, 413, "Too big")) == 'it is too large, status 413 (it says "Too big"): '
    assert told(Unreachable(UP, Broken.TIMEOUT)).startswith("no answer in time: check")
    assert told(NetworkLoginNeeded(UP, "a.example")).startswith("a redirect to a.example came instead of an answer: ")
    slow = outcome_of(Rejected(UP, 408), has_begun=True, has_ended=False)
    assert (slow.text, slow.action) == (
        "the cloud did not wait for all of it, status 408",
        "send it over a better line",
    )


def test_which_errors_of_a_question_concern_everybody() -> None:
    assert is_about_all(Unreachable("job", Broken.TIMEOUT))
    assert is_about_all(Throttled("job", 5.0))
    assert is_about_all(ServerFailed("token", 500))
    assert not is_about_all(ServerFailed("job", 500))
    assert not is_about_all(NotFound("job", "jobs/1/", is_path_unknown=False))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON)
def test_whatever_a_job_says_becomes_one_bounded_printable_clause(details: object) -> None:
    words = words_of(details)
    assert len(words) <= MAX_REASON
    assert words.isprintable()
    assert words == words.strip()


def test_a_sentence_in_details_is_found_wherever_it_is() -> None:
    sentence = "The file could not be processed."
    deep: object = sentence
    for _ in range(60):
        deep = {"cause": deep}
    assert (
        words_of(sentence) == words_of({"error": sentence}) == words_of([None, sentence]) == words_of(deep) == sentence
    )
    assert words_of([{"error": "a"}, {"error": "b", "offset": 7}]) == "a; b; 7"
    assert words_of(None) == words_of({}) == words_of([[], ""]) == ""

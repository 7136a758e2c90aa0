"""What a person is told who waits for the cloud's word on a recording: words that fit it, and a step that helps."""

from collections.abc import Callable

import pytest

from gateway.cloud.errors import CloudError, Forbidden, NotFound, Rejected, ServerFailed
from gateway.uploads.recording import State
from gateway.uploads.sending.obstacles import obstacle, wrong_setting
from gateway.uploads.sending.outcome import Outcome, Verdict, Wait, outcome_of
from gateway.uploads.sending.waits import Waits
from gateway.uploads.standing import LONG_MS, Standing, standing
from tests.uploads.keeping.stages import recording

WORKS = recording(1, State.ACCEPTED)
RAIN = Outcome(Verdict.POSTPONED, "code", "it rains", "wait", Wait.AGAIN)
LOST = recording(2, State.AMBIGUOUS)


def no_path(operation: str) -> NotFound:
    return NotFound(operation, "somewhere/", is_path_unknown=True)


def test_of_work_that_the_cloud_does_not_know_is_said_to_wait_and_after_a_day_whom_to_ask() -> None:
    error = NotFound("job", "jobs/job-1/", is_path_unknown=False)
    soon = obstacle(error, WORKS, WORKS.changed_ms)
    assert standing(WORKS, WORKS.changed_ms, hindrance=soon) == (
        "The cloud has taken it and cannot be asked how far its work is: it knows no job job-1",
        "wait; after a day, ask the vendor about job job-1; retry sends it once more",
    )
    late_ms = WORKS.changed_ms + LONG_MS + 1
    late = obstacle(error, WORKS, late_ms)
    assert standing(WORKS, late_ms, hindrance=late) == (
        "The cloud has taken it, and for a day has not said that its work is finished; it knows no job job-1",
        "ask the vendor about job job-1; retry sends it once more",
    )


@pytest.mark.parametrize("error", [no_path("find_asi"), Rejected("find_asi", 405)])
def test_where_there_is_no_lookup_the_setting_that_says_so_is_named_first(error: CloudError) -> None:
    told = obstacle(error, LOST, LOST.changed_ms)
    assert told == wrong_setting(error)
    assert told.action == "set lookup = false in [recordings], or correct find_asi in [cloud.paths]"


def test_where_no_work_can_be_asked_for_its_path_is_named() -> None:
    told = wrong_setting(no_path("job"))
    assert told is not None
    assert told.action == "correct job in [cloud.paths]"


@pytest.mark.parametrize(
    "error",
    [
        NotFound("find_asi", "devices/7/asi/", is_path_unknown=False),
        NotFound("job", "jobs/job-1/", is_path_unknown=False),
        Rejected("find_asi", 400),
        ServerFailed("job", 503),
        Forbidden("find_asi"),
        no_path("token"),
    ],
)
def test_what_passes_or_is_about_one_is_no_setting(error: CloudError) -> None:
    assert wrong_setting(error) is None
    assert obstacle(error, LOST, LOST.changed_ms).text


@pytest.mark.parametrize("error", [no_path("load_asi"), Rejected("load_asi", 405)])
def test_where_nothing_can_be_sent_to_a_setting_is_wrong_until_something_gets_through(error: CloudError) -> None:
    waits = Waits(lambda: 0.5)
    outcome = outcome_of(error, has_begun=True, has_ended=True)
    waits.ended(WORKS.sha256, outcome, 0, 0.0)
    assert waits.wrong_setting == Standing(outcome.text, outcome.action)
    assert "load_asi in [cloud.paths]" in outcome.action
    waits.got_through(WORKS.sha256)
    assert waits.wrong_setting is None


@pytest.mark.parametrize(
    ("happens", "is_told"),
    [
        (lambda waits: waits.keep({WORKS.sha256}), True),
        (lambda waits: waits.keep(set()), False),
        (lambda waits: waits.ended(WORKS.sha256, RAIN, 0, 0.0), False),
    ],
)
def test_a_setting_that_nobody_meets_any_more_is_not_told_of(
    happens: Callable[[Waits], None], *, is_told: bool
) -> None:
    waits = Waits(lambda: 0.5)
    waits.ended(WORKS.sha256, outcome_of(no_path("load_asi"), has_begun=True, has_ended=False), 0, 0.0)
    happens(waits)
    assert (waits.wrong_setting is not None) is is_told

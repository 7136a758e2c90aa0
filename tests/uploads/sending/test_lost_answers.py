"""An answer that is lost: found out where the cloud can be asked, marked where not, and never counted against a cut."""

from pathlib import Path

import pytest

from gateway.uploads.recording import State
from gateway.uploads.standing import Standing
from tests.uploads.sending.bringing import LONG_TURN_S, LOOKUP, Bringing, asi, bringing, living, simulation

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("long_turns")]

HOUR_S = 3600.0


async def lost(one: Bringing, content: bytes) -> str:
    """A recording whose answer was lost; the next is not."""
    sha256 = await one.put(content)
    await one.until(sha256, State.AMBIGUOUS)
    one.faults(upload_answer_lost_fraction=0.0, upload_swallowed_fraction=0.0, upload_error_fraction=0.0)
    return sha256


@pytest.mark.parametrize("form", ["reset", "hang", "status"])
async def test_what_was_taken_is_found_and_not_sent_again(tmp_path: Path, form: str) -> None:
    knobs = {"lookup_enabled": True, "upload_answer_lost_fraction": 1.0, "lost_answer_form": form}
    async with bringing(tmp_path, LOOKUP, **knobs) as one:
        sha256 = await lost(one, asi())
        assert one[sha256].may_be_in_cloud
        done = await one.until(sha256, State.DONE)
    assert (one.accepted(sha256), one.uploads) == (1, 1)
    assert (done.maybe_duplicate, done.may_be_in_cloud) == (False, False)


async def test_what_was_swallowed_is_absent_twice_and_sent_once_more_without_a_mark(tmp_path: Path) -> None:
    async with bringing(tmp_path, LOOKUP, lookup_enabled=True, upload_swallowed_fraction=1.0) as one:
        sha256 = await lost(one, asi())
        done = await one.until(sha256, State.DONE)
    assert one.cloud.requests["find_asi"] == 2
    assert (one.accepted(sha256), one.uploads) == (1, 2)
    assert not done.maybe_duplicate


async def test_what_the_cloud_files_late_is_not_absent_because_it_was_once(tmp_path: Path) -> None:
    knobs = {"lookup_enabled": True, "upload_answer_lost_fraction": 1.0, "lookup_lag_s": 60.0}
    async with bringing(tmp_path, LOOKUP, **knobs) as one:
        sha256 = await lost(one, asi())
        await one.until(sha256, State.DONE)
    assert (one.accepted(sha256), one.uploads) == (1, 1)


async def test_a_lookup_that_fails_decides_nothing(tmp_path: Path) -> None:
    knobs = {"lookup_enabled": True, "upload_answer_lost_fraction": 1.0, "lookup_error_fraction": 1.0}
    async with bringing(tmp_path, LOOKUP, **knobs) as one:
        sha256 = await lost(one, asi())
        await one.passing(6 * HOUR_S)
        assert one.state(sha256) is State.AMBIGUOUS
        hindrance = one.uploader.hindrance(sha256)
        assert hindrance is not None
        assert hindrance.text.startswith("the cloud failed with status 503")
        one.faults(lookup_error_fraction=0.0)
        await one.until(sha256, State.DONE, within_s=1000)
    assert one.accepted(sha256) == 1


async def test_a_lookup_that_does_not_exist_says_which_setting_is_wrong(tmp_path: Path) -> None:
    async with bringing(tmp_path, LOOKUP, upload_answer_lost_fraction=1.0) as one:
        sha256 = await lost(one, asi())
        await one.passing(2 * HOUR_S)
        assert one.state(sha256) is State.AMBIGUOUS
        wrong = one.uploader.wrong_setting
        assert wrong == one.uploader.hindrance(sha256)
        assert wrong == Standing(
            "the cloud has nothing where it is asked which recordings it has",
            "set lookup = false in [recordings], or correct find_asi in [cloud.paths]",
        )
        one.faults(lookup_enabled=True)
        await one.until(sha256, State.DONE, within_s=1000)
        assert one.uploader.wrong_setting is None


@pytest.mark.parametrize("fate", ["upload_answer_lost_fraction", "upload_swallowed_fraction"])
async def test_without_a_lookup_it_is_sent_again_after_an_hour_and_marked(tmp_path: Path, fate: str) -> None:
    async with bringing(tmp_path, None, **{fate: 1.0}) as one:
        sha256 = await one.put(asi())
        await one.until(sha256, State.AMBIGUOUS)
        await one.passing(HOUR_S - 60)
        assert one.uploads == 1
        assert one.state(sha256) is State.AMBIGUOUS
        left_s = one.uploader.next_s(sha256)
        assert left_s is not None
        assert 30 < left_s <= 61 + LONG_TURN_S
        one.faults(**{fate: 0.0})
        done = await one.until(sha256, State.DONE)
    assert one.uploads == 2
    assert done.maybe_duplicate


async def test_it_is_sent_at_most_once_an_hour_and_after_five_times_a_person_decides(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_answer_lost_fraction=1.0) as one:
        sha256 = await one.put(asi())
        for hour in range(1, 5):
            await one.passing(HOUR_S)
            assert one.uploads in {hour, hour + 1}
        over = await one.until(sha256, State.QUARANTINED, within_s=2 * HOUR_S)
        await one.passing(6 * HOUR_S)
    assert (one.uploads, over.tries, over.may_be_in_cloud) == (5, 5, True)


async def test_a_cut_in_the_middle_is_no_doubt(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_cut_fraction=1.0) as one:
        sha256 = await one.put(asi(3_000_000))
        await one.happened("cut", 4)
        # Now and then all of a small body has left before the cut; of this one not.
        one.faults(upload_cut_fraction=0.0)
        done = await one.until(sha256, State.DONE)
    assert one.accepted(sha256) == 1
    assert (done.tries, done.maybe_duplicate) == (0, False)
    assert "ambiguous" not in {step.state for step in done.trail}


async def test_what_is_always_cut_in_the_middle_does_not_go_out_for_ever(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_cut_fraction=1.0) as one:
        sha256 = await one.put(asi(3_000_000))
        await one.passing(8 * HOUR_S)
        told = one.uploader.hindrance(sha256)
        assert told is not None
        assert told.text.startswith("it was cut off in the middle ")
        assert (one.uploads < 16, one.state(sha256), one[sha256].tries) == (True, State.QUEUED, 0)
        one.faults(upload_cut_fraction=0.0)
        await one.retry(sha256)
        await one.until(sha256, State.DONE)
    assert one.accepted(sha256) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
@pytest.mark.parametrize("is_accepted", [0.0, 1.0])
async def test_an_error_after_the_end_is_no_answer(tmp_path: Path, status: int, is_accepted: float) -> None:
    knobs = {
        "lookup_enabled": True,
        "upload_error_fraction": 1.0,
        "upload_error_status": status,
        "upload_error_accepted_fraction": is_accepted,
    }
    async with bringing(tmp_path, LOOKUP, **knobs) as one:
        sha256 = await lost(one, asi())
        await one.until(sha256, State.DONE)
    assert (one.accepted(sha256), one.uploads) == (1, 1 if is_accepted else 2)


async def test_a_web_page_after_the_end_is_no_answer(tmp_path: Path) -> None:
    async with bringing(tmp_path, LOOKUP, lookup_enabled=True, upload_html_fraction=1) as one:
        sha256 = await one.put(asi())
        done = await one.until(sha256, State.DONE)
    assert (one.accepted(sha256), one.uploads) == (1, 1)
    assert State.AMBIGUOUS in {step.state for step in done.trail}


async def test_a_file_that_is_there_already_is_found_where_the_cloud_can_be_asked(tmp_path: Path) -> None:
    knobs = {"lookup_enabled": True, "upload_duplicate": "conflict"}
    async with simulation(2, **knobs) as (cloud, served):
        async with living(cloud, served, tmp_path / "one", LOOKUP) as one:
            sha256 = await one.put(asi())
            await one.until(sha256, State.DONE)
        async with living(cloud, served, tmp_path / "two", LOOKUP) as other:
            assert await other.put(asi()) == sha256
            await other.until(sha256, State.DONE)
    assert (cloud.jobs.accepted(sha256), cloud.jobs.fates["conflict"]) == (1, 1)


async def test_a_person_does_not_have_to_wait_for_the_hour(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_answer_lost_fraction=1.0) as one:
        sha256 = await lost(one, asi())
        await one.retry(sha256)
        done = await one.until(sha256, State.DONE, within_s=60)
    assert done.maybe_duplicate


async def test_with_a_wall_clock_that_jumps_the_hour_is_one_all_the_same(tmp_path: Path) -> None:
    error_ms = 0
    async with (
        simulation(2, upload_answer_lost_fraction=1.0) as (cloud, served),
        living(cloud, served, tmp_path, utc_ms=lambda: cloud.now_ms() + error_ms) as one,
    ):
        sha256 = await one.put(asi())
        await one.until(sha256, State.AMBIGUOUS)
        error_ms = 30 * 86_400_000
        await one.passing(HOUR_S - 60)
        assert one.uploads == 1
        error_ms = -30 * 86_400_000
        await one.passing(120)
        assert one.uploads == 2


async def test_who_says_that_it_conflicts_may_have_it(tmp_path: Path) -> None:
    """Without a lookup it is sent once an hour, five times, and a person is told that it may be there."""
    async with bringing(tmp_path, upload_refuses=409) as one:
        sha256 = await one.put(asi())
        await one.until(sha256, State.AMBIGUOUS)
        over = await one.until(sha256, State.QUARANTINED, within_s=6 * HOUR_S)
    assert (one.uploads, over.may_be_in_cloud, over.maybe_duplicate) == (5, True, True)
    assert one.cloud.now_ms() - over.taken_ms > 4 * HOUR_S * 1000

"""The cloud's work on a recording: only its end, read back, ends anything."""

import asyncio
from pathlib import Path

import pytest

from gateway.cloud.models import Job
from gateway.cloud.uploading import Stream
from gateway.uploads.recording import State
from gateway.uploads.sending import patience
from gateway.uploads.standing import Standing
from tests.uploads.sending.bringing import LOOKUP, asi, bringing

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("long_turns")]

HOUR_S = 3600.0


async def test_the_answer_to_an_upload_is_not_believed(tmp_path: Path) -> None:
    """It says SUCCESS at once, and FAILURE when it is asked."""
    async with bringing(tmp_path, job_immediate=True, job_failure_fraction=1.0) as one:
        sha256 = await one.put(asi())
        over = await one.until(sha256, State.FAILED)
    assert (over.error_code, over.error) == ("job_failed", "The file could not be processed.")
    assert one.uploads == 1


@pytest.mark.parametrize(
    ("state", "details"),
    [
        *[
            ("FAILURE", details)
            for details in ("object", "text", "list", "nested", "huge", "null", "absent", "controls")
        ],
        ("REVOKED", "object"),
        ("ERROR", "text"),
    ],
)
async def test_why_the_work_has_failed_is_kept_bounded_and_printable(tmp_path: Path, state: str, details: str) -> None:
    knobs = {"job_failure_fraction": 1.0, "job_failure_state": state, "job_failure_details": details}
    async with bringing(tmp_path, None, **knobs) as one:
        over = await one.until(await one.put(asi()), State.FAILED)
    assert over.error == "" if details in {"null", "absent"} else "The file could not be processed." in over.error
    assert over.error.isprintable()
    assert len(over.error) <= 200


async def test_work_that_never_ends_is_asked_about_ever_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "STALE_S", 4 * HOUR_S)
    async with bringing(tmp_path, job_never_ends=True) as one:
        sha256 = await one.put(asi())
        await one.until(sha256, State.ACCEPTED)
        await one.passing(HOUR_S)
        first_hour = one.cloud.requests["job"]
        assert 15 < first_hour < 30
        assert one.uploader.job_state(sha256) == "STARTED"
        await one.passing(3 * HOUR_S)
        fresh = one.cloud.requests["job"]
        assert fresh < first_hour + 3 * 13
        await one.passing(5 * HOUR_S)
        assert 4 <= one.cloud.requests["job"] - fresh <= 6
        assert one.state(sha256) is State.ACCEPTED
        one.faults(job_never_ends=False)
        await one.until(sha256, State.DONE, within_s=1.1 * HOUR_S)
    assert one.uploads == 1


@pytest.mark.parametrize("knobs", [{"job_lost": True}, {"job_unknown_state": "MOONWALKING \x1b[2J" + 99 * "!"}])
async def test_work_that_is_lost_or_in_an_unknown_state_is_asked_about_again(
    tmp_path: Path, knobs: dict[str, object]
) -> None:
    async with bringing(tmp_path, None, **knobs) as one:
        sha256 = await one.put(asi())
        await one.passing(2 * HOUR_S)
        assert one.state(sha256) is State.ACCEPTED
        said, hindrance = one.uploader.job_state(sha256), one.uploader.hindrance(sha256)
        if "job_lost" in knobs:
            assert said is None
            assert hindrance is not None
            job_id = one[sha256].job_id
            assert hindrance == Standing(
                f"it knows no job {job_id}",
                f"wait; after a day, ask the vendor about job {job_id}; retry sends it once more",
            )
            assert one.uploader.wrong_setting is None
        else:
            assert said is not None
            assert said.startswith("MOONWALKING [2J!")
            assert said.isprintable()
            assert len(said) <= 40
        one.faults(job_lost=False, job_unknown_state="")
        await one.until(sha256, State.DONE)
    assert one.uploads == 1


async def test_what_a_person_sends_again_is_not_ended_by_the_work_on_what_was_sent_before(tmp_path: Path) -> None:
    async with bringing(tmp_path, job_never_ends=True) as one:
        sha256 = await one.put(asi())
        first = await one.until(sha256, State.ACCEPTED)
        await one.retry(sha256)
        await one.until(sha256, State.SENDING)
        second = await one.until(sha256, State.ACCEPTED)
        assert second.job_id != first.job_id
        one.faults(job_never_ends=False)
        done = await one.until(sha256, State.DONE)
    assert done.maybe_duplicate
    assert one.accepted(sha256) == 2


async def test_a_late_answer_about_the_work_before_says_nothing_about_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bringing(tmp_path, job_delay_s=0.0, job_failure_fraction=1.0) as one:
        really, is_asked, may_answer = one.client.job, asyncio.Event(), asyncio.Event()

        async def job(job_id: str) -> Job:
            answer = await really(job_id)
            is_asked.set()
            await may_answer.wait()
            return answer

        monkeypatch.setattr(one.client, "job", job)
        sha256 = await one.put(asi())
        await is_asked.wait()
        one.faults(job_failure_fraction=0.0)
        await one.retry(sha256)
        await one.until(sha256, State.SENDING)
        await one.until(sha256, State.ACCEPTED)
        may_answer.set()
        done = await one.until(sha256, State.DONE, State.FAILED)
    assert done.state is State.DONE


async def test_work_that_is_followed_keeps_nobody_from_being_sent(tmp_path: Path) -> None:
    async with bringing(tmp_path, job_delay_s=300.0) as one:
        ids = [await one.put(asi(seed=seed)) for seed in range(5)]
        for sha256 in ids:
            await one.until(sha256, State.ACCEPTED, within_s=60)
        for sha256 in ids:
            await one.until(sha256, State.DONE)
    assert one.uploads == 5


async def test_the_work_on_another_recording_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bringing(tmp_path, job_delay_s=0.0) as one:
        first = await one.until(await one.put(asi(seed=1)), State.DONE)
        really = one.client.load_asi

        async def load_asi(device_id: int, body: Stream) -> Job:
            answer = await really(device_id, body)
            return Job(first.job_id or "", answer.state)

        monkeypatch.setattr(one.client, "load_asi", load_asi)
        second = await one.put(asi(seed=2))
        lost = await one.until(second, State.AMBIGUOUS)
        assert (lost.error, lost.may_be_in_cloud) == ("the cloud names its work on another recording", True)
        monkeypatch.undo()
        done = await one.until(second, State.DONE, within_s=2 * HOUR_S)
    assert done.maybe_duplicate


async def test_what_is_found_as_the_work_on_another_recording_is_told_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knobs = {"lookup_enabled": True, "job_delay_s": 0.0}
    async with bringing(tmp_path, LOOKUP, **knobs) as one:
        first = await one.until(await one.put(asi(seed=1)), State.DONE)

        async def find_asi(_device_id: int, _sha256: str) -> Job:
            return Job(first.job_id or "", "SUCCESS")

        monkeypatch.setattr(one.client, "find_asi", find_asi)
        one.faults(upload_answer_lost_fraction=1.0)
        second = await one.put(asi(seed=2))
        await one.until(second, State.AMBIGUOUS)
        await one.passing(120)
        hindrance = one.uploader.hindrance(second)
        assert hindrance is not None
        assert (one.state(second), hindrance.text) == (
            State.AMBIGUOUS,
            "the cloud names its work on another recording",
        )
        monkeypatch.undo()
        await one.until(second, State.DONE)
    assert one.accepted(second) == 1

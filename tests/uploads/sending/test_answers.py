"""Answers that are not a job: what each says about the recording, and about those behind it."""

import asyncio
from pathlib import Path

import pytest

from gateway.log import told
from gateway.uploads.recording import State
from gateway.uploads.sending.attempt import Attempt, End, Taking
from gateway.uploads.sending.outcome import Outcome
from tests.uploads.sending.bringing import asi, bringing, living, simulation

pytestmark = [pytest.mark.looptime, pytest.mark.usefixtures("long_turns")]

HOUR_S = 3600.0


@pytest.mark.parametrize("status", [400, 422])
async def test_what_will_be_declined_again_is_sent_once_and_the_queue_goes_on(tmp_path: Path, status: int) -> None:
    poison, good = asi(seed=1), asi(seed=2)
    async with bringing(tmp_path, upload_refuses=status) as one:
        first = await one.put(poison)
        one.faults(upload_refuses_only=first)
        second = await one.put(good)
        over = await one.until(first, State.QUARANTINED)
        await one.until(second, State.DONE)
        await one.passing(6 * HOUR_S)
    assert (one.uploads, one.accepted(first), over.tries) == (2, 0, 1)
    assert str(status) in over.error
    assert 'it says "The file was refused."' in over.error


async def test_what_is_too_large_is_told_before_it_has_left(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_limit_bytes=100_000, upload_unread="cut") as one:
        sha256 = await one.put(asi(4_000_000))
        over = await one.until(sha256, State.QUARANTINED)
    assert "too large" in over.error
    assert State.CLOSING not in {step.state for step in over.trail}


@pytest.mark.parametrize("status", [410, 451])
async def test_what_may_be_declined_for_a_passing_reason_is_sent_five_times_over_half_an_hour(
    tmp_path: Path, status: int
) -> None:
    async with bringing(tmp_path, upload_refuses=status) as one:
        sha256 = await one.put(asi())
        await one.passing(1200)
        assert one.state(sha256) is State.QUEUED
        over = await one.until(sha256, State.QUARANTINED, within_s=HOUR_S)
        await one.passing(6 * HOUR_S)
    assert (one.uploads, over.tries, over.may_be_in_cloud) == (5, 5, False)


async def test_no_pause_that_the_cloud_asks_for_is_cut_short_or_counted(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_refuses=429) as one:
        sha256 = await one.put(asi())
        await one.happened("refused", 8)
        assert (one.state(sha256), one[sha256].tries) == (State.QUEUED, 0)
        one.faults(upload_refuses=0)
        await one.until(sha256, State.DONE)
    assert one.accepted(sha256) == 1


async def test_retry_after_is_waited_for_by_all(tmp_path: Path) -> None:
    async with bringing(tmp_path, throttle_rate_per_s=0.01, throttle_burst=1) as one:
        first, second = await one.put(asi(seed=1)), await one.put(asi(seed=2))
        await one.happened_status(429, 1)
        uploads = one.uploads
        await one.passing(50)
        assert one.uploads == uploads
        hindrance = one.uploader.hindrance(first)
        assert hindrance is None or "pause" in hindrance.text
        one.faults(throttle_rate_per_s=60.0)
        await one.until(first, State.DONE)
        await one.until(second, State.DONE)
    assert (one.accepted(first), one.accepted(second)) == (1, 1)


async def test_a_cloud_that_is_busy_says_nothing_about_the_file(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_refuses=503) as one:
        first, second = await one.put(asi(seed=1)), await one.put(asi(seed=2))
        await one.happened("refused", 10, within_s=6 * HOUR_S)
        assert one[first].tries == one[second].tries == 0
        one.faults(upload_refuses=0)
        await one.until(first, State.DONE, within_s=HOUR_S)
        await one.until(second, State.DONE, within_s=HOUR_S)
    assert (one.accepted(first), one.accepted(second)) == (1, 1)


@pytest.mark.parametrize("status", [403, 404])
async def test_a_tracker_that_is_said_not_to_be_ours_is_doubted_and_waited_for(tmp_path: Path, status: int) -> None:
    async with bringing(tmp_path, upload_refuses=status) as one:
        sha256 = await one.put(asi())
        await one.happened("refused", 3)
        assert (one.state(sha256), one[sha256].tries) == (State.QUEUED, 0)
        assert "its tracker is not ours" in one[sha256].error
        assert one.ours.rechecks >= 2
        # The claims have found out that it is somebody else's: nothing is sent any more.
        device_id = one.ours.ids.pop(one.serial())
        before = one.uploads
        await one.passing(2 * HOUR_S)
        assert one.uploads <= before + 1
        hindrance = one.uploader.hindrance(sha256)
        assert hindrance is not None
        assert hindrance.text == "its tracker is not ours"
        one.faults(upload_refuses=0)
        one.ours.ids[one.serial()] = device_id
        one.uploader.wake()
        await one.until(sha256, State.DONE, within_s=1000)
    assert one.accepted(sha256) == 1


async def test_a_recording_of_a_tracker_that_is_not_ours_yet_keeps_nobody(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        device_id = one.ours.ids.pop(one.serial(0))
        first, second = await one.put(asi(seed=1), 0), await one.put(asi(seed=2), 1)
        await one.until(second, State.DONE)
        assert one.state(first) is State.QUEUED
        assert one.uploader.next_s(first) is None
        one.ours.ids[one.serial(0)] = device_id
        await one.until(first, State.DONE)
    assert one.uploads == 2


async def test_a_path_that_does_not_exist_is_tried_hourly_and_named(tmp_path: Path) -> None:
    async with bringing(tmp_path, job_never_ends=True) as one:
        # That the work on another can be asked about proves nothing for uploads.
        await one.until(await one.put(asi()), State.ACCEPTED)
        one.faults(upload_refuses=405)
        first, second = await one.put(asi(seed=1)), await one.put(asi(seed=2))
        await one.passing(2.5 * HOUR_S)
        assert one.uploads == 4
        hindrance = one.uploader.hindrance(second)
        assert hindrance is not None
        assert "load_asi in [cloud.paths]" in hindrance.action
        next_s = one.uploader.next_s(first)
        assert next_s is not None
        assert 0 < next_s <= HOUR_S
        one.faults(upload_refuses=0)
        await one.retry(first)
        await one.until(first, State.ACCEPTED)
        await one.until(second, State.ACCEPTED)


async def test_a_cloud_that_is_away_for_hours_costs_nothing_and_is_found_soon(tmp_path: Path) -> None:
    async with simulation(2) as (cloud, served), living(cloud, served, tmp_path) as one:
        one.faults(outage_every_s=1.0, outage_s=1.0)
        first, second = await one.put(asi(seed=1)), await one.put(asi(seed=2))
        revision = one.ledger.revision
        await one.passing(6 * HOUR_S)
        hindrance = one.uploader.hindrance(first)
        assert one.client.traffic.requests < 6 * 120
        assert one.ledger.revision == revision  # weeks offline write nothing on the card
        assert hindrance is None or "cannot be reached" in hindrance.text
        one.faults(outage_every_s=0.0, outage_s=0.0)
        await one.until(first, State.DONE, within_s=200)
        await one.until(second, State.DONE, within_s=60)
    assert (cloud.jobs.accepted(first), cloud.jobs.accepted(second)) == (1, 1)


async def test_an_outage_in_the_middle_of_a_body_is_no_doubt(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_seconds_per_mb=10.0) as one:
        sha256 = await one.put(asi(6_000_000))
        await one.until(sha256, State.SENDING)
        await one.passing(20)
        one.faults(outage_every_s=1.0, outage_s=1.0)
        queued = await one.until(sha256, State.QUEUED)
        assert (queued.tries, queued.may_be_in_cloud) == (0, False)
        one.faults(outage_every_s=0.0, outage_s=0.0, upload_seconds_per_mb=0.0)
        await one.until(sha256, State.DONE, within_s=HOUR_S)
    assert one.accepted(sha256) == 1


async def test_a_token_that_has_ended_costs_one_more_sending_and_nothing_else(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        first = await one.put(asi(seed=1))
        await one.until(first, State.DONE)
        one.cloud.accounts.revoke(refresh_tokens=True)
        second = await one.put(asi(300_000, seed=2))
        done = await one.until(second, State.DONE)
    assert (one.accepted(second), done.tries, done.maybe_duplicate) == (1, 0, False)


@pytest.mark.parametrize("when", ["before disk", "after disk"])
@pytest.mark.parametrize(("write", "size"), [(0, 300_000), (1, 40), (1, 300_000)])
async def test_a_refusal_of_the_token_while_the_state_is_written_changes_nothing(
    tmp_path: Path, when: str, write: int, size: int
) -> None:
    """The cloud refuses the token as soon as it sees the request, and the disk takes five seconds."""
    async with bringing(tmp_path) as one:
        await one.until(await one.put(asi(seed=1)), State.DONE)
        one.ours.ids, ours = {}, one.ours.ids
        sha256 = await one.put(asi(size, seed=2))
        one.cloud.accounts.revoke(refresh_tokens=True)
        one.disk.acts[when] = [*[lambda: None] * write, lambda: asyncio.sleep(5)]
        one.ours.ids = ours
        done = await one.until(sha256, State.DONE, within_s=60)
    assert (one.accepted(sha256), done.tries, done.maybe_duplicate) == (1, 0, False)
    assert [step.state for step in done.trail] == ["queued", "sending", "closing", "accepted", "done"]


async def test_a_surprise_is_logged_without_its_text_and_keeps_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    really, name = Attempt.run, "Ada"

    async def run(self: Attempt, cloud: Taking, device_id: int) -> End | Outcome:
        if self.sha256 == first:
            raise ZeroDivisionError(f"the secret of {name}")
        return await really(self, cloud, device_id)

    monkeypatch.setattr(Attempt, "run", run)
    async with bringing(tmp_path) as one:
        first = await one.put(asi(seed=1))
        for seed in range(2, 5):
            await one.until(await one.put(asi(seed=seed)), State.DONE)
        assert one.state(first) is State.QUEUED
        monkeypatch.undo()
        await one.until(first, State.DONE)
    said = "\n".join(map(told, caplog.records))
    assert "ZeroDivisionError" in said
    assert name not in said

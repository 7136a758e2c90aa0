"""Many at once: whose turn it is, how much of the line they take, and what is told meanwhile."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.cloud.errors import Throttled
from gateway.uploads.recording import State
from gateway.uploads.sending.uploader import Options
from gateway.uploads.transitions import assigned, discarded
from tests.uploads.sending.bringing import asi, bringing, wall_ms

pytestmark = pytest.mark.looptime


async def test_one_at_a_time_and_a_giant_does_not_keep_the_small_ones(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_seconds_per_mb=10.0) as one:
        one.ours.ids, ours = {}, one.ours.ids
        giants = [await one.put(asi(2_000_000, seed=seed)) for seed in range(4)]
        await one.passing(10)
        smalls = [await one.put(asi(seed=seed)) for seed in range(10, 14)]
        one.ours.ids = ours
        for sha256 in (*giants, *smalls):
            await one.until(sha256, State.DONE, within_s=2000)
    order = [job.sha256 for job in one.cloud.jobs.all]
    assert order[3] in smalls  # the fourth turn, before the last giant
    assert set(order[:3]) | {order[4]} == set(giants)
    assert order[5:] == [sha256 for sha256 in smalls if sha256 != order[3]]


async def test_never_two_bodies_at_once(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_seconds_per_mb=100.0) as one:
        ids = [await one.put(asi(100_000, seed=seed)) for seed in range(5)]
        most = 0
        async with asyncio.timeout(600):
            while any(one.state(sha256) is not State.DONE for sha256 in ids):
                most = max(most, sum(one.state(sha256) in {State.SENDING, State.CLOSING} for sha256 in ids))
                await asyncio.sleep(0.1)
    assert most == 1


async def test_one_that_is_cut_every_time_is_behind_the_others(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_cut_fraction=1.0) as one:
        giant = await one.put(asi(2_000_000))
        await one.happened("cut", 1)
        one.faults(upload_cut_fraction=0.0, upload_refuses=503, upload_refuses_only=giant)
        others = [await one.put(asi(seed=seed)) for seed in range(1, 6)]
        for sha256 in others:
            await one.until(sha256, State.DONE, within_s=300)
        assert one.state(giant) in {State.QUEUED, State.SENDING, State.CLOSING}
        one.faults(upload_refuses=0)
        await one.until(giant, State.DONE, within_s=2000)


@pytest.mark.parametrize(("cap", "size"), [(8_000, 120_000), (100_000, 3_000_000)])
async def test_a_cap_is_kept_and_used(tmp_path: Path, cap: int, size: int) -> None:
    async with bringing(tmp_path, Options(max_bytes_per_s=cap)) as one:
        sha256 = await one.put(asi(size))
        await one.until(sha256, State.SENDING)
        start = asyncio.get_running_loop().time()
        await one.until(sha256, State.ACCEPTED, within_s=2000)
        took_s = asyncio.get_running_loop().time() - start
    ideal_s = size * 4 / 3 / cap
    assert ideal_s * 0.95 - 1 <= took_s <= ideal_s * 1.05 + 1


async def test_progress_grows_with_what_has_left_and_knows_the_time_that_is_left(tmp_path: Path) -> None:
    size = 1_200_000
    async with bringing(tmp_path, Options(max_bytes_per_s=16_000)) as one:
        sha256 = await one.put(asi(size))
        other = await one.put(asi(seed=2))
        await one.until(sha256, State.SENDING)
        await one.passing(20)
        seen = [one.uploader.progress(sha256)]
        for _ in range(60):
            await one.passing(1)
            seen.append(one.uploader.progress(sha256))
        assert one.uploader.progress(other) is None
        reports = [report for report in seen if report is not None]
        assert len(reports) == len(seen)
        sent = [report.sent_bytes for report in reports]
        assert sent == sorted(sent)
        assert all(report.bytes_per_s == pytest.approx(12_000, rel=0.1) for report in reports)
        assert all(report.left_s == pytest.approx((size - report.sent_bytes) / 12_000, rel=0.1) for report in reports)
        await one.until(sha256, State.DONE)
        assert one.uploader.progress(sha256) is None


async def test_whoever_waits_knows_how_long(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_refuses=451) as one:
        sha256 = await one.put(asi())
        assert one.uploader.next_s(sha256) is None  # it is its turn
        await one.happened("refused", 1)
        await one.passing(1)
        first = one.uploader.next_s(sha256)
        await one.passing(10)
        second = one.uploader.next_s(sha256)
        assert first is not None
        assert second is not None
        assert 50 < first <= 60
        assert first - second == pytest.approx(10)
        assert one.uploader.next_s("0" * 64) is None


async def test_a_person_who_says_retry_waits_for_nothing(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_refuses=451) as one:
        sha256 = await one.put(asi())
        await one.happened("refused", 2)
        one.faults(upload_refuses=0)
        await one.retry(sha256)
        done = await one.until(sha256, State.DONE, within_s=15)
    assert (done.author, done.tries) == ("Kim", 0)


async def test_it_beats_whatever_the_cloud_does(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_answer_lost_fraction=1.0, lost_answer_form="hang") as one:
        await one.put(asi())
        await one.passing(150)
        gaps = [after - before for before, after in zip(one.beats, one.beats[1:], strict=False)]
    assert max(gaps) <= 1.1


async def test_what_a_person_says_while_it_waits_for_the_line_is_heard(tmp_path: Path) -> None:
    """It was to be sent for one tracker and is another's by the time the line is free."""
    async with bringing(tmp_path, outage_every_s=1.0, outage_s=1.0) as one:
        sha256 = await one.put(asi(), 0)
        await one.passing(30)
        await one.ledger.change(sha256, lambda known: assigned(known, one.serial(1), "Kim", wall_ms()))
        one.faults(outage_every_s=0.0, outage_s=0.0)
        await one.until(sha256, State.DONE)
    assert [job.device_id for job in one.cloud.jobs.all] == [one.cloud.devices[1].device_id]


async def test_whose_it_is_said_to_be_counts_at_the_moment_at_which_it_leaves(tmp_path: Path) -> None:
    """The request waits behind a pause that the cloud has asked for, and knows only the tracker of before."""
    async with bringing(tmp_path, throttle_rate_per_s=0.01, throttle_burst=2) as one:
        async with asyncio.timeout(60):
            while not one.cloud.statuses[429]:
                with suppress(Throttled):
                    await one.client.latest_timestamp(one.cloud.devices[0].device_id)
        sha256 = await one.put(asi(), 0)
        await one.passing(10)
        assert one.uploads == 0
        await one.ledger.change(sha256, lambda known: assigned(known, one.serial(1), "Kim", wall_ms()))
        one.faults(throttle_rate_per_s=60.0)
        await one.until(sha256, State.DONE)
    assert [job.device_id for job in one.cloud.jobs.all] == [one.cloud.devices[1].device_id]


async def test_what_is_discarded_while_it_waits_is_not_sent(tmp_path: Path) -> None:
    async with bringing(tmp_path, outage_every_s=1.0, outage_s=1.0) as one:
        sha256, other = await one.put(asi(), 0), await one.put(asi(seed=2))
        await one.passing(30)
        await one.ledger.change(sha256, lambda known: discarded(known, "Kim", wall_ms()))
        one.faults(outage_every_s=0.0, outage_s=0.0)
        await one.until(other, State.DONE)
        await one.passing(60)
    assert one.accepted(sha256) == 0

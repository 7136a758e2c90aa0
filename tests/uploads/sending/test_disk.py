"""What is on the disk: nothing leaves that is not written down, and no other bytes than were taken over."""

import asyncio
from pathlib import Path

import pytest

from gateway.cloud.models import Job
from gateway.cloud.uploading import Stream
from gateway.store import StoreError
from gateway.uploads.recording import Source, State, Way
from gateway.uploads.transitions import taken_again
from tests.uploads.sending.bringing import Bringing, asi, bringing, living, simulation

pytestmark = pytest.mark.looptime


def flip(one: Bringing, sha256: str, offset: int) -> None:
    """A bit of a file is another one."""
    path = one.spool.path(sha256)
    content = bytearray(path.read_bytes())
    content[offset] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("offset", [5, 100_000, 199_999])
async def test_a_flipped_bit_never_gets_whole_to_the_cloud(tmp_path: Path, offset: int) -> None:
    async with simulation(2) as (cloud, served), living(cloud, served, tmp_path) as one:
        one.ours.ids.clear()
        sha256 = await one.put(asi(200_000))
        flip(one, sha256, offset)
        other = await one.put(asi(seed=2))
        one.ours.ids = {device.serial_number: device.device_id for device in cloud.devices}
        over = await one.until(sha256, State.CORRUPT)
        await one.until(other, State.DONE)
    assert [job.sha256 for job in cloud.jobs.all] == [other]
    assert State.CLOSING not in {step.state for step in over.trail}
    assert over.error == "its bytes have changed on the card"


@pytest.mark.parametrize("size", [0, 1, 199_999, 200_001, 400_000])
async def test_a_file_of_another_length_is_not_sent_at_all(tmp_path: Path, size: int) -> None:
    async with bringing(tmp_path) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256 = await one.put(asi(200_000))
        one.spool.path(sha256).write_bytes(asi(size))
        one.ours.ids = ours
        over = await one.until(sha256, State.CORRUPT)
    assert [step.state for step in over.trail] == ["queued", "corrupt"]
    assert over.error == f"it has {size} bytes instead of 200000"


async def test_a_file_that_shrinks_while_it_is_read_is_not_taken_for_whole(tmp_path: Path) -> None:
    async with bringing(tmp_path, upload_seconds_per_mb=60.0) as one:
        sha256 = await one.put(asi(1_000_000))
        await one.until(sha256, State.SENDING)
        one.spool.path(sha256).write_bytes(asi(1000))
        over = await one.until(sha256, State.CORRUPT)
        await one.passing(100)
    assert one.accepted(sha256) == 0
    assert over.error == "it has become shorter"


@pytest.mark.parametrize("when", [State.QUEUED, State.SENDING])
async def test_a_file_that_is_gone_is_missing(tmp_path: Path, when: State) -> None:
    async with bringing(tmp_path, upload_seconds_per_mb=60.0) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256, other = await one.put(asi(1_000_000)), await one.put(asi(seed=2))
        if when is State.SENDING:
            one.ours.ids = ours
        await one.until(sha256, when)
        one.spool.path(sha256).unlink()
        one.ours.ids = ours
        await one.until(sha256, State.MISSING)
        await one.until(other, State.DONE)
    assert one.accepted(sha256) == 0


async def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256 = await one.put(asi())
        path, elsewhere = one.spool.path(sha256), tmp_path / "elsewhere"
        path.rename(elsewhere)
        path.symlink_to(elsewhere)
        one.ours.ids = ours
        await one.until(sha256, State.CORRUPT)
    assert one.accepted(sha256) == 0


@pytest.mark.parametrize("harm", ["flipped", "gone"])
async def test_what_comes_in_again_while_the_harm_is_found_is_no_harm(tmp_path: Path, harm: str) -> None:
    """Between the reading of the file and the word about it a technician adds it once more."""
    content = asi(200_000)
    async with bringing(tmp_path) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256 = await one.put(content)
        really = one.client.load_asi

        async def load_asi(device_id: int, body: Stream) -> Job:
            if harm == "gone":
                one.spool.path(sha256).unlink(missing_ok=True)
            try:
                return await really(device_id, body)
            finally:
                monkeypatch.undo()
                with one.spool.part(len(content)) as part:
                    part.write(content)
                    part.commit()
                again = Source(Way.UPLOAD, "again.asi", 5)
                await one.ledger.change(sha256, lambda known: taken_again(known, again))

        monkeypatch = pytest.MonkeyPatch()
        monkeypatch.setattr(one.client, "load_asi", load_asi)
        if harm == "flipped":
            flip(one, sha256, 100_000)
        one.ours.ids = ours
        done = await one.until(sha256, State.DONE)
    assert {State.CORRUPT, State.MISSING}.isdisjoint({step.state for step in done.trail})
    assert (one.accepted(sha256), done.tries, done.maybe_duplicate) == (1, 0, False)


@pytest.mark.parametrize("state", [State.SENDING, State.CLOSING])
async def test_what_cannot_be_written_down_does_not_leave(tmp_path: Path, state: State) -> None:
    """The disk dies right before the state is written; the cloud gets nothing until it is well again."""
    async with bringing(tmp_path) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256 = await one.put(asi(200_000))
        skipped = [State.SENDING, State.CLOSING].index(state)
        one.disk.dies_before(skipped)
        one.ours.ids = ours
        await one.passing(120)
        assert one.accepted(sha256) == 0
        assert one.fates["accepted"] == 0
        beats = len(one.beats)
        await one.passing(10)
        assert len(one.beats) >= beats + 10
        one.disk.is_dead = False
        done = await one.until(sha256, State.DONE)
    assert one.accepted(sha256) == 1
    assert (done.tries, done.maybe_duplicate) == (0, False)
    assert State.AMBIGUOUS not in {step.state for step in done.trail}


async def test_an_answer_that_cannot_be_written_down_is_written_down_later(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256, other = await one.put(asi()), await one.put(asi(seed=2))
        one.disk.dies_before(2)
        one.ours.ids = ours
        await one.passing(600)
        assert {one.state(sha256), one.state(other)} == {State.CLOSING, State.QUEUED}
        assert one.uploads == 1
        one.disk.is_dead = False
        await one.until(sha256, State.DONE)
        await one.until(other, State.DONE)
    assert (one.accepted(sha256), one.accepted(other)) == (1, 1)


async def test_nothing_is_sent_while_the_store_is_in_trouble(tmp_path: Path) -> None:
    async with bringing(tmp_path) as one:
        one.ours.ids, ours = {}, one.ours.ids
        sha256 = await one.put(asi())
        one.disk.told = StoreError("The disk is full", "free some space")
        one.ours.ids = ours
        requests = one.client.traffic.requests
        await one.passing(60)
        assert one.client.traffic.requests == requests
        assert one.uploader.hindrance(sha256) == ("the disk is full", "free some space")
        assert one.uploader.next_s(sha256) is None
        one.disk.told = None
        await one.until(sha256, State.DONE)


async def test_a_stop_in_the_middle_of_a_body_leaves_no_file_open(tmp_path: Path) -> None:
    fds = Path("/proc/self/fd")
    async with simulation(2, upload_seconds_per_mb=60.0) as (cloud, served):
        for _ in range(3):
            async with living(cloud, served, tmp_path) as one:
                sha256 = next(iter(one.ledger.recordings), "") or await one.put(asi(1_000_000))
                await one.until(sha256, State.SENDING)
                await asyncio.sleep(1)
        held = [link for link in fds.iterdir() if str(tmp_path / "recordings") in _target(link)]
    assert not held


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""

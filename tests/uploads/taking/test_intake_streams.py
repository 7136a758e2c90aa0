"""The intake of what somebody sends: all of it is taken over, or nothing is left of it."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import Basis, Way
from gateway.uploads.taking.intake import Intake, TakeError, Untakeable
from gateway.worker import Worker
from tests.uploads.taking.intakes import CONTENT, MAX_BYTES, MB, NOW_MS, SHA256, Rows, left, stream


async def test_a_stream_is_taken_over(intake: Intake, spool: Spool) -> None:
    blocks = [CONTENT[start : start + 1000] for start in range(0, len(CONTENT), 1000)]
    for size, sha256 in ((len(CONTENT), SHA256.upper()), (None, None)):
        recording = await intake.take_stream(stream(b"", *blocks), size, "a.asi", "012345", "Ada", sha256)
        assert spool.path(SHA256).read_bytes() == CONTENT
    assert (recording.serial_number, recording.basis, recording.author) == ("012345", Basis.PERSON, "Ada")
    assert [source.way for source in recording.sources] == [Way.UPLOAD, Way.UPLOAD]


@pytest.mark.parametrize(
    ("blocks", "size", "sha256", "code"),
    [
        ([CONTENT[:-1]], len(CONTENT), None, Untakeable.CUT_OFF),
        ([CONTENT, b"x"], len(CONTENT), None, Untakeable.CUT_OFF),
        ([CONTENT], len(CONTENT), "0" * 64, Untakeable.CUT_OFF),
        ([], 5, None, Untakeable.CUT_OFF),
        ([], None, None, Untakeable.EMPTY),
        ([CONTENT], 0, None, Untakeable.EMPTY),
        ([b"AS"], None, None, Untakeable.NOT_ASI),
        ([b"RIFF" * 4, *[bytes(MB)] * 100], None, None, Untakeable.NOT_ASI),
        ([b"ASI", *[bytes(MB)] * 9], None, None, Untakeable.TOO_LARGE),
        ([CONTENT], MAX_BYTES + 1, None, Untakeable.TOO_LARGE),
    ],
)
async def test_a_stream_that_is_not_what_it_should_be_leaves_nothing(
    intake: Intake,
    spool: Spool,
    rows: Rows,
    blocks: list[bytes],
    size: int | None,
    sha256: str | None,
    code: Untakeable,
) -> None:
    with pytest.raises(TakeError) as told:
        await intake.take_stream(stream(*blocks), size, "a.asi", None, "", sha256)
    assert told.value.code is code
    assert left(spool) == set()
    assert not rows.recordings


async def test_a_stream_that_breaks_says_so_itself_and_leaves_nothing(intake: Intake, spool: Spool) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield CONTENT
        raise LookupError

    with pytest.raises(LookupError):
        await intake.take_stream(cut(), None, "a.asi", None, "")
    assert left(spool) == set()


async def test_who_is_cancelled_leaves_nothing_half_taken(intake: Intake, spool: Spool, worker: Worker) -> None:
    waits = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT
        waits.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(intake.take_stream(endless(), None, "a.asi", None, ""))
        await waits.wait()
        assert len(left(spool)) == 1
        task.cancel()
    assert left(spool) == set()

    held = threading.Event()
    async with asyncio.TaskGroup() as tasks:
        blocked = tasks.create_task(worker.run(held.wait))
        task = tasks.create_task(intake.take_stream(endless(), None, "a.asi", None, ""))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        held.set()
        await blocked
    assert left(spool) == set()


async def test_a_disk_that_fills_up_meanwhile_says_so(disk: Path, rows: Rows, worker: Worker) -> None:
    spool = Spool(disk / "recordings", 1 << 60, 4096, 0)
    spool.open()
    intake = Intake(spool, rows, worker, MAX_BYTES, lambda: NOW_MS)

    async def filling() -> AsyncIterator[bytes]:
        yield CONTENT
        os.posix_fallocate(filler.fileno(), 0, os.statvfs(disk).f_bavail * 4096)
        yield CONTENT

    with (disk / "filler").open("wb") as filler, pytest.raises(TakeError) as told:
        await intake.take_stream(filling(), 2 * len(CONTENT), "a.asi", None, "")
    assert told.value.code is Untakeable.NO_ROOM
    assert left(spool) == set()

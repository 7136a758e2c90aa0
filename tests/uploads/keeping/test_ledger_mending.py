"""The ledger while its disk fails: nothing is changed by halves, and when it works again it gets all of it."""

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.store import DATABASE, StoreError
from gateway.uploads import transitions as t
from gateway.uploads.keeping import rows
from gateway.uploads.keeping.journal import NAME, Journal
from gateway.uploads.keeping.ledger import MEND_S, TOLD_S
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import Recording, State
from tests.uploads.keeping.ledgers import break_database, opened, sql
from tests.uploads.keeping.stages import history

S = State

STATES = [S.QUEUED, S.AMBIGUOUS, S.ACCEPTED, S.DONE, S.FAILED, S.QUESTIONED, S.DISCARDED, S.PURGED]


async def test_a_journal_that_cannot_be_written_changes_nothing_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as kept:
        it = await kept.take(0, S.SENDING)

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "broken")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            for _ in range(2):
                with pytest.raises(StoreError, match="The disk fails with"):
                    await kept.ledger.change(it.sha256, lambda known: t.closing(known, 7))
                assert kept.trouble() is not None
            assert kept.states == [S.SENDING]
        await kept.ledger.mend()
        assert kept.trouble() is None
        await kept.ledger.change(it.sha256, lambda known: t.postponed(known, "offline", "no line", 8))
    assert [it.state for it in (await after_one(tmp_path)).values()] == [S.QUEUED]


async def after_one(folder: Path) -> dict[str, Recording]:
    async with opened(folder) as kept:
        assert kept.ledger.damage is None
        return dict(kept.ledger.recordings)


@pytest.mark.parametrize("is_mended", [True, False])
async def test_a_change_that_fails_between_its_line_and_its_row_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_mended: bool
) -> None:
    """Should the gateway end before that is put right, it is taken for made, which is never the worse."""

    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("read-only")
        error.sqlite_errorcode = sqlite3.SQLITE_READONLY
        raise error

    def broken(_: Spool) -> None:
        raise OSError(errno.EROFS, "read-only")

    async with opened(tmp_path / "one") as kept:
        it = await kept.take(0, S.SENDING)
        with monkeypatch.context() as patch:
            patch.setattr(rows, "put", fail)
            if not is_mended:
                patch.setattr(Spool, "open", broken)
            with pytest.raises(StoreError, match="cannot be written"):
                await kept.ledger.change(it.sha256, lambda known: t.closing(known, 7))
        assert kept.states == [S.SENDING]
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        await kept.ledger.mend()
        assert Journal(kept.spool.folder / NAME).read().recordings == kept.ledger.recordings
    async with opened(tmp_path / "two") as kept:
        assert kept.states == [S.QUEUED if is_mended else S.AMBIGUOUS]
        assert kept.ledger.damage is None


async def test_a_database_that_is_damaged_while_the_gateway_runs_costs_nothing(tmp_path: Path) -> None:
    """It is begun anew at once, with all that is in memory; the change is made as if nothing had been."""
    async with opened(tmp_path) as kept:
        before = [await kept.take(number, state) for number, state in enumerate(STATES)]
        sql(tmp_path, "PRAGMA wal_checkpoint(TRUNCATE)")
        await break_database(kept)
        (tmp_path / DATABASE).write_bytes(b"nonsense" * 1000)
        await kept.ledger.change(before[0].sha256, lambda known: t.sending(known, 7))
        assert kept.trouble() is None
        assert kept.store.damage
        assert kept.states == [S.SENDING, *STATES[1:]]
    async with opened(tmp_path) as kept:
        assert kept.states == [S.QUEUED, *STATES[1:]]


async def test_a_database_that_somebody_else_has_begun_anew_gets_all_of_it_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        await kept.take(0, S.DONE)
        sql(tmp_path, "PRAGMA wal_checkpoint(TRUNCATE)")
        await break_database(kept)
        with pytest.raises(StoreError):
            await kept.store.write(lambda connection: connection.execute("DELETE FROM recording"))
        (tmp_path / DATABASE).unlink()
        assert await kept.store.mend()
        assert "not written down anew" in str(kept.trouble())
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(kept.ledger.run(lambda: None))
            while kept.trouble() is not None:
                await asyncio.sleep(0.01)
            running.cancel()
    sql(tmp_path, "UPDATE recording SET sha256 = sha256")
    (tmp_path / FOLDER / NAME).unlink()
    async with opened(tmp_path) as kept:
        assert kept.states == [S.DONE]


async def test_a_row_that_is_later_than_memory_is_not_lost_by_writing_down_all_of_it_anew(tmp_path: Path) -> None:
    """As a change whose end the disk has kept, though it said that it had failed."""
    async with opened(tmp_path) as kept:
        before = [await kept.take(0, S.SENDING), await kept.take(1, S.DONE)]
        later = [t.closing(before[0], 7), t.purged(before[1], 7), *history(2, S.QUEUED)]
        kept.put_file(2)
        await kept.store.write(lambda connection: rows.put(connection, later))
        await break_database(kept)
        with pytest.raises(StoreError):
            await kept.store.write(lambda connection: connection.execute("DELETE FROM recording"))
        await kept.ledger.mend()
        assert kept.trouble() is None
        assert [kept.ledger.recordings[it.sha256] for it in later] == later
        assert Journal(kept.spool.folder / NAME).read().recordings == kept.ledger.recordings
        assert (await kept.store.read(rows.read))[0] == kept.ledger.recordings
    async with opened(tmp_path) as kept:
        assert kept.states == [S.AMBIGUOUS, S.PURGED, S.QUEUED]


async def test_a_slow_thread_is_no_reason_to_write_everything_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is changed as soon as it answers again is on the disk, and stays there."""
    monkeypatch.setattr("gateway.worker.OVERDUE_S", 0.05)
    answers = threading.Event()
    async with opened(tmp_path) as kept, asyncio.TaskGroup() as tasks:
        sha256 = (await kept.take(0, S.DISCARDED)).sha256
        kept.put_file(0)
        journal = kept.spool.folder / NAME
        before = journal.stat().st_ino
        tasks.create_task(kept.worker.run(answers.wait))
        while kept.trouble() is None:
            await asyncio.sleep(0.01)
        mending = tasks.create_task(kept.ledger.mend())
        answers.set()
        while not mending.done():
            if kept.trouble() is None:
                await kept.ledger.change(sha256, lambda known: t.taken_again(known, known.sources[0]))
            await asyncio.sleep(0)
        assert kept.states == [S.QUEUED]
        assert journal.stat().st_ino == before
        assert Journal(journal).read().recordings == kept.ledger.recordings
        assert (await kept.store.read(rows.read))[0] == kept.ledger.recordings


@pytest.mark.looptime
async def test_trouble_is_mended_every_minute_and_damage_is_told_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as kept:
        await kept.take(0)
    (tmp_path / FOLDER / NAME).unlink()
    async with opened(tmp_path) as kept, asyncio.TaskGroup() as tasks:
        beats = 0

        def beat() -> None:
            nonlocal beats
            beats += 1

        running = tasks.create_task(kept.ledger.run(beat))
        await asyncio.sleep(5)
        await break_database(kept)
        with pytest.raises(StoreError):
            await kept.store.write(lambda connection: connection.execute("DELETE FROM recording"))
        assert kept.trouble() is not None
        await asyncio.sleep(MEND_S + 2)
        assert kept.trouble() is None
        assert beats > MEND_S
        await break_database(kept)
        with pytest.raises(StoreError):
            await kept.store.write(lambda connection: connection.execute("DELETE FROM recording"))
        assert await kept.store.mend()  # by somebody else, so nobody needs to wait any longer
        assert kept.trouble() is not None
        await asyncio.sleep(5)
        assert kept.trouble() is None
        assert kept.damage() is not None
        monkeypatch.setattr("gateway.uploads.keeping.ledger.TURN_S", 600.0)
        await asyncio.sleep(TOLD_S + 600)
        assert kept.damage() is None
        running.cancel()

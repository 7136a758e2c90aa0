"""The ledger: memory is what is on the disk, each change is made of the newest, and none is lost or made half."""

import asyncio
import errno
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store import Connection, open_store
from gateway.uploads import transitions as t
from gateway.uploads.keeping import rows
from gateway.uploads.keeping.books import Books
from gateway.uploads.keeping.journal import NAME, Journal
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import Recording, State
from gateway.worker import Worker
from tests.pairing.keeping.test_records import WANTED
from tests.pairing.keeping.test_records import opened as opened_records
from tests.uploads.keeping.ledgers import NOW_MS, Kept, opened
from tests.uploads.keeping.stages import content, sha256_of

S = State


def well(kept: Kept) -> Ledger:
    """One with which nothing is wrong."""
    assert kept.ledger.trouble is None
    assert kept.ledger.damage is None
    return kept.ledger


async def test_everything_is_there_again_at_the_next_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        assert (dict(well(kept).recordings), kept.states) == ({}, [])
        for number, state in enumerate(State):
            if state is not S.MISSING:
                await kept.take(number, state)
        before = dict(kept.ledger.recordings)
    async with opened(tmp_path) as kept:
        now = well(kept).recordings
        ends = {S.SENDING: S.QUEUED, S.CLOSING: S.AMBIGUOUS}
        assert {sha: it for sha, it in now.items() if before[sha].state not in ends} == {
            sha: it for sha, it in before.items() if it.state not in ends
        }
        assert {it.state for it in now.values()} == set(State) - {S.SENDING, S.CLOSING, S.MISSING}
        assert all((now[sha].state is ends[it.state]) for sha, it in before.items() if it.state in ends)
    async with opened(tmp_path) as kept:
        assert well(kept).recordings == now


async def test_row_journal_and_memory_say_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        for number, state in enumerate(State):
            await kept.take(number, state)
            stored, damaged = await kept.store.read(rows.read)
            assert stored == kept.ledger.recordings == Journal(kept.spool.folder / NAME).read().recordings
            assert not damaged


async def test_a_change_is_made_of_the_newest(tmp_path: Path) -> None:
    """Whoever comes second finds what the first has left, and both count."""
    async with opened(tmp_path) as kept:
        sha256 = (await kept.take(0)).sha256
        seen: list[State] = []

        def sent(known: Recording) -> Recording:
            seen.append(known.state)
            return t.sending(known, 5) if known.state is S.QUEUED else t.closing(known, 6)

        async with asyncio.TaskGroup() as tasks:
            changes = [tasks.create_task(kept.ledger.change(sha256, sent)) for _ in range(2)]
        assert seen == [S.QUEUED, S.SENDING]
        assert [it.result().version for it in changes] == [2, 3]
        assert kept.ledger.recordings[sha256].state is S.CLOSING


async def test_what_is_refused_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        it = await kept.take(0)
        before = (kept.ledger.revision, (kept.spool.folder / NAME).read_bytes())
        with pytest.raises(t.TransitionError):
            await kept.ledger.change(it.sha256, lambda known: t.done(known, 5))
        with pytest.raises(KeyError):
            await kept.ledger.change(sha256_of(1), lambda known: known)
        assert await kept.ledger.change(it.sha256, lambda known: known) == it
        assert (kept.ledger.revision, (kept.spool.folder / NAME).read_bytes()) == before
        assert well(kept).recordings == {it.sha256: it}


async def test_every_change_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        revision = kept.ledger.revision
        it = await kept.take(0)
        assert kept.ledger.revision == revision + 1
        await kept.ledger.change(it.sha256, lambda known: known)
        assert kept.ledger.revision == revision + 1


@pytest.fixture
def answers() -> Iterator[threading.Event]:
    """Set when the disk shall answer, at the end of the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


async def test_who_is_cancelled_has_changed_it_all_the_same(tmp_path: Path, answers: threading.Event) -> None:
    async with opened(tmp_path) as kept:
        sha256 = (await kept.take(0)).sha256
        begun = threading.Event()

        def slow(known: Recording) -> Recording:
            begun.set()
            answers.wait()
            return t.sending(known, 5)

        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(kept.ledger.change(sha256, slow))
            while not begun.is_set():
                await asyncio.sleep(0)
            task.cancel()
        assert kept.states == [S.QUEUED]
        answers.set()
        await kept.ledger.change(sha256, lambda known: t.closing(known, 6))
        assert kept.states == [S.CLOSING]


async def test_a_disk_that_does_not_answer_does_not_hold_up_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: threading.Event
) -> None:
    monkeypatch.setattr("gateway.worker.OVERDUE_S", 0.05)
    monkeypatch.setattr("gateway.uploads.keeping.ledger.OVERDUE_S", 0.1)
    async with opened(tmp_path) as kept:
        await kept.take(0)
    room = Spool.room
    monkeypatch.setattr(Spool, "room", lambda spool: answers.wait() and room(spool))
    async with opened(tmp_path) as kept:
        assert kept.ledger.trouble is not None
        assert "does not answer" in kept.ledger.trouble.text
        answers.set()
        await kept.ledger.mend()
        assert (well(kept).trouble, kept.states) == (None, [S.QUEUED])


async def test_a_database_with_pairings_and_without_recordings_gets_a_table_more(tmp_path: Path) -> None:
    """As a gateway has it that was installed before there were recordings."""
    async with opened_records(tmp_path) as (records, store):
        await records.set_desired({"A": WANTED})
        await store.write(lambda connection: connection.execute("PRAGMA user_version = 1").fetchall())
    async with opened(tmp_path) as kept:
        assert kept.store.damage == ""
        await kept.take(0)
        assert well(kept).trouble is None
    async with opened_records(tmp_path) as (records, store):
        assert (set(records.desired), store.damage) == ({"A"}, "")


async def test_the_file_of_what_is_deleted_goes_and_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        for number, state in enumerate([S.QUEUED, S.DONE, S.PURGED, S.DISCARDED]):
            it = await kept.take(number, state)
            await kept.ledger.drop_file(it.sha256)
            assert kept.spool.path(it.sha256).exists() == (state in {S.QUEUED, S.DONE})


async def test_a_file_that_was_taken_again_meanwhile_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        it = await kept.take(0, S.DISCARDED)
        with kept.spool.part(None) as part:
            part.write(content(0))
            part.commit()
            await kept.ledger.drop_file(it.sha256)
            await kept.ledger.change(it.sha256, lambda known: t.taken_again(known, known.sources[0]))
        await kept.ledger.drop_file(it.sha256)
        assert kept.spool.path(it.sha256).read_bytes() == content(0)
    async with opened(tmp_path) as kept:
        assert kept.states == [S.QUEUED]


async def test_a_file_that_was_to_go_when_the_gateway_was_stopped_goes_at_the_start(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        path = kept.spool.path((await kept.take(0, S.DISCARDED)).sha256)
    async with opened(tmp_path) as kept:
        await kept.ledger.mend()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(kept.ledger.run(lambda: None))
            while path.exists():
                await asyncio.sleep(0.01)
            running.cancel()
        assert well(kept).recordings[sha256_of(0)].state is S.DISCARDED


async def test_the_journal_is_written_anew_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.uploads.keeping.journal.COMPACTED_BYTES", 2000)
    async with opened(tmp_path) as kept:
        await kept.take(0, S.DONE)
        await kept.take(1, S.SENDING)
        path = kept.spool.folder / NAME
        long = path.stat().st_size
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(kept.ledger.run(lambda: None))
            while path.stat().st_size == long:
                await asyncio.sleep(0.01)
            running.cancel()
        assert Journal(path).read().recordings == kept.ledger.recordings
        await kept.ledger.change(sha256_of(1), lambda known: t.closing(known, 7))
        assert Journal(path).read().recordings == kept.ledger.recordings
    async with opened(tmp_path) as kept:
        assert (well(kept).trouble, kept.states) == (None, [S.DONE, S.AMBIGUOUS])


async def test_reading_every_file_sets_right_what_is_not_as_was_thought(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        for number, state in enumerate([S.QUEUED, S.QUEUED, S.QUEUED, S.DONE, S.CORRUPT, S.SENDING, S.MISSING]):
            await kept.take(number, state)
        kept.spool.path(sha256_of(1)).write_bytes(content(0))
        kept.spool.path(sha256_of(2)).unlink()
        kept.spool.path(sha256_of(5)).write_bytes(b"")
        kept.put_file(7)
        (kept.spool.folder / "notes.txt").touch()
        report = await kept.ledger.rebuild()
        expected = [S.QUEUED, S.CORRUPT, S.MISSING, S.DONE, S.QUEUED, S.SENDING, S.QUEUED, S.UNASSIGNED]
        assert kept.states == expected
        assert (report.files, report.recovered, report.missing, report.corrupt, report.strays) == (7, 3, 1, 1, 1)
        assert report.text == (
            "7 files were read: 1 of which nothing was written down, 2 whose file is there again, "
            "1 without a file, 1 with other bytes than before"
        )
        again = await kept.ledger.rebuild()
        assert again.text == "7 files were read: all is as it should be"
        assert kept.states == expected


async def test_what_is_found_damaged_is_told_until_every_file_was_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        await kept.take(0, S.DONE)
        await kept.take(1, S.QUEUED)
    (tmp_path / FOLDER / NAME).unlink()
    (tmp_path / FOLDER / f"{sha256_of(1)}.asi").unlink()
    async with opened(tmp_path) as kept:
        assert kept.ledger.damage is not None
        text = "Found among the recordings: 1 without a file; their journal was gone or damaged"
        assert kept.ledger.damage.text == text
        assert "rebuild" in kept.ledger.damage.action
        await kept.ledger.rebuild()
        assert kept.ledger.damage is None


async def test_what_changes_while_the_files_are_read_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file was gone when it was looked for, and has come in again before that was written down."""
    async with opened(tmp_path) as kept:
        it = await kept.take(0, S.MISSING)
        kept.spool.path(it.sha256).unlink()
        write = Books.write

        def come_in(books: Books, connection: Connection, sha256: str, change: Any) -> Recording:
            monkeypatch.setattr(Books, "write", write)
            kept.put_file(0)
            write(books, connection, sha256, lambda known: t.taken_again(known or it, it.sources[0]))
            return write(books, connection, sha256, change)

        monkeypatch.setattr(Books, "write", come_in)
        report = await kept.ledger.rebuild()
        assert (report.missing, report.recovered) == (0, 0)
        assert kept.states == [S.QUEUED]


async def test_a_file_that_cannot_be_read_is_no_recording_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as kept:
        await kept.take(0)

        def broken(_: Spool, __: str) -> Iterator[bytes]:
            yield content(0)
            raise OSError(errno.EIO, "broken")

        monkeypatch.setattr(Spool, "blocks", broken)
        assert (await kept.ledger.rebuild()).corrupt == 1
        assert kept.states == [S.CORRUPT]


async def test_others_have_their_turns_while_a_large_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it as one thing to do would pass for a disk that does not answer."""
    monkeypatch.setattr("gateway.uploads.keeping.spool._BLOCK_BYTES", 1 << 10)
    async with opened(tmp_path) as kept, asyncio.TaskGroup() as tasks:
        data = b"ASI" + bytes(100 << 10)
        with kept.spool.part(len(data)) as part:
            part.write(data)
            part.commit()
        reading = tasks.create_task(kept.ledger.rebuild())
        turns = 0
        while not reading.done():
            await kept.worker.run(lambda: None)
            turns += 1
        assert turns >= 100
        assert reading.result().text == "1 file was read: 1 of which nothing was written down"


async def test_things_that_do_not_belong_there_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        (kept.spool.folder / "notes.txt").touch()
    async with opened(tmp_path) as kept:
        assert str(kept.damage()) == (
            f"Found among the recordings: 1 that is none, now in {kept.spool.folder}/strays: "
            "look there whether somebody needs that, and delete it if not"
        )
        assert (kept.spool.folder / "strays" / "notes.txt").exists()


def test_nothing_is_touched_before_it_is_loaded(tmp_path: Path) -> None:
    async def made() -> None:
        async with open_store(tmp_path, [SCHEMA]) as store:
            worker = Worker("spool")
            ledger = Ledger(store, Spool(tmp_path / FOLDER, 1, 0, 0), worker, lambda: NOW_MS)
            assert ledger.trouble is not None
            assert "not read" in ledger.trouble.text
            with pytest.raises(OSError, match="not read"):
                await ledger.change(sha256_of(0), lambda known: known)
            assert not (tmp_path / FOLDER).exists()
            worker.close()

    asyncio.run(made())

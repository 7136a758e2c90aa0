"""The ledger on disks that are full or cannot be written: it goes on as long as it can, then refuses and says so."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.store import StoreError
from gateway.uploads import transitions as t
from gateway.uploads.keeping.retention import DAY_MS, Retention
from gateway.uploads.recording import Recording, State
from tests.endurance.disks import small_disk, why_no_mount
from tests.uploads.keeping.ledgers import opened
from tests.uploads.keeping.stages import sha256_of

pytestmark = pytest.mark.skipif(bool(why_no_mount()), reason=why_no_mount())

S = State


async def test_on_a_full_disk_the_ballast_lets_changes_and_deletions_go_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "24m") as folder:
        async with opened(folder, ballast_bytes=8 << 20) as kept:
            one = await kept.take(0, S.DONE)
            await kept.take(1, S.SENDING)
            with (folder / "filler").open("wb", buffering=0) as file:
                fill_up(file.fileno())
            assert kept.spool.room().free_bytes == 0
            for _ in range(300):
                await kept.ledger.change(sha256_of(1), sent_or_postponed)
            await kept.ledger.change(one.sha256, lambda known: t.purged(known, 8))
            await kept.ledger.drop_file(one.sha256)
            assert kept.states == [S.PURGED, S.SENDING]
            assert not kept.spool.path(one.sha256).exists()
            (folder / "filler").unlink()
        async with opened(folder, ballast_bytes=8 << 20) as kept:
            assert kept.states == [S.PURGED, S.QUEUED]
            assert (kept.spool.folder / "ballast").stat().st_size == 8 << 20


async def test_on_a_disk_that_takes_no_row_what_is_due_goes_all_the_same(tmp_path: Path) -> None:
    """Whatever else has filled it, and takes what the ballast gives: only what the cloud has can go."""
    with small_disk(tmp_path / "disk", "24m") as folder:
        async with opened(folder, ballast_bytes=1 << 20) as kept:
            due = await kept.take(0, S.DONE)
            for number, state in enumerate([S.ACCEPTED, S.QUEUED, S.FAILED], start=1):
                await kept.take(number, state)
            later = await kept.take(4, S.DONE)
            await kept.put(replace(later, changed_ms=due.changed_ms + 5, version=later.version + 1))
            retention = Retention(kept.ledger, 1, lambda: due.changed_ms + DAY_MS, lambda: True)
            with (folder / "filler").open("wb", buffering=0) as file:
                fill_up(file.fileno())
                with suppress(StoreError):
                    while True:
                        kept.spool.give_up_ballast()
                        fill_up(file.fileno())
                        await kept.ledger.change(sha256_of(2), sent_or_postponed)
                await retention.purge()
            there = [number for number in range(5) if kept.spool.path(sha256_of(number)).exists()]
            assert there == [1, 2, 3, 4]
            (folder / "filler").unlink()
            await kept.ledger.mend()
            await retention.purge()
            assert kept.states == [S.PURGED, S.ACCEPTED, kept.states[2], S.FAILED, S.DONE]
        async with opened(folder, ballast_bytes=1 << 20) as kept:
            assert (kept.states, kept.damage()) == ([S.PURGED, S.ACCEPTED, S.QUEUED, S.FAILED, S.DONE], None)


def fill_up(file: int) -> None:
    with suppress(OSError):
        while True:
            os.write(file, bytes(4096))


async def test_a_disk_that_is_full_beyond_help_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as folder:
        async with opened(folder) as kept:
            it = await kept.take(0)
            with (folder / "filler").open("wb", buffering=0) as file:
                fill_up(file.fileno())
            with suppress(StoreError):
                while True:
                    await kept.ledger.change(it.sha256, sent_or_postponed)
            before = dict(kept.ledger.recordings)
            with pytest.raises(StoreError, match="full"):
                await kept.ledger.change(it.sha256, sent_or_postponed)
            assert kept.ledger.recordings == before
            (folder / "filler").unlink()
            await kept.ledger.mend()
            assert kept.trouble() is None
            await kept.ledger.change(it.sha256, sent_or_postponed)
        async with opened(folder) as kept:
            assert kept.states == [S.QUEUED]
            assert kept.ledger.recordings[it.sha256].version >= before[it.sha256].version + 1
            assert kept.ledger.damage is None


def sent_or_postponed(known: Recording) -> Recording:
    return t.sending(known, 5) if known.state is S.QUEUED else t.postponed(known, "offline", "no line", 6)


async def test_a_disk_that_is_read_only_is_shown_and_not_changed(tmp_path: Path) -> None:
    """Linux does that to a card that fails; what was on its way when that happened is not known to be there."""
    with small_disk(tmp_path / "disk", "4m") as folder:
        async with opened(folder) as kept:
            await kept.take(0, S.DONE)
            it = await kept.take(1, S.CLOSING)
        remount(folder, "ro")
        async with opened(folder) as kept:
            assert kept.states == [S.DONE, S.AMBIGUOUS]
            assert kept.trouble() is not None
            with pytest.raises(StoreError, match="cannot be written"):
                await kept.ledger.change(it.sha256, lambda known: t.sent_again(known, 7))
            await kept.ledger.mend()
            assert kept.states == [S.DONE, S.AMBIGUOUS]
            remount(folder, "rw")
            await kept.ledger.mend()
            assert kept.trouble() is None
            await kept.ledger.change(it.sha256, lambda known: t.sent_again(known, 7))
        async with opened(folder) as kept:
            assert (kept.states, kept.ledger.damage) == ([S.DONE, S.QUEUED], None)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)

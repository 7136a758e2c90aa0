"""The ledger and its disk: what is lost or damaged is told again from what is left, and what cannot be written is said.

Every recording of these tests has a file that counts for more than anything that is known of it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.store import DATABASE
from gateway.uploads.keeping.journal import NAME, Journal
from gateway.uploads.keeping.spool import FOLDER
from gateway.uploads.recording import Recording, State
from tests.uploads.keeping.ledgers import Kept, opened, sql
from tests.uploads.keeping.stages import content, sha256_of

S = State

STATES = [S.QUEUED, S.AMBIGUOUS, S.ACCEPTED, S.DONE, S.FAILED, S.QUESTIONED, S.DISCARDED, S.PURGED]
MARKER = f"{DATABASE}.exists"


async def fill(folder: Path, states: list[State] | None = None) -> dict[str, Recording]:
    """Take recordings over and stop in order; what they were."""
    async with opened(folder) as kept:
        for number, state in enumerate(states or STATES):
            it = await kept.take(number, state)
            await kept.ledger.drop_file(it.sha256)
        return dict(kept.ledger.recordings)


async def after(folder: Path) -> tuple[dict[str, Recording], bool]:
    """The recordings at the next start, and whether people are told of damage; they stay the same."""
    async with opened(folder) as kept:
        assert kept.trouble() is None
        found = dict(kept.ledger.recordings)
        is_told = kept.ledger.damage is not None
        assert_no_file_lost(kept)
    async with opened(folder) as kept:
        assert dict(kept.ledger.recordings) == found
        assert kept.ledger.damage is None
    return found, is_told


def assert_no_file_lost(kept: Kept) -> None:
    for number, state in enumerate(STATES):
        path = kept.spool.path(sha256_of(number))
        if state not in {S.DISCARDED, S.PURGED}:
            assert path.read_bytes() == content(number)


def delete(path: Path) -> None:
    path.unlink()


def delete_with_marker(path: Path) -> None:
    path.unlink()
    path.with_name(MARKER).unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def zero_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(4096))


@pytest.mark.parametrize("harm", [delete, delete_with_marker, empty, zero_head])
async def test_a_lost_database_is_told_again_and_said(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    before = await fill(tmp_path)
    harm(tmp_path / DATABASE)
    assert await after(tmp_path) == (before, True)


async def test_of_a_lost_database_is_said_that_it_is_lost(tmp_path: Path) -> None:
    await fill(tmp_path)
    delete_with_marker(tmp_path / DATABASE)
    async with opened(tmp_path) as kept:
        assert kept.ledger.damage is not None
        text = kept.ledger.damage.text
    assert text.startswith("Found among the recordings: their database was gone, damaged or not the newest; ")
    assert " told again from the journal" in text


async def test_a_lost_database_and_a_lost_journal_leave_the_files(tmp_path: Path) -> None:
    """Of none it is known whether the cloud has it, so none goes there again without a mark."""
    await fill(tmp_path)
    delete_with_marker(tmp_path / DATABASE)
    (tmp_path / FOLDER / NAME).unlink()
    found, is_told = await after(tmp_path)
    assert set(found) == {sha256_of(number) for number in range(6)}
    assert {(it.state, it.may_be_in_cloud) for it in found.values()} == {(S.UNASSIGNED, True)}
    assert is_told


@pytest.mark.parametrize("harm", [delete, empty])
async def test_a_lost_log_of_the_database_leaves_rows_behind_the_journal(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    async with opened(tmp_path / "one") as kept:
        for number in range(3):
            await kept.take(number)
        sql(tmp_path / "one", "PRAGMA wal_checkpoint(TRUNCATE)")
        for number, state in enumerate([S.DONE, S.CLOSING, S.DISCARDED]):
            await kept.take(number, state)
        shutil.copytree(tmp_path / "one", tmp_path / "two")  # as a power cut would leave it
    harm(tmp_path / "two" / f"{DATABASE}-wal")
    async with opened(tmp_path / "two") as kept:
        # The third has a file that only its line says is to go.
        assert kept.states == [S.DONE, S.AMBIGUOUS, S.QUESTIONED]
        assert kept.ledger.damage is not None


def lose_journal(path: Path) -> None:
    path.unlink()


def spoil_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:4], lines[4].replace(b"inbox", b"INBOX"), *lines[5:]]))


def half(path: Path) -> None:
    os.truncate(path, 50)


@pytest.mark.parametrize("harm", [lose_journal, empty, spoil_line, half])
async def test_a_damaged_journal_is_written_anew_from_the_rows_and_said(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    before = await fill(tmp_path)
    path = tmp_path / FOLDER / NAME
    harm(path)
    assert await after(tmp_path) == (before, True)
    assert Journal(path).read().recordings == before


async def test_a_line_that_was_cut_off_by_a_crash_is_no_damage(tmp_path: Path) -> None:
    before = await fill(tmp_path)
    with (tmp_path / FOLDER / NAME).open("ab") as file:
        file.write(b'00000000 {"sha256":')
    assert await after(tmp_path) == (before, False)


async def test_a_line_that_was_cut_off_is_written_again_so_that_the_database_may_be_lost_later(tmp_path: Path) -> None:
    before = await fill(tmp_path)
    path = tmp_path / FOLDER / NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    assert await after(tmp_path) == (before, False)
    delete(tmp_path / DATABASE)
    assert await after(tmp_path) == (before, True)


async def test_a_row_that_is_gone_is_told_again(tmp_path: Path) -> None:
    before = await fill(tmp_path)
    for number in range(len(STATES)):
        sql(tmp_path, f"DELETE FROM recording WHERE sha256 = '{sha256_of(number)}'")
        found, is_told = await after(tmp_path)
        assert found == before
        assert is_told == (before[sha256_of(number)].version > 1)


@pytest.mark.parametrize(
    "harm",
    [
        "document = CAST(replace(CAST(document AS TEXT), 'accepted', 'accepteD') AS BLOB)",
        "document = x''",
        "sha256 = replace(sha256, substr(sha256, 1, 1), 'x')",
        "sha256 = CAST(x'ff00' AS TEXT)",
        "checksum = checksum + 1",
    ],
)
async def test_a_damaged_row_is_set_right_and_said(tmp_path: Path, harm: str) -> None:
    before = await fill(tmp_path)
    sql(tmp_path, f"UPDATE recording SET {harm} WHERE sha256 = '{sha256_of(2)}'")
    async with opened(tmp_path) as kept:
        assert kept.ledger.recordings == before
        assert kept.ledger.damage is not None
        assert "1 with a damaged entry in the database" in kept.ledger.damage.text
    assert await after(tmp_path) == (before, False)


def flipped(data: bytes, position: int) -> bytes:
    harmed = bytearray(data)
    harmed[position] ^= 1 << position % 8
    return bytes(harmed)


async def test_any_flipped_byte_where_the_row_is_on_the_disk_costs_nothing(tmp_path: Path) -> None:
    """SQLite notices some, the checksums the rest; with them all is as it was, or begun anew and told again."""
    before = await fill(tmp_path / "whole", [S.ACCEPTED])
    clean = (tmp_path / "whole" / DATABASE).read_bytes()
    start = clean.index(sha256_of(0).encode()) - 16
    for position in range(start, start + 900, 37):
        folder = tmp_path / str(position)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / DATABASE).write_bytes(flipped(clean, position))
        async with opened(folder) as kept:
            assert kept.trouble() is None
            assert kept.ledger.recordings == before


async def test_a_file_without_a_row_was_never_sent_and_one_that_is_gone_is_missed(tmp_path: Path) -> None:
    async with opened(tmp_path) as kept:
        await kept.take(0)
        kept.put_file(1)
        kept.spool.path(sha256_of(0)).unlink()
    async with opened(tmp_path) as kept:
        assert kept.states == [S.MISSING, S.UNASSIGNED]
        assert not kept.ledger.recordings[sha256_of(1)].may_be_in_cloud
        assert kept.ledger.damage is not None
        assert (
            kept.ledger.damage.text
            == "Found among the recordings: 1 of which nothing was written down, 1 without a file"
        )


async def test_a_start_that_ends_while_it_writes_down_what_it_has_found_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "one") as kept:
        await kept.take(0, S.SENDING)
        kept.put_file(1)
    append, lines = Journal.append, []

    def appended(journal: Journal, recording: Recording, *, is_synced: bool) -> None:
        append(journal, recording, is_synced=is_synced)
        lines.append(recording)
        shutil.copytree(tmp_path / "one", tmp_path / f"two{len(lines)}")  # as a crash would leave it

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", appended)
        async with opened(tmp_path / "one") as kept:
            assert kept.states == [S.QUEUED, S.UNASSIGNED]
    assert len(lines) == 2
    for number in (1, 2):
        async with opened(tmp_path / f"two{number}") as kept:
            assert kept.states == [S.QUEUED, S.UNASSIGNED]
            assert kept.ledger.damage is None

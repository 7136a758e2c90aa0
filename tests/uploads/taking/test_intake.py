"""The intake: a file is in the spool and written down before it goes; else it stays where it was, with a reason."""

import asyncio
import hashlib
import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.store import StoreError
from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import Basis, Clue, Source, Span, State, Way
from gateway.uploads.taking.intake import Intake, TakeError, Untakeable
from gateway.uploads.taking.sources import BLOCK_BYTES, OpenSource
from gateway.uploads.transitions import discarded
from gateway.uploads.transitions import taken as found
from gateway.worker import Worker
from tests.endurance.disks import small_disk, why_no_mount
from tests.uploads.taking.intakes import CONTENT, MAX_BYTES, MB, NOW_MS, SHA256, Rows, left, put, refused, stream
from tests.uploads.taking.looking import look_at


async def test_a_file_is_taken_over_whole_and_goes(intake: Intake, spool: Spool, rows: Rows, inbox: Path) -> None:
    span = Span(1, 2, Clue.NAME)
    taken = await intake.take_file(put(inbox), name="monday.asi", serial_number="012345", span=span)
    assert taken.is_source_gone
    assert list(inbox.iterdir()) == []
    recording = taken.recording
    assert rows.recordings == {SHA256: recording}
    assert spool.path(SHA256).read_bytes() == CONTENT
    assert left(spool) == {f"{SHA256}.asi"}
    assert (recording.state, recording.size, recording.span) == (State.QUEUED, len(CONTENT), span)
    assert (recording.serial_number, recording.basis) == ("012345", Basis.PATH)
    assert (recording.sources[0].way, recording.name, recording.taken_ms) == (Way.INBOX, "monday.asi", NOW_MS)
    assert not recording.lacks_magic_v2


async def test_a_file_goes_only_when_it_is_in_the_spool_and_written_down(
    intake: Intake, spool: Spool, rows: Rows, inbox: Path
) -> None:
    seen: list[tuple[bool, bytes]] = []
    rows.before = lambda: seen.append(((inbox / "monday.asi").exists(), spool.path(SHA256).read_bytes()))
    await intake.take_file(put(inbox), name="monday.asi", serial_number=None, span=None)
    assert seen == [(True, CONTENT)]


async def test_without_a_tracker_it_is_safe_and_waits_for_a_person(intake: Intake, inbox: Path) -> None:
    taken = await intake.take_file(put(inbox), name="monday.asi", serial_number=None, span=None)
    assert (taken.recording.state, taken.recording.basis) == (State.UNASSIGNED, None)


async def test_without_the_second_mark_it_is_taken_and_marked(intake: Intake, inbox: Path) -> None:
    taken = await intake.take_file(put(inbox, b"ASI short"), name="monday.asi", serial_number=None, span=None)
    assert taken.recording.lacks_magic_v2


async def test_the_same_bytes_twice_are_one_recording_with_two_sources(intake: Intake, rows: Rows, inbox: Path) -> None:
    await intake.take_file(put(inbox), name="monday.asi", serial_number=None, span=None)
    again = await intake.take_file(put(inbox, name="copy.asi"), name="copy.asi", serial_number="012345", span=None)
    assert again.is_source_gone
    assert len(rows.recordings) == 1
    assert [source.name for source in again.recording.sources] == ["monday.asi", "copy.asi"]
    assert (again.recording.state, again.recording.serial_number) == (State.QUEUED, "012345")


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    """One that is mounted read-only, with a recording."""
    if why_no_mount():
        pytest.skip(why_no_mount())
    with small_disk(tmp_path / "stick", "8m") as stick:
        (stick / "monday.asi").write_bytes(CONTENT)
        subprocess.run(["mount", "-o", "remount,ro", stick], check=True)
        yield stick


def on(stick: Path) -> OpenSource:
    return OpenSource(stick, look_at(stick, "monday.asi"))


@pytest.mark.parametrize("state", sorted(set(State) - {State.MISSING, State.CORRUPT}))
async def test_what_cannot_be_removed_is_known_again_and_copied_once_only(
    intake: Intake, spool: Spool, rows: Rows, stick: Path, state: State
) -> None:
    first = await intake.take_file(on(stick), name="monday.asi", serial_number="012345", span=None)
    assert not first.is_source_gone
    known = rows.recordings[SHA256] = replace(first.recording, state=state)
    spool.remove(SHA256)
    spool.part = pytest.fail  # type: ignore[method-assign, assignment]
    again = await intake.take_file(on(stick), name="monday.asi", serial_number="012345", span=None)
    assert not again.is_source_gone
    assert again.recording == known == rows.recordings[SHA256]


@pytest.mark.parametrize("state", [State.MISSING, State.CORRUPT])
async def test_what_was_lost_or_damaged_here_is_copied_anew_from_where_it_cannot_be_removed(
    intake: Intake, spool: Spool, rows: Rows, stick: Path, state: State
) -> None:
    first = await intake.take_file(on(stick), name="monday.asi", serial_number="012345", span=None)
    rows.recordings[SHA256] = replace(first.recording, state=state)
    spool.remove(SHA256)
    again = await intake.take_file(on(stick), name="monday.asi", serial_number="012345", span=None)
    assert again.recording.state is State.QUEUED
    assert spool.path(SHA256).read_bytes() == CONTENT


async def test_where_a_known_recording_lies_that_cannot_be_removed_is_noted_once(
    intake: Intake, rows: Rows, inbox: Path, stick: Path
) -> None:
    await intake.take_file(put(inbox), name="a.asi", serial_number=None, span=None)
    for _ in range(2):
        again = await intake.take_file(on(stick), name="monday.asi", serial_number="012345", span=None)
        assert (again.recording.state, again.recording.serial_number) == (State.QUEUED, "012345")
    assert [source.name for source in rows.recordings[SHA256].sources] == ["a.asi", "monday.asi"]


async def test_another_recording_of_the_same_size_is_copied_from_where_it_cannot_be_removed(
    intake: Intake, spool: Spool, rows: Rows, inbox: Path, stick: Path
) -> None:
    other = CONTENT[:-1] + b"!"
    await intake.take_file(put(inbox, other), name="a.asi", serial_number=None, span=None)
    await intake.take_file(on(stick), name="monday.asi", serial_number=None, span=None)
    assert set(rows.recordings) == {SHA256, hashlib.sha256(other).hexdigest()}
    assert spool.path(SHA256).read_bytes() == CONTENT


async def test_what_was_only_found_in_the_spool_gets_its_name_and_its_time(
    intake: Intake, rows: Rows, inbox: Path
) -> None:
    """As when the power goes between the file and its row: the source is still where it was."""
    rows.recordings[SHA256] = found(SHA256, len(CONTENT), Source(Way.SPOOL, "01234567.asi", NOW_MS))
    span = Span(1, 2, Clue.NAME)
    taken = await intake.take_file(put(inbox), name="monday.asi", serial_number="012345", span=span)
    assert (taken.recording.name, taken.recording.span, taken.is_source_gone) == ("monday.asi", span, True)


async def test_what_was_discarded_and_is_dropped_once_more_goes_its_way_anew(
    intake: Intake, rows: Rows, inbox: Path
) -> None:
    first = await intake.take_file(put(inbox), name="monday.asi", serial_number="012345", span=None)
    rows.recordings[SHA256] = discarded(first.recording, "Ada", NOW_MS)
    again = await intake.take_file(put(inbox), name="monday.asi", serial_number=None, span=None)
    assert again.is_source_gone
    assert again.recording.state is State.QUEUED


async def test_what_is_being_deleted_while_it_comes_in_again_stays(
    intake: Intake, spool: Spool, rows: Rows, inbox: Path
) -> None:
    """The one who deletes has written down that, and removes the file between our copy and our row."""
    first = await intake.take_file(put(inbox), name="monday.asi", serial_number="012345", span=None)
    rows.recordings[SHA256] = discarded(first.recording, "Ada", NOW_MS)
    rows.before = lambda: spool.remove(SHA256)
    again = await intake.take_file(put(inbox), name="monday.asi", serial_number=None, span=None)
    assert again.recording.state is State.QUEUED
    assert spool.path(SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", Untakeable.EMPTY),
        (b"AS", Untakeable.NOT_ASI),
        (b"RIFF" * 10, Untakeable.NOT_ASI),
        (b"ASI" + bytes(MAX_BYTES), Untakeable.TOO_LARGE),
    ],
)
async def test_what_is_no_recording_stays_and_nothing_is_left_of_it(
    intake: Intake, spool: Spool, rows: Rows, inbox: Path, content: bytes, code: Untakeable
) -> None:
    told = await refused(intake, put(inbox, content), code)
    assert told.text
    assert told.action
    assert (inbox / "monday.asi").read_bytes() == content
    assert left(spool) == set()
    assert not rows.recordings


async def test_pipes_and_links_are_no_files(intake: Intake, inbox: Path) -> None:
    os.mkfifo(inbox / "pipe")
    (inbox / "link").symlink_to("/etc/passwd")
    for name in ("pipe", "link"):
        await refused(intake, OpenSource(inbox, look_at(inbox, name)), Untakeable.NOT_A_FILE)


async def test_a_file_that_is_open_for_writing_stays(intake: Intake, inbox: Path) -> None:
    source = put(inbox)
    with (inbox / "monday.asi").open("ab"):
        if why_unknown(source):
            pytest.skip("the kernel does not tell who writes")
        await refused(intake, source, Untakeable.BEING_WRITTEN)
    await intake.take_file(source, name="monday.asi", serial_number=None, span=None)


def why_unknown(source: OpenSource) -> bool:
    with source:
        return source.is_written_to is None


@pytest.mark.parametrize("step", ["before", "copying", "row"])
async def test_a_file_that_is_written_to_meanwhile_stays(
    intake: Intake, spool: Spool, rows: Rows, inbox: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What was taken by then is no loss: it is a recording of its own if it was written down, else nothing."""
    source, path = put(inbox), inbox / "monday.asi"

    def write() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    def written(source: OpenSource) -> Iterator[bytes]:
        yield from reading(source)
        write()

    reading = OpenSource.blocks
    if step == "row":
        rows.before = write
        taken = await intake.take_file(source, name="monday.asi", serial_number=None, span=None)
        assert not taken.is_source_gone
        assert left(spool) == {f"{SHA256}.asi"}
    else:
        if step == "before":
            write()
        else:
            monkeypatch.setattr(OpenSource, "blocks", written)
        await refused(intake, source, Untakeable.CHANGED)
        assert left(spool) == set()
    assert path.read_bytes() == CONTENT + b"more"


@pytest.mark.parametrize("seen", ["gone", "other"])
async def test_what_was_replaced_meanwhile_is_left_alone(intake: Intake, rows: Rows, inbox: Path, seen: str) -> None:
    source, path = put(inbox), inbox / "monday.asi"
    other = put(inbox, b"ASI other", "other.asi").look.path

    def replace() -> None:
        path.unlink()
        if seen == "other":
            (inbox / other).rename(path)

    rows.before = replace
    taken = await intake.take_file(source, name="monday.asi", serial_number=None, span=None)
    assert not taken.is_source_gone
    assert {path.read_bytes() for path in inbox.iterdir()} == {b"ASI other"}


async def test_a_source_that_breaks_in_the_middle_is_unreadable(
    intake: Intake, spool: Spool, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a stick that is pulled out."""

    def broken(_: OpenSource) -> Iterator[bytes]:
        yield CONTENT[:MB]
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(OpenSource, "blocks", broken)
    await refused(intake, put(inbox), Untakeable.UNREADABLE)
    assert left(spool) == set()


async def test_what_cannot_be_written_down_stays(intake: Intake, rows: Rows, inbox: Path) -> None:
    def fail() -> None:
        raise StoreError("The disk fails", "replace the card")

    rows.before = fail
    told = await refused(intake, put(inbox), Untakeable.DISK_FAILED)
    assert (told.text, told.action) == ("The disk fails", "replace the card")
    assert (inbox / "monday.asi").read_bytes() == CONTENT


async def test_while_nothing_can_be_written_down_nothing_is_copied(
    intake: Intake, spool: Spool, rows: Rows, inbox: Path
) -> None:
    rows.trouble = StoreError("The disk fails", "replace the card")
    await refused(intake, put(inbox), Untakeable.DISK_FAILED)
    with pytest.raises(TakeError, match="replace the card"):
        await intake.take_stream(stream(CONTENT), None, "monday.asi", None, "")
    assert left(spool) == set()


async def test_others_get_the_worker_between_the_blocks_of_a_large_file(
    intake: Intake, inbox: Path, worker: Worker
) -> None:
    """Nobody waits for a whole recording, and no more than a block of it is in memory."""
    source = put(inbox, b"ASI" + bytes(7 * MB))
    is_done = False
    turns = 0
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(intake.take_file(source, name="a.asi", serial_number=None, span=None))
        while not is_done:
            await worker.run(lambda: None)
            is_done = task.done()
            turns += not is_done
    assert turns > 7 * MB // BLOCK_BYTES


async def test_no_more_than_a_few_blocks_are_ever_in_memory(
    spool: Spool, rows: Rows, worker: Worker, inbox: Path
) -> None:
    with (inbox / "large.asi").open("wb") as file:
        file.write(b"ASI")
        file.truncate(48 * MB)
    intake = Intake(spool, rows, worker, 64 * MB, lambda: NOW_MS)
    source = OpenSource(inbox, look_at(inbox, "large.asi"))
    tracemalloc.start()
    try:
        await intake.take_file(source, name="large.asi", serial_number=None, span=None)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * MB


async def test_without_room_a_file_stays(disk: Path, rows: Rows, worker: Worker, inbox: Path) -> None:
    spool = Spool(disk / "recordings", 1 << 60, 4096, 3 * MB)
    spool.open()
    intake = Intake(spool, rows, worker, MAX_BYTES, lambda: NOW_MS)
    told = await refused(intake, put(inbox), Untakeable.NO_ROOM)
    assert "There is no room for 1.3 MB" in told.text
    assert (inbox / "monday.asi").read_bytes() == CONTENT

"""The inbox as it runs, over a real spool and ledger: nothing is lost, nothing half is taken, and all is told."""

import asyncio
import errno
import hashlib
import itertools
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.log import told
from gateway.uploads.recording import Basis, Clue, Recording, Span, State
from gateway.uploads.taking import sources
from gateway.uploads.taking.inbox import LOOK_S
from gateway.uploads.taking.intake import Intake, Taken
from gateway.uploads.taking.removal import ASIDE
from gateway.uploads.taking.sources import Kind, Look, OpenSource
from gateway.uploads.transitions import accepted, assigned, closing, discarded, done, purged, retried, sending
from tests.endurance.disks import small_disk, why_no_mount
from tests.uploads.taking.dropping import MB, NOBODY, START_MS, asi, dropping

pytestmark = pytest.mark.looptime

WITHOUT_MOUNT = why_no_mount()
ROOT = Path(__file__).parents[3]
SOON_S = LOOK_S + 10
"""Until a file that rests is taken."""

DAY_MS = 86_400_000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_dropped_file_is_taken_with_what_its_path_says_and_gone(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        path = bench.drop("012345/20261117_101500 left.asi", asi())
        await asyncio.sleep(SOON_S)
        [recording] = bench.recordings
        assert not path.exists()
        assert path.parent.is_dir()
        assert bench.content(recording) == asi()
        assert recording.state is State.QUEUED
        assert (recording.serial_number, recording.basis) == ("012345", Basis.PATH)
        assert recording.name == "20261117_101500 left.asi"
        assert recording.span is not None
        assert recording.span.clue is Clue.NAME
        assert not bench.inbox.waiting


async def test_a_path_that_names_no_tracker_or_two_leaves_it_to_a_person(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop("monday.asi", asi())
        bench.drop("SIM-0002/012345.asi", asi(seed=1))
        await asyncio.sleep(SOON_S)
        assert [recording.state for recording in bench.recordings] == [State.UNASSIGNED] * 2


async def test_the_time_of_an_old_file_says_when_it_was_made(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        path = bench.drop("rec.asi", asi())
        made_ms = START_MS - 3 * DAY_MS
        os.utime(path, ns=(0, made_ms * 1_000_000))
        await asyncio.sleep(SOON_S)
        [recording] = bench.recordings
        assert recording.span == Span(made_ms, made_ms, Clue.MODIFIED)


async def test_a_pattern_says_how_paths_name_trackers(tmp_path: Path) -> None:
    async with dropping(tmp_path, pattern="T{tracker}x.*") as bench:
        bench.drop("T012345x.asi", asi())
        await asyncio.sleep(SOON_S)
        assert [recording.serial_number for recording in bench.recordings] == ["012345"]


async def test_a_file_that_grows_is_taken_when_it_has_rested(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        path = bench.folder / "rec.asi"
        content = asi(50)
        for at in range(0, len(content), 1000):
            with path.open("ab") as copier:
                copier.write(content[at : at + 1000])
            await asyncio.sleep(1)
            assert not bench.recordings
            assert set(bench.codes().values()) <= {"being_written"}
        await asyncio.sleep(SOON_S)
        assert [bench.content(recording) for recording in bench.recordings] == [content]


async def test_a_copier_that_pauses_for_long_is_waited_for_as_long_as_it_has_the_file_open(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        with (bench.folder / "rec.asi").open("wb", buffering=0) as copier:
            copier.write(asi()[:5000])
            await asyncio.sleep(30)
            assert bench.codes() == {"rec.asi": "being_written"}
            assert bench.waiting["rec.asi"].action == ""
            await asyncio.sleep(3600)
            assert not bench.recordings
            assert bench.waiting["rec.asi"].action != ""
            copier.write(asi()[5000:])
        await asyncio.sleep(SOON_S)
        assert [bench.content(recording) for recording in bench.recordings] == [asi()]


async def test_an_empty_file_that_somebody_is_about_to_fill_is_waited_for(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        with (bench.folder / "rec.asi").open("wb", buffering=0) as copier:
            await asyncio.sleep(100)
            assert bench.codes() == {"rec.asi": "being_written"}
            copier.write(asi())
        await asyncio.sleep(SOON_S)
        assert len(bench.recordings) == 1


async def test_a_file_renamed_when_it_is_whole_is_taken(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        part = bench.drop("rec.asi.part", asi())
        hidden = bench.drop(".rec2.asi.X1b2c3", asi(seed=1))
        await asyncio.sleep(600)
        assert bench.codes() == {"rec.asi.part": "unfinished", ".rec2.asi.X1b2c3": "unfinished"}
        part.rename(bench.folder / "rec.asi")
        hidden.rename(bench.folder / "rec2.asi")
        await asyncio.sleep(SOON_S)
        assert {recording.name for recording in bench.recordings} == {"rec.asi", "rec2.asi"}


async def test_what_a_gateway_that_was_stopped_had_in_hand_is_taken_by_the_next_as_it_was_called(
    tmp_path: Path,
) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop("rec.asi", asi())
        await asyncio.sleep(SOON_S)
        # Taken, and not yet removed; and a new version that was not yet put back.
        bench.drop(f"{ASIDE}0a1b2c3d-rec.asi", asi())
        bench.drop(f"{ASIDE}3d2c1b0a-012345 20261117.asi", asi(seed=1))
        await asyncio.sleep(SOON_S)
        first, second = bench.recordings
        assert [source.name for source in first.sources] == ["rec.asi", "rec.asi"]
        assert (second.name, second.serial_number) == ("012345 20261117.asi", "012345")
        assert list(bench.folder.iterdir()) == []


async def test_what_is_no_file_is_told_left_alone_and_holds_up_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.asi").write_bytes(asi())
    async with dropping(tmp_path) as bench:
        (bench.folder / "link.asi").symlink_to(outside / "secret.asi")
        (bench.folder / "folder").symlink_to(outside)
        os.mkfifo(bench.folder / "pipe.asi")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(bench.folder / "socket.asi"))
        if os.geteuid() == 0:
            os.mknod(bench.folder / "device.asi", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        bench.drop("rec.asi", asi(seed=1))
        await asyncio.sleep(600)
        assert [recording.name for recording in bench.recordings] == ["rec.asi"]
        assert set(bench.codes().values()) == {"not_a_file"}
        assert {"link.asi", "folder", "pipe.asi", "socket.asi"} <= bench.codes().keys()
        assert all(report.action for report in bench.inbox.waiting)
        assert (outside / "secret.asi").exists()


async def test_what_cannot_be_a_recording_stays_with_the_reason_and_is_taken_when_it_was_changed(
    tmp_path: Path,
) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop("empty.asi", b"")
        bench.drop("photo.jpg", b"\xff\xd8" * 5000)
        bench.drop("short.asi", b"AS")
        with (bench.folder / "giant.asi").open("wb") as giant:
            giant.write(b"ASI")
            giant.truncate(3_000_000_000)
        before = bytes_read()
        await asyncio.sleep(600)
        assert bytes_read() - before < 10 * MB
        assert not bench.recordings
        assert bench.codes() == {
            "empty.asi": "empty",
            "photo.jpg": "not_asi",
            "short.asi": "not_asi",
            "giant.asi": "too_large",
        }
        assert all(report.action for report in bench.inbox.waiting)
        bench.drop("short.asi", asi())
        await asyncio.sleep(SOON_S)
        assert [recording.name for recording in bench.recordings] == ["short.asi"]


def bytes_read() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a\nb.asi", "a\\x0ab.asi"),
        (b"\x1b[2J\x1b]0;x\x07.asi", "\\x1b[2J\\x1b]0;x\\x07.asi"),
        (b"\xff\xfe\xc3.asi", "\\xff\\xfe\\xc3.asi"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}isa.gpj".encode(), "\\u{202e}isa.gpj"),
        ("Läufer 走.asi".encode(), "Läufer 走.asi"),
    ],
)
async def test_an_odd_name_is_only_something_to_show(tmp_path: Path, name: bytes, shown: str) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop(os.fsdecode(name), asi())
        await asyncio.sleep(LOOK_S)
        assert list(bench.codes()) == [shown]
        await asyncio.sleep(SOON_S)
        assert [recording.name for recording in bench.recordings] == [shown]
        assert list(bench.folder.iterdir()) == []


async def test_a_name_of_255_bytes_is_taken(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop("x" * 251 + ".asi", asi())
        await asyncio.sleep(SOON_S)
        assert [recording.name[-5:] for recording in bench.recordings] == ["x.asi"]


async def test_a_path_that_names_two_trackers_is_asked_about_with_both(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop("012345/monday SIM-0002.asi", asi())
        await asyncio.sleep(SOON_S)
        [recording] = bench.recordings
        assert recording.state is State.UNASSIGNED
        assert recording.question == "its folder and name say more than one tracker: 012345, SIM-0002"


async def test_the_same_bytes_twice_are_one_recording_and_both_files_go(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        bench.drop("one.asi", asi())
        bench.drop("sub/two.asi", asi())
        os.link(bench.folder / "one.asi", bench.folder / "hard.asi")
        await asyncio.sleep(2 * SOON_S)
        [recording] = bench.recordings
        assert {source.name for source in recording.sources} == {"one.asi", "two.asi", "hard.asi"}
        assert [path for path in bench.folder.rglob("*") if not path.is_dir()] == []


async def test_the_same_name_with_other_bytes_is_another_recording(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        for seed in range(3):
            bench.drop("rec.asi", asi(seed=seed))
            await asyncio.sleep(SOON_S)
        assert {recording.sha256 for recording in bench.recordings} == {sha256(asi(seed=seed)) for seed in range(3)}


async def test_an_inbox_that_is_missing_is_made_for_its_group(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        assert stat.S_IMODE(bench.folder.stat().st_mode) == 0o770
        assert not bench.trouble()


async def test_an_inbox_that_goes_and_comes_back_is_worked_on(tmp_path: Path) -> None:
    async with dropping(tmp_path, folder=tmp_path / "disk/inbox") as bench:
        assert "missing" in bench.trouble()
        bench.folder.mkdir(parents=True)
        bench.drop("one.asi", b"not yet")
        await asyncio.sleep(SOON_S)
        assert not bench.trouble()
        assert bench.codes() == {"one.asi": "not_asi"}
        shutil.rmtree(tmp_path / "disk")
        await asyncio.sleep(SOON_S)
        assert bench.trouble()
        assert not bench.inbox.waiting
        bench.folder.mkdir(parents=True)
        bench.drop("one.asi", asi())
        await asyncio.sleep(2 * SOON_S)
        assert not bench.trouble()
        assert len(bench.recordings) == 1


@pytest.mark.parametrize("place", ["file", "file/inbox", "dangling"])
async def test_an_inbox_that_is_no_folder_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dangling").symlink_to("nowhere")
    async with dropping(tmp_path, folder=tmp_path / place) as bench:
        assert "no folder" in bench.trouble()


async def test_too_much_in_the_inbox_is_told_and_taken_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uploads.taking.survey.survey.__defaults__", (20,))
    async with dropping(tmp_path) as bench:
        for number in range(50):
            bench.drop(f"{number}.asi", asi(1, number))
        await asyncio.sleep(SOON_S)
        assert bench.trouble()
        await asyncio.sleep(10 * SOON_S)
        assert len(bench.recordings) == 50
        assert not bench.trouble()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if WITHOUT_MOUNT:
        pytest.skip(WITHOUT_MOUNT)
    with small_disk(tmp_path / "disk", "4m") as disk:
        yield disk


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True, capture_output=True)


async def test_on_a_read_only_disk_files_are_taken_once_and_stay(tmp_path: Path, disk: Path) -> None:
    (disk / "012345").mkdir()
    (disk / "012345/rec.asi").write_bytes(asi())
    (disk / "notes.txt").write_bytes(b"milk, bread")
    remount(disk, "ro")
    async with dropping(tmp_path, folder=disk) as bench:
        await asyncio.sleep(3600)
        assert bench.codes() == {"012345/rec.asi": "taken", "notes.txt": "not_asi"}
        assert [report.action for report in bench.inbox.waiting] == ["", ""]
        before = bytes_read()
        await asyncio.sleep(300)
        assert bytes_read() - before < len(asi())
        [recording] = bench.recordings
        assert len(recording.sources) == 1
        assert "not write" in bench.trouble()
        remount(disk, "rw")
        bench.drop("012345/rec.asi", asi(seed=1))
        await asyncio.sleep(SOON_S)
        assert {one.sha256 for one in bench.recordings} == {sha256(asi()), sha256(asi(seed=1))}
        assert not bench.trouble()
        assert not (disk / "012345/rec.asi").exists()


@pytest.mark.skipif(bool(WITHOUT_MOUNT), reason=WITHOUT_MOUNT)
async def test_a_stick_full_of_other_things_hides_no_recording_and_what_is_said_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.uploads.taking.survey.survey.__defaults__", (20,))
    (tmp_path / "inbox").mkdir()
    with small_disk(tmp_path / "inbox/stick", "4m", 100) as stick:
        (stick / "DCIM").mkdir()
        (stick / "TRACKER").mkdir()
        for number in range(30):
            (stick / "DCIM" / f"{number}.jpg").touch()
        (stick / "TRACKER/012345.asi").write_bytes(asi())
        remount(stick, "ro")
        async with dropping(tmp_path) as bench:
            bench.drop("zed/rec.asi", asi(seed=1))
            await asyncio.sleep(2 * SOON_S)
            assert {recording.name for recording in bench.recordings} == {"012345.asi", "rec.asi"}
            assert "copy into the inbox" in bench.trouble()


async def test_old_recordings_on_a_stick_do_not_come_back_and_take_no_room_from_a_new_one(
    tmp_path: Path, disk: Path
) -> None:
    for seed in range(8):
        (disk / f"{seed}.asi").write_bytes(asi(180, seed))
        os.utime(disk / f"{seed}.asi", (seed, seed))
    remount(disk, "ro")
    async with dropping(tmp_path, folder=disk) as bench:
        await asyncio.sleep(SOON_S)
        assert len(bench.recordings) == 8
        for number, recording in enumerate(bench.recordings):
            for step in BOTH_ENDS[number % 2]:
                await bench.ledger.change(recording.sha256, step)
            await bench.ledger.drop_file(recording.sha256)
        before = {recording.sha256: recording for recording in bench.recordings}
    remount(disk, "rw")
    (disk / "new.asi").write_bytes(asi(180, 9))
    (disk / "newer.asi").write_bytes(asi(181, 10))
    remount(disk, "ro")
    async with dropping(tmp_path, folder=disk, spool_bytes=400_000) as bench:
        await asyncio.sleep(2 * SOON_S)
        assert set(bench.codes().values()) == {"taken"}
        after = {recording.sha256: recording for recording in bench.recordings}
        assert {sha256(asi(180, 9)), sha256(asi(181, 10))} == after.keys() - before.keys()
        assert before.items() <= after.items()


BOTH_ENDS: tuple[tuple[Callable[[Recording], Recording], ...], ...] = (
    (lambda it: discarded(it, "Kim", START_MS),),
    (
        lambda it: retried(assigned(it, "012345", "Kim", START_MS), "Kim", START_MS),
        lambda it: closing(sending(it, START_MS), START_MS),
        lambda it: done(accepted(it, "job", START_MS), START_MS),
        lambda it: purged(it, START_MS),
    ),
)


async def test_where_the_kernel_makes_up_numbers_of_files_they_are_read_once(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FAT, whenever it has forgotten the one before; here at every look."""
    (disk / "rec.asi").write_bytes(asi())
    remount(disk, "ro")
    numbers = itertools.count(1000)

    def numbered(path: str, status: os.stat_result, kind: Kind | None = None) -> Look:
        return replace(sources.look_of(path, status, kind), inode=next(numbers))

    async with dropping(tmp_path, folder=disk) as bench:
        await asyncio.sleep(SOON_S)
        assert bench.codes() == {"rec.asi": "taken"}
        monkeypatch.setattr("gateway.uploads.taking.survey.look_of", numbered)
        before = bytes_read()
        await asyncio.sleep(3600)
        assert bytes_read() - before < len(asi())
        assert bench.codes() == {"rec.asi": "taken"}
        assert [recording.version for recording in bench.recordings] == [1]


async def test_a_card_that_fails_leaves_everything_and_it_is_taken_when_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "I/O error")

    async with dropping(tmp_path) as bench:
        monkeypatch.setattr(os, "fsync", fail)
        for seed in range(3):
            bench.drop(f"{seed}.asi", asi(seed=seed))
        await asyncio.sleep(100)
        assert bench.codes() == {f"{seed}.asi": "disk_failed" for seed in range(3)}
        assert len(list(bench.folder.iterdir())) == 3
        monkeypatch.undo()
        await asyncio.sleep(200)
        assert len(bench.recordings) == 3
        assert not bench.inbox.waiting


async def test_without_room_large_files_wait_and_small_ones_are_taken(tmp_path: Path) -> None:
    async with dropping(tmp_path, spool_bytes=300_000) as bench:
        for seed, kb in enumerate((500, 600, 400)):
            bench.drop(f"large{kb}.asi", asi(kb, seed))
            os.utime(bench.folder / f"large{kb}.asi", (0, 0))
        bench.drop("small.asi", asi(100, 9))
        await asyncio.sleep(600)
        assert [recording.name for recording in bench.recordings] == ["small.asi"]
        assert bench.codes() == {f"large{kb}.asi": "no_room" for kb in (400, 500, 600)}
        assert all(report.action for report in bench.inbox.waiting)


class Meddled(Intake):
    """Somebody does something to the file after it was looked at and before it is opened."""

    meddle: Callable[[Path], None] | None = None
    folder = Path()

    async def take_file(self, source: OpenSource, **how: Any) -> Taken:
        meddle, Meddled.meddle = Meddled.meddle, None
        if meddle is not None:
            meddle(self.folder / source.look.path)
        return await super().take_file(source, **how)


def rewrite(path: Path) -> None:
    path.write_bytes(asi(seed=9))


def vanish(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(("meddle", "expected"), [(rewrite, [sha256(asi(seed=9))]), (vanish, [])])
async def test_what_is_changed_between_look_and_open_is_looked_at_anew(
    tmp_path: Path, meddle: Callable[[Path], None], expected: list[str]
) -> None:
    Meddled.meddle, Meddled.folder = meddle, tmp_path / "inbox"
    async with dropping(tmp_path, intake_class=Meddled) as bench:
        bench.drop("rec.asi", asi())
        await asyncio.sleep(2 * SOON_S)
        assert [recording.sha256 for recording in bench.recordings] == expected
        assert not bench.inbox.waiting


class Failing(Intake):
    """One file makes something fail that should not."""

    async def take_file(self, source: OpenSource, **how: Any) -> Taken:
        if source.look.path == "poison.asi":
            raise RuntimeError(source.look.path)
        return await super().take_file(source, **how)


async def test_one_file_that_makes_the_program_fail_does_not_stop_the_others_nor_is_it_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with dropping(tmp_path, intake_class=Failing) as bench:
        bench.drop("poison.asi", asi())
        os.utime(bench.folder / "poison.asi", (0, 0))
        bench.drop("rec.asi", asi(seed=1))
        await asyncio.sleep(SOON_S)
        assert [recording.name for recording in bench.recordings] == ["rec.asi"]
        assert bench.codes() == {"poison.asi": "unreadable"}
        ours = [told(record) for record in caplog.records if record.name.startswith("gateway")]
        assert any("RuntimeError" in line for line in ours)
        assert not any("poison" in line for line in ours)


async def test_wake_looks_before_it_is_time(tmp_path: Path) -> None:
    async with dropping(tmp_path) as bench:
        await asyncio.sleep(5)
        bench.drop("rec.asi", b"none")
        await asyncio.sleep(1)
        assert not bench.inbox.waiting
        bench.inbox.wake()
        await asyncio.sleep(3)
        assert list(bench.codes()) == ["rec.asi"]


async def test_thousands_of_files_are_taken_and_the_beat_goes_on() -> None:
    # In memory where there is such a folder: each costs three flushes.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as memory:
        async with dropping(Path(memory)) as bench:
            for number in range(2000):
                bench.drop(f"{number % 7}/{number}.asi", asi(1, number))
            await asyncio.sleep(10 * SOON_S)
            assert len(bench.recordings) == 2000
            assert not bench.inbox.waiting
            assert max(b - a for a, b in zip(bench.beats, bench.beats[1:], strict=False)) < 2


async def test_a_disk_that_hangs_is_told_and_the_beat_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with dropping(tmp_path) as bench:
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", lambda *_: hangs)
        await asyncio.sleep(60)
        assert "does not answer" in bench.trouble()
        assert bench.beats[-1] > 58
        monkeypatch.undo()
        hangs.set_exception(OSError(5, "I/O error"))
        await asyncio.sleep(1)
        assert "cannot be read" in bench.trouble()
        await asyncio.sleep(SOON_S)
        assert not bench.trouble()


@pytest.fixture(scope="module")
def as_nobody() -> dict[str, Any]:
    """What became of files in an inbox that an ordinary user looks after."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to have files of somebody else")
    with tempfile.TemporaryDirectory() as top:
        done = subprocess.run(
            [sys.executable, "-m", "tests.uploads.taking.dropping", top],
            capture_output=True,
            cwd=ROOT,
            timeout=60,
            check=True,
        )
        kept = {str(path.relative_to(top)) for path in Path(top, "inbox").rglob("*.asi")}
    told: dict[str, Any] = json.loads(done.stdout)
    return {**told, "kept": kept}


def test_where_nobody_says_who_writes_a_pause_of_30_s_is_waited_for(as_nobody: dict[str, Any]) -> None:
    assert NOBODY
    assert as_nobody["paused"]["copied.asi"] == "being_written"
    assert as_nobody["resting"]["copied.asi"] == "being_written"
    assert as_nobody["taken"]["copied.asi"] == [sha256(asi()), 1]
    assert "inbox/copied.asi" not in as_nobody["kept"]


def test_a_source_that_cannot_be_removed_is_taken_once_and_told(as_nobody: dict[str, Any]) -> None:
    assert as_nobody["taken"]["kept.asi"] == [sha256(asi(seed=2)), 1]
    assert as_nobody["left"]["foreign/kept.asi"][0] == "not_removed"
    assert as_nobody["left"]["foreign/kept.asi"][2] != ""
    assert "inbox/foreign/kept.asi" in as_nobody["kept"]


def test_a_file_or_folder_without_permission_is_told(as_nobody: dict[str, Any]) -> None:
    for name in ("closed", "secret.asi"):
        code, text, action = as_nobody["left"][name]
        assert code == "unreadable"
        assert text
        assert action
    assert set(as_nobody["taken"]) == {"copied.asi", "kept.asi"}

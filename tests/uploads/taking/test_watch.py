"""What the kernel tells of the inbox: a look at once, and never a need. In real time, as it is told."""

import asyncio
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from gateway.uploads.taking import inbox as module
from gateway.uploads.taking import watching
from tests.endurance.disks import small_disk, why_no_mount
from tests.uploads.taking.dropping import Bench, asi, dropping

WITHOUT_MOUNT = why_no_mount()

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def _only_the_kernel_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by the clock for an hour, and nothing has to rest for long."""
    monkeypatch.setattr(module, "LOOK_S", 3600.0)
    monkeypatch.setattr(module, "_LULL_S", 0.05)
    monkeypatch.setattr("gateway.uploads.taking.settling.QUIET_S", 0.05)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.02)


async def quiet(bench: Bench) -> None:
    """Until nothing is to be looked at any more, and what tells of changes listens to every folder."""
    await until(lambda: not bench.inbox.waiting)
    await asyncio.sleep(0.5)


async def test_a_dropped_file_is_seen_at_once_and_so_is_one_in_a_new_folder(tmp_path: Path) -> None:
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        await quiet(bench)
        bench.drop("rec.asi", asi())
        await until(lambda: len(bench.recordings) == 1)
        (bench.folder / "012345").mkdir()
        await asyncio.sleep(0.5)
        bench.drop("012345/rec.asi", asi(seed=1))
        await until(lambda: len(bench.recordings) == 2)


async def test_a_file_that_was_changed_and_closed_is_seen(tmp_path: Path) -> None:
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        bench.drop("rec.asi", b"none")
        await until(lambda: bench.codes() == {"rec.asi": "not_asi"})
        bench.drop("rec.asi", asi())
        await until(lambda: len(bench.recordings) == 1)


async def test_where_a_link_leads_nobody_listens(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        (bench.folder / "link").symlink_to(outside)
        await until(lambda: "link" in bench.codes())
        await asyncio.sleep(0.5)
        files = [path for path in list(Path("/proc/self/fdinfo").iterdir()) if path.exists()]
        watched = sum(path.read_text().count("inotify wd:") for path in files)
        assert watched == 1


async def test_an_inbox_that_comes_back_is_listened_to_again(tmp_path: Path) -> None:
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        await quiet(bench)
        bench.folder.rename(tmp_path / "old")
        bench.inbox.wake()
        await until(bench.folder.exists)
        await asyncio.sleep(0.5)
        bench.drop("rec.asi", asi())
        await until(lambda: len(bench.recordings) == 1)


@pytest.mark.skipif(bool(WITHOUT_MOUNT), reason=WITHOUT_MOUNT)
async def test_a_stick_is_seen_when_the_inbox_is_touched_after_it_was_mounted(tmp_path: Path) -> None:
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        await quiet(bench)
        with small_disk(bench.folder / "stick", "1m") as stick:
            (stick / "rec.asi").write_bytes(asi())
            subprocess.run(["mount", "-o", "remount,ro", stick], check=True)
            bench.folder.touch()
            await until(lambda: bench.codes() == {"stick/rec.asi": "taken"})
        bench.folder.touch()
        await until(lambda: not bench.inbox.waiting)
        assert len(bench.recordings) == 1


class RustPanicError(BaseException):
    """As what Rust calls a panic comes to Python: no Exception."""


@pytest.mark.parametrize(
    "failure",
    [
        OSError(24, "too many watches"),
        RuntimeError("can't start new thread"),
        ExceptionGroup("in a group", [OSError(24, "too many open files")]),
        RustPanicError("poisoned"),
    ],
)
async def test_without_the_kernel_s_help_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: BaseException
) -> None:
    class Broken:
        def __iter__(self) -> NoReturn:
            raise failure

    monkeypatch.setattr(watching, "watch", lambda *_, **__: Broken())
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        bench.drop("rec.asi", asi())
        bench.inbox.wake()
        await until(lambda: len(bench.recordings) == 1)
        assert str(failure) not in caplog.text


async def test_names_that_are_no_utf8_cost_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "_AGAIN_S", 0.1)
    odd = os.fsdecode(b"caf\xe9")
    async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
        await quiet(bench)
        (bench.folder / odd).mkdir()
        bench.drop(f"{odd}.asi", asi())
        await until(lambda: len(bench.recordings) == 1)
        bench.drop(f"{odd}/rec.asi", asi(seed=1))
        bench.drop("rec.asi", asi(seed=2))
        await until(lambda: len(bench.recordings) == 3)
        assert "caf" not in caplog.text


async def test_a_stick_that_hangs_when_it_is_to_be_watched_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def hanging(*_: object, **__: object) -> Iterator[set[object]]:
        goes_on.wait(30)
        yield set()

    monkeypatch.setattr(watching, "watch", hanging)
    try:
        async with dropping(tmp_path, is_watched=True, is_virtual=False) as bench:
            bench.drop("rec.asi", asi())
            bench.inbox.wake()
            await until(lambda: len(bench.recordings) == 1)
    finally:
        goes_on.set()

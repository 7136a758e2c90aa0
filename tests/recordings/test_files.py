"""Files that people name: what is none is said in a sentence, and what changes meanwhile is given to nobody."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recordings.files import BLOCK_BYTES, UnusableError, opened, told_name
from gateway.uploads.requests import AddRequest

MOST = 1_000_000


def asi(path: Path, size: int = 2 * BLOCK_BYTES + 5) -> Path:
    path.write_bytes(b"ASI" + os.urandom(size - 3))
    return path


async def test_a_file_comes_in_blocks_with_its_hash_and_how_much_has_gone(tmp_path: Path) -> None:
    path = asi(tmp_path / "rec.asi")
    with opened(path, MOST) as file:
        sizes, gone = [], []
        async for block in file:
            gone.append(file.sent_bytes)
            sizes.append(len(block))
        assert sizes == [BLOCK_BYTES, BLOCK_BYTES, 5]
        assert gone == [0, BLOCK_BYTES, 2 * BLOCK_BYTES], "a block has gone when the next one is asked for"
        assert file.sent_bytes == file.size == path.stat().st_size
        assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("what", ["grows", "shrinks", "is_replaced"])
async def test_what_changes_while_it_is_sent_is_never_sent_to_its_end(tmp_path: Path, what: str) -> None:
    path = asi(tmp_path / "rec.asi")
    with opened(path, MOST) as file:
        await anext(file)
        await anext(file)
        if what == "grows":
            with path.open("ab") as more:
                more.write(b"more")
        elif what == "shrinks":
            os.truncate(path, 10)
        else:
            path.write_bytes(b"ASI" + bytes(path.stat().st_size - 3))
            os.utime(path, ns=(0, 0))
        with pytest.raises(UnusableError, match=r"rec\.asi is still being written: nothing of it was kept, add it"):
            await anext(file)
        assert file.sent_bytes < file.size


async def test_a_disk_that_fails_in_the_middle_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(asi(tmp_path / "rec.asi"), MOST) as file:
        await anext(file)

        def fails(_descriptor: int, _size: int, _place: int) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "pread", fails)
        with pytest.raises(
            UnusableError, match=r"cannot be read \(input/output error\): copy it from the tracker once"
        ):
            await anext(file)


async def test_a_read_that_was_left_behind_takes_nothing_of_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = asi(tmp_path / "a.asi"), asi(tmp_path / "b.asi")
    is_reading, is_released, is_over = Event(), Event(), Event()
    with opened(first, MOST) as file, monkeypatch.context() as patch:
        for name in ("read", "pread"):
            patch.setattr(os, name, _held(getattr(os, name), is_reading, is_released, is_over))
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(anext(file))
            await asyncio.to_thread(is_reading.wait)
            reading.cancel()
    with opened(second, MOST) as file:  # under the number that the first one had
        is_released.set()
        await asyncio.to_thread(is_over.wait)
        assert b"".join([block async for block in file]) == second.read_bytes()


def _held(read: Callable[..., bytes], is_reading: Event, is_released: Event, is_over: Event) -> Callable[..., bytes]:
    """A read that waits until it is let go."""

    def held(*arguments: int) -> bytes:
        is_reading.set()
        is_released.wait()
        try:
            return read(*arguments)
        finally:
            is_over.set()

    return held


def test_whatever_is_no_recording_is_said_in_one_sentence_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.asi").touch()
    (tmp_path / "notes.asi").write_text("AS")
    os.mkfifo(tmp_path / "pipe.asi")
    (tmp_path / "loop.asi").symlink_to("loop.asi")
    asi(tmp_path / "huge.asi", MOST + 1)
    for name, words in {
        "folder": "is a folder: name the files in it, ",
        "empty.asi": "is empty: copy it from the tracker once more.",
        "notes.asi": "is no .asi recording, which would begin with ASI: name another file.",
        "pipe.asi": "is no file: copy what it gives into one, and add that.",
        "loop.asi": "cannot be read (too many levels of symbolic links): copy it from the tracker once more.",
        "huge.asi": "has 1.0 MB, and the gateway takes 1.0 MB at most: look whether it is a recording, or raise ",
        "gone.asi": "is not there: look at its name.",
        "x" * 300: "cannot be read (file name too long)",
    }.items():
        with pytest.raises(UnusableError) as said, opened(tmp_path / name, MOST):
            pass
        assert str(said.value).startswith(f"{tmp_path / name} {words}")
        assert str(said.value).count(". ") == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_of_somebody_else_is_said(tmp_path: Path) -> None:
    path = asi(tmp_path / "rec.asi")
    path.chmod(0)
    with pytest.raises(UnusableError, match="may not be read by you: ask its owner"), opened(path, MOST):
        pass


def test_a_link_is_followed_because_a_person_has_named_it(tmp_path: Path) -> None:
    (tmp_path / "link.asi").symlink_to(asi(tmp_path / "rec.asi"))
    with opened(tmp_path / "link.asi", MOST) as file:
        assert file.size > 0


def test_every_descriptor_is_given_back(tmp_path: Path) -> None:
    before = _descriptors()
    asi(tmp_path / "rec.asi")
    (tmp_path / "empty.asi").touch()
    for name in ("rec.asi", "empty.asi") * 3:
        with suppress(UnusableError), opened(tmp_path / name, MOST):
            pass
    assert _descriptors() == before


def test_the_folder_is_told_too_also_where_it_was_not_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SIM-0001").mkdir()
    monkeypatch.chdir(tmp_path / "SIM-0001")
    assert told_name(Path("rec.asi")) == "SIM-0001/rec.asi"
    assert told_name(tmp_path / "SIM-0001" / "rec.asi") == "SIM-0001/rec.asi"
    assert told_name(Path("/rec.asi")) == "rec.asi"


@given(st.binary(min_size=1, max_size=200).filter(lambda name: b"/" not in name and b"\0" not in name))
def test_any_name_can_be_told(name: bytes) -> None:
    told = told_name(Path("/folder") / os.fsdecode(name))
    AddRequest(name=told)
    told.encode()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))

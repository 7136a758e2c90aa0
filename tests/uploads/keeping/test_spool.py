"""The spool: exact bytes under their hash or nothing, order at every start, and room counted before it is used."""

import errno
import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.keeping import part as part_module
from gateway.uploads.keeping.spool import NoRoomError, Spool
from tests.endurance.disks import small_disk, why_no_mount

MB = 1 << 20
HUGE = 1 << 60


def opened(folder: Path, max_bytes: int = HUGE, *, ballast_bytes: int = 4096, reserve_bytes: int = 0) -> Spool:
    spool = Spool(folder, max_bytes, ballast_bytes, reserve_bytes)
    spool.open()
    return spool


def take(spool: Spool, content: bytes) -> str:
    with spool.part(len(content)) as part:
        part.write(content)
        return part.commit()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(spool: Spool, sha256: str) -> str:
    """Of what is really there."""
    return sha(b"".join(spool.blocks(sha256)))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return opened(tmp_path / "state" / "recordings")


def test_what_was_committed_is_there_under_its_hash_and_only_its_user_can_read_it(spool: Spool) -> None:
    content = b"ASI" + os.urandom(3 * MB)
    sha256 = take(spool, content)
    assert sha256 == sha(content) == digest(spool, sha256)
    assert spool.path(sha256).read_bytes() == content
    assert spool.path(sha256).stat().st_mode & 0o777 == 0o600
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert names(spool.folder) == {f"{sha256}.asi", "ballast"}
    assert Spool(spool.folder, HUGE, 4096, 0).open().files == {sha256: len(content)}


@given(blocks=st.lists(st.binary(max_size=40), max_size=12), promised=st.integers(0, 200) | st.none())
def test_blocks_of_any_length_make_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[bytes], promised: int | None
) -> None:
    spool = opened(tmp_path_factory.mktemp("any"))
    content = b"".join(blocks)
    with spool.part(promised) as part:
        for block in blocks:
            part.write(block)
        assert (part.size, part.head, part.sha256) == (len(content), content[:16], sha(content))
        sha256 = part.commit()
    assert spool.path(sha256).read_bytes() == content


def test_what_was_not_committed_is_gone(spool: Spool) -> None:
    with pytest.raises(LookupError), spool.part(3) as part:  # noqa: PT012 - it shall fail in the middle
        part.write(b"ASI")
        assert len(names(spool.folder)) == 2
        raise LookupError
    assert names(spool.folder) == {"ballast"}
    assert spool.room().used_bytes == 0


def test_a_start_puts_the_folder_in_order(spool: Spool, tmp_path: Path) -> None:
    """Half a file goes; what is no recording is moved aside and never followed, opened or deleted."""
    folder = spool.folder
    sha256 = take(spool, b"ASI kept")
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (folder / ".0123456789abcdef.part").write_bytes(b"half")
    for name in ("journal", "journal.new"):
        (folder / name).write_bytes(b"the ledger's")
    (folder / f"{'a' * 64}.asi").symlink_to(outside)
    (folder / f"{'b' * 64}.asi").mkdir()
    os.mkfifo(folder / f"{'c' * 64}.asi")
    (folder / f"{'D' * 64}.asi").write_bytes(b"ASI")
    (folder / "notes.txt").write_bytes(b"first")
    (folder / os.fsdecode(b"\xff\n")).write_bytes(b"")
    found = Spool(folder, HUGE, 4096, 0).open()
    assert found.files == {sha256: 8}
    assert found.strays == 6
    assert names(folder) == {f"{sha256}.asi", "journal", "journal.new", "ballast", "strays"}
    assert (folder / "strays" / f"{'a' * 64}.asi").is_symlink()
    assert outside.read_bytes() == b"mine"
    for content in (b"second", b"third"):
        (folder / "notes.txt").write_bytes(content)
        assert Spool(folder, HUGE, 4096, 0).open().strays == 1
    kept = [(folder / "strays" / name).read_bytes() for name in ("notes.txt", "notes.txt.1", "notes.txt.2")]
    assert kept == [b"first", b"second", b"third"]


def test_it_can_be_put_in_order_while_something_is_taken(spool: Spool) -> None:
    with spool.part(8) as part:
        part.write(b"ASI ")
        assert spool.open().files == {}
        part.write(b"goes")
        sha256 = part.commit()
    assert spool.open().files == {sha256: 8}


def test_it_can_be_put_in_order_while_a_file_is_just_being_made(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    make = os.open

    def made(path: Path, flags: int, mode: int = 0o777) -> int:
        file = make(path, flags, mode)
        if path.suffix == ".part":
            monkeypatch.setattr(os, "open", make)
            spool.open()
        return file

    monkeypatch.setattr(os, "open", made)
    assert digest(spool, take(spool, b"ASI good")) == sha(b"ASI good")


def test_a_file_that_cannot_be_made_needs_no_room_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = opened(tmp_path, max_bytes=1000)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: os.close(-1))
        with pytest.raises(OSError, match="Bad file"), spool.part(700):
            pass
    with pytest.raises(NoRoomError), spool.part(1001):
        pass
    take(spool, bytes(700))


def test_the_same_bytes_once_more_heal_what_was_damaged(spool: Spool) -> None:
    sha256 = take(spool, b"ASI good")
    spool.path(sha256).write_bytes(b"ASI gone")
    assert digest(spool, sha256) == sha(b"ASI gone")
    assert take(spool, b"ASI good") == sha256 == digest(spool, sha256)
    assert spool.room().used_bytes == 8


def test_what_is_removed_is_gone_and_counted_no_more(spool: Spool) -> None:
    sha256 = take(spool, b"ASI good")
    for _ in range(2):
        spool.remove(sha256)
        assert not spool.path(sha256).exists()
        assert spool.room().used_bytes == 0


def test_what_was_just_taken_again_cannot_be_removed_before_its_row_is_written(spool: Spool) -> None:
    """Somebody may be deleting it at the same time, and does not know of it yet."""
    take(spool, b"ASI good")
    with spool.part(8) as part:
        part.write(b"ASI good")
        sha256 = part.commit()
        spool.remove(sha256)
    assert digest(spool, sha256) == sha256
    spool.remove(sha256)
    assert not spool.path(sha256).exists()


def test_a_link_in_place_of_a_recording_is_not_read(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    spool.path("e" * 64).symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links") as refused:
        next(spool.blocks("e" * 64))
    assert refused.value.errno == errno.ELOOP


def test_no_more_than_the_limit_is_kept(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=1000)
    take(spool, bytes(600))
    assert spool.room().used_bytes == 600
    with spool.part(400):
        pass
    with pytest.raises(NoRoomError, match=r"are used, and spool_max_mb is 0\.0 MB: wait until"), spool.part(401):
        pass
    assert len(names(tmp_path)) == 2


def test_what_was_promised_to_others_is_taken_into_account(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=1000)
    with spool.part(700) as part:
        part.write(bytes(100))
        with pytest.raises(NoRoomError), spool.part(301):
            pass
        with spool.part(300) as other:
            other.write(bytes(300))
            other.commit()
        part.write(bytes(600))
        with pytest.raises(NoRoomError):
            part.write(b"x")
    assert spool.room().used_bytes == 300


def test_a_file_of_unknown_length_stops_where_there_is_no_room(tmp_path: Path) -> None:
    spool = opened(tmp_path, max_bytes=20 * MB)
    with spool.part(None) as part, pytest.raises(NoRoomError):  # noqa: PT012 - it shall fail in the middle
        while True:
            part.write(bytes(MB))
    assert 8 * MB < part.size <= 20 * MB
    assert spool.room().used_bytes == 0


def test_a_large_file_is_not_left_to_one_flush(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else waits for that card would wait for all of it."""
    monkeypatch.setattr(part_module, "_SYNC_BYTES", 4 * MB)
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    with spool.part(10 * MB) as part:
        for _ in range(10):
            part.write(bytes(MB))
    assert len(flushed) == 2


def test_the_ballast_is_there_goes_and_comes_back(spool: Spool) -> None:
    ballast = spool.folder / "ballast"
    assert ballast.stat().st_size == 4096
    assert ballast.stat().st_blocks * 512 >= 4096
    spool.give_up_ballast()
    spool.give_up_ballast()
    assert not ballast.exists()
    spool.restore_ballast()
    assert ballast.stat().st_size == 4096
    ballast.write_bytes(b"")
    spool.restore_ballast()
    assert ballast.stat().st_size == 4096


def test_threads_that_take_and_remove_the_same_bytes_leave_a_file_exactly_if_it_was_taken_last(spool: Spool) -> None:
    """A row is written within `with`: from then on the other one may not remove it, as it looks at the row first."""
    rows = threading.Lock()
    is_wanted = False

    def take_often() -> None:
        nonlocal is_wanted
        for _ in range(200):
            with spool.part(8) as part:
                part.write(b"ASI good")
                part.commit()
                with rows:
                    is_wanted = True

    def remove_often() -> None:
        nonlocal is_wanted
        for _ in range(400):
            with rows:
                is_wanted = False
            with rows:
                if not is_wanted:
                    spool.remove(sha(b"ASI good"))

    threads = [threading.Thread(target=take_often), threading.Thread(target=remove_often)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spool.path(sha(b"ASI good")).exists() or not is_wanted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Eight MB, 64 files."""
    if reason := why_no_mount():
        pytest.skip(reason)
    with small_disk(tmp_path / "disk", "8m", 64) as disk:
        yield disk


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True, capture_output=True)


def fill(disk: Path) -> None:
    with (  # noqa: PT012 - it fails at some point
        pytest.raises(OSError, match="No space left"),
        (disk / "filler").open("wb", buffering=0) as filler,
    ):
        while True:
            filler.write(bytes(4096))


def test_some_of_the_disk_is_left_to_others(disk: Path) -> None:
    spool = opened(disk / "spool", reserve_bytes=2 * MB)
    with (
        pytest.raises(NoRoomError, match=r"almost full \(8.4 MB free, and 2.1 MB are kept in reserve\): delete other"),
        spool.part(6 * MB + 1),
    ):
        pass
    with spool.part(5 * MB):
        pass
    assert spool.room().limit_bytes == spool.room().free_bytes - 2 * MB


def test_on_a_disk_that_can_only_be_read_what_is_there_is_known(disk: Path) -> None:
    sha256 = take(opened(disk / "spool"), bytes(MB))
    (disk / "spool" / ".0123456789abcdef.part").touch()
    remount(disk, "ro")
    spool = Spool(disk / "spool", HUGE, 4096, 0)
    with pytest.raises(OSError, match="Read-only"):
        spool.open()
    assert spool.room().used_bytes == MB
    remount(disk, "rw")
    assert spool.open().files == {sha256: MB}
    assert names(spool.folder) == {f"{sha256}.asi", "ballast"}


def test_a_disk_without_names_for_files_is_full(disk: Path) -> None:
    spool = opened(disk / "spool")
    for number in range(60):
        if spool.room().free_inodes == 15:
            break
        with spool.part(1):
            pass
        (disk / f"file{number}").touch()
    with pytest.raises(NoRoomError, match="can hold no more files"), spool.part(1):
        pass


def test_a_full_disk_gives_up_the_ballast_to_be_put_in_order(disk: Path) -> None:
    """And takes it back when there is room for it and for others."""
    spool = opened(disk / "spool", ballast_bytes=MB, reserve_bytes=MB)
    sha256 = take(spool, bytes(MB))
    (spool.folder / "stray").touch()
    fill(disk)
    found = Spool(disk / "spool", HUGE, MB, MB).open()
    assert found.files == {sha256: MB}
    assert found.strays == 1
    assert not (spool.folder / "ballast").exists()
    spool.restore_ballast()
    assert not (spool.folder / "ballast").exists()
    (disk / "filler").unlink()
    spool.restore_ballast()
    assert (spool.folder / "ballast").stat().st_size == MB


def test_a_disk_that_fills_while_something_is_written_loses_only_that(disk: Path) -> None:
    """Room was counted, and then another program took it."""
    spool = opened(disk / "spool")
    sha256 = take(spool, b"ASI kept")
    with spool.part(3 * MB) as part:
        part.write(bytes(MB))
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            part.write(bytes(MB))
    (disk / "filler").unlink()
    assert names(spool.folder) == {f"{sha256}.asi", "ballast"}
    assert spool.open().files == {sha256: 8}


def test_a_disk_that_cannot_be_written_says_so_at_the_start(disk: Path) -> None:
    spool = opened(disk / "spool")
    spool.give_up_ballast()
    fill(disk)
    with pytest.raises(OSError, match="No space left"):
        spool.open()
    (disk / "filler").unlink()
    spool.open()

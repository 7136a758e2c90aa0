"""What lies in a folder is looked at and opened without being led astray, held up, or taken for something else."""

import errno
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.uploads.taking.removal import ASIDE, original
from gateway.uploads.taking.sources import (
    BLOCK_BYTES,
    Kind,
    Look,
    OpenSource,
    SourceChangedError,
)
from gateway.uploads.taking.survey import MAX_DEPTH, survey
from tests.endurance.disks import small_disk, why_no_mount
from tests.uploads.taking.looking import look_at

WITHOUT_MOUNT = why_no_mount()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What a link could lead to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rec.asi").write_bytes(b"ASI, and nobody's business")
    return outside


def seen(folder: Path) -> dict[str, Look]:
    return {look.path: look for look in survey(folder).looks}


def dropped(folder: Path, content: bytes = b"ASI 1", path: str = "rec.asi") -> Look:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    return look_at(folder, path)


def test_everything_is_seen_for_what_it_is_and_no_link_is_followed(folder: Path, outside: Path) -> None:
    dropped(folder, b"ASI", "a/b/rec.asi")
    (folder / "link.asi").symlink_to(outside / "rec.asi")
    (folder / "folder").symlink_to(outside)
    (folder / "nowhere").symlink_to("nothing")
    os.mkfifo(folder / "pipe.asi")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.asi"))
        kinds = {path: look.kind for path, look in seen(folder).items()}
    assert kinds == {
        "a/b/rec.asi": Kind.FILE,
        "folder": Kind.LINK,
        "link.asi": Kind.LINK,
        "nowhere": Kind.LINK,
        "pipe.asi": Kind.PIPE,
        "socket.asi": Kind.SOCKET,
    }


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    look = dropped(folder)
    (tmp_path / "link").symlink_to(folder)
    assert list(survey(tmp_path / "link").looks) == [look]
    with OpenSource(tmp_path / "link", look) as source:
        assert b"".join(source.blocks()) == b"ASI 1"


def test_hidden_folders_are_left_out_and_hidden_files_are_not(folder: Path) -> None:
    dropped(folder, path=".Trash-1000/files/rec.asi")
    dropped(folder, path="$RECYCLE.BIN/S-1-5/rec.asi")
    dropped(folder, path=".rec.asi.aX12b3")
    assert list(seen(folder)) == [".rec.asi.aX12b3"]


def test_folders_below_too_many_others_are_seen_and_not_looked_into(folder: Path) -> None:
    deepest = "/".join("abcdefghij")
    dropped(folder, path=f"{deepest}/rec.asi")
    looks = seen(folder)
    assert [(path.count("/") + 1, look.kind) for path, look in looks.items()] == [(MAX_DEPTH, Kind.DEEP)]


def test_of_more_things_than_are_bearable_none_hides_the_recordings(folder: Path) -> None:
    for number in range(30):
        dropped(folder, path=f"stick/DCIM/{number:02}.jpg")
        dropped(folder, path=f"many/{number:02}.asi")
    dropped(folder, path="stick/TRACKER/REC/rec.asi")
    dropped(folder, path="stick/rec.ASI")
    dropped(folder, path="rec.asi")
    dropped(folder, path="012345/rec.asi")
    found = survey(folder, max_entries=20)
    assert found.crowded == {folder.stat().st_dev}
    paths = {look.path for look in found.looks}
    assert {"stick/TRACKER/REC/rec.asi", "stick/rec.ASI", "rec.asi", "012345/rec.asi"} <= paths
    assert len([path for path in paths if path.startswith("many/")]) == 20
    assert len([path for path in paths if path.startswith("stick/DCIM/")]) == 20
    assert survey(folder, max_entries=40).crowded == frozenset()


def test_however_much_there_is_no_more_is_looked_at_than_is_bearable(folder: Path) -> None:
    for number in range(8):
        for other in range(8):
            dropped(folder, path=f"{number}/{other}.jpg")
            dropped(folder, path=f"{number}/{other}.asi")
    for number in range(100):
        dropped(folder, path=f"0/{number}.tmp")
    found = survey(folder, max_entries=8)
    assert len(found.looks) + len(found.folders) - 1 == 80
    assert found.crowded


def test_a_thing_that_cannot_be_looked_at_does_not_hide_the_others(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped(folder, path="a/dead")
    look = dropped(folder, path="a/rec.asi")

    class Entry:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.inode, self.is_dir = entry.name, entry.inode, entry.is_dir
            self._entry = entry

        def stat(self, *, follow_symlinks: bool) -> os.stat_result:
            if self.name == "dead":
                raise OSError(errno.ENOTCONN, "transport endpoint is not connected")
            return self._entry.stat(follow_symlinks=follow_symlinks)

    really_scan = os.scandir

    @contextmanager
    def scan(above: int) -> Iterator[Iterator[Entry]]:
        with really_scan(above) as entries:
            yield map(Entry, entries)

    monkeypatch.setattr("gateway.uploads.taking.survey.os.scandir", scan)
    dead, seen = survey(folder).looks
    assert (dead.path, dead.kind) == ("a/dead", Kind.UNSEEN)
    assert seen == look


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline.asi",
        b"\x1b[2J\x1b]0;owned\x07.asi",
        b"\xff\xfe.asi",
        b"a" * 251 + b".asi",
        "\N{RIGHT-TO-LEFT OVERRIDE}isa.gpj".encode(),
        b"-rf *.asi",
        "Läufer Šimůnek 走.asi".encode(),
        b" ",
    ],
)
def test_any_name_can_be_seen_opened_read_and_removed(folder: Path, name: bytes) -> None:
    (folder / os.fsdecode(name)).write_bytes(b"ASI odd")
    [look] = survey(folder).looks
    with OpenSource(folder, look) as source:
        assert b"".join(source.blocks()) == b"ASI odd"
        assert source.unlink()
    assert survey(folder).looks == ()


def test_a_file_is_read_whole_in_blocks(folder: Path) -> None:
    content = os.urandom(2 * BLOCK_BYTES + 5)
    look = dropped(folder, content)
    with OpenSource(folder, look) as source:
        blocks = list(source.blocks())
        assert source.is_unchanged()
    assert [len(block) for block in blocks] == [BLOCK_BYTES, BLOCK_BYTES, 5]
    assert b"".join(blocks) == content


def test_what_grows_without_end_is_read_to_where_it_was_seen(folder: Path) -> None:
    look = dropped(folder, b"ASI 1")
    with OpenSource(folder, look) as source, (folder / "rec.asi").open("ab", buffering=0) as copier:
        copier.write(b" and more")
        assert b"".join(source.blocks()) == b"ASI 1"
        assert not source.is_unchanged()


def rewrite(folder: Path, _: Path) -> None:
    (folder / "a/rec.asi").write_bytes(b"other")
    os.utime(folder / "a/rec.asi", ns=(1, look_at(folder, "a/rec.asi").mtime_ns - 1))


def replace_by_another(folder: Path, _: Path) -> None:
    (folder / "new").write_bytes(b"ASI 2")
    (folder / "new").rename(folder / "a/rec.asi")


def link_the_file(folder: Path, outside: Path) -> None:
    (folder / "a/rec.asi").unlink()
    (folder / "a/rec.asi").symlink_to(outside / "rec.asi")


def link_the_folder(folder: Path, outside: Path) -> None:
    # What it leads to is the very same file.
    (folder / "a").rename(outside / "a")
    (folder / "a").symlink_to(outside / "a")


def put_a_pipe(folder: Path, _: Path) -> None:
    (folder / "a/rec.asi").unlink()
    os.mkfifo(folder / "a/rec.asi")


def put_a_folder(folder: Path, _: Path) -> None:
    (folder / "a/rec.asi").unlink()
    (folder / "a/rec.asi").mkdir()


def put_a_file_for_the_folder(folder: Path, _: Path) -> None:
    shutil.rmtree(folder / "a")
    (folder / "a").write_bytes(b"ASI 1")


@pytest.mark.parametrize(
    "swap",
    [
        rewrite,
        replace_by_another,
        link_the_file,
        link_the_folder,
        put_a_pipe,
        put_a_folder,
        put_a_file_for_the_folder,
    ],
)
def test_what_was_swapped_between_look_and_open_is_not_opened(
    folder: Path, outside: Path, swap: Callable[[Path, Path], None]
) -> None:
    look = dropped(folder, path="a/rec.asi")
    swap(folder, outside)
    with pytest.raises(SourceChangedError), OpenSource(folder, look):
        pass


def test_what_is_gone_between_look_and_open_is_said_to_be(folder: Path) -> None:
    look = dropped(folder, path="a/rec.asi")
    shutil.rmtree(folder / "a")
    with pytest.raises(FileNotFoundError), OpenSource(folder, look):
        pass


def test_a_link_that_comes_at_the_last_moment_is_not_followed(
    folder: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = dropped(folder)
    really_open = os.open

    def swap_and_open(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        if path == "rec.asi":
            (folder / path).unlink()
            (folder / path).symlink_to(outside / path)
        return really_open(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap_and_open)
    with pytest.raises(SourceChangedError), OpenSource(folder, look):
        pass


def test_what_never_was_a_file_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.asi")
    with pytest.raises(SourceChangedError), OpenSource(folder, look_at(folder, "pipe.asi")):
        pass


def test_an_open_file_is_held_whatever_becomes_of_its_path(folder: Path, outside: Path) -> None:
    look = dropped(folder, b"ASI held", "a/rec.asi")
    with OpenSource(folder, look) as source:
        (folder / "a").rename(folder / "b")
        (folder / "a").symlink_to(outside)
        assert b"".join(source.blocks()) == b"ASI held"
        assert source.unlink()
    assert (outside / "rec.asi").exists()
    assert list(seen(folder)) == ["a"]


def test_who_writes_is_known_of_our_own_files(folder: Path) -> None:
    look = dropped(folder)
    said = []
    with OpenSource(folder, look) as source:
        said.append(source.is_written_to)
        with (folder / "rec.asi").open("ab"):
            said.append(source.is_written_to)
            assert not source.unlink()
        with (folder / "rec.asi").open("rb"):
            said.append(source.is_written_to)
        assert source.unlink()
    assert said == [False, True, False]


def test_to_ask_who_writes_holds_nobody_up(folder: Path) -> None:
    look = dropped(folder)
    with OpenSource(folder, look) as source:
        assert source.is_written_to is False
        # A lease that was kept would refuse this.
        os.close(os.open(folder / "rec.asi", os.O_WRONLY | os.O_NONBLOCK))


def test_a_changed_file_stays(folder: Path) -> None:
    look = dropped(folder)
    with OpenSource(folder, look) as source:
        (folder / "rec.asi").write_bytes(b"ASI 2")
        assert not source.unlink()
    assert (folder / "rec.asi").read_bytes() == b"ASI 2"


def test_another_file_under_the_same_name_stays(folder: Path) -> None:
    look = dropped(folder)
    with OpenSource(folder, look) as source:
        replacement = folder / "new"
        replacement.write_bytes(b"ASI 2")
        (folder / "rec.asi").rename(folder / "old")
        replacement.rename(folder / "rec.asi")
        assert not source.unlink()
    assert {path.name for path in folder.iterdir()} == {"old", "rec.asi"}


@pytest.fixture
def at_the_last_moment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], object]], None]:
    """Does something right before the next removal, renaming or linking of a name."""
    todo: dict[str, Callable[[], object]] = {}

    def before(really: Callable[..., None]) -> Callable[..., None]:
        def do(path: str, *others: object, **how: object) -> None:
            for name in (path, *others):
                if name in todo:
                    todo.pop(str(name))()
            really(path, *others, **how)

        return do

    for call in ("unlink", "rename", "link"):
        monkeypatch.setattr(os, call, before(getattr(os, call)))
    return todo.__setitem__


def save(folder: Path, content: bytes) -> None:
    """As editors and copiers do: written beside, and renamed over what was there."""
    (folder / "new").write_bytes(content)
    subprocess.run(["mv", folder / "new", folder / "rec.asi"], check=True)


AtTheLastMoment = Callable[[str, Callable[[], object]], None]


def test_a_new_version_saved_at_the_last_moment_stays(folder: Path, at_the_last_moment: AtTheLastMoment) -> None:
    look = dropped(folder)
    with OpenSource(folder, look) as source:
        at_the_last_moment("rec.asi", lambda: save(folder, b"ASI 2"))
        assert not source.unlink()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"rec.asi": b"ASI 2"}


def test_of_two_new_versions_saved_at_the_last_moment_both_stay(
    folder: Path, at_the_last_moment: AtTheLastMoment
) -> None:
    look = dropped(folder)
    with OpenSource(folder, look) as source:

        def save_two() -> None:
            save(folder, b"ASI 2")
            at_the_last_moment("rec.asi", lambda: save(folder, b"ASI 3"))

        at_the_last_moment("rec.asi", save_two)
        assert not source.unlink()
    assert (folder / "rec.asi").read_bytes() == b"ASI 3"
    [other] = [path for path in folder.iterdir() if path.name != "rec.asi"]
    assert other.read_bytes() == b"ASI 2"
    assert other.name.endswith("-rec.asi")
    assert not other.name.startswith(".")


def test_where_there_are_no_hard_links_what_was_saved_stays_under_a_name_like_it(
    folder: Path, at_the_last_moment: AtTheLastMoment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", none)
    look = dropped(folder)
    with OpenSource(folder, look) as source:
        at_the_last_moment("rec.asi", lambda: save(folder, b"ASI 2"))
        assert not source.unlink()
    [path] = folder.iterdir()
    assert path.read_bytes() == b"ASI 2"
    assert path.name.endswith("-rec.asi")
    assert not path.name.startswith(".")


def test_a_folder_that_comes_at_the_last_moment_stays(folder: Path, at_the_last_moment: AtTheLastMoment) -> None:
    look = dropped(folder)

    def put_a_folder() -> None:
        subprocess.run(["rm", folder / "rec.asi"], check=True)
        dropped(folder, b"ASI 2", "rec.asi/monday.asi")

    with OpenSource(folder, look) as source:
        at_the_last_moment("rec.asi", put_a_folder)
        assert not source.unlink()
    assert [path.read_bytes() for path in folder.glob("*/monday.asi")] == [b"ASI 2"]


def test_who_begins_to_write_at_the_last_moment_goes_on_with_the_same_file(
    folder: Path, at_the_last_moment: AtTheLastMoment
) -> None:
    look = dropped(folder)
    writers = []
    with OpenSource(folder, look) as source:
        at_the_last_moment("rec.asi", lambda: writers.append((folder / "rec.asi").open("ab", buffering=0)))
        assert not source.unlink()
    [writer] = writers
    with writer:
        writer.write(b" and more")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"rec.asi": b"ASI 1 and more"}


@pytest.mark.parametrize("name", ["rec.asi", "x" * 251 + ".asi", "走" * 84 + ".as", "-.insiders-gateway-"])
def test_what_is_left_by_a_gateway_that_was_stopped_while_it_removed_a_file_can_be_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    look = dropped(folder, path=name)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", stopped)
    with pytest.raises(KeyboardInterrupt), OpenSource(folder, look) as source:
        source.unlink()
    [left] = survey(folder).looks
    assert left.path.startswith(ASIDE)
    assert name.endswith(original(left.path))
    assert original(f"a/{left.path}") == f"a/{original(left.path)}"
    assert len(original(left.path).encode()) >= min(len(name.encode()), 225)


def test_of_hard_links_each_name_is_a_file(folder: Path) -> None:
    dropped(folder)
    os.link(folder / "rec.asi", folder / "same.asi")
    look = look_at(folder, "rec.asi")
    with OpenSource(folder, look) as source:
        assert source.unlink()
    assert (folder / "same.asi").read_bytes() == b"ASI 1"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_stays_open(folder: Path) -> None:
    look = dropped(folder, path="a/b/rec.asi")
    before = open_files()
    survey(folder)
    with OpenSource(folder, look) as source:
        assert source.is_unchanged()
    (folder / "a/b/rec.asi").write_bytes(b"changed")
    with pytest.raises(SourceChangedError), OpenSource(folder, look):
        pass
    assert open_files() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make a device node")
def test_a_device_is_seen_and_never_opened(folder: Path) -> None:
    os.mknod(folder / "rec.asi", stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero: without an end
    [look] = survey(folder).looks
    assert look.kind is Kind.DEVICE
    with pytest.raises(SourceChangedError), OpenSource(folder, look):
        pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if WITHOUT_MOUNT:
        pytest.skip(WITHOUT_MOUNT)
    with small_disk(tmp_path / "disk", "1m") as disk:
        yield disk


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def test_on_a_read_only_file_system_nobody_writes_and_nothing_is_removed(disk: Path) -> None:
    look = dropped(disk)
    assert survey(disk).read_only == frozenset()
    mount("-o", "remount,ro", disk)
    assert survey(disk).read_only == {look.device}
    with OpenSource(disk, look) as source:
        assert source.is_written_to is False
        assert not source.unlink()


def test_a_mount_that_is_read_only_for_us_alone_says_nothing_about_others(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = dropped(disk)
    ours = tmp_path / "ours"
    ours.mkdir()
    mount("--bind", disk, ours)
    try:
        mount("-o", "remount,bind,ro", ours)

        def no_lease(*_: object) -> int:
            raise PermissionError

        monkeypatch.setattr("gateway.uploads.taking.sources.fcntl.fcntl", no_lease)
        with OpenSource(ours, look) as source:
            assert source.is_written_to is None
        mount("-o", "remount,ro", disk)
        with OpenSource(ours, look) as source:
            assert source.is_written_to is False
    finally:
        subprocess.run(["umount", ours], check=True)


def test_a_survey_tells_folders_apart_that_were_swapped(folder: Path) -> None:
    (folder / "stick").mkdir()
    before = survey(folder).folders
    (folder / "stick").rename(folder / ".old")
    (folder / "stick").mkdir()
    after = survey(folder).folders
    assert [path for path, _, _ in before] == [path for path, _, _ in after] == ["", "stick"]
    assert before != after


def test_a_file_that_goes_while_its_folder_is_listed_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped(folder)
    really_scan = os.scandir

    def scan_and_remove(above: int) -> object:
        entries = really_scan(above)
        (folder / "rec.asi").unlink()
        return entries

    monkeypatch.setattr("gateway.uploads.taking.survey.os.scandir", scan_and_remove)
    assert survey(folder).looks == ()

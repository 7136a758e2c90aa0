"""The journal: whatever is cut off or damaged, the rest is understood, and it is known whether something is missing."""

import errno
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.keeping import journal as journal_module
from gateway.uploads.keeping.journal import Journal, Read
from gateway.uploads.recording import Recording, State
from tests.uploads.keeping.stages import history, recording, sha256_of

DONE, SENT, LEFT = (recording(number, state) for number, state in enumerate([State.DONE, State.CLOSING, State.QUEUED]))
LINES = [*history(0, State.DONE), *history(1, State.CLOSING), *history(2, State.QUEUED)]


def written(path: Path, recordings: list[Recording]) -> bytes:
    """A journal that has grown line by line."""
    journal = Journal(path)
    journal.rewrite([])
    for it in recordings:
        journal.append(it, is_synced=False)
    return path.read_bytes()


def latest(recordings: list[Recording]) -> dict[str, Recording]:
    return {it.sha256: it for it in recordings}


def test_the_last_of_each_recording_counts(tmp_path: Path) -> None:
    written(tmp_path / "journal", LINES)
    assert Journal(tmp_path / "journal").read() == Read(latest([DONE, SENT, LEFT]), is_whole=True)
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


def test_of_two_lines_the_later_version_counts_wherever_it_stands(tmp_path: Path) -> None:
    written(tmp_path / "journal", LINES[::-1])
    assert Journal(tmp_path / "journal").read().recordings == latest([DONE, SENT, LEFT])


def test_one_that_is_missing_or_empty_is_not_whole(tmp_path: Path) -> None:
    """An empty one is never taken for the first start."""
    journal = Journal(tmp_path / "journal")
    assert journal.read() == Read({}, is_whole=False)
    (tmp_path / "journal").touch()
    assert journal.read() == Read({}, is_whole=False)
    journal.rewrite([])
    assert journal.read() == Read({}, is_whole=True)


def test_torn_at_every_byte_it_is_whole_and_goes_on_where_it_was_torn(tmp_path: Path) -> None:
    """As a crash leaves it: what was written before is there, and the next line is not spoilt by half a one."""
    path = tmp_path / "journal"
    content = written(path, LINES)
    head = content.index(b"\n") + 1
    for length in range(head, len(content) + 1):
        path.write_bytes(content[:length])
        journal = Journal(path)
        read = journal.read()
        # A line that lacks only its end is all there.
        lines = content[:length].count(b"\n") - 1 + (content[length : length + 1] == b"\n")
        assert read == Read(latest(LINES[:lines]), is_whole=True), length
        journal.append(LEFT, is_synced=False)
        assert Journal(path).read() == Read(latest([*LINES[:lines], LEFT]), is_whole=True), length


def test_nothing_of_a_long_line_that_was_cut_off_is_left_behind_a_short_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(written(path, LINES) + b"x" * 5000)
    journal = Journal(path)
    assert journal.read().is_whole
    journal.append(LEFT, is_synced=False)
    assert Journal(path).read() == Read(latest([*LINES, LEFT]), is_whole=True)
    assert path.stat().st_size < 5000 + len(written(tmp_path / "other", LINES))


def test_torn_in_its_head_it_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = written(path, [])
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert Journal(path).read() == Read({}, is_whole=False)


def test_a_flipped_bit_costs_its_line_and_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = written(path, LINES)
    for position in range(len(content)):
        harmed = bytearray(content)
        harmed[position] ^= 1 << position % 8
        path.write_bytes(harmed)
        # Without the end of the last line it looks as a crash would leave it.
        is_last = position == len(content) - 1
        harmed_lines = {content[:stop].count(b"\n") - 1 for stop in (position, position + 1)}
        left = [it for number, it in enumerate(LINES) if number not in harmed_lines]
        assert Journal(path).read() == Read(latest(left), is_whole=is_last), position


def test_a_bad_line_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lines = written(path, LINES).splitlines(keepends=True)
    for bad in (b"\n", b"nonsense\n", b"\x00" * 4096 + b"\n", b"\xff\xfe\n", b"00000000 \n", lines[2][:50] + b"\n"):
        path.write_bytes(b"".join([*lines[:3], bad, *lines[3:]]))
        assert Journal(path).read() == Read(latest([DONE, SENT, LEFT]), is_whole=False)


def test_a_line_with_a_right_checksum_that_is_no_recording_is_bad(tmp_path: Path) -> None:
    """Written by a newer gateway, for one."""
    path = tmp_path / "journal"
    content = written(path, [LEFT])
    for document in (b"{}", b"[]", b'{"sha256": 5}'):
        line = b"%08x %b\n" % (zlib.crc32(document), document)
        path.write_bytes(content + line)
        assert Journal(path).read() == Read(latest([LEFT]), is_whole=False)


@given(st.binary(max_size=300), st.integers(0, 10_000))
def test_no_bytes_are_too_strange_to_be_read(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "noise"
    content = written(path, LINES)
    position = at % (len(content) + 1)
    path.write_bytes(content[:position] + noise + content[position:])
    journal = Journal(path)
    assert set(journal.read().recordings) <= {sha256_of(number) for number in range(3)}
    journal.append(DONE, is_synced=False)
    assert Journal(path).read().recordings[DONE.sha256] == DONE
    journal.rewrite([DONE])
    assert journal.read() == Read(latest([DONE]), is_whole=True)


def is_long(journal: Journal) -> bool:
    """A call, so that it is not taken for what it was before."""
    return journal.is_long


def test_it_is_written_anew_when_most_of_it_is_of_the_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not again and again where all of it is needed."""
    path = tmp_path / "journal"
    size = len(written(path, LINES))
    monkeypatch.setattr(journal_module, "COMPACTED_BYTES", size - 1)
    journal = Journal(path)
    journal.read()
    assert is_long(journal)
    journal.rewrite(LINES)
    while path.stat().st_size <= 2 * size:
        assert not is_long(journal)
        journal.append(LEFT, is_synced=False)
    assert is_long(journal)
    journal.rewrite([LEFT])
    assert not is_long(journal)
    assert [it.name for it in tmp_path.iterdir()] == ["journal"]


def test_who_cuts_it_off_behind_our_back_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = written(path, LINES)
    journal = Journal(path)
    journal.read()
    os.truncate(path, len(content) // 2)
    with pytest.raises(OSError, match="cut it off"):
        journal.append(LEFT, is_synced=False)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        journal.append(LEFT, is_synced=False)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError) as raised:
        journal.append(LEFT, is_synced=False)
    assert raised.value.errno == errno.ELOOP
    journal.rewrite([LEFT])
    assert not path.is_symlink()
    assert journal.read() == Read(latest([LEFT]), is_whole=True)


@pytest.mark.parametrize("is_synced", [True, False])
def test_what_must_survive_a_power_cut_is_flushed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_synced: bool
) -> None:
    written(tmp_path / "journal", [])
    journal = Journal(tmp_path / "journal")
    journal.read()
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_size))
    journal.append(DONE, is_synced=is_synced)
    assert flushed == ([(tmp_path / "journal").stat().st_size] if is_synced else [])


@pytest.mark.parametrize(("owner", "step"), [(os, "open"), (os, "pwrite"), (os, "fsync"), (Path, "rename")])
def test_a_rewriting_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, step: str
) -> None:
    path = tmp_path / "journal"
    written(path, LINES)
    journal = Journal(path)
    before = journal.read()

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, fail)
        with pytest.raises(OSError, match="broken"):
            journal.rewrite([])
    assert Journal(path).read() == before
    journal.append(LEFT, is_synced=False)
    assert journal.read() == before
    journal.rewrite([])
    assert [it.name for it in tmp_path.iterdir()] == ["journal"]


FULL = """
import errno, os, sys
from pathlib import Path
from gateway.uploads.keeping.journal import Journal
from tests.uploads.keeping.test_journal import DONE, LEFT, LINES, latest, written
folder = Path(sys.argv[1])
path = folder / "journal"
written(path, LINES)
journal = Journal(path)
journal.read()
lines = list(LINES)
ballast = folder / "ballast"
with ballast.open("wb", buffering=0) as file:
    while free := os.statvfs(folder).f_bavail - 3:
        file.write(bytes(4096))
count = 0
while True:
    try:
        journal.append(LEFT, is_synced=True)
    except OSError as error:
        print(errno.errorcode[error.errno])
        break
    count += 1
print(Journal(path).read().is_whole, Journal(path).read().recordings == latest(LINES))
try:
    journal.rewrite([DONE])
except OSError as error:
    print(errno.errorcode[error.errno])
print(Journal(path).read().recordings == latest(LINES))
ballast.unlink()
journal.append(DONE, is_synced=True)
print(Journal(path).read().is_whole)
journal.rewrite([DONE])
print(Journal(path).read().recordings == latest([DONE]), sorted(os.listdir(folder)))
"""


def test_on_a_full_disk_it_is_refused_and_stays_whole(tmp_path: Path) -> None:
    """Half a line, for which there was just room, is no harm."""
    root = Path(__file__).parent.parent.parent.parent
    disk = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"', str(tmp_path)]
    if subprocess.run([*disk, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    command = [*disk, sys.executable, "-c", FULL, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'codecs'}"}
    result = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "ENOSPC",
        "True True",
        "ENOSPC",
        "True",
        "True",
        "True ['journal']",
    ]

"""The snapshot of a planned restart: exact, consumed by whoever loads it, and all or nothing."""

import hashlib
import logging
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.log import told
from gateway.telemetry import snapshot
from gateway.telemetry.ring import Ring
from gateway.telemetry.snapshot import Saved, SavedChannel, load, save
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

EPOCH, SAVED_UTC_MS = "b75a67b57ad30e8f", 1_795_329_088_677
GAPS = {
    "newest_ms": 1_700_000_000_597,
    "gaps": [{"id": 1, "reason": "device_silent", "to_ms": None}],
    "holes": [[1, 2]],
}


def block(times: range) -> SampleBlock:
    """Rows whose latitude tells their time."""
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.LATITUDE] = np.array(times) / 1_000_000
    return SampleBlock(np.array(times, np.int64), values)


def ring_of(rows: int, capacity: int = 50) -> Ring:
    """A ring to which ten rows came at a time."""
    ring = Ring(1, capacity)
    for start in range(0, rows, 10):
        ring.append(block(range(100 * start, 100 * min(rows, start + 10), 100)))
    return ring


def channel_of(ring: Ring, serial_number: str = "SN-1") -> SavedChannel:
    """What is saved of a tracker with this ring."""
    return SavedChannel(serial_number, ring.ch, 4101, ring.dump(), GAPS, {"rows": ring.newest, "polls": 7})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the snapshot lies: in a folder that is not there yet."""
    return tmp_path / "state" / "snapshot"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said to the operator."""
    return [told(record) for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_file_is_gone_for_good_before_its_rows_are_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut must not bring it back."""
    synced: list[tuple[bool, bool]] = []
    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(7))])
    fsync = os.fsync

    def watched(file: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(file).st_mode), path.exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", watched)
    assert load(path) is not None
    assert synced == [(True, False)]


def test_what_was_saved_is_loaded(path: Path) -> None:
    rings = [ring_of(0), ring_of(7), ring_of(123)]
    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring, f"SN-{ring.newest}") for ring in rings])
    saved = load(path)
    assert saved is not None
    assert (saved.epoch, saved.saved_utc_ms) == (EPOCH, SAVED_UTC_MS)
    assert [channel.serial_number for channel in saved.channels] == ["SN-0", "SN-7", "SN-123"]
    for ring, channel in zip(rings, saved.channels, strict=True):
        assert (channel.ch, channel.device_id, channel.gaps) == (1, 4101, GAPS)
        assert channel.counters == {"rows": ring.newest, "polls": 7}
        restored = Ring.restore(1, 50, channel.ring)
        assert (restored.oldest, restored.newest, restored.newest_ms) == (ring.oldest, ring.newest, ring.newest_ms)
        held, expected = restored.between(0, 2**44), ring.between(0, 2**44)
        np.testing.assert_array_equal(held.t_ms, expected.t_ms)
        np.testing.assert_array_equal(held.values, expected.values)


def test_loading_consumes_the_file(path: Path) -> None:
    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(30))])
    assert load(path) is not None
    assert list(path.parent.iterdir()) == []
    assert load(path) is None


def test_the_file_is_gone_before_its_content_is_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens while it is read, no later start finds it again."""

    def look(_: object) -> Saved:
        assert not path.exists()
        raise ValueError

    save(path, EPOCH, SAVED_UTC_MS, [])
    monkeypatch.setattr(snapshot, "_read", look)
    assert load(path) is None
    assert not path.exists()


def test_where_nothing_was_left_a_fresh_start_is_nothing_to_speak_of(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(path) is None
    assert warnings_of(caplog) == []


def test_only_its_owner_can_read_it(path: Path) -> None:
    """Heart rates are health data."""
    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(30))])
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_later_snapshot_takes_the_place_of_an_earlier_one_and_of_one_unfinished(path: Path) -> None:
    save(path, "earlier", SAVED_UTC_MS, [channel_of(ring_of(30))])
    path.with_name("snapshot.tmp").write_bytes(b"unfinished")
    save(path, "later", SAVED_UTC_MS, [])
    assert [file.name for file in path.parent.iterdir()] == ["snapshot"]
    saved = load(path)
    assert saved is not None
    assert saved.epoch == "later"


def test_rings_are_asked_for_one_after_another(path: Path) -> None:
    """So that their copies are never in memory together."""
    sizes = []

    def channels() -> Iterator[SavedChannel]:
        for _ in range(3):
            sizes.append(path.with_name("snapshot.tmp").stat().st_size)
            yield channel_of(ring_of(2000, 2000))

    save(path, EPOCH, SAVED_UTC_MS, channels())
    assert sizes[2] - sizes[1] >= 2000 * 32 - 8192  # what Python still buffers


def test_a_full_disk_costs_the_snapshot_and_not_the_stop(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An older snapshot is not left either: it would be taken for that of this stop."""
    save(path, "earlier", SAVED_UTC_MS, [])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(1000, 1000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(path.parent.iterdir()) == []
    (warning,) = warnings_of(caplog)
    assert warning == (
        f"What is in memory cannot be kept for the next start, because {path} cannot be written (OSError, EFBIG): "
        "clients will start fresh, and the past will be read from the cloud"
    )


def test_a_folder_that_cannot_be_made_costs_the_snapshot_and_not_the_stop(caplog: pytest.LogCaptureFixture) -> None:
    save(Path("/proc/nowhere/snapshot"), EPOCH, SAVED_UTC_MS, [])
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize("has_whole", [True, False])
def test_what_a_stop_that_was_cut_off_has_left_is_removed_at_the_next_start(path: Path, has_whole: bool) -> None:
    """Nobody would ever use it, and what an athlete has taken back would lie in it."""
    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(30))])
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_bytes(path.read_bytes()[:500])
    if not has_whole:
        path.unlink()
    assert (load(path) is not None) is has_whole
    assert list(path.parent.iterdir()) == []


def test_a_file_that_cannot_be_removed_is_not_used(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be found again by the start after this one, when its arrival numbers belong to other rows."""

    def refuse(_: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(30))])
    monkeypatch.setattr(Path, "unlink", refuse)
    assert load(path) is None
    (warning,) = warnings_of(caplog)
    assert warning == (
        f"What the last stop left in {path} cannot be read (PermissionError, EACCES): clients start fresh, "
        "and the past is read from the cloud"
    )


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    save(path, EPOCH, SAVED_UTC_MS, [])
    link = tmp_path / "link"
    link.symlink_to(path)
    assert load(link) is None
    assert path.exists()


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The bytes of a snapshot."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(60)), channel_of(ring_of(3))])
        return path.read_bytes()


def loaded(content: bytes) -> Saved | None:
    """What loading a file with this content gives."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot"
        path.write_bytes(content)
        saved = load(path)
        assert not path.exists()
        return saved


def test_a_file_of_another_form_is_refused(whole: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Its checksum is right: somebody wrote it on purpose, but not this version."""
    body = whole[: -snapshot._DIGEST_BYTES].replace(b"form 1", b"form 2")
    seal = hashlib.blake2b(body, digest_size=snapshot._DIGEST_BYTES).digest()
    assert loaded(body + seal) is None
    (warning,) = warnings_of(caplog)
    assert "is damaged, or was written by another version" in warning


def test_rows_of_another_layout_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, EPOCH, SAVED_UTC_MS, [channel_of(ring_of(30))])
    monkeypatch.setattr(snapshot, "_LAYOUT", "another")
    assert load(path) is None


@given(st.data())
def test_a_file_with_any_bit_wrong_is_refused(whole: bytes, data: st.DataObject) -> None:
    place, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(whole)
    damaged[place] ^= 1 << bit
    assert loaded(bytes(damaged)) is None


@given(st.data())
def test_a_file_cut_short_or_continued_is_refused(whole: bytes, data: st.DataObject) -> None:
    assert loaded(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    assert loaded(whole + data.draw(st.binary(min_size=1, max_size=100))) is None


@given(st.binary(max_size=200))
@example(b"")
def test_any_other_file_is_refused(content: bytes) -> None:
    assert loaded(content) is None

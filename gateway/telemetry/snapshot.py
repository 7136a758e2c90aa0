"""What a planned restart takes over: every row with its arrival number, so that clients go on exactly where they were.

The file is written at a clean stop and consumed by the next start: it is gone from the disk before a byte of it is
used. A gateway that dies later can therefore never come up again with arrival numbers that it has given to other rows
since.

It begins with a line that names its form; then come the packed rows of one channel after another; then everything
else, in msgpack, with the place of each channel's rows; then the length of that part and a checksum of all before it.
"""

import hashlib
import logging
import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from gateway.telemetry.ring import RingDump
from insiders_codecs.packing import ROW, Rows

_LOG = logging.getLogger(__name__)

_FORM = b"insiders-gateway snapshot, form 1\n"
"""Counts up whenever something in the file, or in what it keeps of rings and gaps, changes its meaning."""

_LENGTH = struct.Struct("<Q")
_DIGEST_BYTES = 32
_LAYOUT = str(ROW.descr)


class SavedChannel(msgspec.Struct, frozen=True, eq=False):
    """One tracker.

    Attributes:
        serial_number: Printed on the tracker.
        ch: Number of its channel.
        device_id: Its id in the cloud; None if it was not ours.
        ring: Its rows.
        gaps: What its gap tracker knows, as plain values.
        counters: What had happened to it.
    """

    serial_number: str
    ch: int
    device_id: int | None
    ring: RingDump
    gaps: dict[str, Any]
    counters: dict[str, int]


class Saved(msgspec.Struct, frozen=True, eq=False):
    """What the gateway knew when it stopped.

    Attributes:
        epoch: The epoch to go on with.
        saved_utc_ms: When it stopped, epoch ms.
        channels: Its channels.
    """

    epoch: str
    saved_utc_ms: int
    channels: list[SavedChannel]


def save(path: Path, epoch: str, saved_utc_ms: int, channels: Iterable[SavedChannel]) -> None:
    """Write a snapshot: all of it or none; a failure is logged, and no more, because the stop must go on.

    To be called synchronously at the end of a clean stop, when no row moves any more and nobody is served who could be
    kept waiting: a thread would only be waited for. Its price is 32 bytes per row.

    Args:
        path: Where to; its folder is made if it is not there.
        epoch: Of this run.
        saved_utc_ms: Now, epoch ms.
        channels: Each is written before the next is asked for, so that a generator never holds two copies of a ring.
    """
    unfinished = _unfinished(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in (unfinished, path):
            stale.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                _write(file, epoch, saved_utc_ms, channels)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_folder(path)
    except OSError as error:
        _LOG.warning(
            "What is in memory cannot be kept for the next start, because %(state_path)s cannot be written "
            "(%(error)s): clients will start fresh, and the past will be read from the cloud",
            {"state_path": path, "error": error},
        )


def load(path: Path) -> Saved | None:
    """Take what the last clean stop left, and remove it from the disk first, with what one that was cut off has left.

    Returns:
        What was saved; its rows are read from the file's pages as they are used. None if nothing was left, or nothing
        that can be relied on, which is logged.
    """
    try:
        _unfinished(path).unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            path.unlink()
            _sync_folder(path)
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _read(content)
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning(
            "What the last stop left in %(state_path)s cannot be read (%(error)s): clients start fresh, and the past "
            "is read from the cloud",
            {"state_path": path, "error": error},
        )
    except (ValueError, msgspec.DecodeError):  # mmap calls an empty file a ValueError
        _LOG.warning(
            "What the last stop left in %(state_path)s is damaged, or was written by another version: clients start "
            "fresh, and the past is read from the cloud",
            {"state_path": path},
        )
    return None


class _Index(msgspec.Struct):
    """The part of the file behind the rows."""

    layout: str
    epoch: str
    saved_utc_ms: int
    channels: list[msgspec.Raw]


def _write(file: BinaryIO, epoch: str, saved_utc_ms: int, channels: Iterable[SavedChannel]) -> None:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def put(data: bytes | memoryview) -> None:
        file.write(data)
        digest.update(data)

    def put_rows(rows: Rows) -> tuple[int, int]:
        place = file.tell()
        put(np.ascontiguousarray(rows).view(np.uint8).data)
        return place, len(rows)

    put(_FORM)
    encoder = msgspec.msgpack.Encoder(enc_hook=put_rows)
    index = _Index(_LAYOUT, epoch, saved_utc_ms, [msgspec.Raw(encoder.encode(channel)) for channel in channels])
    encoded = msgspec.msgpack.encode(index)
    put(encoded)
    put(_LENGTH.pack(len(encoded)))
    file.write(digest.digest())


def _read(content: mmap.mmap) -> Saved:
    """Raises ValueError or DecodeError if the content is not, to the last bit, what `_write` has written."""
    view = memoryview(content)
    body, digest = view[:-_DIGEST_BYTES], view[-_DIGEST_BYTES:]
    if body[: len(_FORM)] != _FORM or hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise ValueError(_FORM)
    end = len(body) - _LENGTH.size
    (length,) = _LENGTH.unpack(body[end:])
    index = msgspec.msgpack.decode(body[end - length : end], type=_Index)
    if index.layout != _LAYOUT:
        raise ValueError(index.layout)

    def rows_at(_: type, place: tuple[int, int]) -> Any:
        return np.frombuffer(body, ROW, place[1], place[0])

    decoder = msgspec.msgpack.Decoder(SavedChannel, dec_hook=rows_at)
    return Saved(index.epoch, index.saved_utc_ms, [decoder.decode(channel) for channel in index.channels])


def _unfinished(path: Path) -> Path:
    """Where it is as long as it is being written."""
    return path.with_name(path.name + ".tmp")


def _sync_folder(path: Path) -> None:
    """Make what was done to a file's name last."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

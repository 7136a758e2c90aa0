"""The recordings in the store: a row for each, with a checksum, because SQLite has none."""

import zlib
from collections.abc import Iterable, Mapping

import msgspec

from gateway.store import Connection
from gateway.uploads.recording import Recording

SCHEMA = """
CREATE TABLE IF NOT EXISTS recording (
    sha256 TEXT NOT NULL PRIMARY KEY,
    document BLOB NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;
"""

# Where a bit has flipped, neither text nor types are what they were declared to be.
_SELECT = "SELECT CAST(sha256 AS BLOB), CAST(document AS BLOB), checksum FROM recording"


def read(connection: Connection) -> tuple[Mapping[str, Recording], frozenset[str]]:
    """All of them.

    Returns:
        Those that are unharmed, by SHA-256; and of the others what stands for it.
    """
    recordings: dict[str, Recording] = {}
    damaged: set[str] = set()
    for row in connection.execute(_SELECT):
        recording = _decoded(*row)
        if recording is None:
            damaged.add((row[0] or b"").decode(errors="replace"))
        else:
            recordings[recording.sha256] = recording
    return recordings, frozenset(damaged)


def get(connection: Connection, sha256: str) -> Recording | None:
    """One of them; None if it is not there, or damaged."""
    row = connection.execute(f"{_SELECT} WHERE sha256 = ?", (sha256,)).fetchone()
    return None if row is None else _decoded(*row)


def put(connection: Connection, recordings: Iterable[Recording]) -> None:
    """Write these, whatever was there of them."""
    for recording in recordings:
        document = msgspec.json.encode(recording)
        row = (recording.sha256, document, zlib.crc32(document))
        connection.execute("INSERT OR REPLACE INTO recording VALUES (?, ?, ?)", row)


def clear(connection: Connection) -> None:
    """Delete all of them."""
    connection.execute("DELETE FROM recording")


def _decoded(key: bytes | None, document: bytes | None, checksum: object) -> Recording | None:
    if key is None or document is None or checksum != zlib.crc32(document):
        return None
    try:
        recording = msgspec.json.decode(document, type=Recording)
    except ValueError:
        return None
    return recording if recording.sha256.encode() == key else None

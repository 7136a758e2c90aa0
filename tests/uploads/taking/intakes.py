"""An intake with what it needs, and something to take over, for tests."""

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.store import StoreError
from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import Recording
from gateway.uploads.taking.intake import Intake, TakeError, Untakeable
from gateway.uploads.taking.sources import OpenSource
from tests.uploads.taking.looking import look_at

MB = 1 << 20
MAX_BYTES = 8 * MB
NOW_MS = 1_700_000_000_000
CONTENT = b"ASI\x00\x01\x02\x03\x04\x05ASI V2\x00" + bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Rows:
    """What is written down, and what is to happen at that moment."""

    def __init__(self, trouble: StoreError | None = None) -> None:
        self.recordings: dict[str, Recording] = {}
        self.trouble = trouble
        self.before: Callable[[], None] = lambda: None

    async def taken(self, sha256: str, change: Callable[[Recording | None], Recording]) -> Recording:
        self.before()
        self.recordings[sha256] = change(self.recordings.get(sha256))
        return self.recordings[sha256]


def put(inbox: Path, content: bytes = CONTENT, name: str = "monday.asi") -> OpenSource:
    (inbox / name).write_bytes(content)
    return OpenSource(inbox, look_at(inbox, name))


def left(spool: Spool) -> set[str]:
    return {path.name for path in spool.folder.iterdir()} - {"ballast"}


async def stream(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def refused(intake: Intake, source: OpenSource, code: Untakeable) -> TakeError:
    with pytest.raises(TakeError) as told:
        await intake.take_file(source, name="monday.asi", serial_number=None, span=None)
    assert told.value.code is code
    return told.value

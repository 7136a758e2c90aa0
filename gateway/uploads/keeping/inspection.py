"""Reads every file of the spool, and compares it with its name and with what is known of it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from gateway.uploads.keeping.recovery import Finding, inspected, sentence
from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import Recording
from gateway.uploads.report import RebuiltReport
from gateway.worker import Worker


class Ledger(Protocol):
    """What is known of the recordings."""

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """All of them, by SHA-256."""

    async def taken(self, sha256: str, change: Callable[[Recording | None], Recording]) -> Recording:
        """Change one of them, which may be unknown."""


async def inspect(ledger: Ledger, spool: Spool, worker: Worker, now_ms: int) -> RebuiltReport:
    """Set right what is not as was thought.

    Args:
        ledger: What was thought.
        spool: What is there.
        worker: In whose thread it is read.
        now_ms: Epoch ms.

    Raises:
        OSError: If the spool cannot be read, or what was found not be written down.
    """
    known = dict(ledger.recordings)
    found = await worker.run(spool.open)
    findings: Counter[Finding] = Counter()
    for sha256 in sorted({*known, *found.files}):
        if (finding := await _inspect(ledger, sha256, spool, worker, now_ms)) is not None:
            findings[finding] += 1
    return RebuiltReport(
        files=len(found.files),
        recovered=findings[Finding.UNKNOWN] + findings[Finding.BACK],
        missing=findings[Finding.MISSING],
        corrupt=findings[Finding.CORRUPT],
        strays=found.strays,
        text=_told(len(found.files), sentence(findings)),
    )


def _told(files: int, findings: str) -> str:
    return f"{'1 file was' if files == 1 else f'{files} files were'} read: {findings or 'all is as it should be'}"


async def _inspect(ledger: Ledger, sha256: str, spool: Spool, worker: Worker, now_ms: int) -> Finding | None:
    before = ledger.recordings.get(sha256)
    size, is_right = await _read(spool, sha256, worker)
    if before is None and size is None:
        return None
    finding: Finding | None = None

    def look(known: Recording | None) -> Recording:
        nonlocal finding
        finding = None
        # What has become something else meanwhile may have another file, too.
        if known is not None and known != before:
            return known
        recording, finding = inspected(known, sha256, size, now_ms, is_right=is_right)
        return recording

    await ledger.taken(sha256, look)
    return finding


async def _read(spool: Spool, sha256: str, worker: Worker) -> tuple[int | None, bool]:
    """How long a file is, None if there is none, and whether it has the bytes by which it is named.

    Others have their turns between its blocks: all of a large file may take a card minutes.
    """
    size, digest = 0, hashlib.sha256()
    try:
        size = (await worker.run(spool.path(sha256).stat)).st_size
        blocks = spool.blocks(sha256)
        while await worker.run(lambda: _pass_next(blocks, digest.update)):
            pass
    except FileNotFoundError:
        return None, False
    except OSError:
        return size, False
    return size, digest.hexdigest() == sha256


def _pass_next(blocks: Iterator[bytes], take: Callable[[bytes], None]) -> bool:
    block = next(blocks, b"")
    take(block)
    return bool(block)

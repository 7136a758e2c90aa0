"""An inbox that runs, with the real intake, spool and ledger behind it; and the same without privileges.

As a program, `python -m tests.uploads.taking.dropping FOLDER` plays as an ordinary user what root cannot: files that
belong to others, folders that may not be looked into, or not written. It prints what became of them as JSON.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path

from gateway.store import open_store
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import Recording
from gateway.uploads.report import InboxReport
from gateway.uploads.taking.inbox import Inbox
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.naming import Known
from gateway.worker import Worker
from tests.endurance.world import VirtualLoop
from tests.fakes.disk import disk_takes_no_time

START_MS = 1_795_000_000_000
KNOWN = (Known("012345", "864475041000000"), Known("SIM-0002"))
MB = 1_000_000
NOBODY = 65534


def asi(kb: int = 20, seed: int = 0) -> bytes:
    """What begins as a recording does; made up."""
    return b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2" + hashlib.shake_128(b"%d" % seed).digest(kb * 1000)


def utc_ms() -> int:
    """The wall clock of the loop."""
    return START_MS + round(asyncio.get_running_loop().time() * 1000)


@dataclass
class Bench:
    """What the tests look at and turn."""

    folder: Path
    inbox: Inbox
    ledger: Ledger
    spool: Spool
    worker: Worker
    beats: list[float] = field(default_factory=list)

    @property
    def recordings(self) -> Sequence[Recording]:
        return tuple(self.ledger.recordings.values())

    @property
    def waiting(self) -> dict[str, InboxReport]:
        return {report.name: report for report in self.inbox.waiting}

    def trouble(self) -> str:
        """What is wrong with the inbox, and what to do; "" if nothing is."""
        trouble = self.inbox.trouble
        return "" if trouble is None else str(trouble)

    def codes(self) -> dict[str, str]:
        return {name: report.code for name, report in self.waiting.items()}

    def drop(self, name: str, content: bytes) -> Path:
        """As `cp` into it, but at once."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def content(self, recording: Recording) -> bytes:
        return self.spool.path(recording.sha256).read_bytes()


@asynccontextmanager
async def dropping(
    top: Path,
    *,
    folder: Path | None = None,
    pattern: str | None = None,
    max_bytes: int = 100 * MB,
    spool_bytes: int = 1 << 40,
    is_watched: bool = False,
    is_virtual: bool = True,
    intake_class: type[Intake] = Intake,
) -> AsyncIterator[Bench]:
    """An inbox that runs below a folder; nothing that waits for a disk takes any of the loop's time."""
    if is_virtual:
        disk_takes_no_time()
    worker = Worker("inbox")
    async with open_store(top / "state", [SCHEMA]) as store, asyncio.TaskGroup() as tasks:
        spool = Spool(top / "state/recordings", spool_bytes, 4096, 0)
        ledger = Ledger(store, spool, worker, utc_ms)
        await ledger.load()
        intake = intake_class(spool, ledger, worker, max_bytes, utc_ms)
        inbox = Inbox(folder or top / "inbox", intake, KNOWN, pattern, worker, utc_ms, zone=UTC, is_watched=is_watched)
        bench = Bench(inbox.folder, inbox, ledger, spool, worker)
        running = tasks.create_task(inbox.run(lambda: bench.beats.append(asyncio.get_running_loop().time())))
        try:
            await asyncio.sleep(0.5)
            yield bench
        finally:
            running.cancel()
            worker.close()


async def _without_privileges(top: Path) -> dict[str, object]:
    copier = (top / "inbox/copied.asi").open("wb", buffering=0)
    for name in ("closed", "foreign"):
        (top / "inbox" / name).mkdir()
    (top / "inbox/foreign/kept.asi").write_bytes(asi(seed=2))
    (top / "inbox/closed/unseen.asi").write_bytes(asi(seed=3))
    (top / "inbox/secret.asi").write_bytes(asi(seed=4))
    (top / "inbox/secret.asi").chmod(0o600)
    (top / "inbox/closed").chmod(0o700)
    copier.write(asi()[:10_000])
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    async with dropping(top) as bench:
        await asyncio.sleep(30)
        paused = bench.codes()
        copier.write(asi()[10_000:])
        copier.close()
        await asyncio.sleep(39)
        resting = bench.codes()
        await asyncio.sleep(3600)
        return {
            "paused": paused,
            "resting": resting,
            "left": {name: [it.code, it.text, it.action] for name, it in bench.waiting.items()},
            "taken": {recording.name: [recording.sha256, len(recording.sources)] for recording in bench.recordings},
        }


def main() -> None:
    """Play it."""
    os.umask(0o022)
    top = Path(sys.argv[1])
    top.chmod(0o777)
    (top / "inbox").mkdir()
    (top / "inbox").chmod(0o777)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        json.dump(runner.run(_without_privileges(top)), sys.stdout)


if __name__ == "__main__":
    main()

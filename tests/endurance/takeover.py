"""What takes recordings over, without the rest of the gateway: lives that disks and kills are tried on."""

import asyncio
import hashlib
import logging
import random
import threading
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.store import Store, open_store
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import Recording, State
from gateway.uploads.taking.intake import Intake, TakeError, Taken
from gateway.uploads.taking.sources import OpenSource
from gateway.worker import Worker
from tests.uploads.taking.looking import look_at

TRACKER = "012345"
BALLAST_BYTES = 256 << 10
TAKEN = ("taken", "taken at the second try")
LONGEST_S, OFTEN_S = 30.0, 0.05
MENDINGS = 2
SAFE = frozenset({State.QUEUED, State.UNASSIGNED})


@dataclass(frozen=True, slots=True)
class House:
    """The parts, each with its thread.

    Attributes:
        store: The rows; opened.
        spool: The files.
        ledger: What is known; not loaded yet.
        intake: The way in.
        ledger_worker: Looks at the spool.
        intake_worker: Copies.
    """

    store: Store
    spool: Spool
    ledger: Ledger
    intake: Intake
    ledger_worker: Worker
    intake_worker: Worker

    async def take(self, inbox: Path, name: str) -> Taken:
        """Take over one file of the inbox; raises `TakeError`."""
        source = OpenSource(inbox, look_at(inbox, name))
        return await self.intake.take_file(source, name=name, serial_number=TRACKER, span=None)


@asynccontextmanager
async def house(state: Path, intake_worker: Worker | None = None) -> AsyncIterator[House]:
    """One life in a state folder."""
    ledger_worker, intake_worker = Worker("ledger"), intake_worker or Worker("intake")
    async with open_store(state, [SCHEMA]) as store:
        spool = Spool(state / FOLDER, 1 << 60, BALLAST_BYTES, 0)
        ledger = Ledger(store, spool, ledger_worker, utc_ms)
        intake = Intake(spool, ledger, intake_worker, 1 << 30, utc_ms)
        try:
            yield House(store, spool, ledger, intake, ledger_worker, intake_worker)
        finally:
            intake_worker.close()
            ledger_worker.close()


def content(draw: random.Random, size: int) -> bytes:
    """A recording that is no other one."""
    return b"ASI\x00\x00\x00\x00\x00\x00ASI V2\x00" + draw.randbytes(max(size - 16, 0))


def deliver(inbox: Path, data: bytes) -> str:
    """Put it into the inbox under its hash, which is returned."""
    sha256 = hashlib.sha256(data).hexdigest()
    (inbox / sha256).write_bytes(data)
    return sha256


def waiting(inbox: Path) -> set[str]:
    """The recordings that lie in the inbox, whole."""
    return {path.name for path in inbox.iterdir() if hashlib.sha256(path.read_bytes()).hexdigest() == path.name}


async def kept(state: Path) -> Mapping[str, Recording]:
    """The recordings that are there after a start: a file with every byte of it, and written down as yet to be sent."""
    async with house(state) as it:
        await it.ledger.load()
        assert it.ledger.trouble is None, it.ledger.trouble
        assert it.ledger.damage is None, f"there is no damage: {it.ledger.damage}"
        for sha256, recording in it.ledger.recordings.items():
            assert recording.state in SAFE, f"what was taken over is {recording.state}"
            content = it.spool.path(sha256).read_bytes()
            assert hashlib.sha256(content).hexdigest() == sha256, "what was taken over is not what it was"
        return dict(it.ledger.recordings)


async def take_rest(state: Path, inbox: Path, expected: Collection[str]) -> None:
    """With a disk that works, everything comes in, and nothing remains."""
    async with house(state) as it:
        await it.ledger.load()
        for name in sorted(path.name for path in inbox.iterdir()):
            assert (await it.take(inbox, name)).is_source_gone
        # What the journal was to become, should that have failed, lies there until it is tried again.
        files = {path.name for path in it.spool.folder.iterdir()} - {"journal.new"}
        assert files == {f"{sha256}.asi" for sha256 in expected} | {"ballast", "journal"}, files
    assert set(await kept(state)) == set(expected)


def live(folder: Path, up: Connection) -> None:
    """One life: it tells its threads, and takes what is in the inbox, telling what became of each.

    It waits for a word before it begins, and for one more before each.
    """
    logging.disable()
    asyncio.run(_live(folder, up))


async def _live(folder: Path, up: Connection) -> None:
    inbox = folder / "inbox"
    async with house(folder / "state") as it:
        up.send(
            {
                "intake": await it.intake_worker.run(threading.get_native_id),
                "ledger": await it.ledger_worker.run(threading.get_native_id),
                "store": await it.store.read(lambda _: threading.get_native_id()),
            }
        )
        await asyncio.to_thread(up.recv)
        await it.ledger.load()
        for name in sorted(path.name for path in inbox.iterdir()):
            await asyncio.to_thread(up.recv)
            up.send((name, await _taken(it, inbox, name)))
        await asyncio.Event().wait()


async def _taken(it: House, inbox: Path, name: str) -> str:
    said = ""
    for end in TAKEN:
        try:
            await it.take(inbox, name)
        except TakeError as error:
            said = f"refused ({error.code})"
            for _ in range(MENDINGS):
                await _wait_for_answer(it.store)
                await it.ledger.mend()
        else:
            return end
    return said


async def _wait_for_answer(store: Store) -> None:
    """SQLite itself tries for ten seconds, where it cannot lock."""
    async with asyncio.timeout(LONGEST_S):
        while store.trouble is not None and "does not answer" in store.trouble.text:
            await asyncio.sleep(OFTEN_S)


def utc_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000

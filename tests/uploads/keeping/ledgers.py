"""A ledger with everything that it needs, for tests."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from gateway.store import DATABASE, Store, StoreError, open_store
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import Recording, State
from gateway.worker import Worker
from tests.uploads.keeping.stages import content, history, sha256_of

NOW_MS = 1000


class Kept(NamedTuple):
    """One life of a ledger."""

    ledger: Ledger
    store: Store
    spool: Spool
    worker: Worker

    def put_file(self, number: int) -> str:
        """Take a file over, without anything being known of it."""
        with self.spool.part(len(content(number))) as part:
            part.write(content(number))
            return part.commit()

    async def take(self, number: int, state: State = State.QUEUED) -> Recording:
        """Let a recording come in and get into a state, step by step."""
        self.put_file(number)
        for it in history(number, state):
            await self.put(it)
        return self.ledger.recordings[sha256_of(number)]

    def trouble(self) -> StoreError | None:
        """Why nothing can be changed now."""
        return self.ledger.trouble

    def damage(self) -> StoreError | None:
        """What people are told now of what was lost."""
        return self.ledger.damage

    async def put(self, recording: Recording) -> None:
        """Let a recording become this, whatever it was."""
        await self.ledger.taken(recording.sha256, lambda _: recording)

    @property
    def states(self) -> list[State]:
        """Of all recordings, in the order in which the tests number them."""
        return [
            self.ledger.recordings[sha].state for sha in map(sha256_of, range(100)) if sha in self.ledger.recordings
        ]


@asynccontextmanager
async def opened(folder: Path, *, ballast_bytes: int = 4096) -> AsyncIterator[Kept]:
    """A ledger that has read what is there."""
    worker = Worker("spool")
    try:
        async with open_store(folder, [SCHEMA]) as store:
            spool = Spool(folder / FOLDER, 1 << 40, ballast_bytes, 0)
            kept = Kept(Ledger(store, spool, worker, lambda: NOW_MS), store, spool, worker)
            await kept.ledger.load()
            yield kept
    finally:
        worker.close()


def sql(folder: Path, *statements: str) -> None:
    """Do something to the database behind the gateway's back."""
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def break_database(kept: Kept) -> None:
    """As it is with a disk that cannot be written: the next one who tries finds out."""
    await kept.store.read(lambda connection: connection.execute("PRAGMA query_only = ON").fetchall())

"""An uploader in front of the simulated cloud over HTTP, with a store, journal and spool on disk, in virtual time."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import cast

from gateway.cloud.client import CloudClient, open_cloud
from gateway.secret import Secret
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, RunningCloud
from gateway.store import Store, StoreError, open_store
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import Recording, Source, Span, State, Way
from gateway.uploads.sending.uploader import Options, Uploader
from gateway.uploads.transitions import retried, taken
from gateway.worker import Worker
from tests.fakes.clouds import simulation, wall_ms
from tests.fakes.disk import Disk

__all__ = ["Bringing", "Ours", "asi", "bringing", "living", "simulation", "wall_ms"]

LONG_TURN_S = 8.0
"""How often the uploader looks in tests of hours."""

LOOKUP = Options(is_lookup=True)


def asi(size: int = 2000, seed: int = 0) -> bytes:
    """A recording that is none."""
    head = b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2 synthetic %d " % seed
    noise = hashlib.shake_256(head).digest(max(0, size - len(head)))
    return (head + noise)[:size]


@dataclass
class Ours:
    """Which trackers are ours, and how often somebody has doubted that."""

    ids: dict[str, int] = field(default_factory=dict)
    rechecks: int = 0

    def device_id(self, serial_number: str) -> int | None:
        return self.ids.get(serial_number)

    def recheck(self) -> None:
        self.rechecks += 1


class TroubledDisk(Disk):
    """The store, which also says what is wrong with it.

    Attributes:
        told: What.
    """

    told: StoreError | None = None

    def dies_before(self, writes: int) -> None:
        """Let so many writes pass, and be dead from then on."""

        def live() -> None:
            pass

        def die() -> None:
            self.is_dead = True

        self.acts["before disk"] = [*[live] * writes, die]

    @property
    def trouble(self) -> StoreError | None:
        return self.told or super().trouble

    @property
    def openings(self) -> int:
        return self._store.openings


class HeardLedger(Ledger):
    """One of which every change can be waited for.

    Attributes:
        counted: Set with the next change; another one after it.
    """

    counted: asyncio.Event

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "revision":
            if value:
                self.counted.set()
            self.counted = asyncio.Event()


@dataclass
class Bringing:
    """One life of a gateway that brings recordings into the cloud.

    Attributes:
        beats: When the uploader has beaten.
    """

    cloud: SimulatedCloud
    client: CloudClient
    disk: TroubledDisk
    spool: Spool
    ledger: HeardLedger
    ours: Ours
    uploader: Uploader
    beats: list[float] = field(default_factory=list)

    def serial(self, place: int = 0) -> str:
        return self.cloud.devices[place].serial_number

    def faults(self, **knobs: object) -> None:
        self.cloud.faults = self.cloud.faults.merged(knobs)

    async def put(self, content: bytes, place: int | None = 0, span: Span | None = None, name: str = "a.asi") -> str:
        """Take a recording over."""
        with self.spool.part(len(content)) as part:
            part.write(content)
            sha256 = part.commit()
            source = Source(Way.INBOX, name, wall_ms())
            serial = None if place is None else self.serial(place)
            new = taken(sha256, len(content), source, serial_number=serial, span=span)
            await self.ledger.taken(sha256, lambda _: new)
        return sha256

    def __getitem__(self, sha256: str) -> Recording:
        return self.ledger.recordings[sha256]

    def state(self, sha256: str) -> State:
        return self[sha256].state

    async def until(self, sha256: str, *states: State, within_s: float = 600.0) -> Recording:
        """Wait until a recording is in one of these states."""
        async with asyncio.timeout(within_s):
            while self.state(sha256) not in states:
                await self.ledger.counted.wait()
        return self[sha256]

    async def passing(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def happened(self, fate: str, times: int, within_s: float = 3600.0) -> None:
        """Wait until uploads have ended so often in this way."""
        async with asyncio.timeout(within_s):
            while self.fates[fate] < times:
                await asyncio.sleep(0.05)

    async def happened_status(self, status: int, times: int, within_s: float = 3600.0) -> None:
        """Wait until the cloud has answered so often with this status."""
        async with asyncio.timeout(within_s):
            while self.cloud.statuses[status] < times:
                await asyncio.sleep(0.05)

    async def retry(self, sha256: str) -> None:
        """A person wants it to be sent."""
        await self.ledger.change(sha256, lambda known: retried(known, "Kim", wall_ms()))
        self.uploader.retry(sha256)

    def accepted(self, sha256: str) -> int:
        """How often the cloud has taken it."""
        return self.cloud.jobs.accepted(sha256)

    @property
    def fates(self) -> Counter[str]:
        return self.cloud.jobs.fates

    @property
    def uploads(self) -> int:
        """Requests to upload that have reached the cloud."""
        return self.cloud.requests["load_asi"]


@asynccontextmanager
async def living(
    cloud: SimulatedCloud,
    served: RunningCloud,
    folder: Path,
    options: Options | None = None,
    *,
    zone: tzinfo = UTC,
    utc_ms: Callable[[], int] = wall_ms,
    is_clock_sure: Callable[[], bool] = lambda: True,
    jitter: Callable[[], float] = lambda: 0.5,
) -> AsyncIterator[Bringing]:
    """One life of a gateway; it ends as a power cut would end it, except for what SQLite has begun."""
    async with (
        open_store(folder, [SCHEMA]) as store,
        open_cloud(
            api_url=served.api_url,
            token_url=served.token_url,
            websocket_url=served.websocket_url,
            username=USERNAME,
            password=Secret(PASSWORD),
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
        ) as client,
    ):
        disk = TroubledDisk(store)
        worker = Worker("spool")
        spool = Spool(folder / FOLDER, 1 << 40, 4096, 0)
        ledger = HeardLedger(cast("Store", disk), spool, worker, utc_ms)
        await ledger.load()
        ours = Ours({device.serial_number: device.device_id for device in cloud.devices})
        uploader = Uploader(
            client, ledger, spool, worker, ours, options or Options(), utc_ms, zone, is_clock_sure, jitter
        )
        one = Bringing(cloud, client, disk, spool, ledger, ours, uploader)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(uploader.run(lambda: one.beats.append(loop.time())))
                try:
                    yield one
                finally:
                    task.cancel()
        finally:
            worker.close()


@asynccontextmanager
async def bringing(folder: Path, options: Options | None = None, **knobs: object) -> AsyncIterator[Bringing]:
    """A cloud and one life of a gateway."""
    async with simulation(2, **knobs) as (cloud, served), living(cloud, served, folder, options) as one:
        yield one

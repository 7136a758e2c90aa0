"""The life of a process that writes sensors as fast as it can, to be shot at by `tests.endurance.kills`."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.cloud.client import open_cloud
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.keeping import records as pairing_records
from gateway.pairing.keeping.records import Records
from gateway.pairing.observation import Air, Delivery, Ears, Match, Outage
from gateway.pairing.planning.plan import State
from gateway.pairing.reconciling.reconciler import Options, Reconciler
from gateway.secret import Secret
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME
from gateway.store import open_store

WAKE_S = 0.005

AT_REST = {State.AWAITING_DEVICE, State.IN_SYNC, State.UNMANAGED}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a life finds what it needs, and what it wants."""

    folder: str
    api_url: str
    token_url: str
    websocket_url: str
    serial_number: str
    device_id: int
    wish: int


class Nothing:
    """The rest of a gateway that has nothing to say."""

    def outage(self) -> Outage | None:
        return None

    def ears(self) -> Ears:
        return Ears()

    def air(self, _sensors: Collection[Sensor]) -> Mapping[str, Air]:
        return {}

    def delivery(self, _serial_number: str, _slot: Slot) -> Delivery:
        return Delivery.TRACKER_SILENT

    def contact_s(self, _serial_number: str) -> float | None:
        return None

    def session_until_s(self) -> float | None:
        return None

    def matches(self) -> Mapping[str, Match]:
        return {}


def strap(number: int) -> Sensor:
    """One of many."""
    return Sensor(f"a0:9e:1a:00:{number // 256 % 256:02x}:{number % 256:02x}", f"Polar H10 {number:08X}")


def live(place: Place, up: Connection) -> None:
    """One life: from its first breath, told through the connection, until it is shot."""
    asyncio.run(_live(place, up))


async def _live(place: Place, up: Connection) -> None:
    async with alive(place) as (reconciler, records):
        up.send(None)
        wish = place.wish
        while True:
            if reconciler.plan.trackers[place.serial_number].state in AT_REST:
                wish += 1
                await want(records, place, strap(wish))
            reconciler.wake()
            await asyncio.sleep(WAKE_S)


async def want(records: Records, place: Place, sensor: Sensor) -> None:
    """A person wants something else."""
    await records.set_desired({place.serial_number: Desired(heart_rate=sensor, at_ms=utc_ms())})


@asynccontextmanager
async def alive(place: Place) -> AsyncIterator[tuple[Reconciler, Records]]:
    """A reconciler that runs."""
    async with (
        open_store(Path(place.folder), [pairing_records.SCHEMA]) as store,
        open_cloud(
            api_url=place.api_url,
            token_url=place.token_url,
            websocket_url=place.websocket_url,
            username=USERNAME,
            password=Secret(PASSWORD),
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
        ) as cloud,
        asyncio.TaskGroup() as tasks,
    ):
        records, serial = Records(store), place.serial_number
        await records.load()
        reconciler = Reconciler(
            cloud, records, [serial], Nothing(), Options(), utc_ms, lambda: True, lambda _: None, lambda: 0.0
        )
        reconciler.assign({serial: place.device_id})
        running = tasks.create_task(reconciler.run(lambda: None))
        try:
            yield reconciler, records
        finally:
            running.cancel()


def utc_ms() -> int:
    """The wall clock, epoch ms."""
    return time.time_ns() // 1_000_000

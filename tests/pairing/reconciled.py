"""A reconciler in front of a simulated cloud over HTTP, with a real store on disk, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from gateway.cloud.client import CloudClient, open_cloud
from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Sensor, Slot, Wanted, document_of
from gateway.pairing.keeping import records as pairing_records
from gateway.pairing.keeping.records import Records
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Air, Delivery, Ears, Match, Outage
from gateway.pairing.planning.plan import State
from gateway.pairing.reconciling.reconciler import Options, Reconciler
from gateway.secret import Secret
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.pairings import PairingWrite
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, RunningCloud
from gateway.store import Store, open_store
from tests.fakes.clouds import simulation, wall_ms
from tests.fakes.disk import Disk, meddle

T = TypeVar("T")

STRAP = Sensor("a0:9e:1a:0f:0f:01", "Polar H10 0F0F0F01")
OTHER_STRAP = Sensor("a0:9e:1a:0f:0f:02", "Polar H10 0F0F0F02")
METER = Sensor("e8:fe:6e:0f:0f:01", "ASSIOMA0F0F1L")


@dataclass
class Told:
    """The rest of the gateway, as far as a test says something of it."""

    contacts: dict[str, float] = field(default_factory=dict)
    session_s: float | None = None

    def outage(self) -> Outage | None:
        return None

    def ears(self) -> Ears:
        return Ears()

    def air(self, _sensors: Collection[Sensor]) -> Mapping[str, Air]:
        return {}

    def delivery(self, _serial_number: str, _slot: Slot) -> Delivery:
        return Delivery.TRACKER_SILENT

    def contact_s(self, serial_number: str) -> float | None:
        return self.contacts.get(serial_number)

    def session_until_s(self) -> float | None:
        return self.session_s

    def matches(self) -> Mapping[str, Match]:
        return {}


class Meddler:
    """The client, and whatever a test lets happen right before or after one of its requests, the next time only.

    Attributes:
        acts: What, by moment: "before read", "after read", "before write", "after write".
        last_read: What was answered last, by device.
        on_write: Told of each write before it goes out.
        under_way, most_under_way: Requests, now and at the worst.
    """

    def __init__(self, client: CloudClient) -> None:
        self._client = client
        self.acts: dict[str, list[Callable[[], object]]] = {}
        self.last_read: dict[int, BluetoothConfig] = {}
        self.on_write: Callable[[int, PairingSet], None] = lambda _device_id, _change: None
        self.under_way = self.most_under_way = 0

    def at(self, moment: str, *acts: Callable[[], object]) -> None:
        """Do these, one each time."""
        self.acts.setdefault(moment, []).extend(acts)

    async def bluetooth_config(self, device_id: int) -> BluetoothConfig:
        async with self._request("read"):
            config = self.last_read[device_id] = await self._client.bluetooth_config(device_id)
            return config

    async def set_bluetooth_config(
        self,
        device_id: int,
        change: PairingSet,
        *,
        immediate_sending: bool = False,
        before_sending: Callable[[], None] = lambda: None,
    ) -> BluetoothConfig:
        def check() -> None:
            before_sending()
            self.on_write(device_id, change)

        async with self._request("write"):
            return await self._client.set_bluetooth_config(
                device_id, change, immediate_sending=immediate_sending, before_sending=check
            )

    @asynccontextmanager
    async def _request(self, kind: str) -> AsyncIterator[None]:
        await meddle(self.acts, f"before {kind}")
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            yield
        finally:
            self.under_way -= 1
            await meddle(self.acts, f"after {kind}")


@dataclass
class Bench:
    """What a test holds in its hands: a cloud that stays, and one life of a gateway."""

    cloud: SimulatedCloud
    client: CloudClient
    meddler: Meddler
    disk: Disk
    records: Records
    told: Told
    reconciler: Reconciler
    forbidden: list[str]

    def serial(self, place: int) -> str:
        return self.cloud.devices[place].serial_number

    def device_id(self, place: int) -> int:
        return self.cloud.devices[place].device_id

    def faults(self, **knobs: object) -> None:
        self.cloud.faults = self.cloud.faults.merged(knobs)

    async def want(self, place: int, **wanted: Wanted) -> None:
        """A technician wants something of a tracker."""
        before = self.records.desired.get(self.serial(place), Desired())
        desired = msgspec.structs.replace(before, **wanted, at_ms=wall_ms())
        await self.records.set_desired({self.serial(place): desired})
        self.reconciler.wake()

    def assign(self) -> None:
        """The trackers that are ours by now."""
        ours = self.cloud.accounts.ours.manager_id
        owned = {
            it.serial_number: it.device_id
            for it in self.cloud.devices
            if self.cloud.ownerships.owns(ours, it.device_id)
        }
        self.reconciler.assign(owned)

    def target(self, place: int) -> Document:
        """What the cloud really has."""
        return _document(self.cloud.bluetooth(self.device_id(place)).target)

    def current(self, place: int) -> Document:
        """What the cloud has been told by the tracker."""
        return _document(self.cloud.bluetooth(self.device_id(place)).current(self.cloud.now_ms()))

    def foreign(self, place: int, slot: Slot, sensor: Sensor | None) -> None:
        """Somebody else writes a target."""
        name = "pairing_1" if slot is Slot.HEART_RATE else "pairing_2"
        pairing = None if sensor is None else {"mac_address": sensor.address, "name": sensor.name}
        self.cloud.write_pairings(self.device_id(place), {name: pairing})

    def writes(self, place: int = 0) -> list[PairingWrite]:
        """Our writes that the cloud has done."""
        return [it for it in self.cloud.pairing_writes if it.device_id == self.device_id(place) and it.by == "us"]

    def state(self, place: int = 0) -> State:
        return self.reconciler.plan.trackers[self.serial(place)].state

    def memory(self, place: int = 0) -> Memory:
        return self.records.memories.get(self.serial(place), Memory())

    @property
    def reads(self) -> int:
        return self.cloud.requests["bluetooth_config"]

    @property
    def attempts(self) -> int:
        return self.cloud.requests["set_bluetooth_config"]


def is_never_blind(gateway: Bench) -> bool:
    """Whether each of our writes was preceded by a reading after the write before it."""
    return all(write.reads > 0 for write in gateway.cloud.pairing_writes if write.by == "us")


async def settled(gateway: Bench, state: State, place: int = 0, within_s: float = 200.0) -> None:
    """Wait until a tracker stands somewhere."""
    async with asyncio.timeout(within_s):
        while gateway.state(place) is not state:
            await asyncio.sleep(1)


@asynccontextmanager
async def living(
    cloud: SimulatedCloud,
    served: RunningCloud,
    folder: Path,
    options: Options | None = None,
    told: Told | None = None,
    jitter: Callable[[], float] = lambda: 0.5,
) -> AsyncIterator[Bench]:
    """One life of a gateway; it ends as a power cut would end it, except for what SQLite has begun."""
    async with (
        open_store(folder, [pairing_records.SCHEMA]) as store,
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
        disk = Disk(store)
        records, forbidden, around = Records(cast("Store", disk)), list[str](), told or Told()
        await records.load()
        roster = [device.serial_number for device in cloud.devices]
        meddler = Meddler(client)
        reconciler = Reconciler(
            meddler, records, roster, around, options or Options(), wall_ms, lambda: True, forbidden.append, jitter
        )
        bench = Bench(cloud, client, meddler, disk, records, around, reconciler, forbidden)
        bench.assign()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(reconciler.run(lambda: None))
            try:
                yield bench
            finally:
                task.cancel()


@asynccontextmanager
async def bench(
    folder: Path, trackers: int = 2, options: Options | None = None, **knobs: object
) -> AsyncIterator[Bench]:
    """A cloud and one life of a gateway."""
    async with simulation(trackers, **knobs) as (cloud, served), living(cloud, served, folder, options) as one:
        yield one


def _document(pairings: Mapping[str, Mapping[str, str]]) -> Document:
    slots: dict[str, Any] = {slot: Pairing(it["mac_address"], it["name"]) for slot, it in pairings.items()}
    return document_of(PairingSet(**slots))

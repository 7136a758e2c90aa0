"""A simulated cloud that stays, a reconciler that lives, dies and comes again, and what must hold whatever happens."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import get_args

import msgspec

from gateway.cloud.models import PairingSet
from gateway.pairing.desired import Basis, Desired
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish, document_of
from gateway.pairing.memory import Memory, Suspension
from gateway.pairing.observation import Mode
from gateway.pairing.planning.changes import approval_of
from gateway.pairing.planning.changes import living as valid
from gateway.pairing.planning.plan import State
from gateway.pairing.reconciling.reconciler import Options
from gateway.simulator.bluetooth import Obedience, Pairings
from gateway.simulator.cloud import NewOwner, SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import RunningCloud
from gateway.store import StoreError
from tests.fakes.clouds import simulation, wall_ms
from tests.pairing.reconciled import Bench, Told, living

TRACKERS = 3
STRAPS = tuple(Sensor(f"a0:9e:1a:0f:0f:0{number}", f"Polar H10 0F0F0F0{number}") for number in range(1, 5))
METERS = tuple(Sensor(f"e8:fe:6e:0f:0f:0{number}", f"ASSIOMA0F0F{number}L") for number in range(1, 4))
MOMENTS = ("before disk", "after disk", "before read", "after read", "before write", "after write")
OBEDIENCES: tuple[Obedience, ...] = get_args(Obedience)
AT_PEACE = {State.IN_SYNC, State.UNMANAGED}

SETTLED_S = 3600
"""How long a calm world may take until everything is as wanted: a write may have to wait for a back-off or two, and
each step of a handover for a tracker to be switched on."""


class Day:
    """One of them.

    Attributes:
        cloud: The simulated cloud.
        story: What has happened so far.
        problems: What must not have.
    """

    def __init__(self, cloud: SimulatedCloud, served: RunningCloud, folder: Path, mode: Mode, seed: int) -> None:
        self.cloud = cloud
        self.story: list[str] = []
        self.problems: list[str] = []
        self._served, self._folder, self._mode = served, folder, mode
        self._dice = random.Random(seed)
        self._told = Told()
        self._gateway: Bench | None = None
        self._is_up = asyncio.Event()
        self._killed = asyncio.Event()
        self._has_rivals = False
        self._seen_writes = 0

    async def live(self) -> None:
        """The gateway, life after life, until cancelled."""
        while True:
            self._killed.clear()
            async with living(
                self.cloud, self._served, self._folder, Options(self._mode), self._told, self._dice.random
            ) as self._gateway:
                self._gateway.meddler.on_write = self._is_sent
                self._is_up.set()
                await self._killed.wait()
                self._is_up.clear()
            self._note("the gateway is gone")
            await asyncio.sleep(self._dice.choice([0, 1, 30]))
            self._note("the gateway is back")

    async def gateway(self) -> Bench:
        """The gateway, as soon as there is one."""
        await self._is_up.wait()
        assert self._gateway is not None
        return self._gateway

    # --- what can happen ----------------------------------------------------------------------------------------------

    async def kill(self, moment: str, times: int) -> None:
        """The power goes when something comes to be done for the n-th time, or now."""
        gateway = await self.gateway()

        async def die() -> None:
            if gateway.disk.is_dead:
                return  # nobody dies twice
            self._note(f"killed {moment}")
            gateway.disk.is_dead = True
            self._killed.set()
            await asyncio.Event().wait()

        if moment == "now":
            gateway.disk.is_dead = True
            self._killed.set()
            return
        acts = gateway.disk.acts if "disk" in moment else gateway.meddler.acts
        acts[moment] = [*[lambda: None] * (times - 1), die]

    async def want(self, wishes: Mapping[int, Mapping[Slot, Wanted]], *, immediate: bool, basis: Basis) -> None:
        """A person wants something of some trackers."""
        gateway = await self.gateway()
        desired = {}
        for place, slots in wishes.items():
            serial = gateway.serial(place)
            before = gateway.records.desired.get(serial, Desired())
            wanted = {slot.value: sensor for slot, sensor in slots.items()}
            desired[serial] = msgspec.structs.replace(
                before, **wanted, is_immediate=immediate, basis=basis, is_bulk=len(wishes) > 1, at_ms=wall_ms()
            )
        await self._kept(gateway.records.set_desired(desired))

    async def agree(self) -> None:
        """A person agrees with all that is to change."""
        gateway = await self.gateway()
        fleet, plan = gateway.reconciler.fleet(), gateway.reconciler.plan
        changes = [change for one in plan.change_sets for change in one.changes]
        if changes:
            approval = approval_of(changes, fleet, "Kim", is_during_session=True)
            others = [known for known in valid(fleet) if known.hash != approval.hash]
            await self._kept(gateway.records.set_approvals((*others, approval)))

    async def let_go_on(self) -> None:
        """A person lets everything go on that was stopped, and tries again what has failed."""
        gateway = await self.gateway()
        for serial in map(gateway.serial, range(TRACKERS)):
            memory = gateway.records.memories.get(serial, Memory())
            freed = msgspec.structs.replace(
                memory, suspension=None, rival_since_ms=None, foreign_ms=memory.foreign_ms[-1:]
            )
            if self._mode is Mode.OBSERVE:  # nothing else leads away from drift there than to want the same again
                freed = msgspec.structs.replace(freed, drifted={})
            await self._kept(gateway.records.remember(serial, freed))
        await self._kept(gateway.records.set_pause(None))
        gateway.reconciler.retry(None)

    async def stop(self, place: int) -> None:
        """A person stops the writes to a tracker."""
        gateway = await self.gateway()
        memory = gateway.records.memories.get(gateway.serial(place), Memory())
        stopped = msgspec.structs.replace(memory, suspension=Suspension("Kim", "", wall_ms()))
        await self._kept(gateway.records.remember(gateway.serial(place), stopped))

    async def meddle(self, place: int, slot: Slot, sensor: Sensor | None, moment: str) -> None:
        """Somebody else writes a target, now or at a moment of ours."""
        self._has_rivals = True
        gateway = await self.gateway()
        if moment == "now":
            gateway.foreign(place, slot, sensor)
        else:
            gateway.meddler.at(moment, lambda: gateway.foreign(place, slot, sensor))

    async def move(self, place: int, to: NewOwner) -> None:
        """A tracker changes hands; that is found out a little later."""
        self.cloud.move(self.cloud.devices[place].device_id, to)
        await asyncio.sleep(self._dice.choice([0, 5]))
        (await self.gateway()).assign()

    def faults(self, **knobs: object) -> None:
        """Change some knobs of the cloud."""
        self.cloud.faults = self.cloud.faults.merged(knobs)

    async def calm(self) -> None:
        """All is well, everybody wants something that can be had, trackers are switched on: so it must come to be."""
        self.cloud.faults = Faults(initially_owned=TRACKERS)
        gateway = await self.gateway()
        gateway.meddler.acts.clear()
        gateway.disk.acts.clear()
        for device in self.cloud.devices:
            self.cloud.set_obedience(device.device_id, "at_start")
            if not self.cloud.ownerships.owns(self.cloud.accounts.ours.manager_id, device.device_id):
                self.cloud.move(device.device_id, "ours")
        gateway.assign()
        await self._leave_alone(gateway)
        straps, meters = self._dice.sample(STRAPS, TRACKERS), self._dice.sample([None, *METERS], TRACKERS)
        wishes = {
            place: {Slot.HEART_RATE: straps[place], Slot.POWER: meters[place] or Wish.NONE} for place in range(TRACKERS)
        }
        await self.want(wishes, immediate=False, basis=Basis.IMPORT)
        for _ in range(SETTLED_S // 60):
            await self.let_go_on()
            await asyncio.sleep(30)
            await self.agree()
            gateway.reconciler.wake()
            await asyncio.sleep(30)
            if all(gateway.state(place) is State.IN_SYNC for place in range(TRACKERS)):
                break
            for device in self.cloud.devices:
                self.cloud.restart(device.device_id)
        for place in range(TRACKERS):
            self._check_served(gateway, place, wishes[place])
        writes = len(self.cloud.pairing_writes)
        await asyncio.sleep(600)
        if len(self.cloud.pairing_writes) != writes:
            self._blame("something is written though all is as wanted")

    async def _leave_alone(self, gateway: Bench) -> None:
        """What is wanted becomes a new matter, whatever was refused before."""
        nothing = {serial: Desired(at_ms=wall_ms()) for serial in map(gateway.serial, range(TRACKERS))}
        await self._kept(gateway.records.set_desired(nothing))

    async def _kept(self, step: object) -> None:
        assert asyncio.iscoroutine(step)
        gateway = await self.gateway()
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(20):  # the power may go while the person waits
                await step
        gateway.reconciler.wake()

    # --- what must hold -----------------------------------------------------------------------------------------------

    def _is_sent(self, device_id: int, change: PairingSet) -> None:
        """Right before a write goes out."""
        assert self._gateway is not None
        gateway = self._gateway
        place = next(place for place, it in enumerate(self.cloud.devices) if it.device_id == device_id)
        serial = gateway.serial(place)
        desired = gateway.records.desired.get(serial, Desired())
        read = document_of(gateway.meddler.last_read[device_id].target)
        sent = document_of(change)
        intent = gateway.memory(place).intent
        if intent is None:
            self._blame(f"{serial}: a write that is not on the disk")
        elif any(it.fingerprint == intent.fingerprint for it in gateway.memory(place).refusals):
            self._blame(f"{serial}: what was refused is sent again")
        for slot in Slot:
            if desired[slot] is Wish.UNMANAGED and sent[slot] != read[slot]:
                self._blame(f"{serial}: a slot is written that is not managed")
            given = sent[slot]
            if given is not None and given != read[slot] and desired[slot] != given:
                self._blame(f"{serial}: what is written was not wanted")
            if given is not None and given != read[slot] and not self._has_rivals:
                self._check_free(place, given)

    def _check_free(self, place: int, given: Sensor) -> None:
        assert self._gateway is not None
        for other in set(range(TRACKERS)) - {place}:
            for document in (self._gateway.target(other), self._gateway.current(other)):
                if any(has is not None and has.address == given.address for has in (document[slot] for slot in Slot)):
                    self._blame(f"tracker {place} is given a sensor that tracker {other} has")

    def check(self) -> None:
        """After each step."""
        reads: dict[int, int | None] = {}
        for write in self.cloud.pairing_writes:
            known = reads.get(write.device_id)
            if write.by == "us" and known is not None and known + write.reads == 0:
                self._blame(f"device {write.device_id}: two writes and no look between them")
            if write.by == "us":
                reads[write.device_id] = 0
            elif known is not None:
                reads[write.device_id] = known + write.reads
        for write in self.cloud.pairing_writes[self._seen_writes :]:
            self._note(f"{write.by} wrote {write.device_id}: {_addresses(write.before)} -> {_addresses(write.after)}")
        self._seen_writes = len(self.cloud.pairing_writes)
        if not self._has_rivals:
            self._check_targets()
            self._check_nobody_is_blamed()
        assert not self.problems, "\n".join([*self.story, "", *self.problems])

    def _check_targets(self) -> None:
        owners: dict[str, int] = {}
        for device in self.cloud.devices:
            for pairing in self.cloud.bluetooth(device.device_id).target.values():
                if owners.setdefault(pairing["mac_address"].lower(), device.device_id) != device.device_id:
                    self._blame("two trackers are to have one sensor, and nobody but us has written")

    def _check_nobody_is_blamed(self) -> None:
        memories = {} if self._gateway is None else self._gateway.records.memories
        for serial, memory in memories.items():
            if memory.foreign_ms:
                self._blame(f"{serial}: what we did ourselves is taken for somebody else's work")

    def _check_served(self, gateway: Bench, place: int, wanted: Mapping[Slot, Wanted]) -> None:
        target, memory = gateway.target(place), gateway.memory(place)
        state = gateway.state(place)
        if state is not State.IN_SYNC:
            tracker = gateway.reconciler.plan.trackers[gateway.serial(place)]
            texts = [f"{it.type} {it.slot or ''} {it.status} {it.reason}" for it in tracker.conditions]
            self._blame(f"tracker {place} is {state} an hour after all is well:\n  " + "\n  ".join(texts))
        for slot, sensor in wanted.items():
            if not memory.is_same(target[slot], sensor if isinstance(sensor, Sensor) else None):
                self._blame(f"tracker {place} is to have {target[slot]} as {slot}, wanted is {sensor}")
        if memory.intent is not None or memory.target != target:
            self._blame(f"tracker {place} is remembered wrongly")

    def _blame(self, text: str) -> None:
        self._note(f"!!! {text}")
        self.problems.append(text)

    def _note(self, text: str) -> None:
        self.story.append(f"{asyncio.get_running_loop().time():9.3f} {text}")

    def note(self, text: str) -> None:
        """Put something into the story."""
        self._note(text)


@asynccontextmanager
async def day(folder: Path, mode: Mode, seed: int) -> AsyncIterator[Day]:
    """A day that has begun."""
    async with simulation(TRACKERS) as (cloud, served), asyncio.TaskGroup() as tasks:
        one = Day(cloud, served, folder, mode, seed)
        life = tasks.create_task(one.live())
        try:
            yield one
        finally:
            life.cancel()


def _addresses(pairings: Pairings) -> str:
    return " ".join(f"{slot[-1]}:{it['mac_address'][-2:]}" for slot, it in sorted(pairings.items())) or "nothing"

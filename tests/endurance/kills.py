"""Real processes, really killed: a reconciler writes sensors as fast as it can and is shot at any moment.

    python -m tests.endurance.kills --times 1000 --seed 3

After each shot the disk must tell what the cloud may have: its target is what is remembered, or what is intended. At
the end it prints in which state the shots have met the lives.
"""

import argparse
import asyncio
import logging
import multiprocessing
import random
import tempfile
from collections import Counter
from pathlib import Path

from gateway.cloud.models import Pairing, PairingSet
from gateway.pairing.documents import Document, document_of
from gateway.pairing.keeping import records as pairing_records
from gateway.pairing.keeping.records import Records
from gateway.pairing.memory import Memory
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import RunningCloud, running
from gateway.store import open_store
from tests.endurance.life import AT_REST, WAKE_S, Place, alive, live, strap, utc_ms, want

LONGEST_S = 0.25
"""A write takes a few hundredths of a second; a life ends in its first, its second, or after it."""

SETTLED_S = 60.0


class Range:
    """Where lives begin and end.

    Attributes:
        met: In which state the shots have met them.
    """

    def __init__(self, cloud: SimulatedCloud, served: RunningCloud, folder: Path, seed: int) -> None:
        self.met: Counter[str] = Counter()
        self._cloud, self._served, self._folder = cloud, served, folder
        self._dice = random.Random(seed)
        self._device = cloud.devices[0]
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.endurance.life"])

    async def shoot(self, number: int) -> None:
        """One life and its end; raises AssertionError if the disk does not tell what the cloud may have."""
        up, told = self._processes.Pipe(duplex=False)
        life = self._processes.Process(target=live, args=(self._place(100 * number), told))
        life.start()
        told.close()
        try:
            await asyncio.to_thread(up.recv)
            await asyncio.sleep(self._dice.uniform(0, LONGEST_S))
        finally:
            life.kill()
            await asyncio.to_thread(life.join)
            life.close()
            up.close()
        self.met[self._judged(await self._remembered())] += 1

    async def settle(self) -> None:
        """Live in peace until nothing is left to do."""
        place = self._place(0)
        async with asyncio.timeout(SETTLED_S), alive(place) as (reconciler, records):
            await want(records, place, strap(1))
            while (
                self._target.heart_rate != strap(1)
                or reconciler.plan.trackers[place.serial_number].state not in AT_REST
            ):
                reconciler.wake()
                await asyncio.sleep(WAKE_S)
        assert (await self._remembered()).intent is None, "what is done is still taken for something to be done"

    @property
    def _target(self) -> Document:
        pairings = self._cloud.bluetooth(self._device.device_id).target
        slots = {slot: Pairing(it["mac_address"], it["name"]) for slot, it in pairings.items()}
        return document_of(PairingSet(slots.get("pairing_1"), slots.get("pairing_2")))

    def _place(self, wish: int) -> Place:
        device, served = self._device, self._served
        return Place(
            str(self._folder),
            served.api_url,
            served.token_url,
            served.websocket_url,
            device.serial_number,
            device.device_id,
            wish,
        )

    async def _remembered(self) -> Memory:
        async with open_store(self._folder, [pairing_records.SCHEMA]) as store:
            records = Records(store)
            await records.load()
            assert not store.damage, "the database was damaged"
            assert not records.rejected, "records were damaged"
            return records.memories.get(self._device.serial_number, Memory())

    def _judged(self, memory: Memory) -> str:
        target, intent = self._target, memory.intent
        assert not memory.foreign_ms, "what we did ourselves is taken for somebody else's work"
        assert all(write.reads for write in self._cloud.pairing_writes), "two writes and no look between them"
        if intent is None:
            assert memory.target in {None, target}, "something was sent that is not on the disk"
            return "at rest"
        assert target in {intent.base, intent.payload}, "something else was sent than is on the disk"
        if target == intent.base:
            return "intended, not sent"
        return "sent, not answered" if intent.acknowledged_ms is None else "answered, not read back"


async def shot(times: int, seed: int, folder: Path) -> Counter[str]:
    """So many lives, one after the other, in one world; in which state each was met."""
    cloud = SimulatedCloud(1, seed, Faults(initially_owned=1, latency_ms=3), utc_ms)
    async with running(cloud) as served:
        ground = Range(cloud, served, folder, seed)
        for number in range(times):
            await ground.shoot(number)
        await ground.settle()
    return ground.met


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable()  # a server has much to say about clients that are shot
    with tempfile.TemporaryDirectory() as folder:
        for state, times in asyncio.run(shot(arguments.times, arguments.seed, Path(folder))).most_common():
            print(f"{times:6d} {state}")


if __name__ == "__main__":
    _main()

"""Thousands that wait cost nothing while they wait."""

import asyncio
from typing import Any

import pytest

from gateway.cloud.models import Job
from gateway.uploads.recording import Recording, State
from gateway.uploads.sending.clock import WallClock
from gateway.uploads.sending.settler import Settler
from tests.uploads.keeping.stages import recording

pytestmark = pytest.mark.looptime

MANY = 500


class World:
    """Whatever is asked, counted; and nothing happens."""

    def __init__(self) -> None:
        self.recordings: dict[str, Recording] = {}
        self.looks = self.asked = 0

    async def job(self, job_id: str) -> Job:
        raise NotImplementedError(job_id)

    async def find_asi(self, _device_id: int, _sha256: str) -> None:
        self.asked += 1

    def device_id(self, _serial_number: str) -> int:
        self.looks += 1
        return 1

    def recheck(self) -> None:
        pass

    def is_sure(self) -> bool:
        self.looks += 1
        return True


def settler(world: World, *, is_lookup: bool) -> Settler:
    """One to which the recordings were left by another process, a moment ago."""
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    world.recordings = {it.sha256: it for it in (recording(number, State.AMBIGUOUS) for number in range(MANY))}
    clock = WallClock(lambda: round((loop.time() - start_s) * 1000), world.is_sure, loop.time)
    ledger: Any = world
    made = Settler(world, ledger, world, clock, lambda: 0.5, is_lookup=is_lookup)
    made.update(world.recordings.values())
    world.looks = 0
    return made


async def test_nobody_is_looked_at_before_something_is_due() -> None:
    world = World()
    it = settler(world, is_lookup=True)
    await asyncio.sleep(40)
    for _ in range(MANY):
        due = it.due()
        assert due is not None
        await it.settle(due)
    assert (world.asked, it.due()) == (MANY, None)
    world.looks = 0
    for _ in range(55):
        await asyncio.sleep(1)
        assert it.due() is None
    assert world.looks == 0
    await asyncio.sleep(10)
    assert it.due() is not None


async def test_the_clock_is_asked_once_however_many_wait_for_it() -> None:
    world = World()
    it = settler(world, is_lookup=False)
    for _ in range(600):
        await asyncio.sleep(1)
        assert it.due() is None
    assert 0 < world.looks <= 600 / 15 + 1
    await asyncio.sleep(3000)
    assert it.due() is not None

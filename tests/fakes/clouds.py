"""The simulated cloud in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import RunningCloud, running
from tests.fakes.disk import disk_takes_no_time

START_MS = 1_795_000_000_000


def wall_ms() -> int:
    """Epoch ms that follow the clock of the loop."""
    return START_MS + round(asyncio.get_running_loop().time() * 1000)


@asynccontextmanager
async def simulation(trackers: int = 2, **knobs: object) -> AsyncIterator[tuple[SimulatedCloud, RunningCloud]]:
    """A simulated cloud whose clock is that of the loop."""
    disk_takes_no_time()
    cloud = SimulatedCloud(trackers, 7, Faults(initially_owned=trackers).merged(knobs), wall_ms)
    async with running(cloud) as served:
        yield cloud, served

"""A simulated cloud over HTTP, and a client that is logged in to it."""

from collections.abc import AsyncIterator

import pytest

from gateway.cloud.client import CloudClient
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from tests.cloud.simulated import Simulated, simulated


@pytest.fixture
async def simulator() -> AsyncIterator[Simulated]:
    """Six trackers: two are ours, the last is somebody else's."""
    async with simulated(trackers=6, faults=Faults(initially_owned=2, initially_foreign=1)) as running:
        yield running


@pytest.fixture
def simulated_cloud(simulator: Simulated) -> SimulatedCloud:
    return simulator.cloud


@pytest.fixture
def client(simulator: Simulated) -> CloudClient:
    return simulator.client

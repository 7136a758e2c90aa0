"""The simulated cloud over HTTP with a clock that a test turns, and a client that is logged in to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.cloud.client import CloudClient, open_cloud
from gateway.secret import Secret
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, running

START_MS = 1_750_000_000_000


@dataclass
class Clock:
    """Epoch milliseconds."""

    now_ms: int = START_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Simulated:
    """A running cloud, its clock and our client."""

    cloud: SimulatedCloud
    clock: Clock
    client: CloudClient


@asynccontextmanager
async def simulated(
    trackers: int = 3, faults: Faults | None = None, password: str = PASSWORD
) -> AsyncIterator[Simulated]:
    """Run a cloud and log in with the first request."""
    clock = Clock()
    cloud = SimulatedCloud(trackers, 7, faults or Faults(), clock)
    async with (
        running(cloud) as server,
        open_cloud(
            api_url=server.api_url,
            token_url=server.token_url,
            websocket_url=server.websocket_url,
            username=USERNAME,
            password=Secret(password),
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
        ) as client,
    ):
        yield Simulated(cloud, clock, client)

"""A simulated cloud on a real loopback port, a clock moved by hand, and a plain HTTP client that knows nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gateway.cloud.endpoints import ENDPOINTS, EndpointTable
from gateway.simulator.accounts import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import RunningCloud, running

START_MS = 1_750_000_000_000


@dataclass(slots=True)
class ManualClock:
    """Epoch milliseconds that only a test advances."""

    at_ms: int = START_MS

    def __call__(self) -> int:
        return self.at_ms

    def advance(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)


class LoopClock(ManualClock):
    """Epoch milliseconds that follow the event loop's clock, for tests in virtual time."""

    def __call__(self) -> int:
        return START_MS + round(asyncio.get_running_loop().time() * 1000)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass(slots=True)
class Bench:
    """One client of one simulated cloud; `token` is sent with every request below the API."""

    clock: ManualClock
    cloud: SimulatedCloud
    served: RunningCloud
    session: aiohttp.ClientSession
    token: str | None = None
    ids: list[int] = field(default_factory=list)

    def set_faults(self, **knobs: object) -> None:
        self.cloud.faults = self.cloud.faults.merged(knobs)

    async def call(self, method: str, path: str, **request: Any) -> Answer:
        """One request below the API's base; a body that is not JSON is given as text."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return await self._send(method, self.served.api_url + path, headers=headers, **request)

    async def get(self, path: str, **query: Any) -> Answer:
        return await self.call("GET", path, params={key: str(value) for key, value in query.items()})

    async def control(self, method: str, path: str, body: Any = None) -> Answer:
        return await self._send(method, self.served.control_url + path, json=body)

    async def ask_token(self, **form: str) -> Answer:
        """The token endpoint with exactly this form."""
        return await self._send("POST", self.served.token_url + "oauth2/token/", data=form)

    async def log_in(self, username: str = USERNAME, password: str = PASSWORD) -> Answer:
        client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        answer = await self.ask_token(grant_type="password", username=username, password=password, **client)
        if answer.status == 200:
            self.token = answer.body["access_token"]
        return answer

    async def _send(self, method: str, url: str, **request: Any) -> Answer:
        async with self.session.request(method, url, allow_redirects=False, **request) as response:
            if response.content_type == "application/json":
                body = await response.json()
            else:
                body = await response.text()
            return Answer(response.status, body, dict(response.headers))


@asynccontextmanager
async def bench(
    trackers: int = 4,
    seed: int = 7,
    endpoints: EndpointTable = ENDPOINTS,
    clock: ManualClock | None = None,
    look_s: float = 0.1,
    **knobs: object,
) -> AsyncIterator[Bench]:
    """A logged-in client of a fresh cloud, whose clock stands still unless another is given."""
    clock = clock or ManualClock()
    cloud = SimulatedCloud(trackers, seed, Faults().merged(knobs), clock)
    async with running(cloud, endpoints=endpoints, look_s=look_s) as served, aiohttp.ClientSession() as session:
        tested = Bench(clock, cloud, served, session, ids=[device.device_id for device in cloud.devices])
        if "oauth2/token/" in endpoints["token"].path:
            await tested.log_in()
        cloud.requests.clear()
        cloud.statuses.clear()
        yield tested

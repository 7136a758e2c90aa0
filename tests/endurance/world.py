"""The whole daemon, a simulated cloud and one client of the live stream, for days, in one loop of virtual time.

Everything is real but the clock: HTTP and websockets over loopback, the gateway's own client in front of the cloud, its
own live protocol behind it. The loop's clock jumps to the next timer as soon as nobody has anything to do.
"""

import asyncio
import random
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import looptime
from pydantic import SecretStr

from gateway import app
from gateway.config import Credentials, Settings
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from tests.endurance.witness import Witness

START_MS = 1_795_000_000_000

NOOP_CYCLES = 6
"""How often the loop looks at its sockets before its clock jumps. What one end of a loopback connection has written is
there for the other at once, so a few looks are enough; looptime's default of 42 takes most of the time of a long run."""


class VirtualLoop(looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop):
    """An event loop whose clock jumps."""

    def __init__(self) -> None:
        super().__init__(start=0.0, noop_cycles=NOOP_CYCLES)


class World:
    """A cloud that stays, a gateway that comes and goes, and a client that follows it.

    Attributes:
        cloud: The simulated cloud.
        gateway: The running daemon.
        witness: The client: every row and every gap that the gateway has told of.
        state_dir: What the gateway keeps over a restart.
    """

    def __init__(self, cloud: SimulatedCloud, settings: Settings, tasks: asyncio.TaskGroup) -> None:
        self.cloud = cloud
        self.settings = settings
        self.state_dir = settings.gateway.state_dir
        self.witness = Witness(f"ws://127.0.0.1:{settings.live.port}/api/v1/stream", len(cloud.devices))
        self._gateway: app.Gateway | None = None
        self._stop = asyncio.Event()
        self._tasks = tasks
        self._daemon: asyncio.Task[None] | None = None
        self.reborn_ms = cloud.now_ms()

    @property
    def gateway(self) -> app.Gateway:
        assert self._gateway is not None, "the gateway is down"
        return self._gateway

    @property
    def is_up(self) -> bool:
        return self._gateway is not None

    @property
    def now_ms(self) -> int:
        return self.cloud.now_ms()

    def device_id(self, ch: int) -> int:
        return self.cloud.devices[ch - 1].device_id

    # --- what can happen ----------------------------------------------------------------------------------------------

    def faults(self, **knobs: Any) -> None:
        """Change some knobs of the cloud from now on."""
        self.cloud.faults = self.cloud.faults.merged(knobs)

    def outage(self, form: str | None) -> None:
        """Begin an outage of a form, or end it."""
        lasts_s = 0.0 if form is None else 1.0
        self.faults(outage_every_s=lasts_s, outage_s=lasts_s, **({} if form is None else {"outage_form": form}))

    async def start(self) -> None:
        """Start the gateway."""
        assert self._daemon is None
        self._stop.clear()
        up = asyncio.get_running_loop().create_future()
        self._daemon = self._tasks.create_task(self._run(up), name="the gateway")
        self._gateway = await up

    async def stop(self) -> None:
        """Stop the gateway as a service manager does: it may write down what it wants to keep."""
        assert self._daemon is not None
        self._stop.set()
        await self._daemon
        self._daemon = self._gateway = None

    async def kill(self) -> None:
        """The gateway is gone and has kept nothing, as after a power cut."""
        await self.stop()
        shutil.rmtree(self.state_dir, ignore_errors=True)
        self.state_dir.mkdir()
        self.reborn_ms = self.now_ms

    async def _run(self, up: asyncio.Future[app.Gateway]) -> None:
        credentials = Credentials(SecretStr(simulator.PASSWORD), SecretStr(simulator.CLIENT_SECRET))
        async with app.running(self.settings, credentials, {}) as gateway:
            up.set_result(gateway)
            await self._stop.wait()


@asynccontextmanager
async def world(
    state_dir: Path,
    *,
    seed: int = 1,
    trackers: int = 2,
    source: str = "auto",
    ring_minutes: int = 30,
    refill_minutes: int = 30,
    faults: Faults | None = None,
) -> AsyncIterator[World]:
    """A running world; everything that is drawn in it follows from the seed."""
    random.seed(seed)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    knobs = faults or Faults(initially_owned=trackers)
    cloud = SimulatedCloud(trackers, seed, knobs, lambda: START_MS + round((loop.time() - began_s) * 1000))
    async with simulator.running(cloud) as served:
        settings = Settings.model_validate(
            {
                "gateway": {"site": "Endurance", "state_dir": str(state_dir)},
                "cloud": {
                    "api_url": served.api_url,
                    "token_url": served.token_url,
                    "websocket_url": served.websocket_url,
                    "username": simulator.USERNAME,
                    "client_id": simulator.CLIENT_ID,
                },
                "telemetry": {"source": source, "ring_minutes": ring_minutes, "refill_minutes": refill_minutes},
                "live": {"port": _free_port()},
                "trackers": [
                    {"serial_number": device.serial_number, "device_name": device.device_name}
                    for device in cloud.devices
                ],
            }
        )
        async with asyncio.TaskGroup() as tasks:
            running = World(cloud, settings, tasks)
            await running.start()
            follower = tasks.create_task(running.witness.follow(), name="the client")
            try:
                yield running
            finally:
                follower.cancel()
                if running.is_up:
                    await running.stop()


async def until(is_so: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait in virtual time until something has become true."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.1)


def _free_port() -> int:
    """A port that a gateway can take again after a restart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

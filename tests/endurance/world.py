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
import numpy as np
from numpy.typing import NDArray

from gateway import app
from gateway.config import Settings
from gateway.credentials import Credentials
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import NewOwner, SimulatedCloud
from gateway.simulator.faults import Faults
from tests.endurance.witness import Witness

START_MS = 1_795_000_000_000

NOOP_CYCLES = 6
"""How often the loop looks at its sockets before its clock jumps. What one end of a loopback connection has written is
at the other at once, so a few looks are enough; looptime's default of 42 takes most of the time of a long run."""

_NEVER_MS = 2**62
_SLOW_START_MS = 5_000
"""What a start may take until it knows the time and its trackers."""


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
        streamed: Messages that the cloud's websockets have brought to gateways that are gone.
    """

    def __init__(self, cloud: SimulatedCloud, settings: Settings, tasks: asyncio.TaskGroup) -> None:
        self.cloud = cloud
        self.settings = settings
        self.state_dir = settings.gateway.state_dir
        self.witness = Witness(f"ws://127.0.0.1:{settings.live.port}/api/v1/stream", len(cloud.devices), cloud.now_ms)
        self.streamed = 0
        self._gateway: app.Gateway | None = None
        self._stop = asyncio.Event()
        self._tasks = tasks
        self._daemon: asyncio.Task[None] | None = None
        self._began_ms = cloud.now_ms()
        self._off: dict[int, list[tuple[int, int]]] = {}
        self._events: list[str] = []

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

    @property
    def channels(self) -> range:
        return range(1, len(self.cloud.devices) + 1)

    @property
    def ring_ms(self) -> int:
        return self.settings.telemetry.ring_minutes * 60_000

    def device_id(self, ch: int) -> int:
        return self.cloud.devices[ch - 1].device_id

    def is_ours(self, ch: int) -> bool:
        return self.cloud.ownerships.owns(self.cloud.accounts.ours.manager_id, self.device_id(ch))

    def observed_from_ms(self, ch: int) -> int:
        """From when on the rows of a tracker are wanted: a while before the first row came, but only while ours."""
        refill_ms = self.settings.telemetry.refill_minutes * 60_000
        start_ms = self.witness.told[ch].first_came_ms - refill_ms + _SLOW_START_MS
        current = self.cloud.ownerships.current(self.device_id(ch))
        return max(start_ms, current.start_ms if current else start_ms)

    def was_on(self, ch: int, measured_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a tracker was switched on for the whole of the seconds that begin at given instants, shape (n,)."""
        is_on = np.full(measured_ms.shape, fill_value=True)
        for off_ms, on_ms in self._off.get(ch, []):
            is_on &= (measured_ms + 900 <= off_ms) | (measured_ms >= on_ms)
        return is_on

    # --- what can happen ----------------------------------------------------------------------------------------------

    def faults(self, **knobs: Any) -> None:
        """Change some knobs of the cloud from now on."""
        self._note(f"faults {knobs}")
        self.cloud.faults = self.cloud.faults.merged(knobs)

    def outage(self, form: str | None) -> None:
        """Begin an outage of a form, or end it."""
        lasts_s = 0.0 if form is None else 1.0
        self.faults(outage_every_s=lasts_s, outage_s=lasts_s, **({} if form is None else {"outage_form": form}))

    def network(self, ch: int, *, connected: bool) -> None:
        """Take a tracker's network away or give it back."""
        self._note(f"tracker {ch} {'has' if connected else 'loses'} its network")
        self.cloud.set_network(self.device_id(ch), connected=connected)

    def power(self, ch: int, *, on: bool) -> None:
        """Switch a tracker on or off."""
        self._note(f"tracker {ch} is switched {'on' if on else 'off'}")
        was_on = self.cloud.delivery(self.device_id(ch)).powered
        self.cloud.set_power(self.device_id(ch), on=on)
        times = self._off.setdefault(ch, [])
        if was_on and not on:
            times.append((self.now_ms, _NEVER_MS))
        elif on and not was_on:
            times[-1] = (times[-1][0], self.now_ms)

    def clock(self, ch: int, error_s: int) -> None:
        """Make a tracker's clock wrong, or right again."""
        self._note(f"the clock of tracker {ch} is wrong by {error_s} s")
        self.cloud.set_clock(self.device_id(ch), error_s=error_s)

    def move(self, ch: int, to: NewOwner) -> None:
        """Give a tracker to us, to somebody else or to nobody."""
        self._note(f"tracker {ch} goes to {to}")
        self.cloud.move(self.device_id(ch), to)

    def revoke(self, *, refresh_tokens: bool = False) -> None:
        """End all tokens."""
        self._note(f"tokens are revoked{', refresh tokens too' * refresh_tokens}")
        self.cloud.accounts.revoke(refresh_tokens=refresh_tokens)

    def calm(self) -> None:
        """End everything that is wrong with the cloud and the trackers."""
        self._note("all is well")
        self.cloud.faults = Faults()
        for ch in self.channels:
            self.network(ch, connected=True)
            self.power(ch, on=True)
            self.clock(ch, 0)
            if not self.is_ours(ch):
                self.move(ch, "ours")

    def take_source(self, source: str) -> None:
        """Configure where the next gateway gets its live rows from."""
        self._note(f"source = {source}")
        telemetry = self.settings.telemetry.model_copy(update={"source": source})
        self.settings = self.settings.model_copy(update={"telemetry": telemetry})

    async def start(self) -> None:
        """Start the gateway."""
        self._note("the gateway starts")
        assert self._daemon is None
        self._stop.clear()
        up = asyncio.get_running_loop().create_future()
        self._daemon = self._tasks.create_task(self._run(up), name="the gateway")
        self._gateway = await up

    async def stop(self) -> None:
        """Stop the gateway as a service manager does: it may write down what it wants to keep."""
        self._note("the gateway stops")
        assert self._daemon is not None
        self.streamed += self.gateway.cloud.traffic.messages
        self._stop.set()
        await self._daemon
        self._daemon = self._gateway = None

    async def kill(self) -> None:
        """The gateway is gone and has kept nothing, as after a power cut."""
        await self.stop()
        self._note("... and has kept nothing")
        shutil.rmtree(self.state_dir, ignore_errors=True)
        self.state_dir.mkdir()

    def story(self) -> str:
        """What has happened so far, a line each."""
        return "\n".join(self._events)

    def _note(self, text: str) -> None:
        at_s, ms = divmod(self.now_ms - self._began_ms, 1000)
        self._events.append(f"{at_s // 3600:3d}:{at_s // 60 % 60:02d}:{at_s % 60:02d}.{ms:03d} {text}")

    async def _run(self, up: asyncio.Future[app.Gateway]) -> None:
        credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
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
                "bluetooth": {"enabled": False},
                "live": {"port": _free_port()},
                "access": {"open_on_loopback": True, "require_release": False},
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

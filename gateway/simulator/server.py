"""The simulated cloud on a loopback port."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from gateway.cloud.endpoints import ENDPOINTS, Base, EndpointTable
from gateway.simulator import control, control_pairings, control_uploads, rest
from gateway.simulator.accounts import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME
from gateway.simulator.clock import steady_epoch_ms
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.errors import HostError, SimulatorError
from gateway.simulator.faults import Faults
from gateway.simulator.outage import Outages
from gateway.simulator.stream import Streams
from gateway.simulator.times import http_date

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "PASSWORD", "USERNAME", "RunningCloud", "create_app", "running", "simulate"]

_BODY_LIMIT = 268_435_456  # bytes; the limit of uploads is a knob, this one only protects the machine
_SHUTDOWN_S = 1.0
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class RunningCloud:
    """Where a simulated cloud answers."""

    cloud: SimulatedCloud
    host: str
    port: int

    @property
    def api_url(self) -> str:
        """Base of the REST API."""
        return self._url("http", Base.API)

    @property
    def token_url(self) -> str:
        """Base of the token endpoint."""
        return self._url("http", Base.TOKEN)

    @property
    def websocket_url(self) -> str:
        """Base of the live websockets."""
        return self._url("ws", Base.WEBSOCKET)

    @property
    def control_url(self) -> str:
        """Base of the simulator's own control endpoints."""
        return f"http://{self._authority}/simulator/"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def _url(self, scheme: str, base: Base) -> str:
        return f"{scheme}://{self._authority}{rest.PREFIXES[base]}"


def create_app(cloud: SimulatedCloud, endpoints: EndpointTable, look_s: float = LOOK_S) -> web.Application:
    """The cloud's REST API, token endpoint and websockets at the paths of the table, and the control endpoints."""
    app = web.Application(client_max_size=_BODY_LIMIT)
    rest.add_routes(app, cloud, endpoints)
    outages, streams = Outages(cloud), Streams(cloud, look_s)
    app.middlewares.insert(0, outages.middleware())
    app.on_response_prepare.append(_dated(cloud))
    app.router.add_get(rest.path(endpoints["live_data"]), streams.serve, allow_head=False)
    app.on_shutdown.extend((outages.close, streams.close))
    control.add_routes(app, cloud)
    control_pairings.add_routes(app, cloud)
    control_uploads.add_routes(app, cloud)
    return app


@asynccontextmanager
async def running(
    cloud: SimulatedCloud,
    host: str = "127.0.0.1",
    port: int = 0,
    endpoints: EndpointTable = ENDPOINTS,
    look_s: float = LOOK_S,
) -> AsyncIterator[RunningCloud]:
    """Serve a cloud while the context lasts; port 0 takes any free one.

    Open websockets are looked after every `look_s`. In virtual time every look costs as much as any other instant at
    which something happens, so a test of days may prefer 1 s.

    Raises:
        HostError: If the host is not an address of this machine alone.
        SimulatorError: If the port cannot be had.
    """
    _require_loopback(host)
    runner = web.AppRunner(create_app(cloud, endpoints, look_s), access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise SimulatorError(f"Port {port} on {host} cannot be used, choose another: {error.strerror}.") from error
        yield RunningCloud(cloud, host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def simulate(host: str, port: int, trackers: int, seed: int, faults: Faults) -> None:
    """Serve a cloud until cancelled, after a few lines that say where and with which credentials.

    Raises:
        SimulatorError: If the host or the port cannot be used.
    """
    cloud = SimulatedCloud(trackers, seed, faults, steady_epoch_ms())
    async with running(cloud, host, port) as served:
        print(_for_a_configuration(served), flush=True)
        await asyncio.Event().wait()


def _dated(cloud: SimulatedCloud) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Date every answer, the handshake of a websocket too, by the cloud's clock instead of the machine's."""

    async def date(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(cloud.now_ms() // 1000)

    return date


def _for_a_configuration(served: RunningCloud) -> str:
    """What a gateway's config.toml and environment need to know, ready to be pasted."""
    trackers = "".join(
        f'\n[[trackers]]\nserial_number = "{device.serial_number}"\ndevice_name = "{device.device_name}"\n'
        for device in served.cloud.devices
    )
    return f"""\
# Trackers, their owners, and what can go wrong: {served.control_url}state and {served.control_url}faults
# export INSIDERS_PASSWORD={PASSWORD} INSIDERS_CLIENT_SECRET={CLIENT_SECRET}
[cloud]
api_url = "{served.api_url}"
token_url = "{served.token_url}"
websocket_url = "{served.websocket_url}"
username = "{USERNAME}"
client_id = "{CLIENT_ID}"
{trackers}
# That is all; stop with Ctrl-C."""


def _require_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise HostError(f"The simulator has no access control, so {host} is refused; use 127.0.0.1 or ::1.")

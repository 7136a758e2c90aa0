"""The whole daemon and the simulated cloud behind it, asked by who holds every answer against the documents."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway import app
from gateway.config import AccessSettings, TelemetrySettings, TrackerSettings
from gateway.credentials import Credentials
from gateway.live.door.guard import Route
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from insiders_codecs.live import Codec, Message, decode, encode
from tests.description.conformance import faults_of_answer, faults_of_message, route_at
from tests.test_gateway import START_MS, settings

TEAM = ("Ada Lindqvist", "Bea Okafor", "Cleo Marchetti")


@dataclass
class Asking:
    """Asks a gateway.

    Attributes:
        answered: What was answered well.
        refused: Codes that were met.
        said: What was said on the websocket, by op.
    """

    http: aiohttp.ClientSession
    base: str
    answered: set[Route] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    said: dict[str, list[Message]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, *, status: int = 200, body: Any = None, **more: Any) -> Any:
        """What comes back, if that is JSON."""
        if isinstance(body, bytes | str):
            more["data"] = body
        elif body is not None:
            more["json"] = body
        async with self.http.request(method, self.base + path, **more) as answer:
            content = await answer.read()
            told = await answer.json() if content and answer.content_type == "application/json" else {}
        assert answer.status == status, told
        assert faults_of_answer(method, answer.url.path, status, answer.content_type, content) == []
        if status < 400:
            self.answered.add(route_at(method, answer.url.path))
        else:
            self.refused.add(told["code"])
        return told

    async def refuse(self, code: str, status: int, method: str, path: str, **more: Any) -> None:
        """Meet a refusal."""
        assert (await self.ask(method, path, status=status, **more))["code"] == code

    @asynccontextmanager
    async def following(self, codec: Codec) -> AsyncIterator[Callable[..., Awaitable[None]]]:
        """A websocket on which one can say something, and all that is said is held against the documents."""

        async def listen() -> None:
            async for frame in stream:
                message = decode(frame.data, codec)
                assert faults_of_message(message, codec) == []
                self.said.setdefault(message["op"], []).append(message)

        async def say(**message: Any) -> None:
            payload = encode(message, codec)
            await (stream.send_bytes(payload) if codec is Codec.MSGPACK else stream.send_str(payload.decode()))

        async with (
            self.http.ws_connect(f"{self.base}/api/v1/stream", protocols=[codec]) as stream,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(listen())
            yield say
            await stream.close()


@dataclass
class AskingDaemon(Asking):
    """Asks the whole daemon.

    Attributes:
        cloud: The one behind it.
    """

    cloud: SimulatedCloud = field(kw_only=True)


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[AskingDaemon]:
    """A gateway that asks for releases, and lets in whoever asks from here."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    cloud = SimulatedCloud(len(TEAM), 7, Faults(), lambda: START_MS + round((loop.time() - began_s) * 1000))
    async with simulator.running(cloud) as served:
        configured = settings(cloud, served, folder).model_copy(
            update={
                "access": AccessSettings(open_on_loopback=True, require_release=True),
                "telemetry": TelemetrySettings(ring_minutes=10, refill_minutes=0),
                "trackers": tuple(
                    TrackerSettings(
                        serial_number=device.serial_number,
                        device_name=device.device_name,
                        athlete=athlete,
                        squads=("U19",),
                    )
                    for device, athlete in zip(cloud.devices, TEAM, strict=True)
                ),
            }
        )
        credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
        # The clock jumps far beyond the time that a connection is kept alive.
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            app.running(configured, credentials, {}) as gateway,
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
            yield AskingDaemon(http, f"http://127.0.0.1:{gateway.port}", cloud=cloud)

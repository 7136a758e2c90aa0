"""A daemon at -v through many failures, each of which has something private in it, in a process of its own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.cloud.endpoints import ENDPOINTS
from gateway.simulator import server as simulator
from gateway.simulator.bluez.bus import private_bus
from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.clock import steady_epoch_ms
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.encoders import HEART_RATE_SERVICE
from gateway.simulator.faults import Faults

ROOT = Path(__file__).parent.parent

NAME = "Ada Lovelace"
ADDRESS = "A0:9E:1A:00:11:22"
PRIVATE = f"{NAME}, 187.3 bpm at 45.0001234, -30.0001234; {simulator.PASSWORD} {simulator.CLIENT_SECRET}; {ADDRESS}"

PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from gateway import cli
from gateway.telemetry.tail import Tail

PRIVATE, folder, poll = os.environ["PRIVATE"], Path(sys.argv[1]), Tail.poll

def fail():
    raise LookupError(PRIVATE)

async def surprised(self):
    if (folder / "end").exists():
        raise BaseException(PRIVATE)
    if (folder / "surprise").exists():
        loop = asyncio.get_running_loop()
        loop.call_soon(fail)
        loop.create_future().set_exception(ValueError(PRIVATE))
        try:
            raise OSError(28, PRIVATE, PRIVATE)
        except OSError as error:
            raise ExceptionGroup(PRIVATE, [KeyError(PRIVATE)]) from error
    return await poll(self)

Tail.poll = surprised
sys.exit(cli.main(["-v", "run", "--config", str(folder / "config.toml")]))
"""

CONFIG = """
[gateway]
site = "Test"
state_dir = "{folder}/state"
[telemetry]
source = "poll"
[cloud]
api_url = "{cloud}/v1/"
token_url = "{cloud}/"
websocket_url = "ws{cloud_tail}/v1/ws/"
username = "{username}"
client_id = "{client_id}"
[live]
port = 0
[access]
open_on_loopback = true
require_release = false
[[trackers]]
serial_number = "{serial}"
device_name = "{device}"
athlete = "{name}"
"""


@dataclass
class Cloud:
    """A simulated cloud that says too much; `trouble` is what is wrong with it now."""

    trouble: str = "login"
    address: str = ""
    odd: list[bytes] = field(default_factory=list)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        is_login = request.path.endswith("/token/")
        match self.trouble:
            case "login" if is_login:
                return web.json_response({"error": "invalid_grant", "error_description": PRIVATE}, status=400)
            case "failing" if not is_login:
                return web.json_response({"detail": PRIVATE}, status=500)
            case "page" if not is_login:
                return web.Response(text=f"<html>{PRIVATE}</html>", content_type="text/html")
            case "odd" if not is_login:
                body = self.odd[0]
                self.odd.append(self.odd.pop(0))
                return web.Response(body=body, content_type="application/json")
            case _ if request.method == "POST" and "/asi/" in request.path:
                await request.read()
                return web.json_response({"file": [PRIVATE], NAME: [PRIVATE]}, status=400)
        return await handler(request)


ODD = [
    b'{"detail": "%s"}' % PRIVATE.encode(),
    b'[{"gnss.timestamp": "%s", "ecg.hr": "%s"}]' % (PRIVATE.encode(), PRIVATE.encode()),
    b"[%s" % PRIVATE.encode(),
    b'"%s"' % PRIVATE.encode(),
    b'{"count": 1, "results": [{"id": "%s"}]}' % PRIVATE.encode(),
]


@asynccontextmanager
async def cloud() -> AsyncIterator[tuple[Cloud, SimulatedCloud]]:
    simulated = SimulatedCloud(1, 7, Faults(), steady_epoch_ms())
    hostile = Cloud(odd=list(ODD))
    served = simulator.create_app(simulated, ENDPOINTS)
    served.middlewares.insert(0, hostile.middleware)
    runner = web.AppRunner(served, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hostile.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield hostile, simulated
    finally:
        await runner.cleanup()


class Journal:
    """What the daemon writes to stderr."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self.text = ""

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has."""
        form, line = re.compile(pattern), b" "
        with suppress(TimeoutError):
            async with asyncio.timeout(25):
                while line and form.search(self.text) is None:
                    line = await self._stream.readline()
                    self.text += line.decode()
        found = form.search(self.text)
        assert found, f"it never said {pattern!r}:\n{self.text}"
        return found

    async def to_its_end(self) -> str:
        self.text += (await self._stream.read()).decode()
        return self.text


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()


async def refusals(port: str) -> str:
    """What somebody is told who asks for what is not there, and for counters."""
    base = f"http://127.0.0.1:{port}/api/v1"
    async with aiohttp.ClientSession() as http:
        bodies = []
        for path in (f"/{NAME}", f"/history?device={NAME}&from={NAME}", "/counters", "/recordings/x", "/hello"):
            async with http.get(base + path) as answer:
                bodies.append(await answer.text())
        async with http.post(f"{base}/pairings/{NAME}", data=PRIVATE.encode()) as answer:
            bodies.append(await answer.text())
        async with http.ws_connect(f"{base}/stream") as websocket:
            await websocket.send_str(PRIVATE)
            await websocket.send_json({"op": "sub", "sub": 1, "columns": [NAME], "devices": [NAME]})
            async for message in websocket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                answer_: dict[str, Any] = message.json()
                if answer_["op"] == "error":
                    bodies.append(str(message.data))
                    break
    return "\n".join(bodies)


@pytest.mark.dbus
@pytest.mark.timeout(110)
async def test_a_daemon_says_nothing_private_whatever_fails(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        hostile, simulated = await stack.enter_async_context(cloud())
        bus = await stack.enter_async_context(private_bus())
        bluez = await stack.enter_async_context(FakeBluez(bus.address).running())
        (tmp_path / "config.toml").write_text(
            CONFIG.format(
                folder=tmp_path,
                cloud=hostile.address,
                cloud_tail=hostile.address.removeprefix("http"),
                username=simulator.USERNAME,
                client_id=simulator.CLIENT_ID,
                serial=simulated.devices[0].serial_number,
                device=simulated.devices[0].device_name,
                name=NAME,
            )
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, str(tmp_path)),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "PRIVATE": PRIVATE,
                "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "codecs", ROOT / "client"))),
                "DBUS_SYSTEM_BUS_ADDRESS": bus.address,
                "INSIDERS_PASSWORD": simulator.PASSWORD,
                "INSIDERS_CLIENT_SECRET": simulator.CLIENT_SECRET,
            },
        )
        stack.push_async_callback(end, process)
        assert process.stderr is not None
        assert process.stdout is not None
        journal = Journal(process.stderr)

        port = (await journal.says(r"Live stream on port (\d+)"))[1]
        await journal.says("The cloud refused the login, user name or password is wrong")
        hostile.trouble = ""
        await journal.says("Tracker SIM-0001 is ours")
        bluez.hear(Peripheral(ADDRESS, name=f"{NAME}'s strap", services=(HEART_RATE_SERVICE,)), -50)
        await bluez.kill()
        url = f"{hostile.address}/simulator/asi?kb=64&seed=1"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            content = await answer.read()
        for name, some in (("SIM-0001 monday", content), ("monday", content[:-1]), ("no recording", PRIVATE.encode())):
            (tmp_path / f"state/inbox/{NAME} {name}.asi").write_bytes(some)

        for trouble, said in (
            ("failing", "Tracker SIM-0001: no rows. The cloud failed with status 500 on latest_data"),
            ("page", "Tracker SIM-0001: no rows. Network login needed"),
            ("odd", "Tracker SIM-0001: no rows. The cloud's answer to latest_data does not have the promised form"),
        ):
            hostile.trouble = trouble
            await journal.says(said)
        hostile.trouble = ""
        await journal.says("The radio is no_service")
        await bus.kill()
        await journal.says("The radio is no_bus")
        await journal.says("recordings_waiting_for_person: .* that the cloud does not take")
        await journal.says("inbox_not_taken: 1 file")
        assert NAME not in await refusals(port)

        (tmp_path / "surprise").touch()
        await journal.says("Tracker SIM-0001: unexpected failure, polling goes on")
        await journal.says("OSError, ENOSPC\n.*which led to")
        await journal.says("ExceptionGroup\n.*KeyError")
        await journal.says("asyncio: Exception in callback")
        await journal.says("asyncio: Future exception was never retrieved")
        (tmp_path / "end").touch()
        await journal.says("What nobody foresaw has ended the program")
        said = await journal.to_its_end() + (await process.stdout.read()).decode()
        assert await process.wait() == 1
    assert not re.search(r"Ada|Lovelace|187|bpm|45\.0|30\.0|simulated-|A0.9E|a09e1a", said), said
    assert "Bearer" not in said
    assert "***" not in said

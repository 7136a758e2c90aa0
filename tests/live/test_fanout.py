"""Many clients on real sockets, in virtual time: one that never reads, one that hangs for a while, one thrown out."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from gateway.access.roles import Role
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.live.stream.wire import Wire
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.samples import QUANTITIES, SampleBlock
from tests.live.house import OWNER, certified, opened

pytestmark = pytest.mark.looptime

CHANNELS = tuple(range(1, 31))


def seconds(start: int, stop: int) -> SampleBlock:
    times = np.arange(start * 1000, stop * 1000, 100)
    values = np.ones((len(QUANTITIES), len(times))) * (1.2345 + (start % 7))
    return SampleBlock(times, values)


@dataclass
class Ground:
    """A server with a team that runs."""

    server: LiveServer
    hub: Hub
    channels: dict[int, Channel]
    port: int
    tls: ssl.SSLContext | None
    second: int = 0
    clients: list["Coach"] = field(default_factory=list)

    @property
    def wires(self) -> list[Wire]:
        return list(self.server._streaming._pump._wires.values())

    async def run(self, count: int) -> None:
        """Rows as if each of the team had five trackers: what kernels hide is full sooner."""
        for _ in range(count):
            for channel in self.channels.values():
                channel.rows_came(seconds(self.second, self.second + 5), 0.0)
            self.second += 5
            await asyncio.sleep(1.0)


@asynccontextmanager
async def ground(folder: Path | None = None) -> AsyncIterator[Ground]:
    channels = {ch: Channel(ch, Wearer(f"SN-{ch}"), 6000) for ch in CHANNELS}
    board = Board()
    for channel in channels.values():
        board.channel_changed(channel)
    hub = Hub(channels, board, "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
    server = LiveServer(hub, dict, is_open_on_loopback=True)
    async with AsyncExitStack() as stack:
        served = trusted = None
        if folder is not None:
            certificates = stack.enter_context(certified(folder))
            served, trusted = certificates.context, ssl.create_default_context(cadata=certificates.authority)
        port = await stack.enter_async_context(server.listening("127.0.0.1", 0, tls=served))
        yield Ground(server, hub, channels, port, trusted)


class Coach:
    """A client that reads, unless it hangs, and knows what it has got and what not."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.reads = asyncio.Event()
        self.reads.set()
        self.got: dict[int, list[int]] = {ch: [] for ch in CHANNELS}
        self.left_out = dict.fromkeys(CHANNELS, 0)
        self.levels: list[str] = []
        self.delays_s: list[float] = []
        self.seq = 0
        self.bye: dict[str, Any] | None = None

    async def read(self) -> None:
        try:
            async for text in self.ws:
                self._hear(json.loads(text))
                await self.reads.wait()
        except ConnectionClosed:
            pass

    async def acknowledge(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self.reads.wait()
            await self.ws.send(json.dumps({"op": "ack", "subs": [[1, self.seq]]}))

    def _hear(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "snap" | "d":
                self.seq = message["seq"]
                for block in message["blocks"]:
                    self.got[block["ch"]] += range(block["n0"], block["n0"] + block["rows"])
                self.delays_s.append(asyncio.get_running_loop().time() % 1.0)
            case "gap" if message["state"] == "closed":
                assert message["reason"] == "slow_consumer"
                self.left_out[message["ch"]] += message["rows"]
            case "state" if message["key"] == "connection":
                self.levels.append(message["value"])
            case "bye":
                self.bye = message


@asynccontextmanager
async def coach(ground: Ground, *, is_narrow: bool = False, is_acking: bool = False) -> AsyncIterator[Coach]:
    sock = socket.create_connection(("127.0.0.1", ground.port))
    if is_narrow:
        # Not less: below the segments of loopback, windows open by timers of the kernel, which know no virtual time.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    scheme = "ws" if ground.tls is None else "wss"
    url = f"{scheme}://127.0.0.1:{ground.port}/api/v1/stream"
    async with connect(url, sock=sock, ssl=ground.tls, max_queue=1, ping_interval=None) as ws:
        await ws.send('{"op":"sub","sub":1}')
        one = Coach(ws)
        while json.loads(await ws.recv())["op"] != "sub_ok":
            pass
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(one.read())]
            if is_acking:
                working.append(tasks.create_task(one.acknowledge()))
            yield one
            for task in working:
                task.cancel()


@pytest.mark.parametrize("is_tls", [False, True])
async def test_one_that_never_reads_is_felt_by_nobody_and_holds_no_memory(tmp_path: Path, *, is_tls: bool) -> None:
    async with (
        ground(tmp_path if is_tls else None) as team,
        coach(team) as one,
        coach(team, is_acking=True) as other,
        coach(team, is_narrow=True) as deaf,
    ):
        await team.run(2)
        deaf.reads.clear()
        items = len(team.hub.board._items)
        waiting = []
        for _ in range(60):
            await team.run(1)
            waiting += [wire._below.get_write_buffer_size() for wire in team.wires]
        assert team.server.clients == 2, "who took nothing for so long is cut"
        assert max(waiting) < 40_000
        assert len(team.hub.board._items) == items
        assert not team.server._streaming._pump._shared.groups._alone
        for reader in (one, other):
            assert all(got == list(range(1, 3101)) for got in reader.got.values())
            assert max(reader.delays_s[5:]) < 0.8, "nobody's rows come later because of another"
            assert reader.levels == []


@pytest.mark.parametrize("is_acking", [False, True])
async def test_one_that_hangs_for_a_while_is_told_exactly_what_it_has_not_got(*, is_acking: bool) -> None:
    async with ground() as team, coach(team) as other, coach(team, is_narrow=True, is_acking=is_acking) as slow:
        await team.run(12)
        slow.reads.clear()
        await team.run(22)
        slow.reads.set()
        await team.run(15)
        await asyncio.sleep(1.0)
        assert slow.levels[-1] == "normal"
        # Of one that acknowledges nothing only the kernel knows how much it has taken meanwhile.
        assert ("shed" if is_acking else "conflated") in slow.levels
        for ch, channel in team.channels.items():
            got = slow.got[ch]
            assert got == sorted(set(got)), "nothing twice"
            assert len(got) + slow.left_out[ch] == channel.ring.newest, "nothing lost untold"
            assert slow.left_out[ch] > 0
            assert got[-50:] == list(range(channel.ring.newest - 49, channel.ring.newest + 1))
            assert other.got[ch] == list(range(1, channel.ring.newest + 1))
        # Both are in step again.
        assert not team.server._streaming._pump._shared.groups._alone


async def _rest(ws: ClientConnection) -> AsyncIterator[str]:
    """All that still comes."""
    with suppress(ConnectionClosed):
        while True:
            yield str(await ws.recv())


async def test_who_comes_back_after_it_was_cut_for_reading_nothing_goes_on_where_it_was() -> None:
    async with ground() as team:
        async with coach(team, is_narrow=True) as deaf:
            await team.run(2)
            deaf.reads.clear()
            await team.run(60)
            assert team.server.clients == 0
            deaf.reads.set()
            await asyncio.sleep(1.0)
        last = {ch: got[-1] for ch, got in deaf.got.items()}
        async with connect(f"ws://127.0.0.1:{team.port}/api/v1/stream") as ws:
            await ws.send(json.dumps({"op": "sub", "sub": 1, "from": {"epoch": "e", "cursors": list(last.items())}}))
            again = Coach(ws)
            async with asyncio.timeout(60):
                async for text in ws:
                    message = json.loads(text)
                    if message["op"] == "sub_ok":
                        assert {verdict["recovered"] for verdict in message["channels"]} == {"exact"}
                    again._hear(message)
                    if message.get("end"):
                        break
        assert all(again.got[ch] == list(range(last[ch] + 1, 3101)) for ch in CHANNELS)


@pytest.mark.parametrize("reads", [True, False])
async def test_who_is_thrown_out_is_gone_within_two_seconds_whether_they_read_or_not(
    tmp_path: Path, *, reads: bool
) -> None:
    async with opened(tmp_path) as house:
        token = await house.token(Role.VIEWER)
        sock = socket.create_connection(("127.0.0.1", house.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        url = f"ws://127.0.0.1:{house.port}/api/v1/stream"
        async with connect(url, sock=sock, max_queue=1, additional_headers={"Authorization": f"Bearer {token}"}) as ws:
            await ws.send('{"op":"sub","sub":1,"batch_ms":50}')
            heard = [json.loads(await ws.recv())["op"] for _ in range(4)]
            assert "sub_ok" in heard
            (wire,) = house.server._streaming._pump._wires.values()
            if not reads:
                channel: Any = house.hub.channels[1]
                for second in range(0, 2000, 50):
                    channel.rows_came(seconds(second, second + 50), 0.0)
                    await asyncio.sleep(0.1)
                assert not wire.is_ready
            (grant,) = house.doorkeeper.grants
            await house.doorkeeper.revoke(grant.id, OWNER)
            await asyncio.sleep(2.0)
            assert house.server.clients == 0
            if reads:
                last = [json.loads(text) async for text in _rest(ws)][-1]
                assert (last["op"], last["code"]) == ("bye", 4401)
                assert ws.close_code == 4401


async def test_a_token_in_the_first_message_opens_the_stream(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        token = await house.token(Role.VIEWER)
        async with connect(f"ws://127.0.0.1:{house.port}/api/v1/stream") as ws:
            assert json.loads(await ws.recv())["auth"] == "required"
            await ws.send(json.dumps({"op": "auth", "token": token}))
            assert [json.loads(await ws.recv())["op"] for _ in range(3)] == ["auth_ok", "hello", "channels"]
        assert ("Kim Berger", "looked", "", "done") in await house.noted()


async def test_a_ping_is_answered_with_what_it_carried() -> None:
    async with ground() as team, connect(f"ws://127.0.0.1:{team.port}/api/v1/stream") as ws:
        await asyncio.wait_for(await ws.ping(b"what it carried"), 5)


async def test_a_flood_of_pings_is_too_much() -> None:
    async with ground() as team, connect(f"ws://127.0.0.1:{team.port}/api/v1/stream") as ws:
        for number in range(200):
            await ws.ping(b"%d" % number)
        last = [json.loads(text) async for text in _rest(ws)][-1]
        assert (last["op"], last["code"]) == ("bye", 4429)
        assert ws.close_code == 4429


async def test_half_a_frame_now_and_then_is_a_sign_of_life() -> None:
    async with ground() as team:
        reader, writer = await asyncio.open_connection("127.0.0.1", team.port)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        upgrade = f"Host: 127.0.0.1:{team.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}"
        writer.write(f"GET /api/v1/stream HTTP/1.1\r\n{upgrade}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"\x81\xfe\x01\x00\0\0\0\0 ":
            await asyncio.sleep(20.0)
            writer.write(bytes([byte]))
        await asyncio.sleep(20.0)
        assert team.server.clients == 1
        await asyncio.sleep(30.0)
        assert team.server.clients == 0
        writer.transport.abort()

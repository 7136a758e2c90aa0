"""A gateway of one tracker for the client's tests, and servers that are none."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from aiohttp import WSMsgType, web

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS, Limits
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from insiders_gateway_client.following import Following, Subscription
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.messages import Codec, Message


def seconds(start: int, stop: int) -> SampleBlock:
    times = np.arange(start * 1000, stop * 1000, 100)
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.SPEED] = 1.5
    return SampleBlock(times, values)


@dataclass
class Ground:
    """One channel, and a server that can be stopped and started again."""

    channel: Channel
    port: int

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(
        self, epoch: str = "e", *, is_state_kept: bool = False, limits: Limits = LIMITS
    ) -> AsyncIterator[LiveServer]:
        board = Board()
        board.channel_changed(self.channel)
        board.presence_changed(self.channel, "live")
        hub = Hub({self.channel.ch: self.channel}, board, epoch, "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
        server = LiveServer(hub, dict, limits=limits, is_open_on_loopback=True)
        async with server.listening("127.0.0.1", self.port, lambda: is_state_kept):
            yield server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(name="ground")
def _ground() -> Ground:
    channel = Channel(1, Wearer("SN-1"), 20_000)
    channel.rows_came(seconds(0, 60), 0.0)
    return Ground(channel, free_port())


def follow(url: str, codec: Codec = Codec.MSGPACK, **wanted: Any) -> Following:
    return Gateway(url).follow(Subscription(**wanted), codec)


async def hear(client: Following, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """Messages until there are enough of them."""
    heard: list[Message] = []
    async with asyncio.timeout(300), aclosing(client.messages()) as messages:
        async for message in messages:
            heard.append(message)
            if enough(heard):
                break
    return heard


def cuts(heard: list[Message]) -> list[Message]:
    return [message for message in heard if message["op"] == "disconnected"]


def numbers(client: Following, heard: list[Message]) -> list[int]:
    runs = [run for message in heard if message["op"] in {"snap", "d"} for run in client.rows(message)]
    return [number for run in runs for number in range(run.n0, run.last + 1)]


def said(op: str) -> Callable[[list[Message]], bool]:
    return lambda heard: heard[-1]["op"] == op


@asynccontextmanager
async def saying(*payloads: str | bytes, closing: int | None = None) -> AsyncIterator[tuple[str, list[Any]]]:
    """A websocket server that says the same to everybody and then falls silent; what it hears is written down."""
    heard: list[Any] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=[*Codec])
        await ws.prepare(request)
        for payload in payloads:
            await (ws.send_str(payload) if isinstance(payload, str) else ws.send_bytes(payload))
        if closing is not None:
            await ws.close(code=closing)
            return ws
        async for frame in ws:
            if frame.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                heard.append(frame.data)
        return ws

    app = web.Application()
    app.router.add_get("/api/v1/stream", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}", heard
    finally:
        await runner.cleanup()

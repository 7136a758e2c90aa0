"""Whoever sends more than it may takes nobody else's turn of the loop: frames are counted by turn, not by time."""

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.access.roles import Role
from gateway.live.door.connection import FRAMES_BYTES, Connection
from gateway.live.limits import LIMITS
from gateway.live.routes.history import answer_history
from gateway.live.stream.session import Session
from gateway.live.stream.streaming import HEARD_AT_ONCE
from tests.live.house import House, opened

pytestmark = pytest.mark.looptime

TEXT, PING, PONG = 1, 9, 10
FRAMES = 3000


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One as clients send it, under a mask of zeros."""
    return bytes((0x80 | kind, 0x80 | len(payload))) + bytes(4) + payload


FLOODS = {"pings": frame(PING), "pongs": frame(PONG), "words": frame(TEXT, b'{"op":"x"}'), "noise": frame(TEXT, b"!")}


@asynccontextmanager
async def stream(
    house: House, token: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A websocket of which the test writes every byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, ssl=tls)
    key = base64.b64encode(bytes(16)).decode()
    head = f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nUpgrade: websocket\r\n"
    head += f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    writer.write((head + (f"Authorization: Bearer {token}\r\n" if token else "") + "\r\n").encode())
    await reader.readuntil(b"\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@pytest.fixture(name="turns")
def _turns(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames were handled with each turn of the loop, if there were some."""
    turns, handle = [0], Session.heard

    def heard(session: Session, now_s: float) -> bool:
        turns[-1] += 1
        if turns[-1] == 1:
            asyncio.get_running_loop().call_soon(turns.append, 0)
        return handle(session, now_s)

    monkeypatch.setattr(Session, "heard", heard)
    return turns


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    with suppress(ConnectionError):
        while portion := await reader.read(65_536):
            heard += portion
    return heard


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("is_known", [False, True], ids=["stranger", "viewer"])
async def test_a_flood_is_left_unread_and_has_a_few_frames_a_turn(
    tmp_path: Path, turns: list[int], flood: str, *, is_known: bool
) -> None:
    async with opened(tmp_path) as house:
        token = await house.token(Role.VIEWER) if is_known else None
        for _ in range(2):
            async with stream(house, token) as (reader, writer), stream(house, token) as (other, also):
                for writing in (writer, also):
                    writing.write(FLOODS[flood] * FRAMES)
                for heard in (await _all_of(reader), await _all_of(other)):
                    assert b'"code":4429' in heard
        assert max(turns) <= HEARD_AT_ONCE
        assert sum(turns) == 4 * (LIMITS.max_inbound_burst + 1)
        await asyncio.sleep(1)
        assert house.server.clients == 0


async def test_over_tls_a_flood_is_left_unread_too(
    tmp_path: Path, turns: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, is_tls=True) as house:
        async with stream(house, tls=house.client_tls()) as (reader, writer):
            writer.write(FLOODS["pings"] * FRAMES)
            assert b'"code":4429' in await _all_of(reader)
        async with stream(house, tls=house.client_tls()) as (_, writer):
            writer.write(FLOODS["pings"] * FRAMES)
        await asyncio.sleep(2)
        assert max(turns) <= HEARD_AT_ONCE
        assert sum(turns) <= 2 * (LIMITS.max_inbound_burst + 1)
        assert house.server.clients == 0
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_who_is_thrown_out_and_floods_is_left_unread(tmp_path: Path, turns: list[int]) -> None:
    async with opened(tmp_path) as house, stream(house) as (reader, writer):
        wrong = json.dumps({"op": "auth", "token": "igw_" + "x" * 43}).encode()
        writer.write(frame(TEXT, wrong) + FLOODS["pings"] * FRAMES)
        assert b'"code":4401' in await _all_of(reader)
        assert max(turns) <= HEARD_AT_ONCE
        assert sum(turns) == LIMITS.max_inbound_burst + 1


async def test_what_is_read_at_once_of_a_websocket_is_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is taken apart before anything else happens."""
    portions, read = list[int](), Connection.data_received

    def data_received(connection: Connection, data: bytes) -> None:
        portions.append(len(data))
        read(connection, data)

    async with opened(tmp_path) as house, stream(house) as (reader, writer):
        monkeypatch.setattr(Connection, "data_received", data_received)
        writer.write(frame(PING) * 100_000)
        await _all_of(reader)
    assert max(portions) <= FRAMES_BYTES
    assert sum(portions) < 100 * FRAMES_BYTES


async def test_of_long_answers_one_is_made_with_each_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns, make = [0], answer_history

    def counted(*args: Any) -> bytes:
        turns[-1] += 1
        asyncio.get_running_loop().call_soon(turns.append, 0)
        return make(*args)

    monkeypatch.setattr("gateway.live.routes.data.answer_history", counted)
    async with opened(tmp_path) as house, aiohttp.ClientSession(headers=await house.bearer(Role.VIEWER)) as http:
        asked = f"{house.base}/api/v1/history?device=SN-1&from=0&to=1"
        answers = await asyncio.gather(*(http.get(asked) for _ in range(15)))
    assert {answer.status for answer in answers} == {200}
    assert (max(turns), sum(turns)) == (1, 15)

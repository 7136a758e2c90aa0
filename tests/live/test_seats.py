"""Who has a seat when strangers crowd in: everybody who is let in, however they show it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway.access.roles import Role
from gateway.live.door.connection import RETRY_S
from gateway.live.limits import LIMITS, Limits
from tests.live.house import House, opened

SOME = Limits(max_clients=40, max_clients_per_address=40)


@asynccontextmanager
async def strangers(house: House, addresses: int, each: int, *, first: bytes = b"") -> AsyncIterator[None]:
    """Connections that show nothing; mute, unless they have something to say."""
    writers = []
    for number in range(addresses):
        for _ in range(each):
            local = (f"127.0.1.{number + 1}", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port, local_addr=local)
            writers.append(writer)
            if first:
                writer.write(first)
                await reader.readuntil(b"}")
    yield
    for writer in writers:
        writer.close()


async def test_two_hundred_and_twenty_mute_strangers_keep_nobody_out_who_is_let_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as house, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        token = await house.token(Role.VIEWER)
        bearer, cookie = {"Authorization": f"Bearer {token}"}, {"Cookie": f"insiders_gateway={token}"}
        async with strangers(house, 11, LIMITS.max_clients_per_address):
            for path, shown in (
                ("/api/v1/me", bearer),
                ("/api/v1/me", cookie),
                ("/", cookie),
                ("/web/live.js", cookie),
            ):
                closing = {"Connection": "close"}  # each comes as somebody new
                async with http.get(house.base + path, headers=shown | closing) as answer:
                    assert answer.status == 200, (path, shown)
            async with http.ws_connect(f"{house.base}/api/v1/stream", headers=bearer) as ws:
                assert (await ws.receive_json())["op"] == "hello"
            for headers in ({}, {"Authorization": "Bearer igw_x"}, {"Authorization": "x"}):
                async with http.get(f"{house.base}/api/v1/hello", headers=headers) as answer:
                    assert (answer.status, answer.headers["Retry-After"]) == (503, str(RETRY_S))
                    assert "token" in (await answer.json())["text"], "with one, there is room"
        outcomes = {outcome for _, _, _, outcome in await house.noted()}
        assert outcomes == {"done"}, "a wrong token that finds no seat was no guess: nothing was told of it"


async def test_strangers_who_ask_now_and_then_have_no_more_seats_for_it(tmp_path: Path) -> None:
    ask = b"GET /api/v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with opened(tmp_path, limits=SOME) as house, aiohttp.ClientSession() as http:
        bearer = await house.bearer(Role.VIEWER)
        async with strangers(house, 5, 3, first=ask):
            assert house.hub.refusals == {"too_many_clients": 5}, "of 15, a quarter of 40 was served"
            async with http.get(f"{house.base}/api/v1/me", headers=bearer) as answer:
                assert answer.status == 200


async def test_a_crowd_that_is_let_in_has_every_seat_that_strangers_have_not(tmp_path: Path) -> None:
    async with opened(tmp_path, limits=SOME) as house:
        bearer = await house.bearer(Role.VIEWER)
        came, here = Counter[int](), list[aiohttp.ClientWebSocketResponse]()

        async def come() -> None:
            try:
                here.append(await http.ws_connect(f"{house.base}/api/v1/stream", headers=bearer))
                came[101] += 1
            except aiohttp.WSServerHandshakeError as error:
                came[error.status] += 1

        connector = aiohttp.TCPConnector(limit=0)
        async with strangers(house, 4, 10), aiohttp.ClientSession(connector=connector) as http:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(100):
                    tasks.create_task(come())
            assert came == {101: 30, 503: 70}
            assert house.hub.refusals == {"too_many_clients": 70}


async def test_who_shows_a_token_in_a_message_leaves_their_seat_to_the_next_stranger(tmp_path: Path) -> None:
    async with opened(tmp_path, limits=Limits(max_clients=4)) as house, aiohttp.ClientSession() as http:
        url = f"{house.base}/api/v1/stream"
        async with http.ws_connect(url) as ws:
            assert (await ws.receive_json())["auth"] == "required"
            async with http.get(f"{house.base}/api/v1/hello") as answer:
                assert answer.status == 503
            await ws.send_json({"op": "auth", "token": await house.token(Role.VIEWER)})
            assert (await ws.receive_json())["op"] == "auth_ok"
            async with http.get(f"{house.base}/api/v1/hello") as answer:
                assert answer.status == 200


async def test_where_nobody_needs_a_credential_everybody_may_have_every_seat(tmp_path: Path) -> None:
    async with opened(tmp_path, limits=Limits(max_clients=8), is_open=True) as house, aiohttp.ClientSession() as http:
        here = [await http.ws_connect(f"{house.base}/api/v1/stream") for _ in range(8)]
        assert len(here) == 8
        async with http.get(f"{house.base}/api/v1/hello") as answer:
            assert answer.status == 503

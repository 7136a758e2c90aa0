"""Live websockets whose every word a test writes, and what a test asks of a client's."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import CloudError
from insiders_codecs.cloud import DecodedRows
from tests.cloud.scripted import Handler, ScriptedCloud, empty_rows

T0 = 1_700_000_000_597
PATIENCE_S = 600.0
PROMPT, WELCOME = '{"message": "Authorization needed"}', '{"message": "Authorized"}'
RIGHT = "/v1/ws/preprocessed-data/7/"

Script = Callable[[web.WebSocketResponse], Awaitable[object]]


def second(number: int) -> str:
    """A message with one second's rows, as the cloud writes it."""
    first_ms = T0 + 1000 * number
    gnss = {"timestamp": [first_ms + 100 * i for i in range(10)], "speed": [number] * 10}
    return json.dumps({"gnss": gnss, "device": {"timestamp": first_ms, "Bat_lvl": 90, "standstill": 0}})


def websockets(*scripts: Script, requests: Handler = empty_rows, autoping: bool = True) -> Handler:
    """Each script for one connection, the last for ever; requests are answered as usual."""
    left = list(scripts)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path != RIGHT:
            return await requests(request)
        websocket = web.WebSocketResponse(autoping=autoping, compress=False)
        await websocket.prepare(request)
        await (left.pop(0) if len(left) > 1 else left[0])(websocket)
        return websocket

    return answer


def welcoming(*messages: str | bytes, then: Script | None = None) -> Script:
    """Takes any token, sends the messages, and goes on with `then`, or listens until the client goes."""

    async def talk(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(PROMPT)
        await websocket.receive()
        await websocket.send_str(WELCOME)
        for message in messages:
            await (websocket.send_str(message) if isinstance(message, str) else websocket.send_bytes(message))
        await (then or listening)(websocket)

    return talk


async def listening(websocket: web.WebSocketResponse) -> None:
    async for _ in websocket:
        pass


def refusing(text: str | None, code: int = 4003) -> Script:
    async def talk(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(PROMPT)
        await websocket.receive()
        if text is not None:
            await websocket.send_str(text)
        await websocket.close(code=code, message=b"no")

    return talk


def closing(code: int) -> Script:
    async def close(websocket: web.WebSocketResponse) -> None:
        await websocket.close(code=code)

    return close


async def resetting(websocket: web.WebSocketResponse) -> None:
    assert websocket._req is not None
    assert websocket._req.transport is not None
    websocket._req.transport.abort()


async def hanging(_websocket: object) -> None:
    await asyncio.sleep(86_400)


def answering(status: int, body: object = None, **headers: str) -> Handler:
    """A handshake's answer that is no websocket; requests are answered as usual."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path != RIGHT:
            return await empty_rows(request)
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers=headers)
        return web.json_response({"detail": "no"} if body is None else body, status=status, headers=headers)

    return answer


def now() -> float:
    return asyncio.get_running_loop().time()


async def received(updates: AsyncIterator[DecodedRows], count: int) -> list[int]:
    """The second numbers of the next messages."""
    numbers: list[int] = []
    async for rows in updates:
        numbers.append((int(rows.block.t_ms[0]) - T0) // 1000)
        if len(numbers) == count:
            break
    return numbers


async def failure(client: CloudClient, device_id: int = 7) -> CloudError:
    """How a connection ends."""
    try:
        async with asyncio.timeout(PATIENCE_S), client.live(device_id) as updates:
            async for _ in updates:
                pass
    except CloudError as error:
        return error
    pytest.fail("it ended by itself")


@asynccontextmanager
async def logged_in(cloud: ScriptedCloud) -> AsyncIterator[CloudClient]:
    """A client whose token is known to be good for requests."""
    async with cloud.open() as client:
        await client.latest_data(7, lambda: 1)
        yield client


REFUSALS = {
    "text and code": refusing('{"message": "Authorization failed"}'),
    "code alone": refusing(None),
    "an ordinary close": refusing(None, 1000),
    "policy": refusing(None, 1008),
    "a text of another form": refusing("Forbidden", 1000),
    "data in place of an answer": refusing(second(0)),
    "a detail": refusing('{"detail": "You do not own this device."}'),
}

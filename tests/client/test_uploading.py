"""A file on its way to a gateway: bounded, broken off when it has to be, and never waited for without end."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.live.requests import ErrorCode
from gateway.terminal.questions import upload_recording
from insiders_gateway_client.errors import GatewayError, NobodyThereError, RefusalError
from insiders_gateway_client.uploading import ANSWER_WITHIN_S, TAKEN_WITHIN_S

pytestmark = pytest.mark.looptime

BLOCK = bytes(256 * 1024)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/api/v1/recordings", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/api/v1/stream"
    finally:
        await runner.cleanup()


async def blocks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield BLOCK


async def never(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_file_is_sent_with_its_length_and_what_is_said_of_it() -> None:
    seen: dict[str, object] = {}

    async def take(request: web.Request) -> web.StreamResponse:
        body = hashlib.sha256()
        async for block in request.content.iter_any():
            body.update(block)
        seen.update(request.query, length=request.content_length, chunked="Transfer-Encoding" in request.headers)
        return web.json_response({"sha256": body.hexdigest()}, status=201)

    async with gateway(take) as url:
        query = {"name": "Übung & Spiel #1?.asi", "author": "kim"}
        answer = await upload_recording(url, blocks(3), 3 * len(BLOCK), query)
    assert answer.decode() == f'{{"sha256": "{hashlib.sha256(BLOCK * 3).hexdigest()}"}}'
    assert seen == {**query, "length": 3 * len(BLOCK), "chunked": False}


async def test_however_large_it_is_it_is_never_in_memory() -> None:
    async def take(request: web.Request) -> web.StreamResponse:
        async for _ in request.content.iter_any():
            pass
        return web.json_response({})

    async with gateway(take) as url:
        await upload_recording(url, blocks(1), len(BLOCK), {})
        tracemalloc.start()
        try:
            await upload_recording(url, blocks(400), 400 * len(BLOCK), {})
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 * len(BLOCK)


async def test_a_refusal_in_the_middle_is_heard_though_nobody_takes_the_rest() -> None:
    asked = 0

    async def many() -> AsyncIterator[bytes]:
        nonlocal asked
        for _ in range(400):
            asked += 1
            yield BLOCK

    async def refuse(request: web.Request) -> web.StreamResponse:
        await request.content.readany()
        return web.json_response(
            {"op": "error", "code": "too_large", "text": "It is too large.", "most": 5}, status=413
        )

    async with gateway(refuse) as url:
        with pytest.raises(RefusalError, match="It is too large") as refused:
            await upload_recording(url, many(), 400 * len(BLOCK), {})
    assert (refused.value.code, refused.value.facts) == (ErrorCode.TOO_LARGE, {"most": 5})
    assert asked < 400


async def test_what_goes_wrong_with_the_file_breaks_it_off_and_is_told_as_it_is() -> None:
    ends: list[str] = []

    async def broken() -> AsyncIterator[bytes]:
        yield BLOCK
        raise OSError(5, "Input/output error")

    async def take(request: web.Request) -> web.StreamResponse:
        try:
            await request.read()
        except (web.RequestPayloadError, ConnectionError, asyncio.CancelledError):
            ends.append("cut")
            raise
        ends.append("whole")
        return web.json_response({})

    async with gateway(take) as url:
        with pytest.raises(OSError, match="Input/output"):
            await upload_recording(url, broken(), 2 * len(BLOCK), {})
        await asyncio.sleep(1)
    assert "whole" not in ends


@pytest.mark.parametrize(("size", "within_s"), [(1, ANSWER_WITHIN_S), (400, TAKEN_WITHIN_S)])
async def test_a_gateway_that_takes_or_says_nothing_is_not_waited_for_without_end(size: int, within_s: float) -> None:
    now_s = asyncio.get_running_loop().time
    began_s = now_s()
    async with gateway(never) as url:
        with pytest.raises(GatewayError, match="takes nothing any more: look at its disk"):
            await upload_recording(url, blocks(size), size * len(BLOCK), {})
        assert within_s <= now_s() - began_s < within_s + 5


async def test_a_file_that_takes_its_time_is_waited_for() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield BLOCK
        await asyncio.sleep(10 * TAKEN_WITHIN_S)
        yield BLOCK

    async def take(request: web.Request) -> web.StreamResponse:
        return web.json_response({"size": len(await request.read())})

    async with gateway(take) as url:
        answer = await upload_recording(url, slow(), 2 * len(BLOCK), {})
    assert answer == f'{{"size": {2 * len(BLOCK)}}}'.encode()


async def test_who_is_cancelled_leaves_nothing_running() -> None:
    async with gateway(never) as url:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await upload_recording(url, blocks(400), 400 * len(BLOCK), {})


async def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(NobodyThereError, match=r"Nothing answers at 127\.0\.0\.1:9: start the gateway there"):
        await upload_recording("ws://127.0.0.1:9/api/v1/stream", blocks(1), len(BLOCK), {})

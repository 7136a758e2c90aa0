"""The operations against a server whose answers the test writes."""

import asyncio

import pytest
from aiohttp import web

from gateway.cloud.errors import NetworkLoginNeeded
from gateway.cloud.pacing import MAX_IN_FLIGHT
from tests.cloud.scripted import ScriptedCloud


async def test_latest_rows_are_read_with_one_token_and_one_request(cloud: ScriptedCloud) -> None:
    async def rows(_request: web.Request) -> web.Response:
        return web.json_response([{"gnss.timestamp": 1_700_000_000_100}, {"gnss.timestamp": 1_700_000_000_000}])

    cloud.handler = rows
    async with cloud.open() as client:
        decoded = await client.latest_data(7, lambda: 20)
    assert decoded.block.t_ms.tolist() == [1_700_000_000_000, 1_700_000_000_100]
    assert [(asked.method, asked.path, asked.query) for asked in cloud.asked] == [
        ("GET", "/v1/devices/7/latest-preprocessed-data/", {"size": "20"})
    ]
    assert len(cloud.tokens) == 1
    assert cloud.tokens[0]["grant_type"] == "password"


async def test_the_clouds_time_comes_from_its_answers_and_from_nobody_elses(cloud: ScriptedCloud) -> None:
    async def portal(_request: web.Request) -> web.Response:
        headers = {"Date": "Wed, 21 Oct 2015 07:28:40 GMT"}
        return web.Response(text="<html>", content_type="text/html", headers=headers)

    async def rows(_request: web.Request) -> web.Response:
        return web.json_response([], headers={"Date": "Fri, 21 Oct 2033 07:28:40 GMT"})

    async def token(request: web.Request) -> web.Response:
        response = await cloud.issue(request)
        response.headers["Date"] = "Fri, 21 Oct 2033 07:28:40 GMT"
        return response

    cloud.token_handler, cloud.handler = portal, rows
    async with cloud.open() as client:
        with pytest.raises(NetworkLoginNeeded):
            await client.latest_data(7, lambda: 20)
        assert client.utc_ms() is None
        cloud.token_handler = token
        await client.latest_data(7, lambda: 20)
        utc_ms = client.utc_ms()
    assert utc_ms is not None
    assert abs(utc_ms - 2_013_492_520_500) < 60_000


@pytest.mark.timeout(10)
async def test_what_history_asks_for_waits_until_no_live_data_do(cloud: ScriptedCloud) -> None:
    """Ownerships too: history asks for them first, tracker by tracker."""
    arrived: asyncio.Queue[str] = asyncio.Queue()
    answers = asyncio.Semaphore(0)

    async def held(request: web.Request) -> web.Response:
        arrived.put_nowait(request.path.split("/")[-2])
        await answers.acquire()
        return web.json_response(
            [] if "latest" in request.path else {"count": 0, "page": 1, "next": None, "results": []}
        )

    async def owned() -> None:
        assert [ownership async for ownership in client.ownerships(device_id=7)] == []

    async def listed() -> None:
        assert [found async for found in client.ranges(7, 0, 1000)] == []

    cloud.handler = held
    async with cloud.open() as client, asyncio.TaskGroup() as tasks:
        for _ in range(MAX_IN_FLIGHT):
            tasks.create_task(client.latest_data(7, lambda: 20))
        assert [await arrived.get() for _ in range(MAX_IN_FLIGHT)] == ["latest-preprocessed-data"] * MAX_IN_FLIGHT
        tasks.create_task(owned())
        tasks.create_task(listed())
        await asyncio.sleep(0)
        tasks.create_task(client.latest_data(7, lambda: 20))
        await asyncio.sleep(0)
        answers.release()
        assert await arrived.get() == "latest-preprocessed-data"
        for _ in range(MAX_IN_FLIGHT + 2):
            answers.release()

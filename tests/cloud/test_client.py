"""The operations against a server whose answers the test writes."""

import pytest
from aiohttp import web

from gateway.cloud.errors import NetworkLoginNeeded
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

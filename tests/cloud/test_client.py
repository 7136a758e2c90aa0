"""The operations against a server whose answers the test writes."""

from aiohttp import web

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

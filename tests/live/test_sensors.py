"""The sensors in the air, and closer looks, asked for over HTTP."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from gateway.live.board import Board
from gateway.live.door.doors import GOODBYE_S
from gateway.live.hub import Hub
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError
from gateway.live.server import LiveServer
from gateway.terminal.questions import fetch_sensors, inspect_sensor
from insiders_gateway_client.errors import GatewayError, RefusalError


@dataclass
class Air:
    """What stands in for the sensors: it answers, refuses or looks until it is cancelled.

    Attributes:
        refusal: What a look is answered with.
        is_long: Whether a look lasts until it is cancelled.
        asked: What was to be looked at, and whether knowingly.
        cancelled: Looks that were cancelled.
    """

    refusal: RequestError | None = None
    is_long: bool = False
    asked: list[tuple[str, bool]] = field(default_factory=list)
    cancelled: int = 0

    def report(self) -> object:
        return {"op": "sensors", "sensors": []}

    async def inspect(self, sensor_id: str, *, take_link: bool) -> object:
        self.asked.append((sensor_id, take_link))
        if self.refusal is not None:
            raise self.refusal
        try:
            while self.is_long:
                await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {"op": "inspection", "battery_percent": 80}


@dataclass
class Served:
    """A gateway that serves them."""

    air: Air
    refusals: Counter[str]
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/stream"

    def http(self, path: str = "sensors/polar-h10/inspect") -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/{path}"

    async def post(self, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str]]:
        async with aiohttp.ClientSession() as http, http.post(self.http(), data=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture(name="served")
async def _served() -> AsyncIterator[Served]:
    air = Air()
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with LiveServer(hub, dict, air, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        yield Served(air, hub.refusals, port)


async def test_the_report_is_told_as_it_is(served: Served) -> None:
    assert json.loads(await fetch_sensors(served.url)) == served.air.report()


@pytest.mark.parametrize("take_link", [False, True])
async def test_a_closer_look_is_answered_with_what_was_found(served: Served, *, take_link: bool) -> None:
    found = await inspect_sensor(served.url, "polar-h10", take_link=take_link)
    assert json.loads(found) == {"op": "inspection", "battery_percent": 80}
    assert served.air.asked == [("polar-h10", take_link)]


@pytest.mark.parametrize("sensor_id", ["a b", "a/b", "../gaps", "%2e%2e", "käse?x#y"])
async def test_an_id_arrives_as_it_is_whatever_is_in_it(served: Served, sensor_id: str) -> None:
    await inspect_sensor(served.url, sensor_id, take_link=False)
    assert served.air.asked == [(sensor_id, False)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.UNKNOWN_SENSOR, 404),
        (ErrorCode.LINK_NEEDED, 409),
        (ErrorCode.SENSOR_NOT_IN_THE_AIR, 409),
        (ErrorCode.INSPECTION_RUNNING, 409),
        (ErrorCode.INSPECTION_FAILED, 502),
        (ErrorCode.RADIO_NOT_LISTENING, 503),
    ],
)
async def test_a_refusal_has_a_status_a_code_and_a_sentence_and_is_counted(
    served: Served, code: ErrorCode, status: int
) -> None:
    served.air.refusal = RequestError(code, "It is not in the air: put it on.")
    answer = {"op": "error", "code": str(code), "text": "It is not in the air: put it on."}
    assert await served.post() == (status, answer)
    assert served.refusals == {code: 1}
    with pytest.raises(RefusalError, match="put it on") as refused:
        await inspect_sensor(served.url, "polar-h10", take_link=True)
    assert refused.value.code == code


@pytest.mark.parametrize("body", [b"", b"{}", b'{"take_link": false}', b'{"of_a_later_version": 1}'])
async def test_a_link_is_taken_only_if_that_is_said(served: Served, body: bytes) -> None:
    assert (await served.post(body))[0] == 200
    assert served.air.asked == [("polar-h10", False)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no json", "bad_message"),
        (b"[]", "bad_message"),
        (b'"take_link"', "bad_message"),
        (b'{"take_link": 1}', "bad_message"),
        (b'{"take_link": "true"}', "bad_message"),
        (b'{"take_link": null}', "bad_message"),
        (b"\xff\xfe", "bad_message"),
        (b'{"a":' * 5000, "bad_message"),
        (b'{"!within_s": 5}', "unsupported_option"),
    ],
)
async def test_a_body_that_cannot_be_understood_looks_at_nothing(served: Served, body: bytes, code: str) -> None:
    status, answer = await served.post(body)
    assert (status, answer["code"]) == (400, code)
    assert answer["text"].endswith(".")
    assert served.air.asked == []


async def test_who_names_no_host_is_refused_and_nobody_is_asked_for_it(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", pytest.fail)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /api/v1/sensors HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.0 421 ")
    assert served.refusals == {"bad_host": 1}


async def test_a_body_that_is_not_compressed_as_it_says_is_refused(served: Served) -> None:
    status, answer = await served.post(b"{}", **{"Content-Encoding": "gzip"})
    assert (status, answer["code"]) == (400, "bad_message")
    assert served.air.asked == []
    assert served.refusals == {"bad_message": 1}


async def test_a_body_is_bounded(served: Served) -> None:
    padding = b" " * (MAX_BODY_BYTES - 2)
    assert (await served.post(b"{}" + padding))[0] == 200
    status, answer = await served.post(b"{}" + padding + b" ")
    assert (status, answer["code"]) == (413, "message_too_big")
    assert served.refusals == {"message_too_big": 1}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
    ],
)
async def test_pages_of_other_sites_neither_read_the_air_nor_take_a_link(
    served: Served, headers: dict[str, str], status: int
) -> None:
    filled = {name: value.format(port=served.port) for name, value in headers.items()}
    assert (await served.post(b'{"take_link": true}', **filled))[0] == status
    assert len(served.air.asked) == (status == 200)
    async with aiohttp.ClientSession() as http, http.get(served.http("sensors"), headers=filled) as answer:
        assert answer.status == status


async def test_a_look_cannot_be_taken_by_following_a_link(served: Served) -> None:
    async with aiohttp.ClientSession() as http, http.get(served.http()) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert (await answer.json())["code"] == "method_not_allowed"
    assert served.air.asked == []


@pytest.mark.parametrize("path", ["", "nothing", "sensors/", "sensors/polar-h10", "../../etc/passwd"])
async def test_an_address_that_does_not_exist_is_refused_like_anything_else(served: Served, path: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(served.http(path)) as answer:
        assert answer.status == 404
        assert (await answer.json())["code"] == "unknown_path"


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_look_ends_with_its_asker(served: Served, end: str) -> None:
    served.air.is_long = True
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(f"POST /api/v1/sensors/x/inspect HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
    await until(lambda: served.air.asked)
    assert served.air.cancelled == 0
    if end == "abort":
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.close()
    await until(lambda: served.air.cancelled)


@pytest.mark.looptime
async def test_a_look_does_not_hold_up_a_gateway_that_stops() -> None:
    air = Air(is_long=True)
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with asyncio.TaskGroup() as tasks:
        async with LiveServer(hub, dict, air, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
            url = f"ws://127.0.0.1:{port}/api/v1/stream"
            asking = tasks.create_task(_refused(url))
            await until(lambda: air.asked)
            began_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_s <= 2 * GOODBYE_S
        assert air.cancelled == 1
        assert "did not answer" in await asking


async def test_a_gateway_of_an_older_version_is_said_to_be_one() -> None:
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with LiveServer(hub, dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        url = f"ws://127.0.0.1:{port}/api/v1/stream"
        with pytest.raises(GatewayError, match=r"tells no sensors \(HTTP 404\)"):
            await fetch_sensors(url)
        with pytest.raises(GatewayError, match=r"tells no sensors \(HTTP 404\)"):
            await inspect_sensor(url, "x", take_link=False)


@pytest.mark.parametrize("body", ["{}", '{"code": "later"}', "[]", '"'])
async def test_a_refusal_in_other_words_is_one_of_another_version(body: str) -> None:
    async with refusing(body) as url:
        with pytest.raises(GatewayError, match="of this version"):
            await inspect_sensor(url, "x", take_link=False)


@asynccontextmanager
async def refusing(body: str) -> AsyncIterator[str]:
    """A server that answers everything with the same refusal."""

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=418, text=body, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/api/v1/stream"
    finally:
        await runner.cleanup()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0)


async def _refused(url: str) -> str:
    with pytest.raises(GatewayError) as refused:
        await inspect_sensor(url, "x", take_link=False)
    return str(refused.value)

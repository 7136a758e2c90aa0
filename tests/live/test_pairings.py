"""The pairings over HTTP: each address, who may ask, and how what cannot be done is told."""

import asyncio
import gzip
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError
from gateway.live.server import LiveServer
from gateway.terminal.questions import change_pairings, fetch_pairings, tracker_path
from insiders_gateway_client.errors import GatewayError, RefusalError

ACTIONS = ("adopt", "suspend", "resume", "retry")
CHANGES = [
    ("PATCH", "trackers/SN-1"),
    ("PUT", "team"),
    ("POST", "apply"),
    *(("POST", action) for action in ACTIONS),
    *(("POST", f"trackers/SN-1/{action}") for action in ACTIONS),
]
READS = ["", "plan", "team", "trackers/SN-1"]


@dataclass
class Desk:
    """What stands in for the pairings: it answers with what it was asked, or refuses.

    Attributes:
        refusal: What everything that can be refused is answered with.
        asked: What was to be changed, by what body.
    """

    refusal: RequestError | None = None
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def report(self) -> object:
        return {"op": "pairings"}

    def plan(self) -> object:
        return {"op": "pairing_plan"}

    def team(self) -> object:
        return {"op": "pairing_team"}

    async def explain(self, serial_number: str) -> object:
        if self.refusal is not None:
            raise self.refusal
        return {"op": "pairing", "serial_number": serial_number}

    async def set_(self, serial_number: str, body: bytes, author: str | None) -> object:
        return self._changed("set", serial_number, body, author)

    async def import_(self, body: bytes, author: str | None) -> object:
        return self._changed("import", body, author)

    async def apply(self, body: bytes, author: str | None) -> object:
        return self._changed("apply", body, author)

    async def act(self, action: str, serial_number: str | None, body: bytes, author: str | None) -> object:
        return self._changed(action, serial_number, body, author)

    def _changed(self, *asked: object) -> object:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asked)
        return {"op": "changed", "what": asked[0]}


@dataclass
class Served:
    """A gateway that serves them."""

    desk: Desk
    refusals: Counter[str]
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/stream"

    async def ask(self, method: str, path: str, body: bytes = b"", /, **headers: str) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self.port}/api/v1/pairings{path and '/'}{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url, data=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture(name="served")
async def _served() -> AsyncIterator[Served]:
    desk = Desk()
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with LiveServer(hub, dict, pairings=desk, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        yield Served(desk, hub.refusals, port)


@pytest.mark.parametrize(
    ("path", "op"), [("", "pairings"), ("plan", "pairing_plan"), ("team", "pairing_team"), ("trackers/SN-1", "pairing")]
)
async def test_what_is_asked_for_is_answered(served: Served, path: str, op: str) -> None:
    assert json.loads(await fetch_pairings(served.url, path))["op"] == op
    assert (await served.ask("GET", path))[0] == 200


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_what_is_to_be_changed_arrives_as_it_was_sent(served: Served, method: str, path: str) -> None:
    await change_pairings(served.url, method, path, {"author": "Kim"})
    ((what, *rest),) = served.desk.asked
    serial = ["SN-1"] if path.startswith("trackers") else [None] if path in ACTIONS else []
    assert what in {"set", "import", "apply", *ACTIONS}
    assert rest == [*serial, b'{"author": "Kim"}', None]


@pytest.mark.parametrize("serial", ["a b", "a/b", "../team", "%2e%2e", "käse?x#y", "plan", "adopt"])
async def test_a_serial_number_arrives_as_it_is_whatever_is_in_it(served: Served, serial: str) -> None:
    told = json.loads(await fetch_pairings(served.url, tracker_path(serial)))
    assert told["serial_number"] == serial
    await change_pairings(served.url, "POST", tracker_path(serial, "retry"), {})
    assert served.desk.asked == [("retry", serial, b"{}", None)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.UNKNOWN_TRACKER, 404),
        (ErrorCode.FILE_MANAGED, 409),
        (ErrorCode.SUSPENDED, 409),
        (ErrorCode.SESSION_RUNNING, 409),
        (ErrorCode.SENSOR_TAKEN, 409),
        (ErrorCode.NOTHING_TO_DO, 409),
        (ErrorCode.GENERATION_CHANGED, 409),
        (ErrorCode.PLAN_CHANGED, 409),
        (ErrorCode.INVALID_SENSOR, 400),
        (ErrorCode.BAD_MESSAGE, 400),
        (ErrorCode.NOT_READ_YET, 503),
        (ErrorCode.STORE_FAILED, 503),
    ],
)
async def test_a_refusal_has_a_status_a_code_and_a_sentence_and_is_counted(
    served: Served, code: ErrorCode, status: int
) -> None:
    served.desk.refusal = RequestError(code, "It is Anna's: exchange the two with --swap.")
    answer = {"op": "error", "code": str(code), "text": "It is Anna's: exchange the two with --swap."}
    for method, path in [*CHANGES, ("GET", "trackers/SN-1")]:
        assert await served.ask(method, path, b"{}") == (status, answer)
        with pytest.raises(RefusalError, match="Anna's") as refused:
            await change_pairings(served.url, method, path, {})
        assert refused.value.code == code
    with pytest.raises(RefusalError, match="Anna's"):
        await fetch_pairings(served.url, "trackers/SN-1")
    assert served.refusals == {code: 2 * len(CHANGES) + 3}


async def test_what_a_program_may_want_to_know_of_a_refusal_is_told_in_fields(served: Served) -> None:
    served.desk.refusal = RequestError(ErrorCode.SENSOR_TAKEN, "It is Anna's.", {"serial_number": "SN-2"})
    answer = {"op": "error", "code": "sensor_taken", "text": "It is Anna's.", "serial_number": "SN-2"}
    assert await served.ask("PATCH", "trackers/SN-1", b"{}") == (409, answer)
    with pytest.raises(RefusalError) as refused:
        await change_pairings(served.url, "PATCH", "trackers/SN-1", {})
    assert refused.value.facts == {"serial_number": "SN-2"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
    ],
)
async def test_pages_of_other_sites_neither_read_nor_change_anything(
    served: Served, headers: dict[str, str], status: int
) -> None:
    filled = {name: value.format(port=served.port) for name, value in headers.items()}
    for path in READS:
        assert (await served.ask("GET", path, **filled))[0] == status
    for method, path in CHANGES:
        assert (await served.ask(method, path, b"{}", **filled))[0] == status
    assert len(served.desk.asked) == (len(CHANGES) if status == 200 else 0)


async def test_pages_of_other_sites_do_not_learn_which_addresses_exist(served: Served) -> None:
    for method, path in [("GET", "nothing"), ("DELETE", "team"), ("OPTIONS", "team")]:
        assert (await served.ask(method, path, Origin="http://evil.example"))[0] == 403


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_nothing_is_changed_by_following_a_link(served: Served, method: str, path: str) -> None:
    status, answer = await served.ask("GET", path)
    allowed = {"PATCH": 200, "PUT": 200}.get(method, 405)  # these two can be read as well
    assert status == allowed
    if status == 405:
        assert answer["code"] == "method_not_allowed"
    assert served.desk.asked == []


@pytest.mark.parametrize(
    "path", ["nothing", "trackers", "trackers/", "trackers/SN-1/nothing", "trackers/SN-1/adopt/x", "plan/"]
)
async def test_an_address_that_does_not_exist_is_refused_like_anything_else(served: Served, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH"):
        status, answer = await served.ask(method, path)
        assert (status, answer["code"]) == (404, "unknown_path")


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_a_body_is_bounded(served: Served, method: str, path: str) -> None:
    assert (await served.ask(method, path, b" " * MAX_BODY_BYTES))[0] == 200
    status, answer = await served.ask(method, path, b" " * (MAX_BODY_BYTES + 1))
    assert (status, answer["code"]) == (413, "message_too_big")
    assert len(served.desk.asked) == 1


async def test_a_list_that_is_too_long_is_told_in_the_gateways_words(served: Served) -> None:
    with pytest.raises(RefusalError, match="send less at once") as refused:
        await change_pairings(served.url, "PUT", "team", {"author": "x" * MAX_BODY_BYTES})
    assert refused.value.code == ErrorCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "x"])
async def test_a_compressed_body_is_not_unpacked(served: Served, coding: str, caplog: pytest.LogCaptureFixture) -> None:
    for method, path in CHANGES:
        status, answer = await served.ask(method, path, gzip.compress(b"{}"), **{"Content-Encoding": coding})
        assert (status, answer["code"]) == (400, "bad_message")
        assert "Content-Encoding" in answer["text"]
    assert served.desk.asked == []
    assert [it for it in caplog.records if it.levelno >= logging.WARNING] == []


@asynccontextmanager
async def begun(port: int, *parts: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection over which so much of a request came, and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"PUT /api/v1/pairings/team HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    for part in (head.encode(), *parts):
        writer.write(part)
        await asyncio.sleep(0.01)
    try:
        yield reader
    finally:
        writer.close()


async def error_of(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of the answer to a request that was only begun."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split(b" ")[1]), json.loads(await reader.readexactly(length))["code"]


@pytest.mark.looptime
async def test_a_body_that_does_not_come_is_not_waited_for(served: Served) -> None:
    for parts in (
        [b"Content-Length: 9\r\n\r\n{"],
        [b"Content-Length: 9\r\n\r\n"],
        [b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ):
        async with begun(served.port, *parts) as reader:
            before_s = asyncio.get_running_loop().time()
            assert await error_of(reader) == (408, "body_too_slow")
            assert asyncio.get_running_loop().time() - before_s < LIMITS.body_s + 1
    assert served.desk.asked == []


@pytest.mark.looptime
async def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes(served: Served) -> None:
    async with begun(served.port, f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()) as reader:
        before_s = asyncio.get_running_loop().time()
        assert await error_of(reader) == (413, "message_too_big")
        assert asyncio.get_running_loop().time() - before_s < 1


@pytest.mark.looptime
async def test_a_body_that_turns_out_to_make_no_sense_leaves_nothing_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        parts = b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"Kim\r\n\r\n"
        async with begun(served.port, *parts) as reader:
            assert (await error_of(reader))[0] in {400, 408}
            await asyncio.sleep(3 * LIMITS.body_s)
    assert [it for it in caplog.records if it.name.startswith(("aiohttp", "gateway"))] == []
    assert served.desk.asked == []


async def test_a_gateway_without_them_is_said_to_be_of_another_version() -> None:
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with LiveServer(hub, dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        url = f"ws://127.0.0.1:{port}/api/v1/stream"
        with pytest.raises(GatewayError, match=r"tells no pairings \(HTTP 404\)"):
            await fetch_pairings(url)
        with pytest.raises(GatewayError, match=r"tells no pairings \(HTTP 404\)"):
            await change_pairings(url, "PATCH", tracker_path("SN-1"), {})


async def test_nobody_there_is_said_to_be_nobody() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(GatewayError, match="did not answer"):
            await change_pairings(f"ws://127.0.0.1:{port}/api/v1/stream", "POST", "apply", {})

"""The recordings over HTTP: each address, and a body that comes in pieces, slowly, not at all or not as it should."""

import asyncio
import gzip
import io
import json
import logging
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.requests import MAX_BODY_BYTES, ErrorCode, RequestError
from gateway.live.routes.page import PAGE
from gateway.live.routes.recordings import ACTIONS, PATIENCE_BYTES, PATIENCE_S
from gateway.live.server import LiveServer

CHANGES = ["rebuild", *(f"3f9c/{action}" for action in ACTIONS)]


@dataclass
class Desk:
    """What stands in for the recordings: it takes over what comes, or refuses.

    Attributes:
        refusal: What everything that can be refused is answered with.
        most: Bytes that it takes.
        asked: What was to be done, with what.
        came: Bytes of what was taken over or is being; none are kept.
        left: Bodies that came to no end.
        pause_s: How long each block takes to be written.
        revision: Of what there is to report.
    """

    refusal: RequestError | None = None
    most: int = 1 << 30
    asked: list[tuple[object, ...]] = field(default_factory=list)
    came: int = 0
    left: int = 0
    pause_s: float = 0.0
    revision: int = 0

    async def report(self, *, is_all: bool) -> object:
        return {"recordings": [], "is_all": is_all}

    def tag(self, *, is_all: bool) -> str:
        return f"{self.revision}-{is_all}"

    def show(self, recording_id: str) -> object:
        return self._answered("show", recording_id)

    async def add(
        self, blocks: AsyncIterator[bytes], size: int | None, query: Mapping[str, str], author: str | None
    ) -> object:
        if self.refusal is not None:
            raise self.refusal
        self.came = 0
        if (size or 0) > self.most:
            raise RequestError(ErrorCode.TOO_LARGE, "It is too large: look whether it is a recording.")
        is_whole = False
        try:
            async for block in blocks:
                self.came += len(block)
                await asyncio.sleep(self.pause_s)
            is_whole = True
        finally:
            self.left += not is_whole
        return self._answered("add", size, dict(query), author)

    async def act(self, action: str, recording_id: str, body: bytes, author: str | None) -> object:
        return self._answered(action, recording_id, body, author)

    async def rebuild(self) -> object:
        return self._answered("rebuild")

    def _answered(self, *asked: object) -> object:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(asked)
        return {"what": asked[0]}


@dataclass
class Served:
    """A gateway that serves them."""

    desk: Desk
    refusals: Counter[str]
    port: int

    async def ask(self, method: str, path: str = "", body: Any = None, /, **headers: str) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self.port}/api/v1/recordings{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url, data=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture(name="served")
async def _served() -> AsyncIterator[Served]:
    desk = Desk()
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with LiveServer(hub, dict, recordings=desk, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        yield Served(desk, hub.refusals, port)


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


@pytest.mark.parametrize(("query", "is_all"), [("", False), ("?all=true", True), ("?all=0", False)])
async def test_the_report_is_told_with_what_is_deleted_if_that_is_asked_for(
    served: Served, query: str, *, is_all: bool
) -> None:
    assert await served.ask("GET", query) == (200, {"recordings": [], "is_all": is_all})


async def test_whoever_knows_the_report_already_is_told_so_and_no_more(served: Served) -> None:
    url = f"http://127.0.0.1:{served.port}/api/v1/recordings"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            known = {"If-None-Match": answer.headers["ETag"]}
        async with http.get(url, headers=known) as answer:
            assert (answer.status, await answer.read(), answer.headers["ETag"]) == (304, b"", known["If-None-Match"])
        async with http.get(f"{url}?all=true", headers=known) as answer:
            assert answer.status == 200, "that is another report"
        served.desk.revision += 1
        async with http.get(url, headers=known) as answer:
            assert (answer.status, (await answer.json())["is_all"]) == (200, False)


async def test_one_recording_is_shown(served: Served) -> None:
    assert await served.ask("GET", "/3f9c") == (200, {"what": "show"})
    assert served.desk.asked == [("show", "3f9c")]


@pytest.mark.parametrize("path", CHANGES)
async def test_what_a_person_says_arrives_as_it_was_sent(served: Served, path: str) -> None:
    assert (await served.ask("POST", f"/{path}", b'{"author": "Kim"}'))[0] == 200
    name, _, action = path.partition("/")
    assert served.desk.asked == [(action, name, b'{"author": "Kim"}', None) if action else ("rebuild",)]


async def test_a_file_is_taken_over_with_what_is_said_of_it(served: Served) -> None:
    status, answer = await served.ask("POST", "?name=SN-1/a%20b.asi&author=Kim", b"ASI" * 1000)
    assert (status, answer) == (201, {"what": "add"})
    assert served.desk.asked == [("add", 3000, {"name": "SN-1/a b.asi", "author": "Kim"}, None)]
    assert served.desk.came == 3000


async def test_a_file_larger_than_any_other_body_comes_in_blocks_and_is_never_whole_in_memory(served: Served) -> None:
    size, count = 1 << 20, 64
    tracemalloc.start()
    try:
        assert (await served.ask("POST", "", pieces(count, size)))[0] == 201
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert served.desk.came == size * count > MAX_BODY_BYTES
    assert peak < 8 << 20, "client and server together"


async def test_other_bodies_are_as_bounded_as_before(served: Served) -> None:
    for action in ACTIONS:
        status, answer = await served.ask("POST", f"/3f9c/{action}", b" " * (MAX_BODY_BYTES + 1))
        assert (status, answer["code"]) == (413, "message_too_big")
    assert served.desk.asked == []


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.UNKNOWN_RECORDING, 404),
        (ErrorCode.UNKNOWN_TRACKER, 404),
        (ErrorCode.NOT_NOW, 409),
        (ErrorCode.NOT_ASI, 415),
        (ErrorCode.EMPTY, 400),
        (ErrorCode.TOO_LARGE, 413),
        (ErrorCode.CUT_OFF, 400),
        (ErrorCode.NO_ROOM, 507),
        (ErrorCode.DISK_FAILED, 503),
    ],
)
async def test_a_refusal_has_a_status_a_code_and_a_sentence_and_is_counted(
    served: Served, code: ErrorCode, status: int
) -> None:
    served.desk.refusal = RequestError(code, "Not now: wait.", {"state": "sending"})
    answer = {"op": "error", "code": str(code), "text": "Not now: wait.", "state": "sending"}
    for method, path in [("GET", "/3f9c"), ("POST", ""), *(("POST", f"/{path}") for path in CHANGES)]:
        assert await served.ask(method, path, b"{}" if method == "POST" else None) == (status, answer)
    assert served.refusals == {code: 2 + len(CHANGES)}


async def test_whoever_sends_too_much_is_told_though_nobody_has_read_it(served: Served) -> None:
    served.desk.most = 1000
    status, answer = await served.ask("POST", "", io.BytesIO(b"x" * (32 << 20)))
    assert (status, answer["code"]) == (413, "too_large")
    assert served.desk.came == 0


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "x"])
async def test_a_compressed_body_is_not_unpacked(served: Served, coding: str) -> None:
    body = gzip.compress(b"ASI")
    for path in ("", *(f"/3f9c/{action}" for action in ACTIONS)):
        status, answer = await served.ask("POST", path, body, **{"Content-Encoding": coding})
        assert (status, answer["code"]) == (400, "bad_message")
    assert served.desk.asked == []


async def test_what_is_misspelt_beside_all_is_refused_and_not_ignored(served: Served) -> None:
    for query in ("?al=true", "?all=perhaps"):
        status, answer = await served.ask("GET", query)
        assert (status, answer["code"]) == (400, "bad_message")


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
    for path in ("", "/3f9c"):
        assert (await served.ask("GET", path, **filled))[0] == status
    for path in CHANGES:
        assert (await served.ask("POST", f"/{path}", b"{}", **filled))[0] == status
    assert (await served.ask("POST", "", b"ASI", **filled))[0] == (201 if status == 200 else status)
    assert bool(served.desk.asked) is (status == 200)


@asynccontextmanager
async def begun(port: int, *parts: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection over which so much of a file came, and no more yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/v1/recordings HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    for part in (head.encode(), *parts):
        writer.write(part)
        await asyncio.sleep(0.01)
    try:
        yield reader, writer
    finally:
        writer.close()


async def error_of(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and code of the answer to a file that was only begun."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split(b" ")[1]), json.loads(await reader.readexactly(length))["code"]


@pytest.mark.looptime
@pytest.mark.parametrize(
    "parts",
    [
        [b"Content-Length: 90000\r\n\r\n"],
        [b"Content-Length: 90000\r\n\r\n", b"ASI"],
        [b"Content-Length: 90000\r\n\r\n", b"ASI" * 15_000],
        [b"Transfer-Encoding: chunked\r\n\r\n3\r\nASI\r\n"],
    ],
)
async def test_a_body_that_stops_coming_is_not_waited_for(served: Served, parts: list[bytes]) -> None:
    async with begun(served.port, *parts) as (reader, _):
        before_s = asyncio.get_running_loop().time()
        assert await error_of(reader) == (408, "body_too_slow")
        assert PATIENCE_S - 1 < asyncio.get_running_loop().time() - before_s < PATIENCE_S + 1
    assert (served.desk.asked, served.desk.left) == ([], 1)


@pytest.mark.looptime
@pytest.mark.parametrize(("bytes_per_s", "is_patient"), [(PATIENCE_BYTES // 20, False), (PATIENCE_BYTES // 5, True)])
async def test_a_body_may_be_as_slow_as_a_bad_line_and_no_slower(
    served: Served, bytes_per_s: int, *, is_patient: bool
) -> None:
    size = bytes_per_s * 60
    async with (
        begun(served.port, f"Content-Length: {size}\r\n\r\n".encode()) as (reader, writer),
        asyncio.TaskGroup() as tasks,
    ):
        told = tasks.create_task(reader.readuntil(b"\r\n\r\n"))
        for _ in range(60):
            if not told.done():
                writer.write(b"x" * bytes_per_s)
                await asyncio.sleep(1)
    assert told.result().split(b" ")[1] == (b"201" if is_patient else b"408")
    assert bool(served.desk.asked) is is_patient


@pytest.mark.looptime
async def test_the_time_that_our_disk_takes_is_not_counted(served: Served) -> None:
    served.desk.pause_s = 3 * PATIENCE_S
    assert (await served.ask("POST", "", pieces(4, 1 << 18)))[0] == 201


async def test_a_client_that_goes_away_ends_its_request(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    async with begun(served.port, b"Content-Length: 90000\r\n\r\n", b"ASI") as (_, writer):
        while not served.desk.came:
            await asyncio.sleep(0.01)
        writer.transport.abort()
    while not served.desk.left:
        await asyncio.sleep(0.01)
    assert served.desk.asked == []
    assert [it for it in caplog.records if it.levelno >= logging.WARNING] == []


@pytest.mark.looptime
async def test_a_body_that_makes_no_sense_is_refused(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    parts = b"Transfer-Encoding: chunked\r\n\r\n3\r\nASI\r\n", b"Kim\r\n\r\n"
    async with begun(served.port, *parts) as (reader, _):
        assert (await error_of(reader))[0] in {400, 408}
    assert (served.desk.asked, served.desk.left) == ([], 1)
    assert [it for it in caplog.records if it.levelno >= logging.WARNING] == []


async def test_an_upload_ends_when_the_gateway_stops() -> None:
    desk = Desk()
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with (
        LiveServer(hub, dict, recordings=desk, is_open_on_loopback=True).listening("127.0.0.1", 0) as port,
        begun(port, b"Content-Length: 90000\r\n\r\n", b"ASI"),
    ):
        while not desk.came:
            await asyncio.sleep(0.01)
    assert desk.left == 1


async def test_the_page_is_served_with_what_a_browser_must_not_allow(served: Served) -> None:
    async with aiohttp.ClientSession() as http:
        for path, (_, form) in PAGE.items():
            async with http.get(f"http://127.0.0.1:{served.port}{path}") as answer:
                assert (answer.status, answer.content_type) == (200, form)
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http" not in policy, "no other site"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                text = await answer.text()
                assert "http://" not in text, "nothing comes from elsewhere"
                assert "https://" not in text
                assert " style=" not in text
        for headers, status in (({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)):
            async with http.get(f"http://127.0.0.1:{served.port}/recordings", headers=headers) as answer:
                assert answer.status == status


async def test_a_gateway_without_them_serves_none() -> None:
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with (
        LiveServer(hub, dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port,
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/api/v1/recordings") as answer,
    ):
        assert answer.status == 404

"""The gate and the doors: every attack meets its documented answer, and nobody else notices."""

import asyncio
import gzip
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway.access.roles import Role
from gateway.live import server as live_server
from gateway.live.board import Board
from gateway.live.door.connection import ANSWER_S, IDLE_S, RETRY_S
from gateway.live.door.places import STANDING, Place
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS, Limits
from gateway.live.requests import MAX_BODY_BYTES
from gateway.live.server import LiveServer
from tests.live.house import Reached, certified, opened, raw

SECOND_S = 1.0


@pytest.fixture(name="tls", scope="module")
def _tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssl.SSLContext]:
    with certified(tmp_path_factory.mktemp("tls")) as certificates:
        yield certificates.context


def hub() -> Hub:
    return Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)


@asynccontextmanager
async def serving(
    limits: Limits = LIMITS, tls: ssl.SSLContext | None = None, counters: Callable[[], dict[str, object]] = dict
) -> AsyncIterator[tuple[LiveServer, int]]:
    """A server without people, open on loopback."""
    server = LiveServer(hub(), counters, Reached(), is_open_on_loopback=True, limits=limits)
    async with server.listening("127.0.0.1", 0, tls=tls) as port:
        yield server, port


def get(path: str, *lines: str, host: str = "127.0.0.1") -> bytes:
    head = (f"GET {path} HTTP/1.1", f"Host: {host}", *lines)
    return "\r\n".join((*head, "", "")).encode()


HELLO = get("/api/v1/hello")
LAST = get("/api/v1/hello", "Connection: close")


def statuses(answers: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.[01] (\d{3})", answers)]


async def ended_s(reader: asyncio.StreamReader) -> float:
    """When a connection ends, by the clock of the loop."""
    with suppress(ConnectionError):
        await reader.read()
    return asyncio.get_running_loop().time()


# Names and pages


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "evil.example"}, 421, "bad_host"),
        ({"Host": "127.0.0.1:{port}.evil.example"}, 421, "bad_host"),
        ({"Host": "192.168.1.7:{port}"}, 421, "bad_host"),
        ({"Origin": "https://evil.example"}, 403, "bad_origin"),
        ({"Origin": "null"}, 403, "bad_origin"),
        ({"Origin": "https://127.0.0.1:{port}"}, 403, "bad_origin"),
        ({"Host": "localhost:{port}", "Origin": "http://127.0.0.1:{port}"}, 403, "bad_origin"),
    ],
)
async def test_rebound_names_and_foreign_pages_get_nothing_whatever_they_show(
    tmp_path: Path, headers: dict[str, str], status: int, code: str
) -> None:
    async with opened(tmp_path) as house, aiohttp.ClientSession() as http:
        filled = {name: value.format(port=house.port) for name, value in headers.items()}
        filled |= await house.bearer(Role.ADMIN)
        for method, path in (("GET", "/api/v1/gaps"), ("POST", "/api/v1/pair"), ("GET", "/pair"), ("GET", "/nowhere")):
            async with http.request(method, house.base + path, headers=filled) as answer:
                assert (answer.status, (await answer.json())["code"]) == (status, code)
                assert "Access-Control-Allow-Origin" not in answer.headers
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{house.base}/api/v1/stream", headers=filled)
        assert refused.value.status == status


async def test_a_page_of_another_site_is_not_asked_in_advance_either(tmp_path: Path) -> None:
    async with opened(tmp_path) as house, aiohttp.ClientSession() as http:
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
        async with http.options(f"{house.base}/api/v1/releases", headers=asked) as answer:
            assert answer.status == 403
            assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://evil.example/api/v1/gaps", 421),
        ("http://127.0.0.1.evil.example:{port}/api/v1/gaps", 421),
        ("http://evil.example@127.0.0.1:{port}/api/v1/gaps", 421),
        ("http://127.0.0.1:{port}/api/v1/gaps", 200),
        ("/api/v1/gaps?x=http://evil.example/", 200),
    ],
)
async def test_a_whole_address_has_to_mean_this_gateway_though_the_header_does(
    tmp_path: Path, target: str, status: int
) -> None:
    async with opened(tmp_path) as house:
        shown = (f"Authorization: Bearer {await house.token(Role.ADMIN)}", "Connection: close")
        answer = await raw(house.port, get(target.format(port=house.port), *shown))
        assert statuses(answer) == [status]
        assert (b"bad_host" in answer) is (status == 421)


async def test_two_hosts_are_no_request(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        answer = await raw(house.port, get("/api/v1/hello", "Host: evil.example", "Connection: close"))
        assert statuses(answer) == [400]


# What is on every answer

SEALED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "insiders-gateway",
}


@pytest.mark.parametrize("is_tls", [False, True])
async def test_every_answer_tells_browsers_to_keep_it_to_its_page(tmp_path: Path, is_tls: bool) -> None:
    async with opened(tmp_path, is_tls=is_tls) as house:
        ours = house.client_tls() if is_tls else True
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=ours)) as http:
            admin = await house.bearer(Role.ADMIN)
            for path, status in (
                ("/api/v1/hello", 200),
                ("/api/v1/gaps", 200),
                ("/api/v1/history?device=SN-1&from=0&to=1", 200),
                ("/api/v1/history", 400),
                ("/api/v1/nowhere", 404),
                ("/api/v1/pair", 405),
                ("/api/v1/stream", 400),
                ("/api/v1/recordings", 200),
            ):
                async with http.get(house.base + path, headers=admin) as answer:
                    assert answer.status == status
                    assert {name: answer.headers.get(name) for name in SEALED} == SEALED
                    assert answer.headers["Cache-Control"] == "no-store"
                    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
                    # Browsers would take no other certificate for a year: not for one that a club makes itself.
                    assert "Strict-Transport-Security" not in answer.headers
            for path in ("/", "/pair", "/web/client.js"):
                async with http.get(house.base + path) as answer:
                    assert {name: answer.headers.get(name) for name in SEALED} == SEALED
                    policy = answer.headers["Content-Security-Policy"]
                    assert "unsafe" not in policy
                    assert "require-trusted-types-for 'script'" in policy


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n"]
)
async def test_so_does_the_answer_to_what_nobody_can_read(garbage: bytes) -> None:
    async with serving() as (_, port):
        answer = await raw(port, garbage)
        assert b"X-Content-Type-Options: nosniff" in answer
        assert b"Python" not in answer, "what runs here, and in which version, is nobody's business"


async def test_so_does_the_answer_to_what_has_failed_here() -> None:
    def fail() -> dict[str, object]:
        raise ZeroDivisionError

    async with serving(counters=fail) as (_, port):
        answer = await raw(port, get("/api/v1/counters", "Connection: close"))
    assert statuses(answer) == [500]
    assert b"nosniff" in answer
    assert b"ZeroDivision" not in answer


# Time


@pytest.mark.looptime
@pytest.mark.parametrize("start", [b"", b"GET /api", b"GET /api/v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
async def test_a_head_that_does_not_come_is_waited_for_ten_seconds(start: bytes) -> None:
    async with serving() as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        assert LIMITS.header_s <= await ended_s(reader) < LIMITS.header_s + SECOND_S
        assert server._hub.refusals == {"head_too_slow": 1}
        writer.close()


@pytest.mark.looptime
async def test_a_head_that_trickles_has_no_more_time_for_it() -> None:
    async with serving() as (_, port), asyncio.TaskGroup() as tasks:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def trickle() -> None:
            for number in range(100):
                writer.write(f"X-{number}: 1\r\n".encode())
                await asyncio.sleep(1)

        writer.write(b"GET /api/v1/hello HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        trickling = tasks.create_task(trickle())
        assert LIMITS.header_s <= await ended_s(reader) < LIMITS.header_s + SECOND_S
        trickling.cancel()
        writer.close()


@pytest.mark.looptime
async def test_nor_has_the_head_of_a_later_request() -> None:
    async with serving() as (_, port), asyncio.TaskGroup() as tasks:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HELLO)
        await reader.readuntil(b"}")
        await asyncio.sleep(20)  # it may think before it asks again
        began_s = asyncio.get_running_loop().time()

        async def trickle() -> None:
            for byte in HELLO:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.5)

        trickling = tasks.create_task(trickle())
        waited_s = await ended_s(reader) - began_s
        assert waited_s <= LIMITS.header_s + SECOND_S
        trickling.cancel()
        writer.close()


@pytest.mark.looptime
async def test_who_asks_now_and_then_stays_and_who_does_not_goes() -> None:
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(5):
            writer.write(HELLO)
            await reader.readuntil(b"}")
            await asyncio.sleep(IDLE_S - 5)
        began_s = asyncio.get_running_loop().time()
        assert await ended_s(reader) - began_s <= IDLE_S
        writer.close()


@pytest.mark.looptime
async def test_a_stream_that_says_nothing_is_not_taken_for_a_slow_head() -> None:
    async with serving() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write(
            get("/api/v1/stream", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x89\x80\0\0\0\0")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while loop.time() < began_s + 3 * LIMITS.header_s:
            await reader.readexactly(1)
        writer.transport.abort()


@pytest.mark.looptime
@pytest.mark.parametrize("body_s", [LIMITS.body_s, 3])
async def test_a_body_that_trickles_is_refused_after_as_long_as_it_may_take(body_s: int) -> None:
    async with serving(Limits(body_s=body_s)) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/v1/sensors/x/inspect HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        head = await reader.readuntil(b"\r\n")
        assert b" 408 " in head
        assert body_s <= loop.time() - began_s < body_s + SECOND_S
        assert f"within {body_s} s" in (await reader.read(2000)).decode()
        writer.close()


@pytest.mark.looptime
async def test_an_answer_that_nobody_takes_is_taken_back_with_its_place(request: pytest.FixtureRequest) -> None:
    """However much of it is left: what fits into no buffer of the kernel must not wait for ever behind a close."""
    sizes = iter(range(40_000, 400_000, 40_000))
    async with serving(Limits(max_clients=9), counters=lambda: {"x": "y" * next(sizes)}) as (server, port):
        for _ in range(9):
            deaf = socket.socket()
            request.addfinalizer(deaf.close)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(get("/api/v1/counters"))
        assert statuses(await raw(port, LAST)) == [503]
        await asyncio.sleep(IDLE_S + 3 * ANSWER_S)
        assert server._hub.refusals["answer_not_taken"] > 3
        places = server._places
        assert [places.recognise("127.0.0.1", places.enter("127.0.0.1")) for _ in range(9)] == [Place.SEAT] * 9


@pytest.mark.looptime
async def test_an_answer_that_is_taken_slowly_comes_whole() -> None:
    counters: dict[str, object] = {"x": "y" * 2_000_000}
    async with serving(counters=lambda: counters) as (server, port):
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", port))
        await loop.sock_sendall(slow, get("/api/v1/counters", "Connection: close"))
        came = 0
        while data := await loop.sock_recv(slow, 20_000):
            came += len(data)
            await asyncio.sleep(ANSWER_S / 4)
        assert came > 2_000_000
        assert "answer_not_taken" not in server._hub.refusals
        slow.close()


# Size


async def test_bodies_that_are_too_large_or_compressed_are_refused_before_they_are_read() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with serving() as (_, port), aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{port}/api/v1/sensors/x/inspect"
        async with http.post(url, data=bomb, headers={"Content-Encoding": "gzip"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "bad_message")
        async with http.post(url, data=b" " * (MAX_BODY_BYTES + 1)) as answer:
            assert (answer.status, (await answer.json())["code"]) == (413, "message_too_big")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * 100_000

        try:
            async with http.post(url, data=endless()) as answer:
                assert answer.status == 413
        except aiohttp.ClientConnectionError:
            pass  # it was not listened to any more


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"take_link":' * 20_000,
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"take_link": NaN}',
        b'{"take_link": 1e400}',
        b"1" * 5000,
        b'{"take_link": true} x',
    ],
)
async def test_a_body_that_only_a_careless_parser_takes_is_a_bad_message(body: bytes) -> None:
    async with (
        serving() as (_, port),
        aiohttp.ClientSession() as http,
        http.post(f"http://127.0.0.1:{port}/api/v1/sensors/x/inspect", data=body) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (400, "bad_message")


async def test_a_message_of_gigabytes_is_cut_at_its_announcement() -> None:
    """Compressed ones cannot even be announced: nothing was negotiated."""
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    upgrade = get(
        "/api/v1/stream", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key, offer
    )
    frames = {
        b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0": 1009,
        b"\xc1\x85\0\0\0\0xxxxx": 1002,
        b"\x81\x82\0\0\0\0\xff\xfe": 1007,
        b"\x09\x80\0\0\0\0": 1002,
        b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126: 1002,
    }
    for frame, code in frames.items():
        async with serving() as (_, port):
            answer = await raw(port, upgrade + frame)
            assert statuses(answer) == [101]
            assert b"permessage-deflate" not in answer
            closing = answer.rindex(b"\x88")
            assert int.from_bytes(answer[closing + 2 : closing + 4]) == code, frame


@pytest.mark.parametrize(("most", "size", "status"), [("pair", 4096, 400), ("pair", 4097, 413)])
async def test_what_a_stranger_may_send_is_little(tmp_path: Path, most: str, size: int, status: int) -> None:
    async with opened(tmp_path) as house, aiohttp.ClientSession() as http:

        async def in_blocks() -> AsyncIterator[bytes]:
            for start in range(0, size, 1000):
                yield b" " * min(1000, size - start)

        for body in (b" " * size, in_blocks()):
            async with http.post(f"{house.base}/api/v1/{most}", data=body) as answer:
                assert answer.status == status


async def test_a_head_of_megabytes_is_cut_while_it_comes() -> None:
    """Each of its lines is a decent one."""
    async with serving() as (server, port):
        lines = [f"X-{number}: {'x' * 8000}\r\n".encode() for number in range(100)]
        assert await raw(port, b"GET /api/v1/hello HTTP/1.1\r\n", *lines, pause_s=0.001) == b""
        assert server._hub.refusals == {"head_too_large": 1}


async def test_requests_are_not_hoarded_for_who_takes_no_answer() -> None:
    async with serving() as (server, port):
        assert len(statuses(await raw(port, HELLO * 7 + LAST))) == 8
        await raw(port, HELLO * 10)
        assert server._hub.refusals == {"too_many_requests": 1}


# Number


async def test_of_five_hundred_at_once_as_many_are_served_as_there_is_room_for() -> None:
    limits = Limits(max_clients=200, max_clients_per_address=200)
    async with serving(limits) as (server, port):
        url = f"http://127.0.0.1:{port}/api/v1/stream"
        served: list[aiohttp.ClientWebSocketResponse] = []
        refused: list[tuple[int, str | None]] = []

        async def come() -> None:
            try:
                served.append(await http.ws_connect(url))
            except aiohttp.WSServerHandshakeError as error:
                refused.append((error.status, None if error.headers is None else error.headers["Retry-After"]))

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as tasks:
            for _ in range(500):
                tasks.create_task(come())
        assert len(served) == 200
        assert refused == [(503, str(RETRY_S))] * 300
        assert server._hub.refusals == {"too_many_clients": 300}


async def open_at(port: int, local: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has asked for something, once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(local, 0))
    writer.write(HELLO)
    await reader.readuntil(b"}")
    return reader, writer


async def test_one_address_has_twenty_connections_and_the_next_is_told_when_to_come_back() -> None:
    async with serving() as (_, port):
        here = [await open_at(port) for _ in range(LIMITS.max_clients_per_address)]
        answer = await raw(port, HELLO)  # and the connection ends, though it was not asked to
        assert statuses(answer) == [503]
        assert f"Retry-After: {RETRY_S}".encode() in answer
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert told["code"] == "too_many_clients"
        assert told["text"].endswith("try again in 10 s.")
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"ws://127.0.0.1:{port}/api/v1/stream"):
                pass
        assert refused.value.response.status_code == 503
        for _, writer in here:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while statuses(await raw(port, LAST)) == [503]:
                await asyncio.sleep(0)


async def test_whoever_comes_by_another_address_of_the_network_has_a_seat_all_the_same() -> None:
    async with serving() as (_, port):
        here = [await open_at(port) for _ in range(LIMITS.max_clients_per_address + 1)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        writer.write(LAST)
        assert statuses(await reader.read()) == [200]
        for _, other in (*here, (reader, writer)):
            other.close()


async def test_the_local_socket_has_room_when_nobody_else_has(tmp_path: Path) -> None:
    async with opened(tmp_path, limits=Limits(max_clients=0)) as house:
        assert statuses(await raw(house.port, HELLO)) == [503]
        reader, writer = await asyncio.open_unix_connection(house.control)
        writer.write(LAST)
        assert statuses(await reader.read()) == [200]
        writer.close()


async def test_beyond_all_patience_a_connection_is_cut_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    assert STANDING >= 300, "five hundred are told"
    async with serving(Limits(max_clients=1)) as (server, port):
        monkeypatch.setattr(server._places, "_most_standing", 1)
        here = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await raw(port, HELLO) == b""
        assert server._hub.refusals == {"too_many_connections": 1}
        for _, writer in here:
            writer.close()


# TLS


async def test_off_loopback_there_is_no_plain_http_by_mistake() -> None:
    server = LiveServer(hub(), dict)
    with pytest.raises(ValueError, match="speaks TLS"):
        async with server.listening("0.0.0.0", 0):
            pass
    async with server.listening("0.0.0.0", 0, is_insecure=True) as port:
        assert statuses(await raw(port, LAST)) == [200]


async def test_over_tls_all_is_as_without(tmp_path: Path) -> None:
    async with opened(tmp_path, is_tls=True) as house:
        connector = aiohttp.TCPConnector(ssl=house.client_tls())
        async with aiohttp.ClientSession(connector=connector) as http:
            async with http.get(f"{house.base}/api/v1/hello") as answer:
                assert (await answer.json())["tls"] is True
            viewer = await house.bearer(Role.VIEWER)
            async with http.ws_connect(f"{house.base}/api/v1/stream", headers=viewer) as ws:
                assert (await ws.receive_json())["op"] == "hello"
                assert (await ws.receive_json())["op"] == "channels"
        assert statuses(await raw(house.port, LAST)) == [], "nothing is told in clear"


@pytest.mark.looptime
@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01"])
async def test_a_handshake_that_does_not_go_on_ends_and_has_its_place_meanwhile(
    start: bytes, tls: ssl.SSLContext
) -> None:
    async with serving(Limits(max_clients=1), tls) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(start)
        await asyncio.sleep(SECOND_S)
        assert server._places.enter("elsewhere").name == "STANDING"
        assert await ended_s(reader) < LIMITS.header_s + 2 * SECOND_S
        await asyncio.sleep(SECOND_S)
        assert server._places.enter("elsewhere").name == "GUEST"
        writer.close()


async def test_handshakes_that_are_under_way_do_not_hold_up_the_end(tls: ssl.SSLContext) -> None:
    with ExitStack() as open_still:
        async with serving(tls=tls) as (_, port):
            for _ in range(3):
                silent = open_still.enter_context(socket.create_connection(("127.0.0.1", port)))
            await asyncio.sleep(0.05)
        silent.settimeout(5)
        with suppress(ConnectionError):
            assert silent.recv(1) == b""


async def test_port_80_knows_the_way_to_443_and_nothing_else(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        secure, plain = first.getsockname()[1], second.getsockname()[1]
    monkeypatch.setattr(live_server, "REDIRECTS", {secure: plain})
    server = LiveServer(hub(), dict)
    async with server.listening("127.0.0.1", secure, tls=tls), aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{plain}"
        for path in ("/", "/recordings", "/api/v1/gaps"):
            async with http.get(url + path, params={"all": "true"}, allow_redirects=False) as answer:
                assert answer.status == 308
                assert answer.headers["Location"] == f"https://127.0.0.1:{secure}{path}"
                assert await answer.read() == b""
        async with http.get(url, headers={"Host": "evil.example"}, allow_redirects=False) as answer:
            assert answer.status == 421
        for method, headers in (("POST", {}), ("GET", {"Authorization": "Bearer igw_x"})):
            async with http.request(method, url, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 400
                assert "Nothing is encrypted here" in (await answer.json())["text"]


async def test_a_port_80_that_somebody_else_has_is_no_reason_not_to_serve(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs, socket.create_server(("127.0.0.1", 0)) as free:
        secure = free.getsockname()[1]
        free.close()
        monkeypatch.setattr(live_server, "REDIRECTS", {secure: theirs.getsockname()[1]})
        async with LiveServer(hub(), dict).listening("127.0.0.1", secure, tls=tls) as port:
            assert port == secure
    assert "Browsers are not sent on" in caplog.text


async def test_localhost_is_both_of_its_addresses_at_one_port() -> None:
    async with LiveServer(hub(), dict).listening("localhost", 0) as port:
        assert statuses(await raw(port, LAST)) == [200]
        if socket.has_ipv6:
            reader, writer = await asyncio.open_connection("::1", port)
            writer.write(get("/api/v1/hello", "Connection: close", host=f"[::1]:{port}"))
            assert statuses(await reader.read()) == [200]
            writer.close()


async def test_every_address_of_both_families_is_one_name() -> None:
    async with LiveServer(hub(), dict, is_open_on_loopback=True).listening("::", 0, is_insecure=True) as port:
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(get("/api/v1/gaps", "Connection: close"))
            assert statuses(await reader.read()) == [200], "loopback is loopback, in whatever family it is told"
            writer.close()

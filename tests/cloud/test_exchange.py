"""One exchange with servers that do everything wrong: real sockets, and timeouts made short."""

import asyncio
import gzip
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    NetworkLoginNeeded,
    ServerFailed,
    TlsFailed,
    Unreachable,
)
from gateway.cloud.exchange import Exchange, Limits, translated
from gateway.cloud.pacing import FAILURES_TO_CLOSE, Pacer, Priority
from gateway.cloud.request import Request
from gateway.cloud.sessions import open_session
from tests.cloud.scripted import ScriptedCloud

SHORT = Limits(connect_s=0.3, total_s=0.5, max_body=100_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamWriter], object], tls: ssl.SSLContext | None = None, head: bytes = b"\r\n\r\n"
) -> AsyncIterator[str]:
    """Answers every connection with what the function writes, once the end of the request's head has arrived."""
    connections: set[asyncio.Task[object]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        try:
            await reader.readuntil(head)
            result = answer(writer)
            if asyncio.iscoroutine(result):
                await result
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "http" if tls is None else "https"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*connections)


async def fetch(url: str, limits: Limits = SHORT) -> bytes:
    async with open_session() as session:
        exchange = Exchange(session, Pacer(), limits)
        return await exchange.send(Request("devices", "GET", URL(url), "devices/"))


async def failure(url: str, limits: Limits = SHORT) -> CloudError:
    with pytest.raises(CloudError) as caught:
        await fetch(url, limits)
    return caught.value


def broken(error: CloudError) -> Broken:
    assert isinstance(error, Unreachable)
    return error.reason


def fault(error: CloudError) -> Fault:
    assert isinstance(error, BadAnswer)
    return error.fault


async def test_a_closed_port_is_no_connection() -> None:
    async with raw_server(lambda _writer: None) as url:
        pass
    assert broken(await failure(url)) is Broken.CONNECT


async def test_a_server_that_never_answers_is_cut_by_the_total_timeout() -> None:
    forever = asyncio.Event()
    async with raw_server(lambda _writer: forever.wait()) as url:
        error = await failure(url)
        forever.set()
    assert broken(error) is Broken.TIMEOUT


async def test_a_trickle_is_cut_by_the_total_timeout() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw_server(trickle) as url:
        assert broken(await failure(url)) is Broken.TIMEOUT


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        OK + b"Content-Length: 100\r\n\r\n[",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
    ],
)
async def test_an_answer_that_breaks_off_is_transient(answer: bytes) -> None:
    async with raw_server(lambda writer: writer.write(answer)) as url:
        error = await failure(url)
    assert broken(error) is Broken.CUT
    assert error.is_transient


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"X: " + b"x" * 100_000 + b"\r\n\r\n[]",
        OK + b"".join(b"X-%d: 1\r\n" % number for number in range(100_000)) + b"\r\n[]",
    ],
    ids=["ssh", "status line", "zeros", "chunk size", "long header", "many headers"],
)
async def test_what_is_not_http_is_a_bad_answer(answer: bytes) -> None:
    async with raw_server(lambda writer: writer.write(answer)) as url:
        error = await failure(url)
    assert fault(error) is Fault.NOT_HTTP
    assert error.is_transient
    # The library's own error carries the headers that were sent, so no traceback may show it.
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize("framing", [b"Content-Length: 100000000\r\n\r\n", b"Connection: close\r\n\r\n"])
async def test_a_body_without_end_is_read_up_to_the_bound(framing: bytes) -> None:
    written = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(OK + framing)
        while written < 100_000_000:
            writer.write(b" " * 65536)
            written += 65536
            await writer.drain()

    async with raw_server(pour) as url:
        assert fault(await failure(url, Limits(max_body=1_000_000))) is Fault.TOO_LARGE
    assert written < 50_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_decompression_bomb_is_noticed_before_it_is_unpacked(encoding: str) -> None:
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join([*(packer.compress(b" " * 1_000_000) for _ in range(60)), packer.flush()])
    head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    unpacked = 0
    read = aiohttp.StreamReader.feed_data

    def feed(self: aiohttp.StreamReader, data: bytes, *args: int) -> object:
        nonlocal unpacked
        unpacked += len(data)
        return read(self, data, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.StreamReader, "feed_data", feed)
        async with raw_server(lambda writer: writer.write(OK + head + bomb)) as url:
            assert fault(await failure(url, Limits(max_body=1_000_000))) is Fault.TOO_LARGE
    assert unpacked < 3_000_000


async def test_a_compressed_body_within_the_bound_is_unpacked() -> None:
    body = gzip.compress(b"[1]")
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with raw_server(lambda writer: writer.write(OK + head + body)) as url:
        assert await fetch(url) == b"[1]"


async def test_a_login_page_is_neither_a_refusal_nor_a_parse_error() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
    async with raw_server(lambda writer: writer.write(page)) as url:
        error = await failure(url)
    assert isinstance(error, NetworkLoginNeeded)
    assert "network login needed" in str(error).lower()


async def test_a_server_without_tls_behind_https_is_a_tls_failure() -> None:
    client_hello = b"\x16\x03\x01"
    async with raw_server(lambda writer: writer.write(OK + b"\r\n"), head=client_hello) as url:
        error = await failure(url.replace("http:", "https:"))
    assert isinstance(error, TlsFailed)
    assert "clock or certificate" in str(error)


async def test_a_certificate_nobody_vouches_for_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    asked: list[object] = []
    async with raw_server(asked.append, tls) as url:
        error = await failure(url)
    assert isinstance(error, TlsFailed)
    assert "self-signed certificate" in str(error)
    assert not asked


async def test_every_request_asks_for_what_can_be_bounded_and_brings_nothing_else(cloud: ScriptedCloud) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response([], headers={"Set-Cookie": "session=canary; Path=/"})

    cloud.handler = answer
    cloud.url = cloud.url.replace("127.0.0.1", "localhost")  # no cookie is ever kept for an address
    async with cloud.open() as client:
        await client.latest_data(1, lambda: 1)
        await client.latest_data(1, lambda: 1)
    for asked in cloud.asked:
        assert asked.headers["Accept-Encoding"] == "gzip, deflate"
        assert "Cookie" not in asked.headers


async def test_the_counters_tell_every_outcome(cloud: ScriptedCloud) -> None:
    async def answer(request: web.Request) -> web.Response:
        device = int(request.path.split("/")[3])
        return {
            1: lambda: web.json_response([]),
            2: lambda: web.json_response({}),
            3: lambda: web.json_response({}, status=503),
        }[device]()

    cloud.handler = answer
    async with cloud.open() as client:
        await client.latest_data(1, lambda: 1)
        with pytest.raises(BadAnswer):
            await client.latest_data(2, lambda: 1)
        with pytest.raises(ServerFailed):
            await client.latest_data(3, lambda: 1)
        traffic = client.traffic
    assert (traffic.requests, traffic.succeeded) == (4, 2)
    assert dict(traffic.failed) == {"cloud_bad_answer": 1, "cloud_failing": 1}
    assert traffic.received_bytes > 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (aiohttp.ServerDisconnectedError(), Broken.CUT),
        (aiohttp.ConnectionTimeoutError(), Broken.TIMEOUT),
        (aiohttp.SocketTimeoutError(), Broken.TIMEOUT),
        (TimeoutError(), Broken.TIMEOUT),
        (aiohttp.ClientOSError(104, "reset"), Broken.CUT),
        (ConnectionResetError(), Broken.CUT),
        (aiohttp.ClientPayloadError(), Broken.CUT),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_way_a_connection_ends_has_its_reason(error: Exception, reason: Broken) -> None:
    assert broken(translated("devices", error)) is reason


async def test_a_name_that_does_not_exist_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_args: object, **_kwargs: object) -> list[object]:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    assert broken(await failure("http://cloud.invalid/")) is Broken.NAME


@pytest.mark.looptime
async def test_websockets_that_fail_close_no_gate_and_one_that_was_to_probe_keeps_it_closed() -> None:
    pacer = Pacer(jitter=lambda: 0.9)
    error = Unreachable("live_data", Broken.CONNECT)
    async with open_session() as session:
        exchange = Exchange(session, pacer, SHORT)

        async def fail(*, is_websocket: bool) -> None:
            with pytest.raises(Unreachable):
                async with exchange.attempt(Priority.LIVE, is_websocket=is_websocket):
                    raise error

        for _ in range(2 * FAILURES_TO_CLOSE):
            await fail(is_websocket=True)
        assert pacer.closed_for_s == 0.0
        for _ in range(FAILURES_TO_CLOSE):
            await fail(is_websocket=False)
        first_s = pacer.closed_for_s
        assert first_s > 0.0
        await fail(is_websocket=True)
        assert pacer.closed_for_s > first_s, "it was the probe"

"""The live server over real sockets, spoken to by a websocket library that is not ours."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgpack
import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import Limits
from gateway.live.routes.history import MAX_ROWS
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import Codec
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, Column, SampleBlock

JSON, MSGPACK = Subprotocol(Codec.JSON), Subprotocol(Codec.MSGPACK)


def seconds(start: int, stop: int) -> SampleBlock:
    times = np.arange(start * 1000, stop * 1000, 100)
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.SPEED] = 1.5
    return SampleBlock(times, values)


@dataclass
class Served:
    """A server with one channel of one minute."""

    server: LiveServer
    channel: Channel
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/stream"

    def http(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/{path}"


@pytest.fixture(name="served")
async def _served() -> AsyncIterator[Served]:
    channel = Channel(1, Wearer("SN-1", "Ada", 10), 20_000)
    channel.rows_came(seconds(0, 60), 0.0)
    board = Board()
    board.channel_changed(channel)
    hub = Hub({1: channel}, board, "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    server = LiveServer(hub, lambda: {"rows": channel.counters.rows}, is_open_on_loopback=True)
    async with server.listening("127.0.0.1", 0) as port:
        yield Served(server, channel, port)


async def until(ws: ClientConnection, op: str) -> dict[str, Any]:
    """The next message with an op; text or binary as the subprotocol says."""
    while True:
        payload = await ws.recv()
        is_text = ws.subprotocol != MSGPACK
        assert isinstance(payload, str) is is_text
        message: dict[str, Any] = json.loads(payload) if is_text else msgpack.unpackb(payload)
        if message["op"] == op:
            return message


@pytest.mark.parametrize("subprotocol", [JSON, MSGPACK])
async def test_another_librarys_client_subscribes_and_follows(served: Served, subprotocol: Subprotocol) -> None:
    async with connect(served.url, subprotocols=[subprotocol]) as ws:
        assert (await until(ws, "hello"))["epoch"] == "e"
        request = {"op": "sub", "sub": 1, "from": {"last_s": 1}}
        await ws.send(json.dumps(request) if subprotocol == JSON else msgpack.packb(request))
        assert (await until(ws, "sub_ok"))["columns"] == list(COLUMN_NAMES)
        assert (await until(ws, "snap"))["blocks"][0]["n0"] == 590
        served.channel.rows_came(seconds(60, 61), 0.0)
        data = await until(ws, "d")
        assert data["blocks"] == [{"ch": 1, "n0": 601, "rows": 10, "t0": 60_000, "dt": 100}]
        speed = data["columns"][Column.SPEED]
        assert speed == [1.5] * 10 if subprotocol == JSON else np.frombuffer(speed, "<u2").tolist() == [1500] * 10


async def test_who_offers_no_subprotocol_speaks_json(served: Served) -> None:
    async with connect(served.url) as ws:
        assert ws.subprotocol is None
        assert (await until(ws, "hello"))["server"] == "insiders-gateway"


async def test_nothing_is_compressed_though_the_client_could(served: Served) -> None:
    """On a Pi the time that deflating takes is dearer than the bytes."""
    async with connect(served.url, compression="deflate") as ws:
        assert ws.response is not None
        assert "Sec-WebSocket-Extensions" not in ws.response.headers


async def test_a_client_of_another_version_is_refused_with_the_list_of_ours(served: Served) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(served.url, subprotocols=[Subprotocol("insiders.gw.v2+json")]):
            pass
    assert refused.value.response.status_code == 400
    assert JSON in refused.value.response.body.decode()


async def test_our_subprotocol_is_found_among_others(served: Served) -> None:
    async with connect(served.url, subprotocols=[Subprotocol("chat"), MSGPACK]) as ws:
        assert ws.subprotocol == MSGPACK


async def test_an_oversize_message_closes_with_its_code_and_others_go_on(served: Served) -> None:
    async with connect(served.url) as other, connect(served.url) as ws:
        await ws.send("x" * Limits().max_inbound_bytes)
        assert (await until(ws, "error"))["code"] == "bad_message"
        await ws.send("x" * (Limits().max_inbound_bytes + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await until(ws, "no such thing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        await other.send('{"op":"sub","sub":1}')
        assert (await until(other, "sub_ok"))["sub"] == 1


@pytest.mark.parametrize("payload", ["not json", "[]", b"\x00", '{"op":"sub"}'])
async def test_a_malformed_message_gets_an_error_and_the_connection_stays(served: Served, payload: str | bytes) -> None:
    async with connect(served.url) as ws:
        await ws.send(payload)
        assert (await until(ws, "error"))["code"] == "bad_message"
        await ws.send('{"op":"sub","sub":1}')
        await until(ws, "sub_ok")


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_client_that_leaves_leaves_nothing_behind(served: Served, end: str) -> None:
    async with connect(served.url) as ws:
        await until(ws, "hello")
        assert served.server.clients == 1
        await ws.send('{"op":"sub","sub":1}')
        await until(ws, "snap")
        if end == "abort":
            ws.transport.abort()
    async with asyncio.timeout(5):
        while served.server.clients:
            served.channel.rows_came(seconds(60, 61), 0.0)
            await asyncio.sleep(0)


async def test_a_stopping_gateway_says_goodbye(served: Served) -> None:
    hub = served.server._hub
    server = LiveServer(hub, dict, is_open_on_loopback=True)
    async with server.listening("127.0.0.1", 0) as port:
        ws = await connect(f"ws://127.0.0.1:{port}/api/v1/stream")
        await until(ws, "hello")
    bye = await until(ws, "bye")
    assert (bye["code"], bye["resumable"]) == (1012, False)
    with pytest.raises(ConnectionClosed) as closed:
        await ws.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_there_is_room_for_so_many_and_the_next_is_told_when_to_come_back(served: Served) -> None:
    server = LiveServer(served.server._hub, dict, limits=Limits(max_clients=2), is_open_on_loopback=True)
    async with server.listening("127.0.0.1", 0) as port:
        url = f"ws://127.0.0.1:{port}/api/v1/stream"
        async with connect(url), connect(url):
            with pytest.raises(InvalidStatus) as refused:
                async with connect(url):
                    pass
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0


async def test_one_client_that_never_reads_does_not_hold_up_another(served: Served) -> None:
    """Its samples wait in the ring and its socket's small buffer, nowhere else; the other follows at once."""
    deaf = socket.create_connection(("127.0.0.1", served.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    upgrade = f"Host: 127.0.0.1:{served.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}"
    deaf.sendall(f"GET /api/v1/stream HTTP/1.1\r\n{upgrade}\r\n".encode())
    request = b'{"op":"sub","sub":1,"from":{"last_s":3600}}'
    deaf.sendall(bytes([0x81, 0x80 | len(request), 0, 0, 0, 0]) + request)
    async with connect(served.url, subprotocols=[MSGPACK]) as ws:
        await ws.send(msgpack.packb({"op": "sub", "sub": 1, "batch_ms": 50}))
        await until(ws, "snap")
        for second in range(60, 400):
            served.channel.rows_came(seconds(second, second + 1), 0.0)
        got = 600
        while got < 4000:
            got = max(b["n0"] + b["rows"] - 1 for b in (await until(ws, "d"))["blocks"])
    deaf.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://127.0.0.1.evil.example:{port}"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:{port}"}, 421),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
    ],
)
async def test_pages_of_other_sites_and_rebound_names_are_kept_out(
    served: Served, headers: dict[str, str], status: int
) -> None:
    filled = {name: value.format(port=served.port) for name, value in headers.items()}
    async with aiohttp.ClientSession() as http:
        for path in ("hello", "counters", "gaps", "history?device=SN-1&from=0&to=1"):
            async with http.get(served.http(path), headers=filled) as answer:
                assert answer.status == status
        # Without an upgrade the stream is a bad request; who is kept out does not get as far.
        async with http.get(served.http("stream"), headers=filled) as answer:
            assert answer.status == (400 if status == 200 else status)


async def test_hello_over_http_tells_who_we_are_and_no_more(served: Served) -> None:
    async with aiohttp.ClientSession() as http, http.get(served.http("hello")) as answer:
        assert await answer.json() == {
            "op": "hello",
            "server": "insiders-gateway",
            "version": "0.0",
            "site": "Test",
            "epoch": "e",
            "protocols": [JSON, MSGPACK],
            "path": "/api/v1/stream",
            "id": "",
            "tls": False,
            "auth": "open",
        }


async def test_hello_names_what_is_served_beside_the_samples(served: Served) -> None:
    unasked: Any = object()
    everything = LiveServer(served.server._hub, dict, unasked, unasked, unasked, is_open_on_loopback=True)
    async with everything.listening("127.0.0.1", 0) as port, connect(f"ws://127.0.0.1:{port}/api/v1/stream") as ws:
        served_besides = ["sensors", "pairings", "recordings"]
        assert (await until(ws, "hello"))["capabilities"] == ["resume", "latest", "history", "ack", *served_besides]
    async with connect(served.url) as ws:
        assert (await until(ws, "hello"))["capabilities"] == ["resume", "latest", "history", "ack"]


async def test_counters_are_numbers(served: Served) -> None:
    async with aiohttp.ClientSession() as http, http.get(served.http("counters")) as answer:
        assert await answer.json() == {"rows": 600, "clients": 0, "refusals": {}}


async def test_history_gives_the_rows_of_a_span_in_both_codecs(served: Served) -> None:
    query = {"device": "SN-1", "from": "59500", "to": "60000", "columns": "speed"}
    async with aiohttp.ClientSession() as http:
        async with http.get(served.http("history"), params=query) as answer:
            in_json = await answer.json()
        async with http.get(served.http("history"), params=query, headers={"Accept": "application/msgpack"}) as answer:
            assert answer.content_type == "application/msgpack"
            in_msgpack = msgpack.unpackb(await answer.read())
    assert in_json["blocks"] == in_msgpack["blocks"] == [{"ch": 1, "n0": 0, "rows": 5, "t0": 59_500, "dt": 100}]
    assert in_json["columns"] == [[1.5] * 5]
    assert in_json["schema"] == in_msgpack["schema"]
    assert in_json["next_from_ms"] is None
    assert in_json["released"] is in_msgpack["released"] is True


async def test_a_history_of_who_is_not_released_says_so_and_has_no_row(served: Served) -> None:
    served.channel.since_ms = None
    served.channel.lose()
    query = {"device": "SN-1", "from": "0", "to": "60000"}
    async with aiohttp.ClientSession() as http, http.get(served.http("history"), params=query) as answer:
        history = await answer.json()
    assert (history["released"], history["blocks"]) == (False, [])


async def test_a_long_history_is_cut_and_says_where_to_go_on(served: Served) -> None:
    served.channel.rows_came(seconds(60, 1200), 0.0)
    async with aiohttp.ClientSession() as http:
        query = {"device": "SN-1", "from": "0", "to": "9999999"}
        async with http.get(served.http("history"), params=query) as answer:
            first = await answer.json()
        query["from"] = str(first["next_from_ms"])
        async with http.get(served.http("history"), params=query) as answer:
            rest = await answer.json()
    assert (first["blocks"][0]["rows"], rest["blocks"][0]["rows"]) == (MAX_ROWS, 12_000 - MAX_ROWS)
    assert rest["blocks"][0]["t0"] == first["next_from_ms"]


async def test_the_columns_of_a_history_stand_in_the_order_asked_for(served: Served) -> None:
    query = {"device": "SN-1", "from": "0", "to": "100", "columns": "heart_rate,speed,latitude"}
    async with aiohttp.ClientSession() as http, http.get(served.http("history"), params=query) as answer:
        history = await answer.json()
    assert [column["name"] for column in history["schema"]] == ["heart_rate", "speed", "latitude"]
    assert history["columns"] == [None, [1.5], None]


async def test_a_history_that_just_fits_is_not_cut(served: Served) -> None:
    served.channel.rows_came(seconds(60, MAX_ROWS // 10), 0.0)
    query = {"device": "SN-1", "from": "0", "to": "9999999"}
    async with aiohttp.ClientSession() as http, http.get(served.http("history"), params=query) as answer:
        history = await answer.json()
    assert (history["blocks"][0]["rows"], history["next_from_ms"]) == (MAX_ROWS, None)


@pytest.mark.looptime
async def test_a_client_that_gives_no_sign_of_life_is_let_go(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    upgrade = f"Host: 127.0.0.1:{served.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}"
    writer.write(f"GET /api/v1/stream HTTP/1.1\r\n{upgrade}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(Limits().silence_s / 2)
    assert served.server.clients == 1
    await asyncio.sleep(Limits().silence_s)
    assert served.server.clients == 0
    writer.transport.abort()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "unknown_device"),
        ({"device": "nobody", "from": "0", "to": "1"}, "unknown_device"),
        ({"device": "SN-1"}, "bad_message"),
        ({"device": "SN-1", "from": "-1", "to": "1"}, "bad_message"),
        ({"device": "SN-1", "from": "0", "to": "9" * 30}, "bad_message"),
        ({"device": "SN-1", "from": "0", "to": "\u0663"}, "bad_message"),
        ({"device": "SN-1", "from": "2", "to": "1"}, "bad_message"),
        ({"device": "SN-1", "from": "0", "to": "1", "columns": "vo2"}, "unknown_column"),
        ({"device": "SN-1", "from": "0", "to": "1", "columns": "speed,speed"}, "unknown_column"),
    ],
)
async def test_a_history_that_cannot_be_given_is_an_error_with_a_code(
    served: Served, query: dict[str, str], code: str
) -> None:
    async with aiohttp.ClientSession() as http, http.get(served.http("history"), params=query) as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == code


async def test_only_loopback_is_served_while_there_is_no_access_control(served: Served) -> None:
    with pytest.raises(ValueError, match="loopback"):
        async with served.server.listening("0.0.0.0", 0):
            pass


async def test_what_clients_do_wrong_is_counted_by_its_code(served: Served) -> None:
    async with connect(served.url) as ws:
        await ws.send("not json")
        await ws.send('{"op":"unsub","sub":1}')
        await until(ws, "error")
        await ws.send("x" * (Limits().max_inbound_bytes + 1))
        with pytest.raises(ConnectionClosed):
            await until(ws, "no such thing")
    with pytest.raises(InvalidStatus):
        async with connect(served.url, subprotocols=[Subprotocol("chat")]):
            pass
    async with aiohttp.ClientSession() as http:
        for path, headers in (("history", {}), ("hello", {"Host": "evil.example"}), ("hello", {"Origin": "null"})):
            async with http.get(served.http(path), headers=headers):
                pass
        async with http.get(served.http("counters")) as answer:
            counted = (await answer.json())["refusals"]
    assert counted == {
        "bad_message": 1,
        "unknown_subscription": 1,
        "message_too_big": 1,
        "bad_subprotocol": 1,
        "unknown_device": 1,
        "bad_host": 1,
        "bad_origin": 1,
    }


async def test_a_frame_against_the_rules_of_websockets_is_counted_and_closed(served: Served) -> None:
    """Unmasked, reserved bits, a fragmented ping: each ends its connection and nobody else's."""
    upgrade = (
        f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with connect(served.url) as other:
        for frame in (b"\xf1\x80\0\0\0\0", b"\x09\x80\0\0\0\0", b"\x83\x80\0\0\0\0", b"\x81\xff" + b"\xff" * 12):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(upgrade.encode() + frame)
            async with asyncio.timeout(5):
                assert (await reader.read()).startswith(b"HTTP/1.1 101")
            writer.close()
            await writer.wait_closed()
        await other.send('{"op":"sub","sub":1}')
        await until(other, "sub_ok")
    refusals = served.server._hub.refusals
    assert refusals["bad_frame"] + refusals["message_too_big"] == 4


async def stalled(server: LiveServer) -> None:
    """Until nothing more goes into the only connection."""
    (wire,) = server._streaming._pump._wires.values()
    while wire.is_ready:
        await asyncio.sleep(0.002)


async def test_a_client_that_is_behind_hears_goodbye_too() -> None:
    """The gateway stops while the writer waits in the middle of a frame: the last word must not be forgotten."""
    channel = Channel(1, Wearer("SN-1"), 20_000)
    hub = Hub({1: channel}, Board(), "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server = LiveServer(hub, dict, is_open_on_loopback=True)
    async with server.listening("127.0.0.1", 0) as port:
        narrow.connect(("127.0.0.1", port))
        ws = await connect("ws://127.0.0.1/api/v1/stream", sock=narrow, max_queue=1)
        await ws.send('{"op":"sub","sub":1,"batch_ms":50}')
        await until(ws, "snap")
        rows = seconds(0, 2000)
        rows.values[:] = 1.2345  # every column of every row: a megabyte and more
        channel.rows_came(rows, 0.0)
        await until(ws, "d")
        await stalled(server)
        reading = asyncio.gather(until(ws, "bye"))
    (bye,) = await reading
    assert bye["code"] == 1012

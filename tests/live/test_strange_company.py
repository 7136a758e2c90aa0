"""The live stream among slow clients, foreign servers, malformed headers and odd numbers."""

import asyncio
import json
import logging
from contextlib import aclosing, suppress

import aiohttp
import pytest
from websockets.asyncio.client import connect

from gateway.live.board import _KEPT_GAPS, Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.live.stream.session import CloseCode
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import MAX_FRAME_BYTES, Codec
from insiders_gateway_client.errors import GatewayError
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.messages import Codec as ClientCodec
from tests.client.ground import Ground, _ground, hear, saying
from tests.live.listening import Client
from tests.live.test_board import Gap
from tests.live.test_server import Served, _served, until
from tests.live.test_session import EPOCH, _hub, _one, block, ops, rows, seconds

__all__ = ["_ground", "_hub", "_one", "_served"]  # the fixtures of the other files


def test_a_request_that_comes_while_the_news_wait_is_answered_before_its_samples(hub: Hub, one: Channel) -> None:
    """A connection takes the greeting and no more; what is said meanwhile is dealt with all the same."""
    one.rows_came(seconds(0, 1), 0.0)
    client = Client(hub, is_hasty=True)
    client.kernel.bytes_per_s = 0
    client.listen()
    client.say(op="sub", sub=1)
    client.kernel.bytes_per_s = None
    heard = ops(client.listen())
    assert heard[:2] == ["hello", "channels"]
    assert heard.index("sub_ok") < heard.index("snap")


def slow(hub: Hub, one: Channel) -> Client:
    """A client that has an hour's rows before it, and takes one message in half a second."""
    client = Client(hub)
    client.kernel.bytes_per_s = 50_000
    for second in range(0, 60, 10):
        one.rows_came(seconds(second, second + 10), 0.0)
    client.say(**{"op": "sub", "sub": 1, "from": {"last_s": 3600}})
    return client


def test_a_slow_client_hears_of_states_before_it_has_caught_up(hub: Hub, one: Channel) -> None:
    client = slow(hub, one)
    hub.board.presence_changed(one, "lost")
    heard = client.wait(10.0)
    told = [message["op"] for message in heard]
    assert told.index("state") < next(place for place, message in enumerate(heard) if message.get("end"))


def test_a_slow_client_hears_goodbye_before_it_has_caught_up(hub: Hub, one: Channel) -> None:
    client = slow(hub, one)
    client.room.say_goodbye(is_resumable=False)
    heard = client.wait(10.0)
    assert heard[-1]["op"] == "bye"
    assert not any(message.get("end") for message in heard)


def test_latest_mode_sends_the_newest_heart_rate_although_its_row_came_late(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, mode="latest", max_hz=1)
    one.rows_came(seconds(0, 1), 0.0)
    one.rows_came(block(*range(2000, 3000, 100)), 0.0)
    client.wait(1.0)
    one.rows_came(seconds(1, 2), 0.0)
    heard = rows(client.wait(1.0))
    assert [run.t_ms.tolist() for run in heard] == [[1000]]


def test_one_row_with_a_time_in_the_future_does_not_silence_latest_mode(hub: Hub, one: Channel) -> None:
    """A receiver that starts without satellites may be years off; the codec takes any time before 3084."""
    client = Client(hub)
    client.say(op="sub", sub=1, mode="latest", max_hz=1)
    one.rows_came(block(2_500_000_000_000), 0.0)
    client.wait(1.0)
    one.rows_came(seconds(1_800_000_000, 1_800_000_001), 0.0)
    assert rows(client.wait(5.0)) != []


def test_an_open_gap_is_told_to_a_new_client_however_many_others_there_were() -> None:
    board, channel, other = Board(), Channel(1, Wearer("SN-1"), 10), Channel(2, Wearer("SN-2"), 10)
    board.gap_changed(channel, Gap(1, to_ms=None, rows=None, state="open"))
    for number in range(1, _KEPT_GAPS + 1):
        board.gap_changed(other, Gap(number, state="repaired"))
    assert [message["ch"] for message in board.since(0) if message["state"] == "open"] == [1]


def test_no_message_is_larger_than_our_own_client_takes() -> None:
    board = Board()
    channels = {ch: Channel(ch, Wearer(f"{ch:0200}", "Ä" * 200, ch), 10) for ch in range(1, 200)}
    for channel in channels.values():
        board.channel_changed(channel)
    client = Client(Hub(channels, board, EPOCH, "", "", 10.0, lambda: 0, lambda: None), Codec.MSGPACK)
    assert {"hello", "channels"} <= set(ops(client.heard))
    assert max(len(payload) for _, payload in client.frames) <= 2 * MAX_FRAME_BYTES


@pytest.mark.parametrize("payload", ["welcome", "[]", '{"op":"sub_ok"}', '{"op":"d"}', '{"op":"channels"}'])
@pytest.mark.looptime
async def test_somebody_elses_websocket_is_an_error(payload: str) -> None:
    async with saying(payload) as (url, _):
        with pytest.raises(GatewayError):
            await hear(Gateway(url).follow(codec=ClientCodec.JSON), lambda heard: len(heard) == 5)


@pytest.mark.looptime
async def test_our_client_comes_back_no_sooner_than_the_gateway_asks(ground: Ground) -> None:
    client = Gateway(ground.url).follow()
    async with aclosing(client.messages()) as messages:
        async with ground.running():
            async for message in messages:
                if message["op"] == "snap":
                    break
        async for message in messages:
            if message["op"] == "bye":
                retry_after_ms = message["retry_after_ms"]
            if message["op"] == "disconnected":
                break
    assert message["retry_s"] * 1000 >= retry_after_ms


HEAD = "Host: 127.0.0.1\r\nConnection: close\r\n"
MANY = "".join(f"Ada{i}: 1\r\n" for i in range(300))
UNREADABLE = {
    "another method": f"FOO /api/v1/hello HTTP/1.1\r\n{HEAD}\r\n",
    "no method": "Ada Lindqvist\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "another version": f"GET / HTTP/9.9\r\n{HEAD}\r\n",
    "HTTP 2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a length that is no number": f"POST /api/v1/hello HTTP/1.1\r\n{HEAD}Content-Length: Ada\r\n\r\n",
    "a negative length": f"POST /api/v1/hello HTTP/1.1\r\n{HEAD}Content-Length: -1\r\n\r\n",
    "two lengths": f"POST /api/v1/hello HTTP/1.1\r\n{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nAda",
    "a chunk of no size": f"POST /api/v1/hello HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\nKim\r\n",
    "another transfer": f"POST /api/v1/hello HTTP/1.1\r\n{HEAD}Transfer-Encoding: Ada\r\n\r\n{{}}",
    "no Host": "GET /api/v1/hello HTTP/1.1\r\n\r\n",
    "a long address": f"GET /{'Ada' * 3000} HTTP/1.1\r\n{HEAD}\r\n",
    "a long header": f"GET /api/v1/hello HTTP/1.1\r\n{HEAD}X: {'Ada' * 3000}\r\n\r\n",
    "many headers": f"GET /api/v1/hello HTTP/1.1\r\n{HEAD}{MANY}\r\n",
    "a header with a gap": f"GET /api/v1/hello HTTP/1.1\r\n{HEAD}Ada L: 1\r\n\r\n",
    "an address in raw UTF-8": f"GET /api/v1/history?device=Käthe HTTP/1.1\r\n{HEAD}\r\n",
    "a zero byte": f"GET /\x00Ada HTTP/1.1\r\n{HEAD}\r\n",
    "another expectation": f"POST /api/v1/hello HTTP/1.1\r\n{HEAD}Expect: Ada\r\nContent-Length: 2\r\n\r\n{{}}",
    "no upgrade": f"GET /api/v1/stream HTTP/1.1\r\n{HEAD}\r\n",
}


async def answered(port: int, *parts: bytes) -> tuple[int, str, bytes]:
    """Status, type and body of the answer to bytes that no decent client sends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.01)
    with suppress(ConnectionResetError):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    lines = head.decode().lower().split("\r\n")
    (form,) = (line for line in lines if line.startswith("content-type:"))
    return int(lines[0].split(" ")[1]), form, body


@pytest.mark.parametrize("request_", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_what_is_no_request_is_refused_like_all_else_and_leaves_nothing_in_the_log(
    served: Served, request_: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            status, form, body = await answered(served.port, request_.encode())
            assert status in {400, 417}
            assert "application/json" in form
            told = json.loads(body)
            assert (told["op"], told["code"]) == ("error", "bad_request")
            assert "Ada" not in told["text"]
    assert [it for it in caplog.records if it.name.startswith(("aiohttp", "gateway"))] == []
    assert served.server._hub.refusals == {"bad_request": 3}


async def test_what_has_failed_here_is_logged_and_answered_in_the_same_form(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> dict[str, object]:
        raise ZeroDivisionError

    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    async with LiveServer(hub, fail, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        request = f"GET /api/v1/counters HTTP/1.1\r\n{HEAD}\r\n"
        status, form, body = await answered(port, request.encode())
    assert (status, json.loads(body)["code"]) == (500, "internal_error")
    assert "application/json" in form
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("headers", [{"Host": "[::1"}, {"Host": "[x]"}, {"Origin": "http://["}])
async def test_a_malformed_header_is_the_senders_mistake(served: Served, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as http, http.get(served.http("hello"), headers=headers) as answer:
        assert 400 <= answer.status < 500


async def test_the_configuration_and_the_server_agree_on_what_a_loopback_address_is(served: Served) -> None:
    async with LiveServer(served.server._hub, dict, is_open_on_loopback=True).listening("localhost", 0) as port:
        assert port > 0


async def test_clients_are_told_also_when_the_gateway_stops_because_of_an_error(served: Served) -> None:
    server = LiveServer(served.server._hub, dict, is_open_on_loopback=True)
    with suppress(ZeroDivisionError):
        async with server.listening("127.0.0.1", 0) as port:
            ws = await connect(f"ws://127.0.0.1:{port}/api/v1/stream")
            await until(ws, "hello")
            raise ZeroDivisionError
    async with asyncio.timeout(5):
        assert (await until(ws, "bye"))["code"] == CloseCode.RESTART

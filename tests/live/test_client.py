"""The client of the live stream, against the real server, in virtual time."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from aiohttp import WSMsgType, web
from yarl import URL

from gateway.live.board import Board
from gateway.live.client import StreamError, fetch_gaps, stream_url
from gateway.live.following import FIRST_RETRY_S, LONGEST_RETRY_S, SILENCE_S, Cursors, LiveClient
from gateway.live.limits import Limits
from gateway.live.server import LiveServer
from gateway.live.session import Hub
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import Codec, Message
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from tests.fault_proxy import fault_proxy

pytestmark = pytest.mark.looptime


def seconds(start: int, stop: int) -> SampleBlock:
    times = np.arange(start * 1000, stop * 1000, 100)
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.SPEED] = 1.5
    return SampleBlock(times, values)


@dataclass
class Gateway:
    """One channel, and a server that can be stopped and started again."""

    channel: Channel
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v1/stream"

    @asynccontextmanager
    async def running(self, epoch: str = "e", *, is_state_kept: bool = False) -> AsyncIterator[LiveServer]:
        board = Board()
        board.channel_changed(self.channel)
        hub = Hub({self.channel.ch: self.channel}, board, epoch, "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
        server = LiveServer(hub, dict, is_open_on_loopback=True)
        async with server.listening("127.0.0.1", self.port, lambda: is_state_kept):
            yield server


@pytest.fixture(name="gateway")
def _gateway() -> Gateway:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    channel = Channel(1, Wearer("SN-1"), 20_000)
    channel.rows_came(seconds(0, 60), 0.0)
    return Gateway(channel, port)


async def hear(client: LiveClient, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """Messages until there are enough of them."""
    heard: list[Message] = []
    async with asyncio.timeout(300), aclosing(client.messages()) as messages:
        async for message in messages:
            heard.append(message)
            if enough(heard):
                break
    return heard


def cuts(heard: list[Message]) -> list[Message]:
    return [message for message in heard if message["op"] == "disconnected"]


def numbers(client: LiveClient, heard: list[Message]) -> list[int]:
    runs = [run for message in heard if message["op"] in {"snap", "d"} for run in client.rows(message)]
    return [number for run in runs for number in range(run.n0, run.last + 1)]


def said(op: str) -> Callable[[list[Message]], bool]:
    return lambda heard: heard[-1]["op"] == op


@pytest.mark.parametrize("codec", Codec)
async def test_it_subscribes_to_everything_and_begins_with_the_last_seconds(gateway: Gateway, codec: Codec) -> None:
    client = LiveClient(gateway.url, codec, last_s=2.0)
    async with gateway.running():
        heard = await hear(client, said("snap"))
    assert [message["op"] for message in heard if message["op"] != "time"] == ["hello", "channels", "sub_ok", "snap"]
    assert numbers(client, heard) == list(range(580, 601))
    assert (client.cursors.epoch, client.cursors.by_channel) == ("e", {1: 600})


async def test_only_the_latest_values_when_asked_for_those(gateway: Gateway) -> None:
    client = LiveClient(gateway.url, last_s=0.0, mode="latest")
    async with gateway.running():
        heard: list[Message] = []
        async with aclosing(client.messages()) as messages:
            async for message in messages:
                heard.append(message)
                if message["op"] == "snap":
                    gateway.channel.rows_came(seconds(60, 61), 0.0)
                if message["op"] == "d":
                    break
    assert numbers(client, heard) == [610]


async def test_after_a_restart_it_begins_anew_instead_of_resuming_under_another_count(gateway: Gateway) -> None:
    client = LiveClient(gateway.url, last_s=1.0)
    async with gateway.running("first"):
        await hear(client, said("snap"))
    gateway.channel = Channel(1, Wearer("SN-1"), 20_000)
    gateway.channel.rows_came(seconds(60, 160), 0.0)
    async with gateway.running("second"):
        heard = await hear(client, said("snap"))
    assert numbers(client, heard) == list(range(990, 1001))
    assert client.cursors.epoch == "second"


async def test_over_a_planned_restart_it_has_every_row_once(gateway: Gateway) -> None:
    """The next run goes on under the same epoch and numbers; what came in between is among what follows."""
    client = LiveClient(gateway.url, last_s=1.0)
    heard: list[Message] = []
    async with aclosing(client.messages()) as messages:

        async def until(op: str) -> Message:
            async for message in messages:
                heard.append(message)
                if message["op"] == op:
                    return message
            raise AssertionError("the stream ended")

        for second in range(60, 90, 3):
            async with gateway.running(is_state_kept=True):
                verdicts = (await until("sub_ok"))["channels"]
                assert [verdict["recovered"] for verdict in verdicts] == ["fresh" if second == 60 else "exact"]
                gateway.channel.rows_came(seconds(second, second + 1), 0.0)
                await until("d")
                gateway.channel.rows_came(seconds(second + 2, second + 3), 0.0)
            bye = await until("bye")
            assert (bye["code"], bye["resumable"]) == (1012, True)
            gateway.channel.rows_came(seconds(second + 1, second + 2), 0.0)  # late, and while nobody serves
        async with gateway.running():
            await until("snap")
    received = numbers(client, heard)
    assert received == list(range(received[0], gateway.channel.ring.newest + 1))
    assert len(received) > 300


async def test_after_an_unplanned_restart_it_begins_fresh_and_drops_its_cursors(gateway: Gateway) -> None:
    async with fault_proxy(gateway.port) as proxy:
        client = LiveClient(gateway.url.replace(str(gateway.port), str(proxy.port)), last_s=1.0)
        heard: list[str] = []
        async with aclosing(client.messages()) as messages:

            async def until(op: str) -> Message:
                async for message in messages:
                    heard.append(message["op"])
                    if message["op"] == op:
                        return message
                raise AssertionError("the stream ended")

            async with gateway.running("first"):
                await until("snap")
                assert client.cursors.by_channel == {1: 600}
                proxy.reset_all()  # a power cut says no goodbye
                await until("disconnected")
            gateway.channel = Channel(2, Wearer("SN-2"), 20_000)
            gateway.channel.rows_came(seconds(60, 160), 0.0)
            async with gateway.running("second"):
                assert (await until("hello"))["epoch"] == "second"
                assert client.cursors.by_channel == {}
                (verdict,) = (await until("sub_ok"))["channels"]
    assert (verdict["recovered"], verdict["cursor"]) == ("fresh", 989)
    assert "bye" not in heard


async def test_a_goodbye_that_promised_too_much_does_no_harm(gateway: Gateway) -> None:
    """The state was to be kept and could not be: the next run has another epoch, and that alone counts."""
    client = LiveClient(gateway.url, last_s=1.0)
    async with aclosing(client.messages()) as messages:
        async with gateway.running("first", is_state_kept=True):
            async for message in messages:
                if message["op"] == "snap":
                    break
        gateway.channel = Channel(1, Wearer("SN-1"), 20_000)
        gateway.channel.rows_came(seconds(60, 61), 0.0)
        async with gateway.running("second"):
            async for message in messages:
                if message["op"] == "sub_ok":
                    break
    assert message["channels"] == [{"ch": 1, "serial_number": "SN-1", "recovered": "fresh", "cursor": 0}]


async def test_while_nothing_answers_it_waits_longer_and_longer_up_to_a_limit() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        authority = f"127.0.0.1:{closed.getsockname()[1]}"
        heard = await hear(LiveClient(f"ws://{authority}/api/v1/stream"), lambda heard: len(heard) == 25)
    assert {message["text"] for message in heard} == {
        f"nothing answers at {authority}: start the gateway there or name another"
    }
    assert all(message["retry_s"] <= FIRST_RETRY_S for message in heard[:1])
    waits = [message["retry_s"] for message in heard]
    assert max(waits) <= LONGEST_RETRY_S
    assert max(waits) > LONGEST_RETRY_S / 2, "chances are one in a million that all waits were drawn short"


async def test_an_answer_ends_the_long_waits(gateway: Gateway) -> None:
    client = LiveClient(gateway.url)
    heard: list[Message] = []

    async def listen() -> None:
        async with aclosing(client.messages()) as messages:
            async for message in messages:
                heard.append(message)

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen())
        for _ in range(12):
            await asyncio.sleep(120)
            async with gateway.running():
                await asyncio.sleep(2 * LONGEST_RETRY_S)
        listening.cancel()
    story = cuts_and_hellos(heard)
    after_hello = [number for number, message in enumerate(story[:-2]) if message["op"] == "hello"]
    assert len(after_hello) >= 10
    # The gateway's goodbye asks for two seconds; after them our own pauses begin anew.
    assert {story[number + 1]["retry_s"] for number in after_hello} == {2.0}
    assert max(story[number + 2]["retry_s"] for number in after_hello) <= 2 * FIRST_RETRY_S


def cuts_and_hellos(heard: list[Message]) -> list[Message]:
    return [message for message in heard if message["op"] in {"hello", "disconnected"}]


async def test_a_full_gateway_is_tried_again(gateway: Gateway) -> None:
    client = LiveClient(gateway.url)
    async with gateway.running() as server:
        server._streaming._limits = Limits(max_clients=0)
        heard = await hear(client, lambda heard: len(heard) == 3)
        assert {message["text"] for message in heard} == {"the gateway has no room for another client"}
        server._streaming._limits = Limits()
        assert said("hello")(await hear(client, said("hello")))


async def test_an_address_that_is_something_else_is_an_error_and_not_tried_again(gateway: Gateway) -> None:
    async with gateway.running():
        client = LiveClient(gateway.url.replace("/stream", "/elsewhere"))
        with pytest.raises(StreamError, match="HTTP 404"):
            await hear(client, lambda heard: len(heard) == 3)


@pytest.mark.parametrize("url", ["", "nowhere", "ws://127.0.0.1:99999/", "ws://[::1/"])
async def test_what_is_no_address_is_an_error_that_shows_one(url: str) -> None:
    with pytest.raises(StreamError, match="try ws://"):
        await hear(LiveClient(url), lambda heard: len(heard) == 3)


@asynccontextmanager
async def saying(*payloads: str | bytes, is_closing: bool = False) -> AsyncIterator[tuple[str, list[Any]]]:
    """A websocket server that says the same to everybody and then falls silent; what it hears is written down."""
    heard: list[Any] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=[*Codec])
        await ws.prepare(request)
        for payload in payloads:
            await (ws.send_str(payload) if isinstance(payload, str) else ws.send_bytes(payload))
        if is_closing:
            return ws
        async for frame in ws:
            if frame.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                heard.append(frame.data)
        return ws

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}/", heard
    finally:
        await runner.cleanup()


async def test_a_gateway_that_falls_silent_is_left_and_tried_again() -> None:
    async with saying('{"op":"hello","epoch":"e"}') as (url, heard_there):
        client = LiveClient(url, Codec.JSON)
        began_s = asyncio.get_running_loop().time()
        heard = await hear(client, said("disconnected"))
        waited_s = asyncio.get_running_loop().time() - began_s
    assert [message["op"] for message in heard] == ["hello", "disconnected"]
    assert heard[-1]["text"] == f"no word from {URL(url).authority} for 10 s: see whether a gateway runs there"
    assert SILENCE_S <= waited_s < SILENCE_S + 2
    assert len(heard_there) == 1


async def test_a_server_that_never_answers_the_handshake_is_told_after_ten_seconds() -> None:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        began_s = asyncio.get_running_loop().time()
        (told,) = await hear(LiveClient(f"ws://{authority}/"), said("disconnected"))
        assert SILENCE_S <= asyncio.get_running_loop().time() - began_s < SILENCE_S + 2
    assert told["text"] == f"no word from {authority} for 10 s: see whether a gateway runs there"


async def test_a_server_that_hangs_up_is_named() -> None:
    """A tunnel whose far end has no gateway does this."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (told,) = await hear(LiveClient(f"ws://{authority}/"), said("disconnected"))
    assert told["text"] == f"{authority} hung up: see whether a gateway runs there"


@pytest.mark.looptime(False)
async def test_a_name_that_nobody_knows_is_told_as_that() -> None:
    (told,) = await hear(LiveClient("ws://no-such-gateway.invalid:8770/"), said("disconnected"))
    assert told["text"] == (
        "the name no-such-gateway.invalid is not known here: correct it, or give the gateway's IP address"
    )
    with pytest.raises(StreamError, match=r"^The name no-such-gateway\.invalid is not known here"):
        await fetch_gaps("ws://no-such-gateway.invalid:8770/api/v1/stream")


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (1012, "The gateway stops.", "the gateway was stopped"),
        (4408, "Requests came faster than read.", "the gateway hung up (Requests came faster than read)"),
    ],
)
async def test_a_goodbye_is_the_reason_of_the_cut(code: int, text: str, reason: str) -> None:
    bye = {"op": "bye", "code": code, "text": text, "retry_after_ms": 100, "resumable": False}
    async with saying(json.dumps(bye), is_closing=True) as (url, _):
        heard = await hear(LiveClient(url, Codec.JSON), said("disconnected"))
    assert heard[-1]["text"] == reason


async def test_a_cut_after_a_new_hello_does_not_repeat_the_goodbye_of_another_time(gateway: Gateway) -> None:
    async with fault_proxy(gateway.port) as proxy:
        client = LiveClient(gateway.url.replace(str(gateway.port), str(proxy.port)), last_s=1.0)
        reasons = []
        async with aclosing(client.messages()) as messages:
            async with gateway.running():
                async for message in messages:
                    if message["op"] == "snap":
                        break
            async for message in messages:
                if message["op"] == "disconnected":
                    reasons.append(message["text"])
                    break
            async with gateway.running():
                async for message in messages:
                    if message["op"] == "snap":
                        proxy.reset_all()
                    elif message["op"] == "disconnected":
                        reasons.append(message["text"])
                        break
    assert reasons[0] == "the gateway was stopped"
    assert "stopped" not in reasons[1]


def test_a_resume_names_the_last_row_of_each_channel() -> None:
    cursors = Cursors()
    assert cursors.start(9.0) == {"last_s": 9.0}
    cursors.take({"op": "hello", "epoch": "e"})
    assert cursors.start(9.0) == {"last_s": 9.0}
    cursors.take({"op": "sub_ok", "channels": [{"ch": 1, "cursor": 10}, {"ch": 2, "cursor": 0}]})
    assert cursors.start(9.0)["cursors"] == [[1, 10], [2, 0]]
    cursors.take({"op": "snap", "blocks": [{"ch": 1, "n0": 11, "rows": 5}, {"ch": 1, "n0": 16, "rows": 1}]})
    cursors.take({"op": "d", "blocks": [{"ch": 2, "n0": 1, "rows": 3}]})
    cursors.take({"op": "time"})
    assert cursors.start(9.0) == {"epoch": "e", "cursors": [[1, 16], [2, 3]], "last_s": 9.0}
    cursors.take({"op": "hello", "epoch": "e"})
    assert cursors.by_channel == {1: 16, 2: 3}
    cursors.take({"op": "hello", "epoch": "f"})
    assert cursors.start(9.0) == {"last_s": 9.0}


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("pi.local", "ws://pi.local:8770/api/v1/stream"),
        ("localhost:9000", "ws://localhost:9000/api/v1/stream"),
        ("ws://127.0.0.1:8770/api/v1/stream", "ws://127.0.0.1:8770/api/v1/stream"),
        ("http://127.0.0.1:8770/", "ws://127.0.0.1:8770/api/v1/stream"),
        ("8831", "ws://127.0.0.1:8831/api/v1/stream"),
        ("[::1]:8770", "ws://[::1]:8770/api/v1/stream"),
    ],
)
def test_a_gateway_is_found_by_what_people_type(typed: str, url: str) -> None:
    assert stream_url(typed) == url


@pytest.mark.parametrize("typed", ["", "ftp://x", "ws://", "99999", "host:port", "a b", "ws://[::1"])
def test_what_is_no_address_is_said_to_be_none(typed: str) -> None:
    with pytest.raises(StreamError, match="no address"):
        stream_url(typed)

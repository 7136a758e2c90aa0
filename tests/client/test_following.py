"""The live stream as messages, against the real server, in virtual time."""

import asyncio
import json
import socket
from contextlib import aclosing

import pytest

from gateway.live.limits import Limits
from gateway.telemetry.channel import Channel, Wearer
from insiders_gateway_client.errors import GatewayError, NobodyThereError, NotAdmittedError, RefusalError
from insiders_gateway_client.following import FIRST_RETRY_S, LONGEST_RETRY_S, SILENCE_S
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.messages import Codec, Message
from tests.client.ground import Ground, follow, hear, numbers, said, saying, seconds
from tests.fault_proxy import fault_proxy

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("codec", Codec)
async def test_it_subscribes_to_everything_and_begins_with_the_last_seconds(ground: Ground, codec: Codec) -> None:
    client = follow(ground.url, codec, last_s=2.0)
    async with ground.running():
        heard = await hear(client, said("snap"))
    ops = [message["op"] for message in heard if message["op"] not in {"time", "state"}]
    assert ops == ["hello", "channels", "sub_ok", "snap"]
    assert numbers(client, heard) == list(range(580, 601))
    assert (client.cursors.epoch, client.cursors.by_channel) == ("e", {1: 600})


async def test_only_the_latest_values_when_asked_for_those(ground: Ground) -> None:
    client = follow(ground.url, last_s=0.0, mode="latest")
    async with ground.running():
        heard: list[Message] = []
        async with aclosing(client.messages()) as messages:
            async for message in messages:
                heard.append(message)
                if message["op"] == "snap":
                    ground.channel.rows_came(seconds(60, 61), 0.0)
                if message["op"] == "d":
                    break
    assert numbers(client, heard) == [610]


async def test_after_a_restart_it_begins_anew_instead_of_resuming_under_another_count(ground: Ground) -> None:
    client = follow(ground.url, last_s=1.0)
    async with ground.running("first"):
        await hear(client, said("snap"))
    ground.channel = Channel(1, Wearer("SN-1"), 20_000)
    ground.channel.rows_came(seconds(60, 160), 0.0)
    async with ground.running("second"):
        heard = await hear(client, said("snap"))
    assert numbers(client, heard) == list(range(990, 1001))
    assert client.cursors.epoch == "second"


async def test_over_a_planned_restart_it_has_every_row_once(ground: Ground) -> None:
    """The next run goes on under the same epoch and numbers; what came in between is among what follows."""
    client = follow(ground.url, last_s=1.0)
    heard: list[Message] = []
    async with aclosing(client.messages()) as messages:

        async def until(op: str) -> Message:
            async for message in messages:
                heard.append(message)
                if message["op"] == op:
                    return message
            raise AssertionError("the stream ended")

        for second in range(60, 90, 3):
            async with ground.running(is_state_kept=True):
                verdicts = (await until("sub_ok"))["channels"]
                assert [verdict["recovered"] for verdict in verdicts] == ["fresh" if second == 60 else "exact"]
                ground.channel.rows_came(seconds(second, second + 1), 0.0)
                await until("d")
                ground.channel.rows_came(seconds(second + 2, second + 3), 0.0)
            bye = await until("bye")
            assert (bye["code"], bye["resumable"]) == (1012, True)
            ground.channel.rows_came(seconds(second + 1, second + 2), 0.0)  # late, and while nobody serves
        async with ground.running():
            await until("snap")
    received = numbers(client, heard)
    assert received == list(range(received[0], ground.channel.ring.newest + 1))
    assert len(received) > 300


async def test_after_an_unplanned_restart_it_begins_fresh_and_drops_its_cursors(ground: Ground) -> None:
    async with fault_proxy(ground.port) as proxy:
        client = follow(ground.url.replace(str(ground.port), str(proxy.port)), last_s=1.0)
        heard: list[str] = []
        async with aclosing(client.messages()) as messages:

            async def until(op: str) -> Message:
                async for message in messages:
                    heard.append(message["op"])
                    if message["op"] == op:
                        return message
                raise AssertionError("the stream ended")

            async with ground.running("first"):
                await until("snap")
                assert client.cursors.by_channel == {1: 600}
                proxy.reset_all()  # a power cut says no goodbye
                await until("disconnected")
            ground.channel = Channel(2, Wearer("SN-2"), 20_000)
            ground.channel.rows_came(seconds(60, 160), 0.0)
            async with ground.running("second"):
                assert (await until("hello"))["epoch"] == "second"
                assert client.cursors.by_channel == {}
                (verdict,) = (await until("sub_ok"))["channels"]
    assert (verdict["recovered"], verdict["cursor"]) == ("fresh", 989)
    assert "bye" not in heard


async def test_a_goodbye_that_promised_too_much_does_no_harm(ground: Ground) -> None:
    """The state was to be kept and could not be: the next run has another epoch, and that alone counts."""
    client = follow(ground.url, last_s=1.0)
    async with aclosing(client.messages()) as messages:
        async with ground.running("first", is_state_kept=True):
            async for message in messages:
                if message["op"] == "snap":
                    break
        ground.channel = Channel(1, Wearer("SN-1"), 20_000)
        ground.channel.rows_came(seconds(60, 61), 0.0)
        async with ground.running("second"):
            async for message in messages:
                if message["op"] == "sub_ok":
                    break
    assert message["channels"] == [{"ch": 1, "serial_number": "SN-1", "recovered": "fresh", "cursor": 0}]


async def test_while_nothing_answers_it_waits_longer_and_longer_up_to_a_limit() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        authority = f"127.0.0.1:{closed.getsockname()[1]}"
        heard = await hear(follow(authority), lambda heard: len(heard) == 25)
    assert {message["text"] for message in heard} == {
        f"nothing answers at {authority}: start the gateway there or name another"
    }
    assert all(message["retry_s"] <= FIRST_RETRY_S for message in heard[:1])
    waits = [message["retry_s"] for message in heard]
    assert max(waits) <= LONGEST_RETRY_S
    assert max(waits) > LONGEST_RETRY_S / 2, "chances are one in a million that all waits were drawn short"


async def test_an_answer_ends_the_long_waits(ground: Ground) -> None:
    client = follow(ground.url)
    heard: list[Message] = []

    async def listen() -> None:
        async with aclosing(client.messages()) as messages:
            async for message in messages:
                heard.append(message)

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen())
        for _ in range(12):
            await asyncio.sleep(120)
            async with ground.running():
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


async def test_a_full_gateway_is_tried_again(ground: Ground) -> None:
    client = follow(ground.url)
    async with ground.running(limits=Limits(max_clients=0)):
        heard = await hear(client, lambda heard: len(heard) == 3)
    assert {message["text"] for message in heard} == {"the gateway has no room for another client"}
    async with ground.running():
        assert said("hello")(await hear(client, said("hello")))


async def test_an_address_that_is_something_else_is_an_error_and_not_tried_again(ground: Ground) -> None:
    async with ground.running():
        client = follow(f"http://{ground.url}/elsewhere")
        with pytest.raises(GatewayError, match="HTTP 404"):
            await hear(client, lambda heard: len(heard) == 3)


async def test_a_gateway_that_falls_silent_is_left_and_tried_again() -> None:
    async with saying('{"op":"hello","epoch":"e"}') as (url, heard_there):
        client = follow(url, Codec.JSON)
        began_s = asyncio.get_running_loop().time()
        heard = await hear(client, said("disconnected"))
        waited_s = asyncio.get_running_loop().time() - began_s
    assert [message["op"] for message in heard] == ["hello", "disconnected"]
    assert heard[-1]["text"] == f"no word from {url} for 10 s: see whether a gateway runs there"
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
        (told,) = await hear(follow(authority), said("disconnected"))
        assert SILENCE_S <= asyncio.get_running_loop().time() - began_s < SILENCE_S + 2
    assert told["text"] == f"no word from {authority} for 10 s: see whether a gateway runs there"


async def test_a_server_that_hangs_up_is_named() -> None:
    """A tunnel whose far end has no gateway does this."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (told,) = await hear(follow(authority), said("disconnected"))
    assert told["text"] == f"{authority} hung up: see whether a gateway runs there"


@pytest.mark.looptime(False)
async def test_a_name_that_nobody_knows_is_told_as_that() -> None:
    (told,) = await hear(follow("ws://no-such-gateway.invalid:8770/"), said("disconnected"))
    assert told["text"] == (
        "the name no-such-gateway.invalid is not known here: correct it, or give the gateway's IP address"
    )
    with pytest.raises(NobodyThereError, match=r"^The name no-such-gateway\.invalid is not known here"):
        await Gateway("http://no-such-gateway.invalid:8770/").ask("GET", "gaps")


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (1012, "The gateway stops.", "the gateway was stopped"),
        (4408, "Requests came faster than read.", "the gateway hung up (Requests came faster than read)"),
    ],
)
async def test_a_goodbye_is_the_reason_of_the_cut(code: int, text: str, reason: str) -> None:
    bye = {"op": "bye", "code": code, "text": text, "retry_after_ms": 100, "resumable": False}
    async with saying(json.dumps(bye), closing=code) as (url, _):
        heard = await hear(follow(url, Codec.JSON), said("disconnected"))
    assert heard[-1]["text"] == reason


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [(4401, NotAdmittedError, "lets in only those whom it knows"), (4403, GatewayError, "does not let us follow")],
)
async def test_who_may_not_follow_is_told_and_does_not_come_again(
    code: int, error: type[GatewayError], says: str
) -> None:
    bye = {"op": "bye", "code": code, "text": "No.", "retry_after_ms": 0, "resumable": False}
    async with saying(json.dumps(bye), closing=code) as (url, _):
        with pytest.raises(error, match=says):
            await hear(follow(url, Codec.JSON), said("disconnected"))


async def test_a_subscription_that_is_refused_is_an_error_and_no_endless_wait(ground: Ground) -> None:
    async with ground.running():
        with pytest.raises(RefusalError) as refused:
            await hear(follow(ground.url, columns=["sped"]), said("d"))
    assert refused.value.code == "unknown_column"


async def test_what_was_read_is_acknowledged_twice_a_second_and_no_more() -> None:
    told: list[str | bytes] = ['{"op":"hello","epoch":"e"}']
    told += [json.dumps({"op": "d", "sub": 1, "seq": seq, "blocks": []}) for seq in range(1, 6)]
    async with saying(*told) as (url, heard_there):
        await hear(follow(url, Codec.JSON), said("disconnected"))
    acks = [json.loads(heard)["subs"] for heard in heard_there if json.loads(heard)["op"] == "ack"]
    assert acks[0] == [[1, 1]]
    assert acks[-1] == [[1, 5]]
    assert len(acks) == 2


async def test_a_reader_that_is_busy_acknowledges_when_it_is_back() -> None:
    frame = json.dumps({"op": "d", "sub": 1, "seq": 1, "blocks": []})
    async with saying('{"op":"hello","epoch":"e"}', frame) as (url, heard_there):
        async with aclosing(follow(url, Codec.JSON).messages()) as messages:
            async for message in messages:
                if message["op"] == "d":
                    await asyncio.sleep(5)
                    assert [json.loads(heard)["op"] for heard in heard_there] == ["sub"]
                if message["op"] == "disconnected":
                    break
        assert [json.loads(heard)["op"] for heard in heard_there] == ["sub", "ack"]


async def test_a_cut_after_a_new_hello_does_not_repeat_the_goodbye_of_another_time(ground: Ground) -> None:
    async with fault_proxy(ground.port) as proxy:
        client = follow(ground.url.replace(str(ground.port), str(proxy.port)), last_s=1.0)
        reasons = []
        async with aclosing(client.messages()) as messages:
            async with ground.running():
                async for message in messages:
                    if message["op"] == "snap":
                        break
            async for message in messages:
                if message["op"] == "disconnected":
                    reasons.append(message["text"])
                    break
            async with ground.running():
                async for message in messages:
                    if message["op"] == "snap":
                        proxy.reset_all()
                    elif message["op"] == "disconnected":
                        reasons.append(message["text"])
                        break
    assert reasons[0] == "the gateway was stopped"
    assert "stopped" not in reasons[1]

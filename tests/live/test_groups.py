"""Equal subscriptions: one reading, one encoding, the same bytes for all who keep up; nobody waits for the others."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.live.hub import Hub
from gateway.live.stream import groups, subscription
from gateway.live.stream.pump import Pump
from gateway.live.stream.shared import Shared
from gateway.live.stream.wire import Wire
from gateway.telemetry.channel import Channel
from insiders_codecs.live import Codec, Message, encode
from tests.live.listening import Client
from tests.live.test_session import _hub, _one, numbers, ops, rows, seconds

__all__ = ["_hub", "_one"]


class Encodings:
    """Counts what is encoded, and what is written for whom."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.samples: list[bytes] = []
        self.written: list[tuple[Wire, bytes]] = []
        for module in (groups, subscription):
            monkeypatch.setattr(module, "encode_samples", self._counting(module.encode_samples))
        send = Wire.send
        monkeypatch.setattr(Wire, "send", lambda wire, now_s, *parts: self._note(send, wire, now_s, parts))

    def clear(self) -> None:
        self.samples.clear()
        self.written.clear()

    def _counting(self, encode_samples: Callable[..., bytes]) -> Callable[..., bytes]:
        def encode(*arguments: Any) -> bytes:
            self.samples.append(encode_samples(*arguments))
            return self.samples[-1]

        return encode

    def _note(self, send: Callable[..., None], wire: Wire, now_s: float, parts: tuple[bytes, ...]) -> None:
        if len(parts) > 1:
            self.written.append((wire, parts[-1]))
        send(wire, now_s, *parts)


@pytest.fixture(name="encodings")
def _encodings(monkeypatch: pytest.MonkeyPatch) -> Encodings:
    return Encodings(monkeypatch)


def crowd(hub: Hub, count: int, codec: Codec = Codec.MSGPACK, **wanted: Any) -> list[Client]:
    """Clients of one pump that have subscribed and keep up."""
    pump = Pump(Shared(hub))
    clients = [Client(hub, codec, pump=pump) for _ in range(count)]
    for number, client in enumerate(clients):
        client.say(op="sub", sub=number, **wanted)
    wait(clients, 3.0)
    return clients


def wait(clients: list[Client], duration_s: float) -> list[list[dict[str, Any]]]:
    """Let time pass for all; what each of them hears meanwhile."""
    first, others = clients[0], clients[1:]
    end_s = first.now_s + duration_s
    heard: list[list[dict[str, Any]]] = [[] for _ in clients]
    while first.now_s < end_s:
        first.now_s = min(end_s, first.now_s + 0.05)
        for client in others:
            client.now_s = first.now_s
        heard[0] += first.listen()
        for place, client in enumerate(others, start=1):
            heard[place] += client.take()
    return heard


def test_what_a_hundred_clients_are_sent_is_encoded_once_and_is_one_object(
    hub: Hub, one: Channel, encodings: Encodings
) -> None:
    clients = crowd(hub, 100)
    encodings.clear()
    one.rows_came(seconds(0, 1), 0.0)
    heard = wait(clients, 0.3)
    (samples,) = encodings.samples
    assert len(encodings.written) == 100
    assert all(part is samples for _, part in encodings.written)
    assert len({id(wire) for wire, _ in encodings.written}) == 100
    for number, messages in enumerate(heard):
        (data,) = (message for message in messages if message["op"] == "d")
        assert (data["sub"], data["seq"]) == (number, 2)
        assert numbers([data]) == list(range(1, 11))


def test_the_numbers_of_messages_are_each_clients_own(hub: Hub, one: Channel) -> None:
    """They share bytes although one has come later than the other."""
    clients = crowd(hub, 1)
    for second in range(3):
        one.rows_came(seconds(second, second + 1), 0.0)
        wait(clients, 1.0)
    late = Client(hub, Codec.MSGPACK, clients[0].now_s, clients[0].room)
    late.say(op="sub", sub=7)
    clients.append(late)
    wait(clients, 1.0)
    one.rows_came(seconds(3, 4), 0.0)
    heard = wait(clients, 1.0)
    data = [next(message for message in messages if message["op"] == "d") for messages in heard]
    assert [(message["sub"], message["seq"]) for message in data] == [(0, 5), (7, 2)]


@pytest.mark.parametrize(
    "other",
    [
        {"columns": ["speed"]},
        {"mode": "latest"},
        {"batch_ms": 250},
        {"devices": ["SN-1"]},
        {"columns": ["power", "speed"]},
    ],
)
def test_who_has_asked_for_something_else_gets_that(
    hub: Hub, one: Channel, encodings: Encodings, other: dict[str, Any]
) -> None:
    clients = crowd(hub, 2)
    odd = Client(hub, Codec.MSGPACK, clients[0].now_s, clients[0].room)
    odd.say(op="sub", sub=9, **other)
    clients.append(odd)
    wait(clients, 3.0)
    encodings.clear()
    one.rows_came(seconds(0, 1), 0.0)
    wait(clients, 1.0)
    assert len(encodings.samples) == 2
    assert len(encodings.written) == 3


def test_the_order_in_which_devices_were_named_makes_no_difference(
    hub: Hub, one: Channel, encodings: Encodings
) -> None:
    clients = crowd(hub, 1, devices=["SN-1", "SN-2", "SN-3"])
    other = Client(hub, Codec.MSGPACK, clients[0].now_s, clients[0].room)
    other.say(op="sub", sub=9, devices=["SN-3", "SN-1", "SN-2"])
    wait([*clients, other], 1.0)
    encodings.clear()
    one.rows_came(seconds(0, 1), 0.0)
    wait([*clients, other], 1.0)
    assert len(encodings.samples) == 1


def test_who_could_not_take_one_message_gets_its_rows_with_the_next_and_is_in_step_again(
    hub: Hub, one: Channel, encodings: Encodings
) -> None:
    clients = crowd(hub, 3)
    slow = clients[1]
    slow.kernel.bytes_per_s = 0
    for second in range(2):  # the first is written, and waits
        one.rows_came(seconds(second, second + 1), 0.0)
        wait(clients, 0.4)
    slow.kernel.bytes_per_s = None
    wait(clients, 1.0)
    for client in clients:
        assert numbers(client.heard) == list(range(1, 21))
    encodings.clear()
    one.rows_came(seconds(2, 3), 0.0)
    wait(clients, 0.4)
    assert len(encodings.samples) == 1


def test_what_was_overwritten_before_a_group_was_sent_it_is_told_to_each(hub: Hub, one: Channel) -> None:
    clients = crowd(hub, 3, Codec.JSON)
    for second in range(0, 70, 10):
        one.rows_came(seconds(second, second + 10), 0.0)
    for number, messages in enumerate(wait(clients, 2.0)):
        (gap,) = (message for message in messages if message["op"] == "gap")
        assert (gap["sub"], gap["rows"], gap["reason"]) == (number, 100, "ring_overrun")
        assert numbers(messages) == list(range(101, 701))
        assert ops(messages).index("gap") < ops(messages).index("d")


def test_latest_values_of_a_group_are_the_same_for_all(hub: Hub, one: Channel, encodings: Encodings) -> None:
    clients = crowd(hub, 3, mode="latest")
    encodings.clear()
    one.rows_came(seconds(0, 3), 0.0)
    for messages in wait(clients, 1.0):
        assert [run.t_ms.tolist() for run in rows(messages)] == [[0], [2900]]
    assert len(encodings.samples) == 1


def test_a_group_ends_with_its_last_member(hub: Hub) -> None:
    clients = crowd(hub, 2)
    assert len(clients[0].room._shared.groups._groups) == 1
    clients[1].leave()
    clients[0].say(op="unsub", sub=0)
    wait(clients[:1], 0.5)
    shared = clients[0].room._shared.groups
    assert (shared._groups, shared._alone) == ({}, {})


def test_news_are_encoded_once_for_all(hub: Hub, one: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = crowd(hub, 5)
    encoded: list[object] = []

    def counting(message: Message, codec: Codec) -> bytes:
        encoded.append(message)
        return encode(message, codec)

    monkeypatch.setattr("gateway.live.board.encode", counting)
    hub.board.presence_changed(one, "stale")
    for messages in wait(clients, 0.5):
        assert [message["value"] for message in messages if message["op"] == "state"] == ["stale"]
    assert len(encoded) == 1

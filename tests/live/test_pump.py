"""Many who come at once keep nobody waiting."""

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.pump import GREETED_AT_ONCE, Pump
from gateway.live.session import Shared
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import encode
from tests.live.listening import Client

NOW_S = 1000.0
CROWD = 2 * GREETED_AT_ONCE + 1


def crowd() -> tuple[Pump, list[Client]]:
    channels = {1: Channel(1, Wearer("SN-1"), 100)}
    hub = Hub(channels, Board(), "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
    pump = Pump(Shared(hub))
    return pump, [Client(hub, now_s=NOW_S, pump=pump, is_hasty=True) for _ in range(CROWD)]


def greeted(clients: list[Client]) -> int:
    return sum(any(message["op"] == "hello" for message in client.heard + client.take()) for client in clients)


def test_with_each_turn_some_are_greeted_and_the_next_turn_is_due_at_once() -> None:
    pump, clients = crowd()
    assert pump.turn(NOW_S) == NOW_S
    assert greeted(clients) == GREETED_AT_ONCE
    assert pump.turn(NOW_S) == NOW_S
    assert greeted(clients) == 2 * GREETED_AT_ONCE
    assert pump.turn(NOW_S) > NOW_S
    assert greeted(clients) == CROWD


def test_whoever_asks_before_being_greeted_is_greeted_first() -> None:
    pump, clients = crowd()
    last = clients[-1]
    assert last.session.receive(encode({"op": "sub", "sub": 1}, last.codec), NOW_S)
    pump.wake(last.session)
    for _ in range(3):
        pump.turn(NOW_S)
        last.take()
    said = [message["op"] for message in last.heard]
    assert said[0] == "hello"
    assert said.index("sub_ok") < said.index("snap")


def test_who_leaves_before_being_greeted_is_forgotten() -> None:
    pump, clients = crowd()
    clients[0].leave()
    clients[-1].leave()
    for _ in range(3):
        pump.turn(NOW_S)
    assert greeted(clients) == len(pump) == CROWD - 2

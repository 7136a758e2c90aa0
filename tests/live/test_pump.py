"""Many who come at once keep nobody waiting, and what there is to say is said in few words to the kernel."""

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.stream.pump import GREETED_AT_ONCE, Pump
from gateway.live.stream.shared import Shared
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import encode
from tests.live.listening import Client, Kernel

NOW_S = 1000.0
CROWD = 2 * GREETED_AT_ONCE + 1
PORTION_BYTES = 16 * 1024
"""What a connection takes at once, whatever is written: more of it would only wait."""


class CountingKernel(Kernel):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(len(data))
        super().write(data)


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


def test_a_board_of_many_states_is_written_in_few_portions() -> None:
    board = Board()
    for number in range(300):
        board.state_changed(f"problem/tracker_foreign/SN-{number}", "open", text="x" * 100, action="wait", since_ms=0)
    hub = Hub({}, board, "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
    kernel = CountingKernel()
    client = Client(hub, now_s=NOW_S, is_hasty=True, kernel=kernel)
    client.listen()
    assert sum(message["op"] == "state" for message in client.heard) == 300
    assert len(kernel.writes) == sum(kernel.writes) // PORTION_BYTES + 1 > 2
    assert max(kernel.writes) < PORTION_BYTES + 1024


def test_who_does_not_take_the_first_portion_is_not_written_a_second() -> None:
    board = Board()
    for number in range(300):
        board.state_changed(f"problem/tracker_foreign/SN-{number}", "open", text="x" * 100, action="wait", since_ms=0)
    hub = Hub({}, board, "e", "Test", "0.0", 60.0, lambda: 0, lambda: True)
    kernel = CountingKernel()
    kernel.bytes_per_s = 0.0
    client = Client(hub, now_s=NOW_S, is_hasty=True, kernel=kernel)
    client.wait(1.0)
    assert len(kernel.writes) == 1
    kernel.bytes_per_s = None
    client.wait(1.0)
    assert sum(message["op"] == "state" for message in client.heard) == 300

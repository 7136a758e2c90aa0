"""Clients that are too slow, in manual time: what they get, what they are told, and how they come back."""

from typing import Any

import pytest

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.stream.pacing import SNAPSHOT_BYTES_PER_S, SNAPSHOTS_BYTES_PER_S
from gateway.live.stream.pump import Pump
from gateway.live.stream.session import CloseCode
from gateway.live.stream.shared import Shared
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import MAX_ROWS, Codec, Message
from insiders_gateway_client.cursors import Cursors
from tests.live.listening import Client
from tests.live.test_session import EPOCH, _hub, _one, block, numbers, ops, seconds

__all__ = ["_hub", "_one"]


class Runner:
    """Athletes who run, ten rows a second each, and a client that deals with them if it wants to."""

    def __init__(self, hub: Hub, *channels: Channel, **wanted: Any) -> None:
        self.client = Client(hub)
        self.channels = channels
        self.next_s = 0
        self.is_acking = True
        self.client.say(op="sub", sub=1, **wanted)
        self.run(12)  # until the grace is over

    def run(self, count: int) -> list[Message]:
        heard: list[Message] = []
        for _ in range(count):
            for channel in self.channels:
                channel.rows_came(seconds(self.next_s, self.next_s + 1), 0.0)
            self.next_s += 1
            heard += self.client.wait(1.0)
            last = [m["seq"] for m in self.client.heard if m["op"] in {"snap", "d"}][-1]
            if self.is_acking:
                heard += self.client.say(op="ack", subs=[[1, last]])
        return heard

    @property
    def level(self) -> str:
        states = [m["value"] for m in self.client.heard if m["op"] == "state" and m["key"] == "connection"]
        return states[-1] if states else "normal"


def gaps(messages: list[Message]) -> list[tuple[str, int | None]]:
    return [(m["state"], m["rows"]) for m in messages if m["op"] == "gap" and m["reason"] == "slow_consumer"]


def test_who_acknowledges_every_second_is_never_called_slow(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.run(120)
    assert runner.level == "normal"
    assert numbers(runner.client.heard) == list(range(1, 1321))


def test_who_never_acknowledges_and_takes_everything_is_never_called_slow(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    client = Client(hub)
    client.say(op="sub", sub=1)
    client.wait(120.0)
    assert client.session.closing is None


def test_who_stops_dealing_with_rows_gets_the_newest_then_none_then_an_end(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    levels = []
    for _ in range(40):
        heard = runner.run(1)
        levels.append((runner.level, sum(b["rows"] for m in heard if m["op"] == "d" for b in m["blocks"])))
    names = [level for level, _ in levels]
    assert names.index("conflated") in {3, 4}
    assert names.index("shed") in {9, 10}
    assert all(0 < count < 8 for level, count in levels[5:9])
    assert all(count == 0 for level, count in levels[12:])
    assert runner.client.session.closing is CloseCode.TOO_SLOW
    bye = runner.client.heard[-1]
    assert (bye["op"], bye["code"], bye["resumable"]) == ("bye", 4408, True)
    told = [(m["ch"], m["state"]) for m in runner.client.heard if m["op"] == "gap"]
    assert told == [(1, "open"), (2, "open"), (3, "open")]


def test_who_acknowledges_the_same_old_message_again_and_again_is_as_slow_as_who_stopped(
    hub: Hub, one: Channel
) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    old = [message["seq"] for message in runner.client.heard if message["op"] == "d"][-1]
    for _ in range(5):
        runner.run(1)
        runner.client.say(op="ack", subs=[[1, old]])
    assert runner.level == "conflated"


@pytest.mark.parametrize("wanted", [{}, {"mode": "latest", "max_hz": 10}, {"on_slow": "drop_oldest"}])
def test_a_slow_client_gets_something_twice_a_second_however_often_rows_come(
    hub: Hub, one: Channel, wanted: dict[str, Any]
) -> None:
    runner = Runner(hub, one, **wanted)
    runner.is_acking = False
    runner.run(5)
    assert runner.level == "conflated"
    heard = list[Message]()
    for t_ms in range(runner.next_s * 1000, runner.next_s * 1000 + 3000, 100):
        one.rows_came(block(t_ms), 0.0)
        heard += runner.client.wait(0.1)
    assert runner.level == "conflated"
    assert 5 <= ops(heard).count("d") <= 7


def test_who_was_slow_is_told_exactly_how_many_rows_were_left_out(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    runner.run(7)
    runner.is_acking = True
    runner.run(12)
    assert runner.level == "normal"
    got = numbers(runner.client.heard)
    ((_, _), (state, left_out)) = gaps(runner.client.heard)
    assert state == "closed"
    assert left_out == one.ring.newest - len(got) > 0
    assert got == sorted(set(got))
    assert got[-20:] == list(range(one.ring.newest - 19, one.ring.newest + 1))


def _heard_by(cursors: Cursors, messages: list[Message]) -> tuple[list[int], int]:
    """Numbers of the first channel's rows that our own client makes of it, and how many it is told not to have."""
    got, missing = list[int](), 0
    for message in messages:
        cursors.take(message)
        match message["op"]:
            case "sub_ok":
                missing += message["channels"][0].get("missing_rows", 0)
            case "gap" if message["ch"] == 1 and message["state"] == "closed":
                missing += message["rows"]
            case "snap" | "d":
                for run in message["blocks"]:
                    spans = run.get("new", [(0, run["rows"])]) if run["ch"] == 1 else []
                    got += [run["n0"] + row for first, end in spans for row in range(first, end)]
    return got, missing


@pytest.mark.parametrize("count", [5, 20], ids=["conflated", "shed"])
def test_after_a_cut_what_was_left_out_follows_and_nothing_counts_twice(hub: Hub, one: Channel, count: int) -> None:
    runner, cursors = Runner(hub, one), Cursors()
    runner.is_acking = False
    runner.run(count)
    opened = next(m for m in runner.client.heard if m["op"] == "gap")
    got, missing = _heard_by(cursors, runner.client.heard)
    assert missing == 0
    assert cursors.by_channel[1] == opened["after"] < got[-1] <= one.ring.newest
    again = Client(hub, now_s=runner.client.now_s)
    again.say(**{"op": "sub", "sub": 1, "from": cursors.start(0)})
    again.wait(2.0)
    rest, missing = _heard_by(cursors, again.heard)
    assert sorted(got + rest) == list(range(1, one.ring.newest + 1))
    assert missing == 0
    assert cursors.by_channel[1] == one.ring.newest


def test_what_was_overwritten_meanwhile_is_counted_without_the_rows_that_had_come(hub: Hub) -> None:
    channel = Channel(1, Wearer("SN-1"), 100)
    hub.channels[1] = channel  # type: ignore[index]
    runner, cursors = Runner(hub, channel), Cursors()
    runner.is_acking = False
    runner.run(20)
    got, _ = _heard_by(cursors, runner.client.heard)
    again = Client(hub, now_s=runner.client.now_s)
    again.say(**{"op": "sub", "sub": 1, "from": cursors.start(0)})
    again.wait(2.0)
    rest, missing = _heard_by(cursors, again.heard)
    assert len(set(got + rest)) == len(got + rest) == channel.ring.newest - missing
    assert missing > 0


def test_what_was_told_to_be_overwritten_is_not_told_again_after_a_cut(hub: Hub) -> None:
    """The cut comes between the word of it and the rows behind it."""
    channel = Channel(1, Wearer("SN-1"), 100)
    hub.channels[1] = channel  # type: ignore[index]
    runner, cursors = Runner(hub, channel, devices=["SN-1"], on_slow="drop_oldest"), Cursors()
    runner.is_acking = False
    runner.run(25)
    runner.is_acking = True
    runner.run(20)
    told = next(at for at, message in enumerate(runner.client.heard) if message["op"] == "gap")
    got, missing = _heard_by(cursors, runner.client.heard[: told + 1])
    assert missing > 0
    again = Client(hub, now_s=runner.client.now_s)
    again.say(**{"op": "sub", "sub": 1, "from": cursors.start(0)})
    again.wait(2.0)
    rest, more = _heard_by(cursors, again.heard)
    assert len(got) + len(rest) + missing + more == channel.ring.newest


def test_after_it_was_told_exactly_what_was_left_out_the_cursor_is_behind_it(hub: Hub, one: Channel) -> None:
    """Also behind rows at the end that were not the newest by their time, and did not come."""
    runner, cursors = Runner(hub, one), Cursors()
    runner.is_acking = False
    runner.run(7)
    runner.is_acking = True
    while not gaps(runner.client.heard)[1:]:
        one.rows_came(seconds(-runner.next_s - 2, -runner.next_s - 1), 0.0)
        runner.run(1)
    told = next(at for at, m in enumerate(runner.client.heard) if m["op"] == "gap" and m["state"] == "closed")
    got, missing = _heard_by(cursors, runner.client.heard[: told + 1])
    assert cursors.by_channel[1] == runner.client.heard[told]["after"] == len(got) + missing


def test_what_is_left_out_lies_between_the_times_of_the_gap(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    runner.run(20)
    runner.is_acking = True
    runner.run(12)
    opened, closed = (m for m in runner.client.heard if m["op"] == "gap" and m["ch"] == 1)
    assert opened["from_ms"] == closed["from_ms"]
    assert opened["to_ms"] is None
    missing = set(range(1, one.ring.newest + 1)) - set(numbers(runner.client.heard))
    times = [(number - 1) * 100 for number in missing]
    assert closed["from_ms"] < min(times)
    assert max(times) < closed["to_ms"]


def test_after_shedding_a_client_is_at_the_present_at_once(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    runner.run(15)
    assert runner.level == "shed"
    runner.is_acking = True
    before = len(numbers(runner.client.heard))
    heard = runner.run(8)
    assert runner.level == "normal"
    assert len(numbers(runner.client.heard)) - before < 60
    assert numbers(heard)[-1] == one.ring.newest


def test_who_drops_nothing_gets_all_rows_later_at_three_times_their_pace(hub: Hub, one: Channel) -> None:
    team: list[Any] = list(hub.channels.values())
    runner = Runner(hub, *team, on_slow="drop_oldest")
    runner.is_acking = False
    runner.run(28)
    assert runner.level == "shed"
    runner.is_acking = True
    counts = []
    for _ in range(30):
        heard = runner.run(1)
        counts.append(sum(len(numbers(heard, ch)) for ch in hub.channels))
    assert runner.level == "normal"
    assert max(counts) <= 3 * 30 + MAX_ROWS[Codec.JSON], "a message more"
    for at in range(25):
        assert sum(counts[at : at + 5]) <= 5 * 3 * 30 + MAX_ROWS[Codec.JSON]
    for ch in hub.channels:
        assert numbers(runner.client.heard, ch) == list(range(1, one.ring.newest + 1))
    assert gaps(runner.client.heard) == []


def test_who_drops_nothing_is_told_what_was_overwritten(hub: Hub) -> None:
    channel = Channel(1, Wearer("SN-1"), 100)
    hub.channels[1] = channel  # type: ignore[index]
    runner = Runner(hub, channel, devices=["SN-1"], on_slow="drop_oldest")
    runner.is_acking = False
    runner.run(25)
    runner.is_acking = True
    runner.run(20)
    lost = sum(m["rows"] for m in runner.client.heard if m["op"] == "gap")
    assert {m["reason"] for m in runner.client.heard if m["op"] == "gap"} == {"ring_overrun"}
    assert len(numbers(runner.client.heard)) + lost == channel.ring.newest


def test_who_wants_an_end_rather_than_less_gets_it_and_can_resume(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one, on_slow="close")
    runner.is_acking = False
    heard = runner.run(5)
    assert (heard[-1]["op"], heard[-1]["code"]) == ("bye", 4408)
    last = numbers(runner.client.heard)[-1]
    again = Client(hub, now_s=runner.client.now_s)
    answer = again.say(**{"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, last]]}})
    assert answer[0]["channels"][0]["recovered"] == "exact"
    assert numbers(again.heard) == list(range(last + 1, one.ring.newest + 1))


def test_the_newest_values_are_less_often_for_a_slow_client_and_nothing_is_called_missing(
    hub: Hub, one: Channel
) -> None:
    runner = Runner(hub, one, mode="latest", max_hz=10)
    runner.is_acking = False
    runner.run(5)
    assert runner.level == "conflated"
    assert sum(m["op"] == "d" for m in runner.run(2)) <= 4
    runner.is_acking = True
    runner.run(10)
    assert runner.level == "normal"
    assert gaps(runner.client.heard) == []


def test_a_heart_rate_is_among_what_a_slow_client_gets(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    runner.run(5)
    assert runner.level == "conflated"
    heart_rates = [m["columns"][4] for m in runner.run(2) if m["op"] == "d"]
    assert any(column is not None for column in heart_rates)


def test_rows_that_were_taken_back_while_they_were_left_out_are_not_called_missing(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    runner.run(5)
    one.ring.clear()
    hub.board.channel_changed(one)
    runner.run(1)
    runner.is_acking = True
    runner.run(15)
    closed = [m["rows"] for m in runner.client.heard if m["op"] == "gap" and m["state"] == "closed"]
    taken_back = one.ring.withdrawn
    new = [number for number in numbers(runner.client.heard) if number > taken_back]
    assert len(new) + sum(closed) == one.ring.newest - taken_back


def test_a_state_reaches_a_client_that_gets_no_rows(hub: Hub, one: Channel) -> None:
    runner = Runner(hub, one)
    runner.is_acking = False
    runner.run(13)
    assert runner.level == "shed"
    hub.board.presence_changed(one, "stale")
    assert [m["value"] for m in runner.client.wait(0.5) if m["op"] == "state"] == ["stale"]


def test_of_states_that_change_while_nothing_goes_the_last_one_is_told(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    client.kernel.bytes_per_s = 0
    one.rows_came(block(0), 0.0)
    client.wait(1.0)
    for number in range(10_000):
        hub.board.state_changed("problem/cloud_away/", "open", text=str(number), action="wait", since_ms=0)
    client.wait(3.0)
    assert len(client.kernel.waiting) < 1000
    client.kernel.bytes_per_s = None
    assert [m["text"] for m in client.wait(0.5) if m["op"] == "state"] == ["9999"]


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("codec", Codec)
def test_the_past_goes_no_faster_than_it_may_to_one_and_to_all(codec: Codec, count: int) -> None:
    channels = {ch: Channel(ch, Wearer(f"SN-{ch}"), 6000) for ch in range(1, 11)}
    for channel in channels.values():
        for second in range(0, 600, 60):
            channel.rows_came(seconds(second, second + 60), 0.0)
    hub = Hub(channels, Board(), EPOCH, "", "", 600.0, lambda: 0, lambda: None)
    pump = Pump(Shared(hub))
    clients = [Client(hub, codec, pump=pump) for _ in range(count)]
    for client in clients:
        client.say(**{"op": "sub", "sub": 1, "from": {"last_s": 600}})
    sent = [0] * count
    for step in range(1, 61):
        clients[0].wait(0.1)
        for place, client in enumerate(clients):
            client.now_s = clients[0].now_s
            client.take()
            sent[place] = sum(len(payload) for _, payload in client.frames)
        assert max(sent) <= SNAPSHOT_BYTES_PER_S * step / 10 + 50_000
        assert sum(sent) <= SNAPSHOTS_BYTES_PER_S * step / 10 + 50_000 + 8 * 10_000
    ends = [any(message.get("end") for message in client.heard) for client in clients]
    assert all(ends) or max(sent) - min(sent) < 80_000, "all have their share"


def test_a_client_that_is_sent_the_past_is_not_called_slow(hub: Hub, one: Channel) -> None:
    for second in range(0, 60, 10):
        one.rows_came(seconds(second, second + 10), 0.0)
    client = Client(hub)
    client.kernel.bytes_per_s = 4000
    client.wait(11.0)
    client.say(**{"op": "sub", "sub": 1, "from": {"last_s": 60}})
    client.wait(20.0)
    assert [m for m in client.heard if m["op"] == "state" and m["key"] == "connection"] == []
    assert ops(client.heard).count("snap") == 4

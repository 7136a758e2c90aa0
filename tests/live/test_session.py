"""One client's side of the protocol, driven without socket or clock."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import LIMITS
from gateway.live.stream.session import MAX_ANSWER_BYTES, MAX_ANSWERS, SUB_PRICE, CloseCode
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.live import (
    MAX_FRAME_BYTES,
    MAX_ROWS,
    Codec,
    Message,
    encode,
    schema,
)
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, Column, SampleBlock
from insiders_gateway_client.messages import Run, decode_rows
from tests.live.listening import CLOSE, Client

EPOCH = "0123456789abcdef"


def block(*times: int, heart_rate: float | None = None) -> SampleBlock:
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.SPEED] = [(t_ms // 100) % 1000 / 100 for t_ms in times]
    if heart_rate is not None and times:
        values[Column.HEART_RATE, 0] = heart_rate
    return SampleBlock(np.array(times, np.int64), values)


def seconds(start: int, stop: int) -> SampleBlock:
    """Whole seconds of rows at 10 Hz."""
    return block(*range(start * 1000, stop * 1000, 100), heart_rate=120)


def ops(messages: list[Message]) -> list[str]:
    return [message["op"] for message in messages]


def rows(messages: list[Message], columns: tuple[str, ...] = COLUMN_NAMES) -> list[Run]:
    wanted = schema([COLUMN_NAMES.index(name) for name in columns])
    return [run for message in messages if message["op"] in {"snap", "d"} for run in decode_rows(message, wanted)]


def numbers(messages: list[Message], ch: int = 1) -> list[int]:
    """Arrival numbers received on a channel, in the order received."""
    return [n for run in rows(messages) if run.ch == ch for n in range(run.n0, run.last + 1)]


@pytest.fixture(name="hub")
def _hub() -> Hub:
    board = Board()
    channels = {ch: Channel(ch, Wearer(f"SN-{ch}", f"Athlete {ch}", ch), 600) for ch in (1, 2, 3)}
    for channel in channels.values():
        board.channel_changed(channel)
    return Hub(channels, board, EPOCH, "Test", "0", 60.0, lambda: 1_700_000_000_000, lambda: None)


@pytest.fixture(name="one")
def _one(hub: Hub) -> Channel:
    channel = hub.channels[1]
    assert isinstance(channel, Channel)
    return channel


@pytest.mark.parametrize("codec", Codec)
def test_a_session_begins_with_hello_then_the_channels_then_the_time(hub: Hub, codec: Codec) -> None:
    client = Client(hub, codec)
    assert ops(client.heard) == ["hello", "channels", "time"]
    hello, channels, _ = client.heard
    assert (hello["epoch"], hello["site"], hello["ring_span_s"]) == (EPOCH, "Test", 60.0)
    assert hello["limits"]["max_frame_bytes"] == MAX_FRAME_BYTES
    assert [entry["serial_number"] for entry in channels["channels"]] == ["SN-1", "SN-2", "SN-3"]
    assert channels["columns"] == schema(range(len(QUANTITIES)))


def test_sub_ok_comes_before_an_end_of_snapshot_before_data(hub: Hub, one: Channel) -> None:
    one.rows_came(seconds(0, 5), 0.0)
    client = Client(hub)
    answer = client.say(op="sub", sub=4, id="a")
    assert ops(answer) == ["sub_ok", "snap"]
    assert (answer[0]["sub"], answer[0]["id"]) == (4, "a")
    assert answer[0]["channels"][0] == {"ch": 1, "serial_number": "SN-1", "recovered": "fresh", "cursor": 50}
    assert (answer[1]["end"], answer[1]["blocks"], answer[1]["seq"]) == (True, [], 1)
    one.rows_came(seconds(5, 6), 0.0)
    data = [message for message in client.wait(1.0) if message["op"] == "d"]
    assert [message["seq"] for message in data] == [2]
    assert numbers(data) == list(range(51, 61))


@pytest.mark.parametrize("codec", Codec)
def test_the_past_comes_as_a_snapshot_in_paced_chunks_and_live_rows_wait(hub: Hub, one: Channel, codec: Codec) -> None:
    for second in range(59):
        one.rows_came(seconds(second, second + 1), 0.0)
    client = Client(hub, codec)
    first = client.say(**{"op": "sub", "sub": 1, "from": {"last_s": 3600}})
    assert ops(first) == ["sub_ok", "snap"]
    one.rows_came(seconds(59, 60), 0.0)
    rest = [message for message in client.wait(1.0) if message["op"] in {"snap", "d"}]
    assert set(ops(rest[:-1])) == {"snap"}
    assert rest[-1]["op"] == "d"
    assert rest[-2]["end"] is True
    assert [message["seq"] for message in first[1:] + rest] == list(range(1, len(rest) + 2))
    assert numbers(first + rest) == list(range(1, 601))
    assert all(sum(b["rows"] for b in message["blocks"]) <= MAX_ROWS[codec] for message in rest)


def test_last_s_reaches_back_from_the_newest_row_of_each_channel(hub: Hub, one: Channel) -> None:
    one.rows_came(seconds(0, 30), 0.0)
    client = Client(hub)
    assert numbers(client.say(**{"op": "sub", "sub": 1, "from": {"last_s": 2}})) == list(range(280, 301))


def test_a_resume_with_everything_still_here_is_exact(hub: Hub, one: Channel) -> None:
    one.rows_came(seconds(0, 10), 0.0)
    client = Client(hub)
    answer = client.say(**{"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, 42]]}})
    assert answer[0]["channels"][0] == {"ch": 1, "serial_number": "SN-1", "recovered": "exact", "cursor": 42}
    assert answer[0]["channels"][1]["recovered"] == "fresh"
    assert numbers(answer) == list(range(43, 101))


def test_a_resume_after_too_long_is_partial_and_counts_what_is_gone(hub: Hub, one: Channel) -> None:
    one.rows_came(seconds(0, 60), 0.0)
    one.rows_came(seconds(60, 70), 0.0)
    client = Client(hub)
    answer = client.say(**{"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, 42]]}})
    assert answer[0]["channels"][0] == {
        "ch": 1,
        "serial_number": "SN-1",
        "recovered": "partial",
        "missing_rows": 58,
        "cursor": 100,
    }
    assert numbers(answer + client.wait(1.0))[0] == 101


@pytest.mark.parametrize(
    "start", [{"epoch": "another", "cursors": [[1, 42]]}, {"epoch": EPOCH, "cursors": [[1, 10**9]]}]
)
def test_a_resume_under_another_count_is_fresh(hub: Hub, one: Channel, start: Message) -> None:
    one.rows_came(seconds(0, 10), 0.0)
    answer = Client(hub).say(**{"op": "sub", "sub": 1, "from": start})
    assert answer[0]["channels"][0] == {"ch": 1, "serial_number": "SN-1", "recovered": "fresh", "cursor": 100}


def test_a_late_row_reaches_a_client_that_resumes_afterwards(hub: Hub, one: Channel) -> None:
    one.rows_came(seconds(0, 5), 0.0)
    one.rows_came(seconds(6, 10), 0.0)
    one.rows_came(seconds(5, 6), 0.0)
    answer = Client(hub).say(**{"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, 90]]}})
    late = rows(answer)[0]
    assert late.is_late
    assert late.t_ms.tolist() == list(range(5000, 6000, 100))


def test_rows_overwritten_before_they_could_be_sent_are_told_as_a_gap(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    one.rows_came(seconds(0, 1), 0.0)
    client.wait(1.0)
    one.rows_came(seconds(1, 71), 0.0)
    new = client.wait(1.0)
    gap = next(message for message in new if message["op"] == "gap")
    assert (gap["ch"], gap["rows"], gap["reason"], gap["from_ms"]) == (1, 100, "ring_overrun", 900)
    assert numbers(new) == list(range(111, 711))


def test_devices_and_columns_can_be_chosen(hub: Hub, one: Channel) -> None:
    one.rows_came(seconds(0, 1), 0.0)
    hub.channels[2].rows_came(seconds(0, 1), 0.0)  # type: ignore[attr-defined]
    client = Client(hub)
    answer = client.say(
        **{"op": "sub", "sub": 1, "devices": ["SN-2"], "columns": ["speed", "heart_rate"], "from": {"last_s": 9}}
    )
    assert answer[0]["columns"] == ["speed", "heart_rate"]
    runs = rows(answer, ("speed", "heart_rate"))
    assert [run.ch for run in runs] == [2]
    assert runs[0].columns["speed"][3] == 0.03
    assert set(runs[0].columns) == {"speed", "heart_rate"}


def test_a_channel_that_comes_later_joins_a_subscription_to_all(hub: Hub) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    late = Channel(9, Wearer("SN-9"), 600)
    hub.channels[9] = late  # type: ignore[index]
    hub.board.channel_changed(late)
    late.rows_came(seconds(0, 1), 0.0)
    new = [message for message in client.wait(1.0) if message["op"] != "time"]
    assert ops(new)[:2] == ["channels", "sub_ok"]
    assert numbers(new, ch=9) == list(range(1, 11))


def test_latest_mode_sends_the_rows_with_the_newest_values_only(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, mode="latest", max_hz=1)
    one.rows_came(seconds(0, 3), 0.0)
    new = rows(client.wait(1.0))
    assert [run.t_ms.tolist() for run in new] == [[0], [2900]]
    assert new[0].columns["heart_rate"].tolist() == [120]
    one.rows_came(block(2950, 3000), 0.0)
    assert [run.t_ms.tolist() for run in rows(client.wait(1.0))] == [[3000]]
    assert rows(client.wait(3.0)) == []


def test_latest_mode_begins_with_the_newest_values_of_the_past_asked_for(hub: Hub, one: Channel) -> None:
    for second in range(30):
        one.rows_came(seconds(second, second + 1), 0.0)
    client = Client(hub)
    answer = client.say(**{"op": "sub", "sub": 1, "mode": "latest", "from": {"last_s": 5}})
    assert ops(answer) == ["sub_ok", "snap"]
    assert answer[1]["end"] is True
    assert [run.t_ms.tolist() for run in rows(answer)] == [[29_000], [29_900]]


def test_latest_mode_serves_every_channel_of_a_large_fleet(hub: Hub) -> None:
    channels = {ch: Channel(ch, Wearer(f"SN-{ch}"), 60) for ch in range(1, 121)}
    for channel in channels.values():
        channel.rows_came(seconds(0, 2), 0.0)
    client = Client(replace(hub, channels=channels))
    new = client.say(**{"op": "sub", "sub": 1, "mode": "latest", "from": {"last_s": 5}}) + client.wait(1.0)
    assert {run.ch for run in rows(new)} == set(channels)
    assert [message.get("end") for message in new if message["op"] == "snap"][-1] is True


def test_a_client_in_a_hurry_still_hears_of_the_channels_before_its_subscription(hub: Hub) -> None:
    heard = ops(Client(hub, is_hasty=True).say(op="sub", sub=1))
    assert heard == ["hello", "channels", "sub_ok", "time", "snap"]


def test_an_error_names_the_field_and_what_it_may_hold(hub: Hub) -> None:
    (answer,) = Client(hub).say(**{"op": "sub", "sub": 1, "from": {"last_s": "10"}})
    assert answer["text"] == "from.last_s: expected a number from 0 to 86400."


def test_after_unsub_nothing_more_comes(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    assert client.say(op="unsub", sub=1, id=7) == [{"op": "unsub_ok", "sub": 1, "id": 7}]
    one.rows_came(seconds(0, 5), 0.0)
    assert set(ops(client.wait(5.0))) == {"time"}


def test_the_time_comes_every_two_seconds_and_tells_nothing_new_from_nothing_sent(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    one.rows_came(seconds(0, 1), 0.0)
    client.say(op="sub", sub=1)
    times = [message for message in client.wait(6.0) if message["op"] == "time"]
    assert len(times) == 3
    assert times[0]["newest"] == [[1, 10], [2, 0], [3, 0]]


def test_the_time_tells_how_old_the_rows_of_each_channel_were_when_they_came(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, devices=["SN-1", "SN-2"])
    for second, age_ms in enumerate((1200, 5000, 1400)):
        one.ages.add(age_ms, client.now_s - second)
    hub.channels[3].ages.add(900, client.now_s)  # type: ignore[attr-defined]
    (time,) = [message for message in client.wait(2.0) if message["op"] == "time"]
    assert time["ages"] == [[1, 1400]]
    assert [ch for ch, _ in time["newest"]] == [1, 2]
    (time,) = [message for message in client.wait(60.0)[-40:] if message["op"] == "time"][-1:]
    assert time["ages"] == []


def test_states_are_told_once_and_only_the_newest_word(hub: Hub) -> None:
    client = Client(hub)
    hub.board.presence_changed(hub.channels[1], "stale")
    hub.board.presence_changed(hub.channels[1], "lost")
    hub.board.state_changed("problem/cloud_away/", "open", text="Away", action="wait", since_ms=0)
    assert [(m["key"], m["value"]) for m in client.listen()] == [("channel/1", "lost"), ("problem/cloud_away/", "open")]
    assert client.listen() == []
    assert [m["value"] for m in Client(hub).heard if m["op"] == "state"] == ["lost", "open"]


def test_the_clock_is_told_in_milliseconds(hub: Hub) -> None:
    client = Client(hub, now_s=1234.5678)
    assert client.heard[0]["mono_ms"] == 1_234_568
    assert client.heard[0]["utc_ms"] == 1_700_000_000_000


def test_the_time_is_the_clouds_as_soon_as_it_is_known_and_no_jump_of_the_wall_clock_moves_it(hub: Hub) -> None:
    cloud_ms: list[int | None] = [None]
    wall_ms = [1_700_000_000_000]
    client = Client(replace(hub, utc_ms=lambda: wall_ms[0], reference_ms=lambda: cloud_ms[0]))
    assert (client.heard[0]["utc_ms"], client.heard[0]["clock"]["source"]) == (1_700_000_000_000, "system")
    cloud_ms[0], wall_ms[0] = 1_700_000_002_500, 42
    told = [message for message in client.wait(4.0) if message["op"] == "time"][-1]
    assert (told["utc_ms"], told["clock"]["source"]) == (1_700_000_002_500, "cloud")


def test_batches_are_as_far_apart_as_was_asked(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, batch_ms=2000)
    client.say(op="sub", sub=2, batch_ms=50)
    client.say(op="sub", sub=3, mode="latest", max_hz=0.5)
    client.wait(5.0)
    counts = {1: 0, 2: 0, 3: 0}
    for tenth in range(100):
        one.rows_came(block(100 * tenth), 0.0)
        for message in client.wait(0.1):
            if message["op"] == "d":
                counts[message["sub"]] += 1
    assert counts[1] == counts[3] == 5
    assert counts[2] == 100


@pytest.mark.parametrize("mark", [True, "x" * 65, [1], None, {}])
def test_a_mark_that_is_none_is_not_repeated(hub: Hub, mark: object) -> None:
    (answer,) = Client(hub).say(op="unsub", sub=99, id=mark)
    assert answer["op"] == "error"
    assert "id" not in answer


def test_latest_mode_never_sends_a_row_whose_time_is_wrong(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, mode="latest", max_hz=1)
    one.ring.append(block(3_000_000_000_000, heart_rate=199), is_misdated=True)
    assert rows(client.wait(1.0)) == []
    one.rows_came(block(5000, heart_rate=120), 0.0)
    one.ring.append(block(3_000_000_000_100), is_misdated=True)
    assert [(run.n0, run.t_ms.tolist()) for run in rows(client.wait(1.0))] == [(2, [5000])]


def test_all_mode_sends_a_row_whose_time_is_wrong_with_its_mark_and_in_its_place(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    one.rows_came(block(5000), 0.0)
    one.ring.append(block(3_000_000_000_000), is_misdated=True)
    one.rows_came(block(5100), 0.0)
    assert [(run.n0, run.is_misdated) for run in rows(client.wait(1.0))] == [(1, False), (2, True), (3, False)]


def test_a_wrong_time_does_not_bound_what_was_overwritten(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    one.rows_came(seconds(0, 1), 0.0)
    one.ring.append(block(3_000_000_000_000), is_misdated=True)
    client.wait(1.0)
    one.rows_came(seconds(1, 400), 0.0)
    (gap,) = [message for message in client.wait(1.0) if message["op"] == "gap"]
    assert gap["from_ms"] == 900
    assert gap["to_ms"] < 400_000


def test_latest_values_are_not_sent_again_when_only_older_rows_come(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, mode="latest", max_hz=1)
    one.rows_came(seconds(5, 6), 0.0)
    assert [run.t_ms.tolist() for run in rows(client.wait(1.0))] == [[5000], [5900]]
    for late in (3, 4, 2):
        one.rows_came(seconds(late, late + 1), 0.0)
        assert rows(client.wait(1.0)) == []
    one.rows_came(seconds(6, 7), 0.0)
    assert [run.t_ms.tolist() for run in rows(client.wait(1.0))] == [[6000], [6900]]


def test_latest_values_are_the_newest_by_their_own_time_in_whatever_order_late_rows_come(
    hub: Hub, one: Channel
) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1, mode="latest", max_hz=1)
    for batch in (block(0), block(9000), seconds(5, 6), seconds(3, 4)):
        one.rows_came(batch, 0.0)
    assert [run.t_ms.tolist() for run in rows(client.wait(1.0))] == [[9000], [5000]]


def test_every_channel_gets_its_turn_when_a_message_cannot_hold_them_all(hub: Hub) -> None:
    """Three times 100 rows, of which a message holds 200: the next begins with the channel that was left out."""
    client = Client(hub)
    client.say(op="sub", sub=1)
    heard: list[list[int]] = []
    for second in range(0, 60, 10):
        for channel in hub.channels.values():
            channel.rows_came(seconds(second, second + 10), 0.0)  # type: ignore[attr-defined]
        heard += [[b["ch"] for b in m["blocks"]] for m in client.wait(1.0) if m["op"] == "d"]
    assert heard[:6] == [[1, 2], [3], [3, 1], [2], [2, 3], [1]]


def test_a_channel_with_a_long_backlog_does_not_keep_the_others_waiting(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    one.rows_came(seconds(0, 59), 0.0)
    for channel in hub.channels.values():
        channel.rows_came(seconds(59, 60), 0.0)  # type: ignore[attr-defined]
    heard = [{b["ch"] for b in m["blocks"]} for m in client.wait(1.0) if m["op"] == "d"]
    assert (len(heard), heard[0], heard[1]) == (4, {1}, {2, 3, 1})


ERRORS = [
    ({"op": "sub"}, "bad_message"),
    ({"op": "sub", "sub": -1}, "bad_message"),
    ({"op": "sub", "sub": True}, "bad_message"),
    ({"op": "sub", "sub": 1, "batch_ms": 10}, "bad_message"),
    ({"op": "sub", "sub": 1, "max_hz": 0}, "bad_message"),
    ({"op": "sub", "sub": 1, "mode": "some"}, "bad_message"),
    ({"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1]]}}, "bad_message"),
    ({"op": "sub", "sub": 1, "from": {"cursors": [[1, 1]]}}, "bad_message"),
    ({"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, -1]]}}, "bad_message"),
    ({"op": "sub", "sub": 1, "devices": ["nobody"]}, "unknown_device"),
    ({"op": "sub", "sub": 1, "columns": ["vo2"]}, "unknown_column"),
    ({"op": "sub", "sub": 1, "columns": []}, "unknown_column"),
    ({"op": "sub", "sub": 1, "!squads": ["a"]}, "unsupported_option"),
    ({"op": "sub", "sub": 1, "from": {"last_s": 5, "!until_ms": 1}}, "unsupported_option"),
    ({"op": "sub", "sub": 1, "later": [{"thing": {"!must": 1}}]}, "unsupported_option"),
    ({"op": "unsub", "sub": 1}, "unknown_subscription"),
]


@pytest.mark.parametrize(("message", "code"), ERRORS)
def test_a_request_that_cannot_be_met_gets_an_error_with_its_code(hub: Hub, message: Message, code: str) -> None:
    client = Client(hub)
    (answer,) = client.say(**message, id="q1")
    assert (answer["op"], answer["code"], answer["id"]) == ("error", code, "q1")
    assert answer["text"].endswith(".")
    assert client.session.closing is None


@pytest.mark.parametrize("payload", [b"\xff", b"[]", b'{"op": 5}', b"[" * 5000])
def test_what_is_no_message_gets_an_error_and_the_session_goes_on(hub: Hub, payload: bytes) -> None:
    client = Client(hub)
    assert [message["code"] for message in client.tell(payload)] == ["bad_message"]
    assert ops(client.say(op="sub", sub=1)) == ["sub_ok", "snap"]


def test_unknown_operations_and_fields_are_ignored(hub: Hub) -> None:
    client = Client(hub)
    assert client.say(op="dance", with_whom="anybody") == []
    assert ops(client.say(op="sub", sub=1, colour="red")) == ["sub_ok", "snap"]


def test_a_subscription_number_is_taken_once_and_there_are_not_too_many(hub: Hub) -> None:
    client = Client(hub)
    for sub in range(LIMITS.max_subscriptions):
        client.say(op="sub", sub=sub)
    assert client.say(op="sub", sub=0)[0]["code"] == "subscription_exists"
    assert client.say(op="sub", sub=99)[0]["code"] == "too_many_subscriptions"


def test_a_client_that_asks_and_never_reads_is_cut_off(hub: Hub) -> None:
    client = Client(hub)
    client.kernel.bytes_per_s = 0
    for _ in range(2 * MAX_ANSWERS):
        client.wait(1 / LIMITS.max_inbound_per_s)
        client.tell(b"{}")
    assert client.session.closing is CloseCode.TOO_SLOW
    assert len(client.kernel.waiting) < 1000


@pytest.mark.parametrize(
    "wanted", [{"devices": ["\x80" * 19_000]}, {"columns": ["\x01" * 6000]}], ids=["device", "column"]
)
def test_a_name_that_nobody_knows_is_told_in_short(hub: Hub, wanted: Any) -> None:
    client = Client(hub)
    (error,) = client.say(op="sub", sub=1, **wanted)
    assert error["code"].startswith("unknown_")
    assert len(error["text"]) < 250


def test_what_waits_for_a_client_that_never_reads_is_bounded_in_bytes(hub: Hub) -> None:
    for ch in range(10, 110):
        hub.channels[ch] = Channel(ch, Wearer(f"SN-{ch}"), 100)  # type: ignore[index]
    client = Client(hub)
    client.kernel.bytes_per_s = 0
    for _ in range(MAX_ANSWERS // 2):
        client.wait((SUB_PRICE + 1) / LIMITS.max_inbound_per_s)
        client.say(op="sub", sub=1)
        assert sum(map(len, client.session._answers)) <= MAX_ANSWER_BYTES
        client.say(op="unsub", sub=1)
    assert client.session.closing is CloseCode.TOO_SLOW


def test_a_subscription_counts_as_several_messages(hub: Hub) -> None:
    client = Client(hub)
    for _ in range(LIMITS.max_inbound_burst // SUB_PRICE):
        client.say(op="sub", sub=1)
    assert client.session.closing is None
    client.say(op="sub", sub=1)
    assert client.session.closing is CloseCode.TOO_MUCH


def test_a_client_that_speaks_faster_than_it_may_is_cut_off(hub: Hub) -> None:
    client = Client(hub)
    for _ in range(LIMITS.max_inbound_burst):
        assert [message["op"] for message in client.tell(b"{}")] == ["error"]
    (bye,) = client.tell(b"{}")
    assert (bye["op"], bye["code"], bye["resumable"]) == ("bye", CloseCode.TOO_MUCH, True)
    assert client.frames[-1] == (CLOSE, CloseCode.TOO_MUCH.to_bytes(2, "big"))
    assert client.tell(b"{}") == []


def test_a_client_may_speak_as_fast_as_it_may_for_ever(hub: Hub) -> None:
    client = Client(hub)
    for _ in range(1000):
        client.wait(1 / LIMITS.max_inbound_per_s)
        assert client.say(op="dance") == []


def test_goodbye_is_the_last_word(hub: Hub, one: Channel) -> None:
    client = Client(hub)
    client.say(op="sub", sub=1)
    one.rows_came(seconds(0, 1), 0.0)
    client.room.say_goodbye(is_resumable=False)
    (bye,) = client.listen()
    text = "The gateway stops: wait until it has started again."
    assert bye == {"op": "bye", "code": 1012, "text": text, "retry_after_ms": 2000, "resumable": False}
    assert client.frames[-1] == (CLOSE, (1012).to_bytes(2, "big"))
    assert client.say(op="sub", sub=2) == []


client_message = st.dictionaries(
    st.sampled_from(["op", "sub", "id", "devices", "columns", "mode", "batch_ms", "max_hz", "from", "!x"]),
    st.sampled_from(["sub", "unsub", "*", "all", "latest", 0, 1, -1, 2.5, None, True, [], ["SN-1"], ["speed"], {}])
    | st.dictionaries(
        st.sampled_from(["last_s", "epoch", "cursors"]), st.sampled_from([1, EPOCH, [[1, 3]], [[1, 2, 3]], -1, None])
    ),
)


@given(st.lists(client_message | st.binary(max_size=40), max_size=12), st.sampled_from(Codec))
def test_whatever_a_client_says_it_gets_messages_and_never_an_exception(said: list[Any], codec: Codec) -> None:
    channels = {1: Channel(1, Wearer("SN-1"), 60)}
    channels[1].rows_came(seconds(0, 3), 0.0)
    client = Client(Hub(channels, Board(), EPOCH, "", "", 6.0, lambda: 0, lambda: None), codec)
    for item in said:
        client.tell(item if isinstance(item, bytes) else encode(item, codec))
        client.wait(1.0)
    assert client.session.closing is None


class ResumingClient(RuleBasedStateMachine):
    """A client that is cut off at any moment and resumes has every row once, or is told how many it missed."""

    @initialize(codec=st.sampled_from(Codec))
    def connect(self, codec: Codec) -> None:
        self.channel = Channel(1, Wearer("SN-1"), 100)
        hub = Hub({1: self.channel}, Board(), EPOCH, "", "", 10.0, lambda: 0, lambda: None)
        self.client = Client(hub, codec)
        self.client.say(**{"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, 0]]}})
        self.next_s = 0
        self.got: list[int] = []
        self.missing = 0
        self.last_seq = 0
        self._take(self.client.heard)

    @rule(count=st.integers(1, 4), skip=st.integers(0, 1))
    def rows_come(self, count: int, skip: int) -> None:
        self.next_s += skip
        self.channel.rows_came(seconds(self.next_s, self.next_s + count), 0.0)
        self.next_s += count

    @rule(duration_s=st.sampled_from([0.05, 0.2, 1.0, 5.0]))
    def time_passes(self, duration_s: float) -> None:
        self._take(self.client.wait(duration_s))

    @rule(is_heard=st.booleans())
    def the_connection_is_cut(self, is_heard: bool) -> None:
        """What was under way is lost or not; the client goes on from what it has."""
        if is_heard:
            self._take(self.client.wait(0.3))
        last = self.got[-1] if self.got else 0
        self.client = Client(self.client.hub, self.client.codec, self.client.now_s)
        self.last_seq = 0
        self._take(self.client.say(**{"op": "sub", "sub": 1, "from": {"epoch": EPOCH, "cursors": [[1, last]]}}))

    def teardown(self) -> None:
        if hasattr(self, "client"):
            self._take(self.client.wait(30.0))
            assert (self.got[-1] if self.got else 0) == self.channel.ring.newest
            assert len(self.got) + self.missing == self.channel.ring.newest

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if message["op"] == "sub_ok":
                self.missing += message["channels"][0].get("missing_rows", 0)
            elif message["op"] == "gap":
                self.missing += message["rows"]
            elif message["op"] in {"snap", "d"}:
                assert message["seq"] == self.last_seq + 1
                self.last_seq = message["seq"]
                new = numbers([message])
                assert new == sorted(set(new))
                assert not new or new[0] > (self.got[-1] if self.got else 0)
                self.got += new


TestResumingClient = ResumingClient.TestCase

"""What every client must know beside the samples: the newest word under each key, by revision."""

import sys
from collections import Counter
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import pytest

from gateway.live.board import _KEPT_GAPS, Board
from gateway.telemetry.channel import STALE_AFTER_S, Channel, Wearer
from insiders_codecs.live import Message
from insiders_codecs.samples import SampleBlock


@dataclass(frozen=True)
class Gap:
    """A gap as the telemetry has it."""

    id: int
    from_ms: int = 100
    to_ms: int | None = 900
    rows: int | None = 7
    reason: str = "device_silent"
    state: str = "closed"
    rows_repaired: int = 0
    is_settled: bool = False


@pytest.fixture(name="board")
def _board() -> Board:
    return Board()


@pytest.fixture(name="channel")
def _channel() -> Channel:
    return Channel(3, Wearer("SN-3", "Ada", 10), 10)


def keys(messages: list[Message]) -> list[str]:
    return [message["key"] for message in messages]


def test_a_reader_is_told_what_changed_after_its_revision_oldest_change_first(board: Board) -> None:
    assert board.since(0) == []
    for key in "abc":
        board.state_changed(key, "1")
    seen = board.revision
    assert keys(board.since(0)) == ["a", "b", "c"]
    assert board.since(seen) == []
    board.state_changed("a", "2")
    board.state_changed("d", "1")
    assert keys(board.since(seen)) == ["a", "d"]
    assert keys(board.since(0)) == ["b", "c", "a", "d"]
    assert keys(board.since(seen + 1)) == ["d"]


def test_saying_the_same_again_is_no_change(board: Board) -> None:
    board.state_changed("cloud", "ok", text="x")
    revision = board.revision
    board.state_changed("cloud", "ok", text="x")
    assert board.revision == revision
    board.state_changed("cloud", "ok", text="y")
    assert board.revision == revision + 1


def test_a_state_that_is_over_is_told_as_gone_and_one_that_never_was_is_not_told(board: Board) -> None:
    board.forget_state("cloud")
    assert board.revision == 0
    board.state_changed("cloud", "down")
    board.forget_state("cloud")
    assert board.since(0) == [{"op": "state", "key": "cloud", "value": "gone"}]


def test_a_state_may_end_with_a_word_of_its_own(board: Board) -> None:
    board.state_changed("sensor/h10", "seen")
    board.forget_state("sensor/h10", "forgotten")
    assert board.since(0) == [{"op": "state", "key": "sensor/h10", "value": "forgotten"}]


def test_a_dropped_state_is_told_to_nobody_and_leaves_nothing_behind(board: Board) -> None:
    board.drop_state("never said")
    board.state_changed("cloud", "ok")
    for number in range(1000):
        board.state_changed(f"sensor/{number}", "seen")
        board.forget_state(f"sensor/{number}", "forgotten")
        board.drop_state(f"sensor/{number}")
    assert keys(board.since(0)) == ["cloud"]
    assert len(board._items) == 1


def test_a_state_that_was_dropped_may_come_back(board: Board) -> None:
    board.state_changed("sensor/h10", "seen")
    board.drop_state("sensor/h10")
    seen = board.revision
    board.state_changed("sensor/h10", "seen")
    assert keys(board.since(seen)) == ["sensor/h10"]


def test_a_channel_is_described_with_all_a_client_shows(board: Board, channel: Channel) -> None:
    channel.device_id = 7
    board.channel_changed(channel)
    assert board.since(0) == [
        {
            "op": "channels",
            "ch": 3,
            "device_id": 7,
            "withdrawn": 0,
            "serial_number": "SN-3",
            "name": "Ada",
            "released": True,
            "number": 10,
            "rate_hz": 10,
            "stale_after_ms": 3000,
        }
    ]


def test_what_clients_are_told_to_show_as_old_is_what_the_gateway_calls_stale() -> None:
    assert STALE_AFTER_S * 1000 == 3000


def test_a_gap_stands_under_its_channel_and_number(board: Board, channel: Channel) -> None:
    other = Channel(4, Wearer("SN-4"), 10)
    board.gap_changed(channel, Gap(1, state="open", to_ms=None, rows=None))
    board.gap_changed(other, Gap(1))
    board.gap_changed(channel, Gap(2))
    board.gap_changed(channel, Gap(1))
    told = board.since(0)
    assert [(gap["ch"], gap["id"], gap["state"]) for gap in told] == [
        (4, 1, "closed"),
        (3, 2, "closed"),
        (3, 1, "closed"),
    ]
    assert told[0] == {
        "op": "gap",
        "ch": 4,
        "id": 1,
        "from_ms": 100,
        "to_ms": 900,
        "rows": 7,
        "rows_repaired": 0,
        "settled": False,
        "reason": "device_silent",
        "state": "closed",
    }


def test_of_endless_gaps_the_newest_are_kept_and_nothing_else_gives_way(board: Board, channel: Channel) -> None:
    board.channel_changed(channel)
    board.state_changed("cloud", "ok")
    for number in range(1, 2 * _KEPT_GAPS + 1):
        board.gap_changed(channel, Gap(number))
    told = board.since(0)
    assert [message["op"] for message in told[:2]] == ["channels", "state"]
    assert [gap["id"] for gap in told[2:]] == list(range(_KEPT_GAPS + 1, 2 * _KEPT_GAPS + 1))


def test_a_state_tells_what_is_wrong_with_a_trackers_clock(board: Board, channel: Channel) -> None:
    board.presence_changed(channel, "live")
    channel.clock_error_ms = -7_200_000
    board.presence_changed(channel, "live")
    state = {"op": "state", "key": "channel/3", "ch": 3, "value": "live", "newest_ms": None}
    assert board.since(0) == [state | {"clock_error_ms": -7_200_000}]
    channel.clock_error_ms = None
    board.presence_changed(channel, "live")
    assert board.since(0) == [state | {"clock_error_ms": None}]


def kept(board: Board) -> dict[str, int]:
    return dict(Counter(message["state"] for message in board.since(0) if message["op"] == "gap"))


def test_repaired_gaps_give_way_before_closed_ones_and_open_ones_never(board: Board, channel: Channel) -> None:
    other = Channel(4, Wearer("SN-4"), 10)
    for number in range(1, _KEPT_GAPS + 1):
        board.gap_changed(channel, Gap(number, state="open"))
    for number in range(1, _KEPT_GAPS + 1):
        board.gap_changed(other, Gap(number, state="closed" if number % 2 else "repaired"))
    assert kept(board) == {"open": _KEPT_GAPS}
    for number in range(1, _KEPT_GAPS + 1):
        board.gap_changed(channel, Gap(number, state="closed" if number % 2 else "repaired"))
    for number in range(1, 101):
        board.gap_changed(other, Gap(number, state="closed"))
    assert kept(board) == {"closed": _KEPT_GAPS // 2 + 100, "repaired": _KEPT_GAPS // 2 - 100}


def test_the_gaps_of_a_tracker_that_is_ours_no_longer_are_forgotten(board: Board, channel: Channel) -> None:
    other = Channel(31, Wearer("SN-31"), 10)
    for known in (channel, other):
        known.device_id = 7
        board.channel_changed(known)
        board.gap_changed(known, Gap(1))
    channel.device_id = None
    board.channel_changed(channel)
    assert [(message["op"], message["ch"]) for message in board.since(0)] == [
        ("channels", 31),
        ("gap", 31),
        ("channels", 3),
    ]
    board.gap_changed(channel, Gap(1))
    assert kept(board) == {"closed": 2}


def test_a_tracker_that_was_lost_and_is_ours_again_at_once_has_told_of_it(board: Board, channel: Channel) -> None:
    """Who was not listening in that moment must know that rows and gaps were taken back."""
    channel.device_id = 7
    channel.rows_came(SampleBlock(np.arange(3, dtype=np.int64) * 100, np.zeros((9, 3))), 0.0)
    board.channel_changed(channel)
    board.gap_changed(channel, Gap(1))
    channel.lose()
    channel.device_id = 7
    board.channel_changed(channel)
    assert [(message["op"], message.get("withdrawn")) for message in board.since(0)] == [("channels", 3)]


def test_with_many_trackers_an_outage_of_all_is_remembered_whole(board: Board) -> None:
    channels = [Channel(ch, Wearer(f"SN-{ch}"), 1) for ch in range(1, 1001)]
    for channel in channels:
        board.channel_changed(channel)
        board.gap_changed(channel, Gap(1))
    assert kept(board) == {"closed": 1000}


def test_a_change_costs_the_same_however_many_gaps_there_are(board: Board, channel: Channel) -> None:
    """Counted in steps of the interpreter: time on a shared machine says nothing."""

    def steps(number: int) -> int:
        count = 0

        def step(frame: FrameType, _event: str, _argument: object) -> Any:
            nonlocal count
            count += 1
            return step if frame.f_code.co_filename.endswith("board.py") else None

        before = sys.gettrace()
        sys.settrace(step)
        try:
            board.gap_changed(channel, Gap(number))
        finally:
            sys.settrace(before)
        return count

    few = [steps(number) for number in range(1, 4)][-1]
    for number in range(4, 10 * _KEPT_GAPS):
        board.gap_changed(channel, Gap(number))
    assert steps(10 * _KEPT_GAPS) < 2 * few

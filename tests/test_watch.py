"""The live stream in a terminal: what is shown of it."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from gateway.access.roles import Role
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from gateway.watch import (
    DELAY_OVER_MS,
    HEART_RATE_GOES_OLD_MS,
    LOST_AFTER_MS,
    STALE_AFTER_MS,
    Scoreboard,
    watch,
    watch_json,
)
from insiders_codecs.samples import COLUMN_NAMES, QUANTITIES, Column, SampleBlock
from insiders_gateway_client.errors import NotAdmittedError
from insiders_gateway_client.messages import Message, Run
from tests.live.house import OWNER, House, opened

NOW_MS = 1_000_000.0
ADA = {"ch": 1, "device_id": 7, "name": "Ada", "serial_number": "SN-1", "number": 10}


def block(*rows: tuple[int, float, float]) -> SampleBlock:
    """Rows of time, speed and heart rate."""
    values = np.full((len(QUANTITIES), len(rows)), np.nan)
    values[Column.SPEED] = [speed for _, speed, _ in rows]
    values[Column.HEART_RATE] = [heart_rate for _, _, heart_rate in rows]
    return SampleBlock(np.array([t_ms for t_ms, _, _ in rows], np.int64), values)


def run_of(*rows: tuple[int, float, float], ch: int = 1) -> Run:
    """The same as they come from the stream."""
    samples = block(*rows)
    return Run(ch, 1, samples.t_ms, dict(zip(COLUMN_NAMES, samples.values, strict=True)))


def scoreboard(*runs: Run, presence: str = "live") -> Scoreboard:
    board = Scoreboard()
    board.take({"op": "hello", "epoch": "a", "site": "Test", "utc_ms": NOW_MS}, [], NOW_MS)
    board.take({"op": "channels", "channels": [ADA]}, [], NOW_MS)
    board.take({"op": "state", "key": "channel/1", "ch": 1, "value": presence}, [], NOW_MS)
    board.take({"op": "d"}, list(runs), NOW_MS)
    return board


def screen(board: Scoreboard, now_ms: float = NOW_MS, height: int = 24) -> tuple[list[str], list[str]]:
    """The lines above the table and those in and below it, 80 columns wide, without its heading."""
    out = io.StringIO()
    Console(file=out, width=80).print(board.table(now_ms, height))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    rule = next(number for number, line in enumerate(lines) if "───" in line)
    return [line for line in lines[: rule - 1] if line], [line for line in lines[rule + 1 :] if line]


def drawn(board: Scoreboard, now_ms: float = NOW_MS) -> list[str]:
    """The athletes' lines."""
    return screen(board, now_ms)[1]


def said(board: Scoreboard) -> list[str]:
    """What stands above the table."""
    return screen(board)[0]


def cells(board: Scoreboard, now_ms: float = NOW_MS) -> list[str]:
    return drawn(board, now_ms)[0].split()


def test_an_athlete_is_one_line_of_newest_values_in_the_units_people_use() -> None:
    board = scoreboard(run_of((998_000, 1.0, 140), (999_000, 5.0, 151)))
    assert cells(board) == ["10", "Ada", "151", "18.0", "—", "1.0", "1.0"]


def test_a_late_row_takes_neither_the_place_of_a_newer_one_nor_part_in_the_delay() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)), run_of((990_000, 1.0, 90), (991_000, 1.0, 91)))
    assert cells(board) == ["10", "Ada", "151", "18.0", "—", "1.0", "1.0"]


def test_a_row_with_a_wrong_time_is_neither_now_nor_the_latest() -> None:
    wrong = replace(run_of((3_000_000_000_000, 9.0, 199)), n0=2, is_misdated=True)
    board = scoreboard(run_of((999_000, 5.0, 151)), wrong)
    assert cells(board) == ["10", "Ada", "151", "18.0", "—", "1.0", "1.0"]
    board = scoreboard(wrong)
    assert cells(board) == ["10", "Ada", "—", "—", "—", "—", "—"]


def test_the_delay_is_the_median_age_of_what_came_as_new_in_the_last_half_minute() -> None:
    board = scoreboard()
    for at_ms, age_ms in [(0, 9_000), (1_000, 9_000), (31_000, 2_000), (32_000, 2_900), (33_000, 2_500)]:
        board.take({"op": "d"}, [run_of((int(NOW_MS) + at_ms - age_ms, 1.0, 60))], NOW_MS + at_ms)
    assert board.delay_ms(board.rows[1], NOW_MS + 33_000) == 2_500
    assert cells(board, NOW_MS + 34_000)[5:7] == ["3.5", "2.5"]
    assert cells(board, NOW_MS + 33_000 + DELAY_OVER_MS + 1)[6] == "—"


def test_the_past_that_a_subscription_begins_with_is_no_delay() -> None:
    board = scoreboard()
    board.take({"op": "snap"}, [run_of((990_000, 5.0, 151))], NOW_MS)
    assert cells(board)[5:7] == ["10.0", "—"]


def test_the_delay_is_told_by_the_gateways_clock() -> None:
    board = scoreboard()
    board.take({"op": "time", "utc_ms": NOW_MS}, [], 5_000.0)
    board.take({"op": "d"}, [run_of((int(NOW_MS) - 1_000, 5.0, 151))], 6_000.0)
    assert board.delay_ms(board.rows[1], 6_000.0) == 2_000


def test_a_value_stays_when_newer_rows_do_not_have_it_but_a_heart_rate_only_for_seconds() -> None:
    age_ms = HEART_RATE_GOES_OLD_MS
    board = scoreboard(run_of((900_000, 5.0, 151)), run_of((900_000 + age_ms, np.nan, np.nan)))
    assert cells(board)[2:4] == ["151", "18.0"]
    board.take({"op": "d"}, [run_of((900_001 + age_ms, np.nan, np.nan))], NOW_MS)
    assert cells(board)[2:4] == ["—", "18.0"]


@pytest.mark.parametrize(
    ("presence", "shown"),
    [("live", True), ("behind", False), ("stale", True), ("lost", False), ("unclaimed", False), ("waiting", False)],
)
def test_a_value_of_an_athlete_who_is_lost_or_whose_rows_are_old_is_not_shown(presence: str, shown: bool) -> None:
    line = drawn(scoreboard(run_of((999_000, 5.0, 151)), presence=presence))[0]
    assert ("151" in line and "18.0" in line) is shown
    assert (presence[:6] in line) is (presence != "live")


def test_ages_are_told_by_the_gateways_clock() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    board.take({"op": "time", "utc_ms": 1_002_000}, [], 5_000.0)
    assert board.age_ms(board.rows[1], 6_000.0) == 4_000.0
    assert cells(board, 6_000.0)[5] == "4.0"


@pytest.mark.parametrize(
    ("silent_ms", "shown", "state", "style"),
    [
        (0, ["151", "18.0"], "", ""),
        (STALE_AFTER_MS - 1, ["151", "18.0"], "", ""),
        (STALE_AFTER_MS, ["151", "18.0"], "stale", "dim"),
        (LOST_AFTER_MS - 1, ["151", "18.0"], "stale", "dim"),
        (LOST_AFTER_MS, ["—", "—"], "lost", "dim red"),
        (1000 * LOST_AFTER_MS, ["—", "—"], "lost", "dim red"),
    ],
)
@pytest.mark.parametrize("is_cut", [True, False])
def test_when_the_gateway_says_nothing_its_last_word_grows_old_by_the_clock_of_the_laptop(
    *, silent_ms: int, shown: list[str], state: str, style: str, is_cut: bool
) -> None:
    """Stopped, killed or hung: that no connection can be had is our own word and no sign of life."""
    board = scoreboard(run_of((999_000, 5.0, 151)))
    if is_cut:
        board.take({"op": "disconnected", "text": "nothing answers", "retry_s": 1}, [], NOW_MS + silent_ms)
    line = drawn(board, NOW_MS + silent_ms)[0]
    assert line.split()[2:4] == shown
    assert line.endswith(f" {state}".rstrip())
    assert ("stale" in line or "lost" in line) is bool(state)
    table = board.table(NOW_MS + silent_ms).renderables[-2]
    assert isinstance(table, Table)
    assert table.rows[0].style == style


@pytest.mark.parametrize("presence", ["live", "behind", "waiting", "unclaimed"])
def test_nobody_is_anything_but_lost_when_nobody_has_said_anything_for_long(presence: str) -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)), presence=presence)
    board.take({"op": "state", "key": "channel/1", "ch": 1, "value": presence, "clock_error_ms": 9_000}, [], NOW_MS)
    assert drawn(board, NOW_MS + LOST_AFTER_MS)[0].endswith("lost")


def test_any_word_of_the_gateway_keeps_its_last_ones_alive() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    board.take({"op": "time", "utc_ms": NOW_MS + 9_000}, [], NOW_MS + 9_000)
    assert cells(board, NOW_MS + 9_000 + STALE_AFTER_MS - 1)[2] == "151"
    assert not drawn(board, NOW_MS + 9_000 + STALE_AFTER_MS - 1)[0].endswith("stale")


def test_no_age_and_no_delay_is_less_than_nothing() -> None:
    board = scoreboard(run_of((int(NOW_MS) + 400, 5.0, 151)))
    assert cells(board)[5:7] == ["0.0", "0.0"]


def test_who_is_not_released_is_a_tracker_without_a_name_and_without_a_value() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    board.take(
        {"op": "channels", "channels": [{**ADA, "name": None, "released": False, "device_id": None, "withdrawn": 1}]},
        [],
        NOW_MS,
    )
    board.take({"op": "state", "key": "channel/1", "ch": 1, "value": "unreleased", "clock_error_ms": None}, [], NOW_MS)
    assert drawn(board)[0].split() == ["10", "SN-1", *["—"] * 5, "not", "released"]
    assert (board.rows[1].latest, board.rows[1].t_ms) == ({}, 0)


def test_a_jersey_number_of_four_digits_fits_and_the_widest_line_has_80_columns() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)), presence="unclaimed")
    board.take(
        {"op": "channels", "channels": [{**ADA, "number": 9999, "name": "Wilhelmina of the Long Name"}]}, [], NOW_MS
    )
    board.take({"op": "state", "key": "channel/1", "ch": 1, "value": "live", "clock_error_ms": 9_000}, [], NOW_MS)
    line = drawn(board, NOW_MS + 5_999)[0]
    assert line.startswith("9999 Wilhelmina of the L… ")
    assert line.endswith("clock wrong")
    assert len(line) <= 80


@pytest.mark.parametrize("presence", ["live", "lost"])
def test_a_tracker_whose_clock_is_wrong_is_called_that_until_it_is_right(presence: str) -> None:
    """Its rows are no sign of life, because nobody knows when they were measured; that it is lost says less."""
    board = scoreboard()
    state: Message = {"op": "state", "key": "channel/1", "ch": 1, "value": presence, "clock_error_ms": 7_200_000}
    board.take(state, [], NOW_MS)
    board.take({"op": "d"}, [run_of((999_000, 5.0, 151))], NOW_MS)
    assert drawn(board)[0].endswith("clock wrong")
    assert cells(board)[2:5] == ["—", "—", "—"], "they are from before, and nobody knows how long ago that was"
    board.take({**state, "clock_error_ms": None}, [], NOW_MS)
    assert not drawn(board)[0].endswith("clock wrong")
    board.take({**state, "value": "unclaimed"}, [], NOW_MS)
    assert drawn(board)[0].endswith("unclaimed")


def test_gaps_are_counted_until_they_are_repaired_and_silence_is_no_loss() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    for number, state, reason in [
        (1, "open", "upstream_outage"),
        (2, "closed", "gateway_restart"),
        (1, "closed", "upstream_outage"),
        (3, "closed", "upstream_outage"),
        (3, "repaired", "upstream_outage"),
        (4, "open", "device_silent"),
        (5, "closed", "upstream_outage"),
        (5, "closed", "device_silent"),
        (9, "repaired", "upstream_outage"),
    ]:
        board.take({"op": "gap", "ch": 1, "id": number, "state": state, "reason": reason}, [], NOW_MS)
    board.take({"op": "gap", "ch": 1, "sub": 1, "state": "closed", "reason": "ring_overrun"}, [], NOW_MS)
    board.take({"op": "gap", "ch": 99, "id": 1, "state": "open", "reason": "upstream_outage"}, [], NOW_MS)
    assert cells(board)[-1] == "2"


def test_problems_are_shown_with_what_to_do_until_they_are_solved() -> None:
    board = scoreboard()
    problem: Message = {
        "op": "state",
        "key": "problem/x/SN-1",
        "value": "open",
        "text": "It is off",
        "action": "plug in",
    }
    board.take(problem, [], NOW_MS)
    assert said(board) == ["Test: connected", "It is off: plug in."]
    board.take({"op": "state", "key": "problem/x/SN-1", "value": "gone"}, [], NOW_MS)
    board.take({"op": "state", "key": "problem/x/SN-2", "value": "gone"}, [], NOW_MS)
    board.take({"op": "state", "key": "something/else", "value": "on"}, [], NOW_MS)
    assert board.problems == {}


def test_a_connection_that_is_cut_says_so_until_the_next_word() -> None:
    board = scoreboard()
    board.take({"op": "disconnected", "text": "nothing answers", "retry_s": 1}, [], NOW_MS)
    assert said(board) == ["Test: nothing answers, trying again"]
    board.take({"op": "hello", "epoch": "a", "site": "Test", "utc_ms": NOW_MS}, [], NOW_MS)
    assert said(board) == ["Test: connected"]


def test_an_athlete_without_name_or_number_is_shown_by_serial_number() -> None:
    board = scoreboard()
    board.take({"op": "channels", "channels": [{**ADA, "name": None, "number": None}]}, [], NOW_MS)
    assert cells(board)[0] == "SN-1"


def test_what_is_unknown_is_passed_over() -> None:
    board = scoreboard()
    before = drawn(board)
    board.take({"op": "dance"}, [], NOW_MS)
    board.take({"op": "state", "key": "channel/99", "ch": 99, "value": "live"}, [], NOW_MS)
    assert drawn(board) == before


@contextmanager
def quiet_log() -> Iterator[None]:
    """The table hands every stream handler of the root logger another stream: pytest's own are not there to take it."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers


async def test_who_may_see_no_athlete_is_told_so() -> None:
    board = Scoreboard()
    board.take({"op": "hello", "epoch": "a", "site": "Test", "utc_ms": NOW_MS}, [], NOW_MS)
    assert drawn(board) == []
    board.take({"op": "snap", "end": True}, [], NOW_MS)
    assert drawn(board) == ["There is no athlete here whom you may see."]
    board.take({"op": "channels", "channels": [ADA]}, [], NOW_MS)
    assert len(drawn(board)) == 1
    assert "Ada" in drawn(board)[0]


async def served(channel: Channel, seen: str, out: io.StringIO, *, is_json: bool) -> None:
    """Watch a real gateway until something is on the screen."""
    board = Board()
    board.channel_changed(channel)
    board.presence_changed(channel, "live")
    hub = Hub({1: channel}, board, "e", "Test", "0.0", 60.0, lambda: 999_500, lambda: True)
    async with (
        LiveServer(hub, dict, is_open_on_loopback=True).listening("127.0.0.1", 0) as port,
        asyncio.TaskGroup() as tasks,
    ):
        url = f"ws://127.0.0.1:{port}/api/v1/stream"
        work = watch_json(url, out) if is_json else watch(url, Console(file=out, width=80, force_terminal=True))
        watching = tasks.create_task(work)
        async with asyncio.timeout(10):
            while seen not in out.getvalue():
                await asyncio.sleep(0.01)
        watching.cancel()


@pytest.fixture(name="channel")
def _channel() -> Channel:
    channel = Channel(1, Wearer("SN-1", "Ada", 10), 100)
    channel.rows_came(block((999_000, 5.0, 151)), 0.0)
    return channel


async def test_the_table_follows_a_gateway_until_it_is_ended(channel: Channel) -> None:
    out = io.StringIO()
    with quiet_log():
        await served(channel, "18.0", out, is_json=False)
    assert "Ada" in out.getvalue()


def left_on_screen(written: str) -> list[str]:
    """The lines of a terminal after what a program has written there, as far as it only erases and goes up."""
    lines, at = [""], 0
    for part in re.split(r"(\x1b\[[?\d;]*[a-zA-Z]|[\r\n])", written):
        if part == "\x1b[1A":
            at = max(0, at - 1)
        elif part == "\x1b[2K":
            lines[at] = ""
        elif part == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif not part.startswith(("\x1b", "\r")):
            lines[at] += part
    return [line.rstrip() for line in lines if line.strip()]


async def test_no_value_stays_on_the_screen_of_who_may_not_see_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True)

    async def revoke_when_shown(house: House) -> None:
        async with asyncio.timeout(10):
            while "151" not in out.getvalue():
                await asyncio.sleep(0.01)
        assert any("151" in line for line in left_on_screen(out.getvalue()))
        for grant in list(house.doorkeeper.grants):
            await house.doorkeeper.revoke(grant.id, OWNER)

    async with opened(tmp_path) as house:
        monkeypatch.setenv("INSIDERS_GATEWAY_TOKEN", await house.token(Role.VIEWER))
        now_ms = house.clock()
        house.hub.board.presence_changed(house.hub.channels[1], "live")
        house.hub.channels[1].rows_came(block((now_ms - 500, 5.0, 151)), 0.0)  # type: ignore[attr-defined]
        with quiet_log(), pytest.raises(ExceptionGroup) as ended:
            await asyncio.gather(watch(house.base, console), revoke_when_shown(house))
    assert ended.group_contains(NotAdmittedError)
    assert left_on_screen(out.getvalue()) == []


async def test_every_message_is_one_line_of_json_at_once(channel: Channel) -> None:
    out = io.StringIO()
    await served(channel, '"op":"snap"', out, is_json=True)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["op"] for line in lines if line["op"] not in {"time", "state"}] == [
        "hello",
        "channels",
        "sub_ok",
        "snap",
    ]
    assert lines[-1]["columns"][Column.SPEED] == [5.0]


@pytest.mark.parametrize("name", ["Ada [/]", "Ada [red]", "Ada [b]"])
def test_a_name_is_shown_as_it_is_written(name: str) -> None:
    board = scoreboard()
    board.take({"op": "channels", "channels": [{**ADA, "name": name}]}, [], NOW_MS)
    assert name in drawn(board)[0]


def test_what_is_said_of_sensors_and_of_the_radio_changes_nothing_about_athletes() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    before = screen(board)
    sensor: Message = {"id": "polar-h10-ae60d42f", "name": "Polar H10 AE60D42F", "kind": "heart_rate", "tracker": None}
    for value in ("seen", "quiet", "gone", "unknown", "forgotten"):
        board.take({"op": "state", "key": "sensor/polar-h10-ae60d42f", "value": value, **sensor}, [], NOW_MS)
    board.take({"op": "state", "key": "sensor/x", "value": "forgotten"}, [], NOW_MS)
    board.take({"op": "state", "key": "bluetooth", "value": "powered_off", "adapter": "hci0"}, [], NOW_MS)
    assert screen(board) == before


def test_another_run_of_the_gateway_knows_nothing_of_the_problems_and_gaps_of_the_last() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    board.take({"op": "hello", "epoch": "a", "site": "Test", "utc_ms": NOW_MS}, [], NOW_MS)
    board.take({"op": "state", "key": "problem/x/", "value": "open", "text": "t", "action": "a"}, [], NOW_MS)
    board.take({"op": "gap", "ch": 1, "id": 1, "state": "open", "reason": "upstream_outage"}, [], NOW_MS)
    board.take({"op": "hello", "epoch": "b", "utc_ms": NOW_MS}, [], NOW_MS)
    assert board.problems == {}
    assert all(not row.losses for row in board.rows.values())


def test_gaps_are_forgotten_with_the_tracker_and_told_anew_after_a_cut() -> None:
    gap: Message = {"op": "gap", "ch": 1, "id": 1, "state": "closed", "reason": "upstream_outage"}
    for news in (
        {"op": "hello", "epoch": "a", "site": "Test", "utc_ms": NOW_MS},
        {"op": "channels", "channels": [{**ADA, "device_id": None}]},
    ):
        board = scoreboard()
        board.take(gap, [], NOW_MS)
        assert cells(board)[-1] == "1"
        board.take(news, [], NOW_MS)
        assert cells(board)[-1] == "—"


@pytest.mark.parametrize("news", [{"device_id": None}, {"withdrawn": 12}])
def test_what_is_known_of_a_tracker_that_was_not_ours_for_a_moment_is_forgotten(news: Message) -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)))
    board.take({"op": "channels", "channels": [{**ADA, **news}]}, [], NOW_MS)
    assert cells(board) == ["10", "Ada", "—", "—", "—", "—", "—"]
    board.take({"op": "d"}, [run_of((999_500, 6.0, 152))], NOW_MS)
    board.take(
        {"op": "channels", "channels": [{**ADA, "device_id": 7, "withdrawn": news.get("withdrawn", 0)}]}, [], NOW_MS
    )
    assert cells(board)[2:4] == ["152", "21.6"], "the same word once more takes nothing back"


def test_the_table_fits_80_columns_without_cutting_a_word() -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)), presence="unclaimed")
    assert drawn(board)[0].endswith("unclaimed")


def test_athletes_stand_in_the_order_of_their_numbers_and_those_without_one_at_the_end() -> None:
    board = scoreboard()
    people = [(3, 9, "Ida"), (4, None, "Bo"), (5, 7, "Zoe")]
    entries = [{**ADA, "ch": ch, "number": number, "name": name} for ch, number, name in people]
    board.take({"op": "channels", "channels": entries}, [], NOW_MS)
    shown = "".join(drawn(board))
    assert sorted(("Ada", "Bo", "Ida", "Zoe"), key=shown.index) == ["Zoe", "Ida", "Ada", "Bo"]


def test_a_window_too_small_for_all_says_how_many_are_left_out() -> None:
    board = scoreboard()
    for ch in range(2, 31):
        board.take({"op": "channels", "channels": [{**ADA, "ch": ch, "number": ch}]}, [], NOW_MS)
    above, below = screen(board, height=24)
    assert below[-1] == "and 11 more: make the window taller"
    assert len(above) + len(below) + 3 <= 24
    long = "nothing answers at 127.0.0.1:8831: start the gateway there or name another"
    board.take({"op": "disconnected", "text": long, "retry_s": 1}, [], NOW_MS)
    above, below = screen(board, height=24)
    assert [line.rstrip() for line in above] == [
        "Test: nothing answers at 127.0.0.1:8831: start the gateway there or name",
        "another, trying again",
    ]
    assert below[-1] == "and 12 more: make the window taller"


@pytest.mark.parametrize("height", [24, 6])
def test_there_is_room_on_the_last_line_for_what_a_terminal_writes_on_ctrl_c(height: int) -> None:
    board = scoreboard(run_of((999_000, 5.0, 151)), presence="unclaimed")
    board.take({"op": "channels", "channels": [{**ADA, "ch": 2}]}, [], NOW_MS)
    out = io.StringIO()
    Console(file=out, width=80).print(board.table(NOW_MS, height))
    lines = out.getvalue().splitlines()
    assert lines[-1] == ("" if height == 24 else "and 1 more: make the window taller")
    assert len(lines) <= height


def test_many_problems_leave_two_thirds_of_the_window_to_the_athletes() -> None:
    board = scoreboard()
    for ch in range(2, 31):
        board.take({"op": "channels", "channels": [{**ADA, "ch": ch, "number": ch}]}, [], NOW_MS)
        problem: Message = {"op": "state", "key": f"problem/x/SN-{ch}", "value": "open"}
        board.take({**problem, "text": "It does not do what it should " * 3, "action": "mend it"}, [], NOW_MS)
    above, below = screen(board, height=24)
    assert above[-1] == "Other problems: 25."
    assert len(above) + len(below) + 3 <= 24
    assert len(below) >= 24 / 2 - 3
    assert [line for line in screen(board, height=100)[0] if "Other problems" in line] == ["Other problems: 13."]


def test_one_problem_is_shown_however_small_the_window() -> None:
    board = scoreboard()
    problem: Message = {"op": "state", "key": "problem/x/", "value": "open", "text": "It is off", "action": "plug in"}
    board.take(problem, [], NOW_MS)
    assert screen(board, height=2)[0] == ["Test: connected", "It is off: plug in."]

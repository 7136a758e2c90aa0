"""How problems reach the clients: told while they last, taken back when they are solved."""

import asyncio

import pytest

from gateway.live.board import Board
from gateway.parts import _tell_problems
from gateway.problems import Problems

pytestmark = pytest.mark.looptime


async def test_problems_come_and_go_on_the_board_and_every_turn_is_a_beat() -> None:
    problems, board = Problems(lambda: 5), Board()
    beats: list[float] = []
    loop = asyncio.get_running_loop()
    problems.report("tracker_foreign", "It is not ours", "ask for it", "SN-1")
    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(_tell_problems(problems, board, lambda: beats.append(loop.time())))
        await asyncio.sleep(0.5)
        told = {
            "op": "state",
            "key": "problem/tracker_foreign/SN-1",
            "value": "open",
            "text": "It is not ours",
            "action": "ask for it",
            "since_ms": 5,
        }
        assert board.since(0) == [told]
        problems.report("tracker_foreign", "It is not ours", "ask again", "SN-1")
        problems.report("cloud", "It is down", "wait")
        await asyncio.sleep(1)
        assert [message["key"] for message in board.since(0)] == ["problem/tracker_foreign/SN-1", "problem/cloud/"]
        assert board.since(0)[0] == told | {"action": "ask again"}
        problems.resolve("tracker_foreign", "SN-1")
        await asyncio.sleep(1)
        assert [(m["key"], m["value"]) for m in board.since(0)] == [
            ("problem/cloud/", "open"),
            ("problem/tracker_foreign/SN-1", "gone"),
        ]
        revision = board.revision
        await asyncio.sleep(5)
        assert board.revision == revision
        telling.cancel()
    assert len(beats) == 8

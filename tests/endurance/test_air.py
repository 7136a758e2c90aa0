"""Twenty minutes of a radio's worst weeks: everything that happens in them, and every promise holds at any instant."""

import asyncio

import pytest

from tests.bluetooth.listening import running
from tests.endurance.air import Weeks, growth, logged
from tests.endurance.air_oracle import Oracle
from tests.endurance.air_world import Air, air
from tests.endurance.world import VirtualLoop

SESSION_S, PAUSE_S = 400.0, 3.0


async def _sessions(seed: int) -> tuple[Air, Oracle, Weeks]:
    async with air(seed) as world:
        course, oracle = Weeks(world), Oracle(world)
        async with running(oracle.watch()):
            for _ in range(2):
                await course.session(SESSION_S, PAUSE_S)
                await course.calm()
        return world, oracle, course


@pytest.mark.dbus
@pytest.mark.parametrize("seed", [15])
def test_disasters_in_any_order_break_no_promise_and_leave_nothing_behind(seed: int) -> None:
    with logged() as records, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world, oracle, course = runner.run(_sessions(seed))
    assert not oracle.violations, oracle.violations[0]
    assert not records.wrong
    assert not growth(*course.held)
    assert len(world.recoveries) >= 3, world.happened
    assert world.looks["success"], world.looks
    assert len(oracle.checks) == 14, oracle.checks

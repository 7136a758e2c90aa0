"""After each of the scripted faults, every row is where the cloud's is, or in a gap that says so."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.endurance.oracle import settle
from tests.endurance.scenarios import LONG, QUICK, Scenario
from tests.endurance.world import NOOP_CYCLES, world

IS_LONG = bool(os.environ.get("ENDURANCE"))
CHOSEN = QUICK + LONG if IS_LONG else QUICK

pytestmark = [pytest.mark.looptime(noop_cycles=NOOP_CYCLES), pytest.mark.timeout(600)]


@pytest.mark.parametrize("scenario", [pytest.param(scenario, id=scenario.name) for scenario in CHOSEN])
async def test_every_row_is_accounted_for_after(scenario: Scenario, tmp_path: Path) -> None:
    async with world(tmp_path, **scenario.setting) as w:
        await asyncio.sleep(30)
        await scenario.script(w)
        await settle(w)

"""A fresh bench for each test that asks for no special one."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.bench import Bench, bench


@pytest.fixture
async def sim() -> AsyncIterator[Bench]:
    """Four trackers: the first two ours, the others unclaimed."""
    async with bench() as tested:
        yield tested

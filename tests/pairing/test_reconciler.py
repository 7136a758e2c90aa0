"""The reconciler over HTTP against a simulated cloud: what it reads, when it writes, and what it never does."""

import asyncio
from pathlib import Path

import pytest

from gateway.pairing.plan import State
from tests.pairing.reconciled import STRAP, bench

pytestmark = pytest.mark.looptime


async def test_a_wanted_strap_is_written_once_and_in_sync_after_the_tracker_has_started(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(5)
        assert gateway.target(0).heart_rate == STRAP
        assert gateway.state() is State.AWAITING_DEVICE
        gateway.cloud.restart(gateway.device_id(0))
        await asyncio.sleep(70)
        assert gateway.state() is State.IN_SYNC
        assert len(gateway.writes()) == 1
        assert gateway.memory().intent is None
        assert gateway.memory().ours == gateway.target(0)

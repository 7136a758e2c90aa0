"""The reconciler over HTTP against a simulated cloud: what it reads, when it writes, and what it never does."""

import asyncio
from pathlib import Path

import pytest

from gateway.pairing.desired import Desired
from gateway.pairing.documents import ClearForm, Document, Wish
from gateway.pairing.planning.plan import State
from gateway.pairing.reconciling.reconciler import MAX_AT_ONCE, Options
from tests.fakes.clouds import wall_ms
from tests.pairing.reconciled import OTHER_STRAP, STRAP, bench, settled

pytestmark = pytest.mark.looptime(noop_cycles=6)


# --- the ordinary way -----------------------------------------------------------------------------------------------


async def test_a_wanted_strap_is_written_once_and_in_sync_after_the_tracker_has_started(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        meter = gateway.target(0).power
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(5)
        assert gateway.target(0) == Document(STRAP, meter), "the slot that is not managed is as before"
        assert gateway.state() is State.AWAITING_DEVICE
        gateway.cloud.restart(gateway.device_id(0))
        await settled(gateway, State.IN_SYNC)
        assert len(gateway.writes()) == 1
        assert gateway.memory().intent is None
        assert gateway.memory().ours == gateway.target(0)


async def test_what_is_to_be_told_at_once_is(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        serial = gateway.serial(0)
        await gateway.records.set_desired({serial: Desired(heart_rate=STRAP, is_immediate=True, at_ms=wall_ms())})
        await settled(gateway, State.IN_SYNC)
        assert [write.immediate_sending for write in gateway.writes()] == [True]


@pytest.mark.parametrize("form", ClearForm)
async def test_a_slot_is_cleared_in_the_form_that_is_configured(tmp_path: Path, form: ClearForm) -> None:
    async with bench(tmp_path, options=Options(clear_form=form), unpair=form.value) as gateway:
        await gateway.want(0, heart_rate=Wish.NONE)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.target(0).heart_rate is None


async def test_a_fleet_in_sync_is_read_once_a_minute_and_never_written(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=4) as gateway:
        await asyncio.sleep(5)
        for place in range(4):
            await gateway.want(place, heart_rate=gateway.target(place).heart_rate or Wish.NONE)
        await asyncio.sleep(60)
        before = gateway.reads
        for _ in range(60):
            await asyncio.sleep(60)
            gateway.reconciler.wake()
            gateway.reconciler.wake()
        assert [gateway.state(place) for place in range(4)] == [State.IN_SYNC] * 4
        assert 4 * 50 <= gateway.reads - before <= 4 * 67
        assert not gateway.attempts


async def test_the_same_wish_a_hundred_times_writes_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        for _ in range(100):
            await gateway.want(0, heart_rate=STRAP)
            await asyncio.sleep(2)
        assert gateway.attempts == 1
        assert gateway.records.desired[gateway.serial(0)].generation == 1


async def test_what_happens_to_one_tracker_does_not_make_the_others_be_read_again(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=6) as gateway:
        await asyncio.sleep(10)
        before = gateway.reads
        for strap in (STRAP, OTHER_STRAP, STRAP):
            await gateway.want(0, heart_rate=strap)
            await asyncio.sleep(5)
        assert gateway.attempts == 3
        assert gateway.reads - before <= 3 * 2 + 2, "two of each write, and none of anybody else's"


async def test_a_tracker_that_is_not_switched_on_is_asked_after_ever_more_rarely_and_never_written_again(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path, trackers=1) as gateway:
        await asyncio.sleep(5)
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(5)
        counts = []
        for duration_s in (120, 1680, 7200):
            before = gateway.reads
            await asyncio.sleep(duration_s)
            counts.append(gateway.reads - before)
        assert counts == [pytest.approx(8, abs=2), pytest.approx(28, abs=4), pytest.approx(24, abs=4)]
        assert gateway.attempts == 1


async def test_no_more_than_a_few_requests_are_under_way_at_a_time(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=30, latency_ms=500) as gateway:
        await asyncio.sleep(30)
        assert gateway.reconciler.is_complete
        assert gateway.meddler.most_under_way == MAX_AT_ONCE


async def test_a_free_place_is_taken_at_once(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=40, latency_ms=100) as gateway:
        await asyncio.sleep(3)
        assert gateway.reconciler.is_complete, "forty times a tenth of a second, four at a time"
        assert gateway.reads == 40

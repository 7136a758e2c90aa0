"""The reconciler before a cloud whose answers are lost, late, refusals, or not what was asked for."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from gateway.pairing.documents import ClearForm, Slot, Wish
from gateway.pairing.memory import Refusal, Renaming
from gateway.pairing.planning.plan import State
from gateway.pairing.reconciling.reconciler import Options
from tests.fakes.clouds import simulation, wall_ms
from tests.pairing.reconciled import OTHER_STRAP, STRAP, bench, is_never_blind, living, settled

pytestmark = pytest.mark.looptime(noop_cycles=6)


# --- answers that do not come ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["reset", "hang", "status"])
async def test_a_write_whose_answer_is_lost_is_looked_for_and_not_sent_again(tmp_path: Path, form: str) -> None:
    async with bench(tmp_path, lost_answer_fraction=1.0, lost_answer_form=form) as gateway:
        await asyncio.sleep(5)
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.attempts == 1
        assert gateway.memory().ours == gateway.target(0)
        assert gateway.memory().foreign_ms == ()


async def test_a_write_that_never_arrived_is_sent_again_after_a_look_and_a_wait(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("before write", lambda: gateway.faults(error_fraction=1.0))
        gateway.meddler.at("after write", lambda: gateway.faults(error_fraction=0.0))
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.attempts == 2
        assert len(gateway.writes()) == 1
        assert is_never_blind(gateway)


async def test_a_write_whose_answers_are_always_lost_before_it_is_done_is_tried_less_and_less(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=1) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("before write", *[lambda: gateway.faults(error_fraction=1.0)] * 99)
        gateway.meddler.at("after write", *[lambda: gateway.faults(error_fraction=0.0)] * 99)
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(3600)
        assert 20 <= gateway.attempts <= 40, "with half of at most two minutes between them, twice"
        before = gateway.attempts
        gateway.meddler.acts.clear()
        await gateway.want(0, heart_rate=OTHER_STRAP)
        await settled(gateway, State.AWAITING_DEVICE, within_s=10)
        assert gateway.attempts == before + 1, "something else is wanted, and nothing of before holds it up"


async def test_a_reading_that_still_tells_of_before_makes_no_second_write(tmp_path: Path) -> None:
    async with bench(tmp_path, bluetooth_stale_s=20.0) as gateway:
        await asyncio.sleep(5)
        reads = gateway.reads
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.attempts == 1
        assert gateway.memory().foreign_ms == ()
        assert gateway.reads - reads <= 12


@pytest.mark.parametrize("form", ["reset", "status"])
async def test_a_lost_answer_and_readings_of_before_together_are_no_drift(tmp_path: Path, form: str) -> None:
    async with bench(tmp_path, bluetooth_stale_s=20.0, lost_answer_fraction=1.0, lost_answer_form=form) as gateway:
        await asyncio.sleep(5)
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        await asyncio.sleep(600)
        assert gateway.attempts <= 7, "each one begins the twenty seconds anew, and each is later than the one before"
        assert gateway.memory().foreign_ms == ()
        assert is_never_blind(gateway)


# --- a cloud that says no, or does something else -------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_content_that_is_refused_is_never_sent_again(tmp_path: Path, status: int) -> None:
    async with bench(tmp_path, bluetooth_rejects="everything", bluetooth_rejection_status=status) as gateway:
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.REJECTED)
        gateway.reconciler.retry(None)
        await asyncio.sleep(1800)
        assert gateway.attempts == 1
        assert [it.kind for it in gateway.memory().refusals] == [Refusal.Kind.REJECTED]
        gateway.faults(bluetooth_rejects="nothing")
        await gateway.want(0, heart_rate=OTHER_STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.attempts == 2


async def test_a_refusal_is_remembered_over_a_restart_and_another_form_of_clearing_may_be_tried(tmp_path: Path) -> None:
    async with simulation(1, unpair="empty_object") as (cloud, served):
        for form, attempts in ((ClearForm.NULL, 1), (ClearForm.NULL, 1), (ClearForm.EMPTY_OBJECT, 2)):
            async with living(cloud, served, tmp_path, Options(clear_form=form)) as gateway:
                await gateway.want(0, heart_rate=Wish.NONE)
                await asyncio.sleep(60)
                assert gateway.attempts == attempts
        assert gateway.target(0).heart_rate is None


async def test_a_change_that_the_cloud_accepts_and_does_not_keep_is_not_sent_again(tmp_path: Path) -> None:
    async with bench(tmp_path, bluetooth_ignored_fraction=1.0) as gateway:
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.REJECTED)
        await asyncio.sleep(1800)
        assert gateway.attempts == 1
        assert [it.kind for it in gateway.memory().refusals] == [Refusal.Kind.NOT_ECHOED]


async def test_a_cloud_that_cuts_names_and_writes_addresses_in_capitals_is_understood(tmp_path: Path) -> None:
    async with bench(tmp_path, bluetooth_name_maximum=5, bluetooth_echo="upper") as gateway:
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        gateway.cloud.restart(gateway.device_id(0))
        await settled(gateway, State.IN_SYNC)
        await asyncio.sleep(600)
        assert gateway.attempts == 1
        [renaming] = gateway.memory().renamings
        assert renaming == Renaming(STRAP, msgspec.structs.replace(STRAP, name="Polar"))


async def test_a_cloud_that_replaces_what_is_not_named_keeps_the_other_slot(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=6, bluetooth_patch="replace") as gateway:
        rider = next(place for place in range(6) if gateway.target(place).power is not None)
        before = gateway.target(rider)
        await gateway.want(rider, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE, rider)
        assert gateway.target(rider) == before.with_(Slot.HEART_RATE, STRAP)


async def test_a_pause_that_the_cloud_asks_for_is_kept_and_is_no_failure(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=1) as gateway:
        await asyncio.sleep(5)

        def throttle() -> None:
            gateway.faults(throttle_rate_per_s=1 / 240, throttle_burst=1)
            gateway.cloud.throttle.admit(wall_ms(), gateway.cloud.faults)

        gateway.meddler.at("before write", throttle)
        gateway.meddler.at("after write", lambda: gateway.faults(throttle_rate_per_s=100.0, throttle_burst=100))
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(230)
        sent = gateway.attempts
        assert gateway.state() is State.BACKOFF
        await asyncio.sleep(30)
        assert (sent, gateway.attempts) == (1, 2)
        assert gateway.target(0).heart_rate == STRAP

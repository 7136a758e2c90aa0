"""The reconciler when something happens in the middle of what it does: to the cloud, the disk, a tracker, or itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from gateway.log import told
from gateway.pairing.approval import Approval, Change
from gateway.pairing.desired import Basis, Desired
from gateway.pairing.documents import Document, Slot
from gateway.pairing.memory import Suspension
from gateway.pairing.observation import Mode
from gateway.pairing.planning.plan import State
from gateway.pairing.reconciling.reconciler import Options
from gateway.store import StoreError
from tests.fakes.clouds import simulation, wall_ms
from tests.pairing.reconciled import METER, OTHER_STRAP, STRAP, Bench, bench, is_never_blind, living, settled

pytestmark = pytest.mark.looptime(noop_cycles=6)

Act = Callable[[Bench], Awaitable[None]]


# --- others write ---------------------------------------------------------------------------------------------------


async def test_a_target_that_others_changed_before_we_read_it_is_planned_for_anew(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("before read", lambda: gateway.foreign(0, Slot.POWER, METER))
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.target(0) == Document(STRAP, METER), "what they did to the other slot stays"
        assert len(gateway.writes()) == 1


async def test_a_target_that_changes_under_each_attempt_is_a_persons_matter(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        meters = [msgspec.structs.replace(METER, name=f"ASSIOMA{turn}") for turn in range(9)]
        gateway.meddler.at("before read", *[lambda it=it: gateway.foreign(0, Slot.POWER, it) for it in meters])
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(60)
        assert gateway.state() is State.NEEDS_HUMAN
        assert not gateway.attempts
        gateway.meddler.acts.clear()
        await asyncio.sleep(600)
        assert not gateway.attempts
        gateway.reconciler.retry(gateway.serial(0))
        await settled(gateway, State.AWAITING_DEVICE)
        assert len(gateway.writes()) == 1


async def test_what_others_write_between_our_reading_and_our_write_is_lost_and_ours_stands(tmp_path: Path) -> None:
    """The cloud offers nothing against that; but the next thing that is read is judged rightly."""
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("before write", lambda: gateway.foreign(0, Slot.HEART_RATE, OTHER_STRAP))
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        assert gateway.target(0).heart_rate == STRAP
        assert gateway.attempts == 1


async def test_what_others_write_right_after_us_is_drift_and_not_overwritten(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("after write", lambda: gateway.foreign(0, Slot.HEART_RATE, OTHER_STRAP))
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.DRIFTED)
        await asyncio.sleep(1800)
        assert gateway.target(0).heart_rate == OTHER_STRAP
        assert gateway.attempts == 1
        ours = gateway.memory().ours
        assert ours is not None
        assert ours.heart_rate == STRAP


async def test_drift_is_put_right_where_that_is_the_setting_until_a_rival_shows(tmp_path: Path) -> None:
    async with bench(tmp_path, options=Options(Mode.ENFORCE)) as gateway:
        await asyncio.sleep(5)
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        for attempts in (2, 3, 3):
            gateway.foreign(0, Slot.HEART_RATE, OTHER_STRAP)
            await asyncio.sleep(70)
            assert gateway.attempts == attempts
        assert gateway.state() is State.SUSPENDED
        assert gateway.memory().rival_since_ms is not None


# --- somebody changes their mind ------------------------------------------------------------------------------------


async def _suspend(gateway: Bench) -> None:
    suspension = Suspension("Kim", "", wall_ms())
    await gateway.records.remember(gateway.serial(0), msgspec.structs.replace(gateway.memory(), suspension=suspension))


async def _pause(gateway: Bench) -> None:
    await gateway.records.set_pause(Suspension("Kim", "", wall_ms()))


async def _want_another(gateway: Bench) -> None:
    await gateway.want(0, heart_rate=OTHER_STRAP)


async def _train(gateway: Bench) -> None:
    gateway.told.session_s = asyncio.get_running_loop().time() + 600
    await asyncio.sleep(3)


async def _lose(gateway: Bench) -> None:
    gateway.reconciler.assign({gateway.serial(1): gateway.device_id(1)})


@pytest.mark.parametrize("act", [_suspend, _pause, _want_another, _train, _lose])
async def test_a_write_that_is_no_longer_wanted_is_withdrawn_at_the_last_moment(tmp_path: Path, act: Act) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("after read", lambda: act(gateway))
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(60)
        assert all(STRAP.address not in str(write.body) for write in gateway.writes())
        assert gateway.memory().intent is None


async def test_a_write_that_waits_too_long_for_its_turn_is_not_sent_on_what_was_read_before(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=1) as gateway:
        await asyncio.sleep(5)

        def close_the_gate() -> None:
            """What a 429 of anybody does to everybody."""
            pacer = gateway.client._exchange._pacer
            _hold(pacer, 120.0)

        gateway.meddler.at("before write", close_the_gate)
        reads = gateway.reads
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(100)
        assert (gateway.attempts, gateway.reads - reads) == (0, 1)
        await settled(gateway, State.AWAITING_DEVICE)
        assert (gateway.attempts, gateway.reads - reads) == (1, 3)


def _hold(pacer: object, pause_s: float) -> None:
    pacer._paused_until_s = asyncio.get_running_loop().time() + pause_s  # type: ignore[attr-defined]


# --- trackers come and go -------------------------------------------------------------------------------------------


async def test_a_tracker_that_goes_to_another_account_in_the_middle_is_left_alone_and_told_of(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.meddler.at("before write", lambda: gateway.cloud.move(gateway.device_id(0), "other"))
        await gateway.want(0, heart_rate=STRAP)
        await asyncio.sleep(120)
        assert not gateway.writes()
        assert set(gateway.forbidden) == {gateway.serial(0)}
        attempts = gateway.attempts
        gateway.assign()
        await asyncio.sleep(600)
        assert gateway.attempts == attempts
        assert gateway.state() is State.UNKNOWN
        gateway.cloud.move(gateway.device_id(0), "ours")
        gateway.assign()
        await settled(gateway, State.AWAITING_DEVICE)
        assert len(gateway.writes()) == 1


async def test_what_another_device_of_the_same_label_has_is_not_that_of_the_first(tmp_path: Path) -> None:
    async with bench(tmp_path, trackers=3) as gateway:
        await asyncio.sleep(5)
        serial = gateway.serial(0)
        gateway.reconciler.assign({serial: gateway.device_id(0)})
        assert serial in gateway.reconciler.current
        gateway.reconciler.assign({serial: gateway.device_id(1)})
        assert gateway.reconciler.current == {}
        assert not gateway.reconciler.is_complete
        assert gateway.reconciler.read_ms(serial) is None
        await asyncio.sleep(5)
        assert gateway.reconciler.is_complete


async def test_a_tracker_that_is_ours_and_not_configured_is_read_now_and_then(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        gateway.reconciler.assign({gateway.serial(0): gateway.device_id(0), "SIM-0099": gateway.device_id(1)})
        await asyncio.sleep(5)
        assert set(gateway.reconciler.current) == {gateway.serial(0), "SIM-0099"}
        gateway.reconciler.assign({gateway.serial(0): gateway.device_id(0)})
        assert set(gateway.reconciler.current) == {gateway.serial(0)}


# --- the gateway stops ----------------------------------------------------------------------------------------------

MOMENTS = ["before read", "after read", "before write", "after write", "the read back", "never"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_stop_at_any_moment_of_a_write_is_gone_on_from(tmp_path: Path, moment: str) -> None:
    async with simulation(1) as (cloud, served):
        async with living(cloud, served, tmp_path) as gateway:
            await asyncio.sleep(5)
            stop = asyncio.Event()
            if moment == "the read back":
                gateway.meddler.at("before read", lambda: None, stop.set)
            elif moment != "never":
                gateway.meddler.at(moment, stop.set)
            await gateway.want(0, heart_rate=STRAP)
            if moment == "never":
                await settled(gateway, State.AWAITING_DEVICE)
            else:
                await stop.wait()
        async with living(cloud, served, tmp_path) as gateway:
            await settled(gateway, State.AWAITING_DEVICE)
            assert gateway.target(0).heart_rate == STRAP
            assert gateway.memory().intent is None
            assert gateway.memory().foreign_ms == ()
            assert len(gateway.writes()) == 1
            assert is_never_blind(gateway)


async def test_a_stop_is_not_forgotten_though_somebody_wakes_it_at_that_moment(tmp_path: Path) -> None:
    async with simulation(1) as (cloud, served), asyncio.timeout(60), living(cloud, served, tmp_path) as gateway:
        await asyncio.sleep(5.5)
        gateway.reconciler.wake()


# --- the disk -------------------------------------------------------------------------------------------------------


async def test_nothing_is_sent_that_could_not_be_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)

        async def fail(*_args: object) -> None:
            raise StoreError("The disk is full", "free some space")

        with monkeypatch.context() as patch:
            patch.setattr(gateway.records, "remember_all", fail)
            await gateway.want(0, heart_rate=STRAP)
            await asyncio.sleep(60)
            assert not gateway.attempts
        await settled(gateway, State.AWAITING_DEVICE)
        assert len(gateway.writes()) == 1


async def test_what_came_of_a_write_is_not_forgotten_though_the_disk_fails_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path, bluetooth_rejects="everything") as gateway:
        await asyncio.sleep(5)

        async def fail(*_args: object) -> None:
            raise StoreError("The disk fails", "replace the card")

        with monkeypatch.context() as patch:
            gateway.meddler.at("before write", lambda: patch.setattr(gateway.records, "remember_all", fail))
            await gateway.want(0, heart_rate=STRAP)
            await asyncio.sleep(300)
            assert gateway.state() is State.REJECTED
            assert gateway.memory().intent is not None, "on the disk it looks as if nobody knew"
        await asyncio.sleep(30)
        assert gateway.memory().intent is None
        assert len(gateway.memory().refusals) == 1
        assert gateway.attempts == 1


async def test_an_approval_that_is_being_used_does_not_expire(tmp_path: Path) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)
        serial, before = gateway.serial(0), gateway.target(0)
        desired = Desired(heart_rate=STRAP, basis=Basis.IMPORT, is_bulk=True, at_ms=wall_ms())
        await gateway.records.set_desired({serial: desired})
        await settled(gateway, State.AWAITING_APPROVAL)
        change = Change(serial, Slot.HEART_RATE, before.heart_rate, STRAP, 1)
        approval = Approval("0123456789ab", (change,), "Kim", wall_ms(), wall_ms() + 60_000)
        await gateway.records.set_approvals((approval,))
        gateway.reconciler.wake()
        await settled(gateway, State.AWAITING_DEVICE)
        assert [it.has_begun for it in gateway.records.approvals] == [True]


# --- the whole fleet ------------------------------------------------------------------------------------------------


async def test_after_an_outage_all_come_back_within_half_a_minute_and_not_at_once(tmp_path: Path) -> None:
    async with simulation(12) as (cloud, served):
        dice = iter(range(10**9))
        async with living(cloud, served, tmp_path, jitter=lambda: next(dice) * 0.377 % 1.0) as gateway:
            await asyncio.sleep(30)
            gateway.faults(outage_every_s=1.0, outage_s=1.0, outage_form="status")
            await asyncio.sleep(240)
            gateway.faults(outage_every_s=0.0, outage_s=0.0)
            while gateway.reconciler.fleet().trackers[0].trouble is not None:
                await asyncio.sleep(0.5)
            counts = []
            for _ in range(7):
                fleet = gateway.reconciler.fleet().trackers
                counts.append(sum(it.trouble is not None for it in fleet))
                await asyncio.sleep(5)
            assert counts[-1] == 0
            assert max(before - after for before, after in pairwise(counts)) <= 6


async def test_a_surprise_about_one_tracker_is_logged_without_names_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench(tmp_path) as gateway:
        await asyncio.sleep(5)

        def surprise() -> None:
            raise KeyError(STRAP.name)

        gateway.meddler.at("before read", surprise)
        await gateway.want(0, heart_rate=STRAP)
        await settled(gateway, State.AWAITING_DEVICE)
        errors = [told(record) for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert "KeyError" in errors[0]
        assert "surprise" in errors[0]
    assert all(STRAP.name not in told(record) for record in caplog.records)
    assert all(STRAP.address not in told(record) for record in caplog.records)

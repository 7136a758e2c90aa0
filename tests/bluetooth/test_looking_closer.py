"""Closer looks that the sensors' part is asked for: admitted, refused, and what is left of them."""

import asyncio

import pytest

from gateway.bluetooth.holder import OVERLAP_S
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.link import LinkError
from gateway.bluetooth.radio import RadioError, RadioState
from gateway.bluetooth.sightings import FORGET_AFTER_S
from insiders_codecs.gatt import BATTERY_LEVEL, HEART_RATE_MEASUREMENT
from tests.bluetooth.adverts import address
from tests.bluetooth.played import (
    ID,
    OFF,
    OURS,
    World,
    played,
)

pytestmark = pytest.mark.looptime


async def inspected(world: World, *, take_link: bool = False) -> Inspection:
    return await world.sensors.inspect(ID, is_link_taken_knowingly=take_link)


async def test_looking_closer_finds_the_battery_and_remembers_what_it_found() -> None:
    async with played() as world:
        await world.advertise(3)
        inspection = await inspected(world)
        assert (inspection.battery_percent, inspection.heart_rate and inspection.heart_rate.median_bpm) == (80, 75)
        assert world.receiver.linked == []
        await world.advertise(3)
        assert (world.one().inspection, world.one().battery_percent) == (inspection, 80)


async def test_while_we_look_we_hold_it_and_its_silence_meanwhile_means_nothing() -> None:
    async with played() as world:
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(inspected(world))
            while not look.done():
                await asyncio.sleep(0.5)
                if not look.done():
                    assert world.one().holder == "gateway"
                    assert world.one().presence == "seen", "a link is more than an advertisement"
        assert world.one().presence == "seen"
        await asyncio.sleep(9.0)
        assert world.one().presence == "quiet"
        await asyncio.sleep(2.0)
        assert world.one().presence == "gone"


async def test_a_sensor_nobody_has_heard_of_is_refused() -> None:
    async with played() as world:
        assert (await world.refusal("no-such-sensor"))[0] == "unknown_sensor"


SWITCH_OFF = "to look closer, switch its tracker off first"


async def test_what_is_not_in_the_air_is_refused_with_what_to_do() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await asyncio.sleep(20.0)
        code, text = await world.refusal(take_link=True)
        assert (code, text) == (
            "sensor_not_in_the_air",
            f"In use by SIM-0001, which gets its heart rate; {SWITCH_OFF}.",
        )
        world.fleet.delivering["SIM-0001"] = False
        await asyncio.sleep(20.0)
        assert "wet a strap's electrodes" in (await world.refusal(take_link=True))[1]


async def test_what_its_tracker_has_just_taken_is_refused_though_it_was_heard_a_moment_ago() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await world.advertise(5)
        await asyncio.sleep(5.0)
        assert (world.one().presence, world.one().holder) == ("quiet", "tracker")
        assert (await world.refusal(take_link=True))[0] == "sensor_not_in_the_air"


async def test_a_link_that_a_tracker_may_need_is_taken_knowingly_only() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(3)
        code, text = await world.refusal()
        assert code == "link_needed"
        assert "SIM-0001 could not have it" in text
        assert (await inspected(world, take_link=True)).battery_percent == 80


async def test_a_shared_strap_has_a_link_to_spare() -> None:
    async with played() as world:
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": True}
        await world.advertise(int(OVERLAP_S) + 2)
        assert (await inspected(world)).battery_percent == 80


async def test_one_at_a_time() -> None:
    async with played() as world:
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(inspected(world))
            await asyncio.sleep(1.0)
            assert (await world.refusal())[0] == "inspection_running"
            assert world.receiver.linked == [address(1)]
        assert look.result().battery_percent == 80


async def test_a_deaf_radio_looks_at_nothing() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.radio = OFF
        assert await world.refusal() == ("radio_not_listening", f"{OFF.text}: {OFF.action}.")


async def test_a_radio_that_goes_deaf_meanwhile_is_named() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.error = RadioError(RadioState.POWERED_OFF)
        assert (await world.refusal())[0] == "radio_not_listening"


@pytest.mark.parametrize("what_breaks", ["connecting", "everything after it"])
async def test_a_link_that_fails_is_said_and_the_next_look_may_be_taken(what_breaks: str) -> None:
    async with played() as world:
        await world.advertise(3)
        first = await inspected(world)
        await world.advertise(3)
        if what_breaks == "connecting":
            world.receiver.error = LinkError("no link: org.bluez.Error.Failed")
        else:
            world.receiver.link.is_broken = True
        code, text = await world.refusal()
        assert code == "inspection_failed"
        assert "try again" in text
        assert world.one().inspection == first
        world.receiver.error, world.receiver.link.is_broken = None, False
        await world.advertise(3)
        assert await inspected(world) == first


async def test_whoever_gives_up_waiting_lets_the_sensor_go() -> None:
    async with played() as world:
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(inspected(world))
            await asyncio.sleep(2.0)
            assert world.receiver.linked == [address(1)]
            look.cancel()
        assert world.receiver.linked == []
        await world.advertise(1)
        assert world.one().holder == "free"
        assert (await inspected(world)).battery_percent == 80


async def test_a_stranger_that_takes_long_to_look_at_is_not_forgotten_meanwhile() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.delay_s = FORGET_AFTER_S + 10.0
        inspection = await inspected(world)
        await asyncio.sleep(10.0)
        await world.advertise(1)
        assert world.one().inspection == inspection


async def test_what_was_found_out_about_a_stranger_is_forgotten_with_it() -> None:
    async with played() as world:
        await world.advertise(3)
        await world.sensors.inspect(ID, is_link_taken_knowingly=False)
        await asyncio.sleep(FORGET_AFTER_S + 20.0)
        assert world.report().sensors == ()
        assert not world.sensors._census._looks
        world.hear()
        assert (world.one().battery_percent, world.one().inspected_ms) == (None, None)


async def test_a_low_battery_is_warned_of_for_as_long_as_it_is_known_and_dry_skin_is_not() -> None:
    async with played() as world:
        await world.advertise(3)
        world.receiver.link.values = {BATTERY_LEVEL: b"\x08", HEART_RATE_MEASUREMENT: b"\x04\x4b"}
        assert len((await inspected(world)).warnings) == 2
        world.fleet.all, world.fleet.delivering = [OURS], {"SIM-0001": False}
        await world.advertise(3)
        assert world.one().warnings == ("The battery has 8 % left: change it before the session",)
        await asyncio.sleep(60.0)
        assert world.one().holder == "flat"

"""Of an athlete who may not be shown, nothing is told that a strap or a power meter measures."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from tests.bluetooth.adverts import address
from tests.bluetooth.played import ID, METER, NAME, OURS, World, played

pytestmark = pytest.mark.looptime

CLOSED = replace(OURS, is_released=False)
OTHERS = Assignment("SIM-0002", "Bo", None, SensorKind.HEART_RATE, address(1), NAME, is_applied=True)
WITHHELD = "What it measures is not told: its athlete is not released, or nobody knows yet whose it is"


def told_heart(world: World) -> bool:
    """Whether the strap's 71, or the 75 of its link, stands anywhere in what clients are told."""
    body = msgspec.json.encode([world.report(), world.board.since(0)])
    return any(b'_bpm":%d' % rate in body for rate in (71, 75))


async def test_a_strap_in_the_air_is_seen_and_its_heart_rate_is_not_told() -> None:
    async with played() as world:
        world.fleet.all = [OURS]
        await world.advertise(5)
        assert told_heart(world)
        assert world.sensors.heart_rates() == {address(1): 71}
        world.fleet.all = [CLOSED]
        await world.advertise(2)
        sensor = world.one()
        assert (sensor.presence, sensor.heart_rate_bpm, sensor.is_contact) == ("seen", None, True)
        assert not told_heart(world)
        assert world.sensors.heart_rates() == {}
        assert world.sensors.withheld() == {address(1)}


async def test_a_strap_of_two_is_not_told_if_one_of_them_may_not_be_shown() -> None:
    async with played() as world:
        world.fleet.all = [OTHERS, CLOSED]
        await world.advertise(5)
        assert not told_heart(world)


async def test_a_closer_look_reads_the_battery_and_does_not_listen() -> None:
    async with played() as world:
        world.fleet.all = [CLOSED]
        await world.advertise(3)
        began_s = world.now()
        found = await world.sensors.inspect(ID, is_link_taken_knowingly=True)
        assert world.now() - began_s < 5, "listening would take ten seconds"
        assert (found.battery_percent, found.heart_rate) == (80, None)
        assert found.warnings == (WITHHELD,)
        assert world.one().inspection == found


async def test_what_a_look_has_found_is_withheld_once_the_release_is_gone() -> None:
    async with played() as world:
        world.fleet.all = [OURS, METER]
        await world.advertise(3)
        found = await world.sensors.inspect(ID, is_link_taken_knowingly=True)
        assert found.heart_rate is not None
        assert told_heart(world)
        world.fleet.all = [CLOSED, METER]
        await asyncio.sleep(2)
        inspection = next(sensor for sensor in world.report().sensors if sensor.id == ID).inspection
        assert inspection is not None
        assert (inspection.battery_percent, inspection.heart_rate, inspection.power) == (80, None, None)
        assert not told_heart(world)


async def test_a_release_that_is_withdrawn_during_a_look_is_heeded() -> None:
    async with played() as world:
        world.fleet.all = [OURS]
        await world.advertise(3)
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(world.sensors.inspect(ID, is_link_taken_knowingly=True))
            await asyncio.sleep(5)
            world.fleet.all = [CLOSED]
        assert (looking.result().heart_rate, looking.result().warnings[-1]) == (None, WITHHELD)
        world.fleet.all = [OURS]
        await asyncio.sleep(2)
        assert not told_heart(world), "it was not kept either"


async def test_while_nobody_knows_whose_straps_there_are_no_heart_rate_is_told() -> None:
    """It may be that of an athlete who is not released: also a strap that others have may be on two trackers."""
    async with played() as world:
        world.fleet.closed = None
        await world.advertise(5)
        assert (world.one().presence, world.one().heart_rate_bpm) == ("seen", None)
        found = await world.sensors.inspect(ID, is_link_taken_knowingly=True)
        assert (found.battery_percent, found.heart_rate, found.warnings) == (80, None, (WITHHELD,))
        world.fleet.all = [OTHERS]
        await world.advertise(2)
        assert not told_heart(world)
        assert world.sensors.heart_rates() == {}
        assert world.sensors.withheld() == {address(1)}
        world.fleet.closed = ()
        await world.advertise(2)
        assert told_heart(world)
        assert world.sensors.heart_rates() == {address(1): 71}


@pytest.mark.parametrize("known_as", [(address(1), NAME), (address(9), NAME), (address(1), None)])
async def test_a_strap_that_an_unreleased_athlete_is_to_get_is_not_told(
    known_as: tuple[str, str | None],
) -> None:
    async with played() as world:
        world.fleet.closed = [known_as]
        await world.advertise(5)
        assert (world.one().presence, world.one().heart_rate_bpm) == ("seen", None)
        assert not told_heart(world)
        world.fleet.closed = ()
        await world.advertise(3)
        assert told_heart(world)

"""The whole daemon with a cloud and a radio: what its laptops are told of sensors, and what its radio cannot harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.bus import Bus
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.team_sensors import FORGOTTEN, SNATCHED, SNATCHED_AT_S, SPARES, Team
from gateway.telemetry.channel import Presence
from insiders_gateway_client.gateway import Gateway
from tests.bluetooth.listening import now_s, running
from tests.test_gateway import World, world

pytestmark = pytest.mark.looptime

TRACKERS = FORGOTTEN + 1
"""As few as the team needs for everything to happen in it."""

HEARD_S = 10.0
"""Until everything that is in the air was heard, and every tracker's sensors were read."""

MISSED_S = 35.0
"""Until what is no longer in the air, or no tracker's any more, is known for that."""

TWO_LINKS = 0
"""Place of the athlete whose strap goes on advertising while her tracker has it."""


class Ground:
    """The training ground: athletes with trackers and sensors, and the gateway beside them."""

    def __init__(self, everything: World, team: Team) -> None:
        self.world = everything
        self.team = team
        self.base = f"http://127.0.0.1:{everything.gateway.port}/api/v1"

    async def report(self) -> dict[str, Any]:
        async with aiohttp.ClientSession() as http, http.get(f"{self.base}/sensors") as answer:
            assert answer.status == 200
            return dict(await answer.json())

    async def inspect(self, sensor_id: str, **body: Any) -> tuple[int, dict[str, Any]]:
        url = f"{self.base}/sensors/{sensor_id}/inspect"
        async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
            return answer.status, await answer.json()

    async def holders(self, slot: str = "heart_rate") -> list[str]:
        """Who has the sensor of each tracker, in the order of the roster."""
        sensors = [sensor for sensor in (await self.report())["sensors"] if sensor["tracker"]]
        by_number = {
            sensor["tracker"]["number"]: sensor["holder"] for sensor in sensors if sensor["tracker"]["slot"] == slot
        }
        return [by_number[number] for number in sorted(by_number)]

    async def states(self) -> dict[str, str]:
        """What a laptop is told that connects now, by key: all of it before the first time."""
        told = {}
        async with aclosing(Gateway(self.world.url).follow().messages()) as messages:
            async for message in messages:
                if message["op"] == "time":
                    break
                if message["op"] == "state":
                    told[message["key"]] = message["value"]
        return told


@asynccontextmanager
async def ground(bluez: FakeBluez, trackers: int = TRACKERS) -> AsyncIterator[Ground]:
    async with world(trackers=trackers, has_radio=True) as everything:
        airspace = Airspace(bluez, now_s)
        team = Team(everything.cloud, airspace, now_s)
        async with running(airspace.run(), team.run()):
            yield Ground(everything, team)


async def test_every_athletes_strap_is_known_and_who_has_it(bluez: FakeBluez) -> None:
    async with ground(bluez) as g:
        await asyncio.sleep(SNATCHED_AT_S + MISSED_S)
        expected = ["tracker"] * TRACKERS
        expected[TWO_LINKS] = "shared"
        expected[SNATCHED], expected[FORGOTTEN] = "elsewhere", "not_worn"
        assert await g.holders() == expected
        states = await g.states()
        assert states["bluetooth"] == "listening"
        assert sum(key.startswith("sensor/") for key in states) >= TRACKERS


async def test_a_tracker_that_is_switched_off_lets_go_of_its_strap(bluez: FakeBluez) -> None:
    async with ground(bluez, trackers=2) as g:
        await asyncio.sleep(HEARD_S)
        assert (await g.holders())[1] == "tracker"
        await g.world.control(f"devices/{g.world.device_id(2)}/power", on=False)
        await asyncio.sleep(MISSED_S)
        [sensor] = [
            sensor
            for sensor in (await g.report())["sensors"]
            if sensor["tracker"] and sensor["tracker"]["number"] == 2 and sensor["kind"] == "heart_rate"
        ]
        assert (sensor["presence"], sensor["holder"]) == ("seen", "free")
        assert "silent" in sensor["text"]
        assert sensor["action"].startswith("switch ")


async def test_a_strap_that_is_held_to_the_gateway_leads_all_others_by_more_than_ten_decibels(bluez: FakeBluez) -> None:
    async with ground(bluez, trackers=3) as g:
        await asyncio.sleep(HEARD_S)
        g.team.place(SPARES[0].name, 0.1)
        await asyncio.sleep(5)
        for _ in range(5):
            await asyncio.sleep(1)
            heard = [sensor for sensor in (await g.report())["sensors"] if sensor["presence"] == "seen"]
            strengths = {sensor["name"]: sensor["rssi_dbm"] for sensor in heard}
            held_dbm = strengths.pop(SPARES[0].name)
            assert len(strengths) >= 2
            assert held_dbm > max(strengths.values()) + 10


@pytest.mark.parametrize("disaster", ["power", "kill", "bus"])
async def test_whatever_happens_to_the_radio_the_athletes_data_go_on(bluez: FakeBluez, bus: Bus, disaster: str) -> None:
    async with ground(bluez, trackers=2) as g:
        await asyncio.sleep(HEARD_S)
        assert (await g.report())["radio"]["state"] == "listening"
        match disaster:
            case "power":
                bluez.power("hci0", is_on=False)
            case "kill":
                await bluez.kill()
            case "bus":
                await bus.kill()
        await asyncio.sleep(10)
        report = await g.report()
        assert report["radio"]["state"] in {"powered_off", "no_service", "no_bus"}
        assert report["radio"]["action"]
        assert {sensor["presence"] for sensor in report["sensors"]} == {"unknown"}
        assert {sensor["holder"] for sensor in report["sensors"]} == {"unknown"}
        told = await g.states()
        assert {told[key] for key in told if key.startswith("sensor/")} == {"unknown"}
        assert [problem.code for problem in g.world.gateway.problems] == [f"bluetooth_{report['radio']['state']}"]
        await asyncio.sleep(20)
        channels = g.world.gateway.feed.channels.values()
        assert {channel.presence(now_s()) for channel in channels} == {Presence.LIVE}


async def test_a_laptop_follows_the_states_and_looks_closer(bluez: FakeBluez) -> None:
    async with ground(bluez, trackers=3) as g:
        await asyncio.sleep(HEARD_S)
        client = Gateway(g.world.url).follow()
        told: dict[str, list[str]] = {}
        async with asyncio.timeout(MISSED_S), aclosing(client.messages()) as messages:
            async for message in messages:
                if message["op"] == "state" and message["key"].startswith("sensor/") and message["tracker"] is None:
                    told.setdefault(message["holder"], []).append(message["id"])
                if told.get("free"):
                    break
        spare = told["free"][0]
        status, found = await g.inspect(spare)
        assert (status, found["op"]) == (200, "inspection"), found
        assert found["battery_percent"] is not None
        status, refused = await g.inspect("nonsense")
        assert (status, refused["op"], refused["code"]) == (404, "error", "unknown_sensor")
        held = next(sensor for sensor in (await g.report())["sensors"] if sensor["holder"] == "tracker")
        status, refused = await g.inspect(held["id"], take_link=True)
        assert (status, refused["code"]) == (409, "sensor_not_in_the_air")


async def test_an_asker_who_hangs_up_lets_the_strap_go(bluez: FakeBluez) -> None:
    async with ground(bluez, trackers=2) as g:

        async def spares() -> list[dict[str, Any]]:
            sensors = (await g.report())["sensors"]
            return [sensor for sensor in sensors if sensor["tracker"] is None and sensor["kind"] != "unknown"]

        await asyncio.sleep(HEARD_S)
        spare = (await spares())[0]["id"]
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(g.inspect(spare))
            await asyncio.sleep(5)
            assert spare in [sensor["id"] for sensor in await spares() if sensor["holder"] == "gateway"]
            looking.cancel()
        await asyncio.sleep(5)
        assert spare in [sensor["id"] for sensor in await spares() if sensor["holder"] == "free"], "in the air again"

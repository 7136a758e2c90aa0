"""The whole daemon, its store and its cloud: what a technician does over HTTP, and what becomes of it in the cloud."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import app
from gateway.credentials import Credentials
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.devices import Device
from gateway.simulator.faults import Faults
from gateway.store import StoreLockedError
from insiders_gateway_client.gateway import Gateway
from tests.fakes.clouds import wall_ms
from tests.test_gateway import settings

pytestmark = pytest.mark.looptime

TRACKERS = 4
SPARE = {"address": "a0:9e:1a:8d:3e:81", "name": "Polar H10 8D3E8134"}
OF_FILE = {"address": "d4:3a:2e:00:00:07", "name": "TICKR 0007"}

SETTLED_S = 20.0
"""Until every tracker was read and has brought live data."""

DRIFT_S = 80.0
"""Trackers in which all is well are read once a minute, more or less."""


@pytest.fixture(autouse=True)
def _the_wall_clock_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.parts.utc_ms", wall_ms)


@dataclass
class Club:
    """A cloud that goes on while gateways come and go, with what those keep on the disk."""

    cloud: SimulatedCloud
    served: simulator.RunningCloud
    state_dir: Path
    file: dict[int, dict[str, Any]] = field(default_factory=dict)
    mode: str = "propose"
    source: str = "auto"
    port: int = 0

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[app.Gateway]:
        configured = settings(self.cloud, self.served, self.state_dir, source=self.source)
        trackers = [
            tracker.model_dump() | self.file.get(number, {}) for number, tracker in enumerate(configured.trackers, 1)
        ]
        # Through the validation, as from a file.
        raw = configured.model_dump() | {"trackers": trackers}
        raw["pairing"]["mode"] = self.mode
        credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
        async with app.running(type(configured).model_validate(raw), credentials, {}) as gateway:
            self.port = gateway.port
            await asyncio.sleep(SETTLED_S)
            yield gateway

    def device(self, number: int) -> Device:
        return self.cloud.devices[number - 1]

    async def ask(self, method: str, path: str = "", **body: Any) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self.port}/api/v1/pairings{path}"
        async with aiohttp.ClientSession() as http, http.request(method, url, json=body or None) as answer:
            return answer.status, await answer.json()

    async def set(self, number: int, **body: Any) -> tuple[int, dict[str, Any]]:
        path = f"/trackers/{self.device(number).serial_number}"
        return await self.ask("PATCH", path, during_session=True, author="Kim", **body)

    async def tracker(self, number: int) -> dict[str, Any]:
        status, told = await self.ask("GET", f"/trackers/{self.device(number).serial_number}")
        assert status == 200, told
        return told

    async def comes_to(self, number: int, state: str, within_s: float = 120.0) -> dict[str, Any]:
        told: dict[str, Any] = {}
        try:
            async with asyncio.timeout(within_s):
                while (told := await self.tracker(number))["state"] != state:
                    await asyncio.sleep(1)
        except TimeoutError:
            pytest.fail(f"tracker {number} is {told['state']} and not {state}: {told['text']}")
        return told

    def target(self, number: int) -> Any:
        return self.cloud.bluetooth(self.device(number).device_id).target

    def current(self, number: int) -> Any:
        return self.cloud.bluetooth(self.device(number).device_id).current(self.cloud.now_ms())

    def restart(self, *numbers: int) -> None:
        for number in numbers:
            self.cloud.restart(self.device(number).device_id)

    @property
    def ours(self) -> list[int]:
        """Numbers of the trackers that we have written, in order."""
        numbers = {device.device_id: number for number, device in enumerate(self.cloud.devices, 1)}
        return [numbers[write.device_id] for write in self.cloud.pairing_writes if write.by == "us"]


@asynccontextmanager
async def a_club(state_dir: Path, trackers: int = TRACKERS) -> AsyncIterator[Club]:
    cloud = SimulatedCloud(trackers, 7, Faults(), wall_ms)
    async with simulator.running(cloud) as served:
        yield Club(cloud, served, state_dir)


def sensor(pairing: dict[str, str]) -> dict[str, str]:
    return {"address": pairing["mac_address"], "name": pairing["name"]}


async def test_a_strap_that_is_set_is_the_trackers_when_it_has_restarted(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club, club.gateway():
        await club.comes_to(1, "unmanaged")
        before = club.current(2)
        status, told = await club.set(2, heart_rate=SPARE)
        assert status == 200, told
        told = await club.comes_to(2, "awaiting_device")
        assert "off and on" in told["action"]
        assert sensor(club.target(2)["pairing_1"]) == SPARE
        assert club.current(2) == before
        await asyncio.sleep(600)
        assert club.ours == [2], "waiting is not failing, and never a second write"
        club.restart(2)
        told = await club.comes_to(2, "in_sync")
        assert sensor(club.current(2)["pairing_1"]) == SPARE
        assert club.current(2)["pairing_2"] == before["pairing_2"], "what is not managed stays as it was"
        assert {condition["status"] for condition in told["conditions"] if condition["type"] == "Ready"} == {"true"}
        assert club.ours == [2]


async def test_immediate_sending_needs_no_restart(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club, club.gateway():
        await club.comes_to(1, "unmanaged")
        await club.set(1, heart_rate=SPARE, immediate=True)
        await club.comes_to(1, "in_sync")
        assert sensor(club.current(1)["pairing_1"]) == SPARE


async def test_two_straps_are_exchanged_in_two_steps_after_an_approval(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club:
        first, second = sensor(club.target(1)["pairing_1"]), sensor(club.target(3)["pairing_1"])
        async with club.gateway():
            await club.comes_to(1, "unmanaged")
            status, refused = await club.set(1, heart_rate=second)
            assert (status, refused["code"]) == (409, "sensor_taken")
            exchange = [
                {"serial_number": club.device(1).serial_number, "heart_rate": second, "power": "unmanaged"},
                {"serial_number": club.device(3).serial_number, "heart_rate": first, "power": "unmanaged"},
            ]
            status, plan = await club.ask("PUT", "/team", trackers=exchange, author="Kim", during_session=True)
            assert status == 200, plan
            (group,) = plan["change_sets"]
            assert "swap" in group["why"]
            assert not group["is_approved"]
            await asyncio.sleep(60)
            assert club.ours == [], "nobody has approved it"
            status, refused = await club.ask("POST", "/apply", approve="0" * 12)
            assert (status, refused["code"]) == (409, "plan_changed")
            status, plan = await club.ask("POST", "/apply", approve=group["hash"], author="Kim", during_session=True)
            assert status == 200, plan
            await club.comes_to(1, "awaiting_release")
            await club.comes_to(3, "awaiting_release")
            assert "pairing_1" not in club.target(1)
            assert "pairing_1" not in club.target(3)
            club.restart(1, 3)
            await club.comes_to(1, "awaiting_device")
            await club.comes_to(3, "awaiting_device")
            club.restart(1, 3)
            await club.comes_to(1, "in_sync")
            await club.comes_to(3, "in_sync")
            assert (sensor(club.current(1)["pairing_1"]), sensor(club.current(3)["pairing_1"])) == (second, first)
            assert sorted(club.ours) == [1, 1, 3, 3]


async def test_what_somebody_else_writes_is_shown_and_proposed_back_and_not_overwritten(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club:
        strap = club.target(1)["pairing_1"]
        async with club.gateway():
            await club.comes_to(1, "unmanaged")
            await club.ask("POST", "/adopt", author="Kim")
            await club.comes_to(1, "in_sync")
            club.cloud.write_pairings(club.device(1).device_id, {"pairing_1": None})
            told = await club.comes_to(1, "drifted", DRIFT_S)
            overwritten = [one for one in told["conditions"] if one["reason"] == "OverwrittenByOther"]
            assert [one["status"] for one in overwritten] == ["false"]
            _, plan = await club.ask("GET", "/plan")
            (group,) = plan["change_sets"]
            assert group["why"] == ["drift"]
            assert group["changes"][0]["after"] == sensor(strap)
            await asyncio.sleep(300)
            assert club.ours == []
            await club.ask("POST", "/apply", approve=group["hash"], author="Kim", during_session=True)
            await club.comes_to(1, "in_sync")
            assert club.target(1)["pairing_1"] == strap
            assert club.ours == [1]


async def test_who_speaks_of_one_sensor_says_nothing_of_the_other_that_others_have_changed(
    tmp_path: Path,
) -> None:
    async with a_club(tmp_path) as club, club.gateway():
        strap, meter = ({"address": f"e8:fe:6e:00:00:0{number}", "name": f"New {number}"} for number in (1, 2))
        await club.comes_to(1, "unmanaged")
        await club.set(1, heart_rate=strap, power=meter, immediate=True)
        await club.comes_to(1, "in_sync")
        theirs = {"mac_address": "a0:9e:1a:00:00:09", "name": "Theirs"}
        club.cloud.write_pairings(club.device(1).device_id, {"pairing_1": theirs})
        await club.comes_to(1, "drifted", DRIFT_S)
        await club.set(1, power="none")
        await asyncio.sleep(120)
        assert club.target(1) == {"pairing_1": theirs}, "the power meter is gone, and nothing else"
        told = await club.comes_to(1, "drifted")
        entry = {"serial_number": club.device(1).serial_number, "heart_rate": strap, "power": "none"}
        status, plan = await club.ask("PUT", "/team", trackers=[entry], during_session=True)
        assert (status, [group["why"] for group in plan["change_sets"]]) == (200, [["drift"]])
        await asyncio.sleep(120)
        assert club.target(1) == {"pairing_1": theirs}, "a list that repeats what is wanted changes nothing"
        status, refused = await club.set(1, power="none")
        assert (status, refused["code"]) == (409, "nothing_to_do")
        await club.set(1, heart_rate=strap)
        await club.comes_to(1, "awaiting_device")
        assert sensor(club.target(1)["pairing_1"]) == strap
        assert told["generation"] == 2


async def test_a_gateway_that_starts_again_knows_what_was_wanted_and_writes_nothing_twice(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club:
        async with club.gateway():
            await club.comes_to(1, "unmanaged")
            await club.set(1, heart_rate=SPARE, reason="hers is broken")
            await club.comes_to(1, "awaiting_device")
        for _ in range(3):
            async with club.gateway():
                told = await club.comes_to(1, "awaiting_device")
                await asyncio.sleep(30)
                assert told["slots"][0]["desired"] == SPARE
                assert any("hers is broken" in event["text"] for event in told["events"])
        assert club.ours == [1]


async def test_the_configuration_decides_where_it_says_something(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club:
        club.file = {4: {"heart_rate_sensor": OF_FILE, "power_meter": "none"}}
        async with club.gateway():
            told = await club.comes_to(4, "awaiting_approval")
            assert told["managed_by"] == "file"
            status, refused = await club.set(4, heart_rate=SPARE)
            assert (status, refused["code"]) == (409, "file_managed")
            assert "heart_rate_sensor" in refused["text"]
            _, plan = await club.ask("GET", "/plan")
            await club.ask("POST", "/apply", approve=plan["hash"], author="Kim", during_session=True)
            await club.comes_to(4, "awaiting_device")
            assert sensor(club.target(4)["pairing_1"]) == OF_FILE
            assert "pairing_2" not in club.target(4)
        club.file = {}
        async with club.gateway():
            told = await club.comes_to(4, "unmanaged")
            assert sensor(club.target(4)["pairing_1"]) == OF_FILE, "what the file no longer says is left alone"
        assert club.ours == [4]


async def test_while_athletes_train_a_command_is_refused_loudly(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club, club.gateway():
        await club.comes_to(1, "unmanaged")
        async with asyncio.timeout(300):
            while (await club.ask("GET"))[1]["session_until_ms"] is None:
                await asyncio.sleep(1)
        status, refused = await club.ask("PATCH", f"/trackers/{club.device(1).serial_number}", heart_rate=SPARE)
        assert (status, refused["code"]) == (409, "session_running")
        assert "during" in refused["text"]
        assert club.ours == []


async def test_laptops_are_told_how_each_tracker_stands(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club, club.gateway() as gateway:
        await club.comes_to(1, "unmanaged")
        await club.set(1, heart_rate=SPARE)
        await club.comes_to(1, "awaiting_device")
        await asyncio.sleep(2)
        url = f"ws://127.0.0.1:{gateway.port}/api/v1/stream"
        async with aclosing(Gateway(url).follow().messages()) as messages:
            async for message in messages:
                if message["op"] == "state" and message["key"] == f"pairing/{club.device(1).serial_number}":
                    assert message["value"] == "awaiting_device"
                    assert "off and on" in message["action"]
                    break


async def test_while_the_cloud_is_away_nobody_is_sent_to_a_tracker(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club:
        club.source = "poll"  # a websocket that stands would still bring rows
        async with club.gateway():
            await club.set(1, heart_rate=SPARE)
            await club.comes_to(1, "awaiting_device")
            club.cloud.faults = club.cloud.faults.merged({"error_fraction": 1.0})
            await asyncio.sleep(45)
            status, told = await club.set(2, heart_rate=OF_FILE)
            assert (status, told["state"]) == (200, "backoff")
            for number in (1, 2):
                told = await club.tracker(number)
                assert "so changes wait" in told["text"]
                assert not [one["action"] for one in told["conditions"] if "switch" in one["action"]]
            assert club.ours == [1]
            club.cloud.faults = Faults()
            await club.comes_to(2, "awaiting_device")
            assert club.ours == [1, 2]


async def test_what_was_said_once_of_a_session_and_of_haste_does_not_last(tmp_path: Path) -> None:
    """A word is about fulfilling a wish: that it is defended later, in another session, is another matter."""
    async with a_club(tmp_path) as club:
        club.mode = "enforce"
        async with club.gateway():
            await club.comes_to(1, "unmanaged")
            await club.set(1, heart_rate=SPARE, immediate=True)
            await club.comes_to(1, "in_sync")
            club.cloud.write_pairings(club.device(1).device_id, {"pairing_1": None})
            told = await club.comes_to(1, "suspended", DRIFT_S)
            assert "Athletes train" in told["text"]
            assert club.ours == [1]
            await club.set(1, heart_rate=SPARE)
            await club.comes_to(1, "in_sync")
            assert club.ours == [1, 1], "a person has said it again"


async def test_a_gateway_that_is_started_in_the_middle_of_a_session_looks_before_it_writes(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club:
        async with club.gateway():
            await club.comes_to(1, "unmanaged")
        club.file = {1: {"heart_rate_sensor": OF_FILE}}
        async with club.gateway():
            await asyncio.sleep(60)
            assert (await club.tracker(1))["state"] == "suspended"
        assert club.ours == []


async def test_what_the_cloud_refused_once_is_sent_again_only_if_a_person_says_so(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club, club.gateway():
        await club.comes_to(1, "unmanaged")
        club.cloud.faults = Faults(bluetooth_rejects="everything", bluetooth_rejection_status=404)
        await club.set(1, heart_rate=SPARE)
        await club.comes_to(1, "rejected")
        club.cloud.faults = Faults()
        await asyncio.sleep(300)
        assert club.ours == []
        await club.ask("POST", f"/trackers/{club.device(1).serial_number}/retry", author="Kim")
        await club.comes_to(1, "awaiting_device")
        assert club.ours == [1]


async def test_two_gateways_never_share_a_state_folder(tmp_path: Path) -> None:
    async with a_club(tmp_path) as club, club.gateway():
        with pytest.raises(StoreLockedError, match="Another gateway uses"):
            async with club.gateway():
                pass


async def test_two_gateways_on_one_account_stop_fighting_and_say_so(tmp_path: Path) -> None:
    """Each wants another strap for the same tracker, and both are told to enforce it."""
    async with a_club(tmp_path, trackers=1) as club:
        club.mode = "enforce"
        club.cloud.faults = Faults(no_fix_fraction=1.0)  # nobody is seen to run, so no session keeps them apart
        other = Club(club.cloud, club.served, tmp_path / "other", mode="enforce")
        async with club.gateway() as one, other.gateway() as two:
            await club.comes_to(1, "unmanaged")
            await other.comes_to(1, "unmanaged")
            await club.set(1, heart_rate=SPARE)
            await other.set(1, heart_rate=OF_FILE)
            await asyncio.sleep(900)
            told = [await club.tracker(1), await other.tracker(1)]
            reasons = {condition["reason"] for tracker in told for condition in tracker["conditions"]}
            assert "DuplicateController" in reasons
            assert "pairing_rival" in {problem.code for gateway in (one, two) for problem in gateway.problems}
            written = len(club.ours)
            assert written <= 8
            await asyncio.sleep(600)
            assert len(club.ours) == written, "nobody fights any more"

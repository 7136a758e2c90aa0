"""The whole daemon and its releases, in virtual time: of who is not released it holds and sends nothing."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway import app
from gateway.config import AccessSettings, TelemetrySettings, TrackerSettings
from gateway.credentials import Credentials
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.telemetry.channel import Channel
from insiders_codecs.packing import ROW
from tests.test_gateway import START_MS, settings, until

pytestmark = pytest.mark.looptime

ADA, BO, EVE = "Ada Quillfeather", "Bo Thistlewood", "Eve Marrowby"
TEAM = (ADA, BO, EVE)
BASIS = "consent signed"


@dataclass
class Laptop:
    """A client that follows everybody, and writes down when it was told what."""

    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def rows(self, ch: int) -> list[tuple[float, int]]:
        """When rows of a channel came, and the number of the last of each run."""
        return [
            (at_s, block["n0"] + block["rows"] - 1)
            for at_s, message in self.told
            if message["op"] in {"snap", "d"}
            for block in message["blocks"]
            if block["ch"] == ch
        ]

    def channel(self, ch: int) -> dict[str, Any]:
        told = [message["channels"] for _, message in self.told if message["op"] == "channels"]
        newest: dict[str, Any] = [channel for channels in told for channel in channels if channel["ch"] == ch][-1]
        return newest

    def state(self, ch: int) -> str:
        states = [message for _, message in self.told if message["op"] == "state" and message.get("ch") == ch]
        return str(states[-1]["value"])


@dataclass
class World:
    """A cloud and a gateway that asks for releases."""

    cloud: SimulatedCloud
    gateway: app.Gateway
    http: aiohttp.ClientSession

    def channel(self, ch: int) -> Channel:
        return self.gateway.feed.channels[ch]

    async def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.gateway.port}/api/v1/{path}"
        headers = {"Accept": "application/json"}
        async with self.http.request(method, url, json=body or None, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            told: dict[str, Any] = await answer.json()
            return told

    async def give(self, *athletes: str) -> dict[str, Any]:
        return await self.ask("PUT", "releases", athletes=athletes, basis=BASIS)

    async def withdraw(self, *athletes: str) -> dict[str, Any]:
        return await self.ask("POST", "releases/withdraw", athletes=athletes)

    @asynccontextmanager
    async def laptop(self) -> AsyncIterator[Laptop]:
        laptop, now = Laptop(), asyncio.get_running_loop().time

        async def follow() -> None:
            async for message in stream:
                laptop.told.append((now(), message.json()))

        async with (
            self.http.ws_connect(f"http://127.0.0.1:{self.gateway.port}/api/v1/stream") as stream,
            asyncio.TaskGroup() as tasks,
        ):
            following = tasks.create_task(follow())
            await stream.send_json({"op": "sub", "sub": 1, "columns": ["heart_rate", "speed"]})
            await asyncio.sleep(0.5)
            yield laptop
            following.cancel()


@asynccontextmanager
async def simulated() -> AsyncIterator[tuple[SimulatedCloud, simulator.RunningCloud]]:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    cloud = SimulatedCloud(len(TEAM), 7, Faults(), lambda: START_MS + round((loop.time() - began_s) * 1000))
    async with simulator.running(cloud) as served:
        yield cloud, served


@asynccontextmanager
async def started(
    cloud: SimulatedCloud,
    served: simulator.RunningCloud,
    folder: Path,
    team: Sequence[str] = TEAM,
    *,
    is_required: bool = True,
) -> AsyncIterator[World]:
    configured = settings(cloud, served, folder).model_copy(
        update={
            "access": AccessSettings(open_on_loopback=True, require_release=is_required),
            "telemetry": TelemetrySettings(ring_minutes=10, refill_minutes=10),
            "trackers": tuple(
                TrackerSettings(serial_number=device.serial_number, device_name=device.device_name, athlete=athlete)
                for device, athlete in zip(cloud.devices, team, strict=True)
            ),
        }
    )
    credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
    connector = aiohttp.TCPConnector(force_close=True)  # the clock jumps far beyond the time that one is kept alive
    async with app.running(configured, credentials, {}) as gateway, aiohttp.ClientSession(connector=connector) as http:
        yield World(cloud, gateway, http)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with simulated() as (cloud, served), started(cloud, served, folder) as running:
        yield running


def found_in_memory(hex_rows: Sequence[str]) -> int:
    """How many of these packed rows lie anywhere in what this process has written, as another one sees it.

    Another one, because a search would find what it is looking for in its own hands.
    """
    gc.collect()
    searching = [sys.executable, "-c", _SEARCH, str(os.getpid())]
    done = subprocess.run(searching, input="\n".join(hex_rows), capture_output=True, text=True, timeout=60, check=False)
    if "PermissionError" in done.stderr:
        pytest.skip("no process may look into another one's memory here")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


_SEARCH = """
import sys
rows = [bytes.fromhex(row) for row in sys.stdin.read().split()]
found = 0
with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory:
    for line in maps:
        place, rights, _, _, inode, *name = line.split()
        if rights.startswith("rw") and inode == "0" and (not name or name[0] == "[heap]"):
            start, stop = (int(edge, 16) for edge in place.split("-"))
            memory.seek(start)
            held = memory.read(stop - start)
            found += sum(held.count(row) for row in rows)
print(found)
"""


# --- default closed --------------------------------------------------------------------------------------------------


async def test_nobody_is_asked_for_kept_or_named_before_a_release(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.laptop() as laptop:
        await until(lambda: bool(w.gateway.feed.devices) or w.gateway.claims.revision > 0)
        await asyncio.sleep(60)
        assert {claim.status.value for claim in w.gateway.claims.current} == {"owned"}
        for name in ("latest_data", "latest_timestamp", "preprocessed_data", "preprocessed_ranges", "live_data"):
            assert w.cloud.requests[name] == 0, name
        for ch in w.gateway.feed.channels:
            assert (laptop.channel(ch)["name"], laptop.channel(ch)["released"], laptop.state(ch)) == (
                None,
                False,
                "unreleased",
            )
            assert (laptop.rows(ch), len(w.channel(ch).ring)) == ([], 0)


async def test_a_release_is_followed_within_seconds_and_brings_nothing_measured_before(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.laptop() as laptop:
        await asyncio.sleep(60)
        given_ms, given_s = w.cloud.now_ms(), asyncio.get_running_loop().time()
        report = await w.give(BO)
        assert [it["is_released"] for it in report["athletes"]] == [False, True, False]
        await until(lambda: bool(laptop.rows(2)), within_s=10)
        assert laptop.rows(2)[0][0] - given_s < 6
        await asyncio.sleep(120)
        held = w.channel(2).ring.between(0, 2**44).t_ms
        assert held.min() >= given_ms - 1000, "the cloud's clock is known to a second"
        assert held.min() < given_ms + 2000
        assert len(held) > 1100
        assert (laptop.channel(2)["name"], laptop.state(2)) == (BO, "live")
        assert [len(w.channel(ch).ring) for ch in (1, 3)] == [0, 0]
        gaps = await w.ask("GET", "gaps")
        assert BO in str(gaps)
        assert all(athlete not in str(gaps) for athlete in (ADA, EVE))


# --- withdrawn -------------------------------------------------------------------------------------------------------


async def test_a_withdrawal_leaves_zeros_and_no_packed_row_anywhere_in_memory(tmp_path: Path) -> None:
    """What was being sent at that time aside, which nobody is here for."""
    async with world(tmp_path) as w:
        await w.give(ADA, BO)
        await asyncio.sleep(90)
        raw = w.channel(1).ring._table.raw
        held = ["".join(f"{octet:02x}" for octet in row) for row in raw[1 : w.channel(1).ring.newest : 97].tolist()]
        assert len(held) > 5
        assert found_in_memory(held) >= len(held), "the search finds what is there"
        await w.withdraw(ADA)
        assert not raw.any()
        await asyncio.sleep(30)
        assert not raw.any()
        assert found_in_memory(held) == 0


async def test_a_withdrawal_stops_the_stream_within_two_seconds_and_laptops_are_told_to_forget(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.laptop() as laptop:
        await w.give(ADA, BO)
        await asyncio.sleep(60)
        assert laptop.state(1) == "live"
        withdrawn_s = asyncio.get_running_loop().time()
        await w.withdraw(ADA)
        newest = w.channel(1).ring.withdrawn
        await asyncio.sleep(30)
        assert newest >= laptop.rows(1)[-1][1]
        assert laptop.rows(1)[-1][0] - withdrawn_s < 2
        told = laptop.channel(1)
        assert (told["name"], told["device_id"], told["released"], told["withdrawn"]) == (None, None, False, newest)
        assert laptop.state(1) == "unreleased"
        assert (laptop.state(2), laptop.rows(2)[-1][0] > withdrawn_s + 25) == ("live", True)
        history = await w.ask("GET", f"history?device={w.channel(2).wearer.serial_number}&from=0&to={2**43}")
        assert history["blocks"]


async def test_withdrawn_while_its_past_is_on_the_way_nothing_of_it_arrives(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.give(ADA)
        await asyncio.sleep(30)
        w.cloud.faults = w.cloud.faults.merged({"latency_ms": 1500.0})
        w.channel(1).gaps.began(w.cloud.now_ms() - 300_000)
        async with asyncio.timeout(120):
            while not w.cloud.requests["preprocessed_data"]:
                await asyncio.sleep(0.05)
        await w.withdraw(ADA)
        await asyncio.sleep(60)
        assert not w.channel(1).ring._table.raw.any()
        assert w.gateway.problems is not None
        report = await w.ask("GET", "releases")
        assert not report["athletes"][0]["is_released"]


async def test_withdrawn_and_given_again_it_begins_with_what_is_measured_from_then_on(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.laptop() as laptop:
        await w.give(ADA)
        await asyncio.sleep(60)
        await w.withdraw(ADA)
        before = w.channel(1).ring.withdrawn
        assert before > 500
        await asyncio.sleep(20)
        given_ms = w.cloud.now_ms()
        await w.give(ADA)
        await asyncio.sleep(60)
        held = w.channel(1).ring.between(0, 2**44).t_ms
        assert held.min() >= given_ms - 1000
        assert len(held) > 500
        assert w.channel(1).ring.oldest == before + 1, "numbers go on"
        assert (laptop.channel(1)["name"], laptop.channel(1)["withdrawn"]) == (ADA, before)


# --- over a restart --------------------------------------------------------------------------------------------------


async def test_a_restart_keeps_the_releases_and_the_rows_of_those_who_have_one(tmp_path: Path) -> None:
    async with simulated() as (cloud, served):
        async with started(cloud, served, tmp_path) as w:
            await w.give(ADA, BO)
            await asyncio.sleep(30)
            await w.withdraw(BO)
            rows = len(w.channel(1).ring)
        kept = (tmp_path / app.SNAPSHOT).read_bytes()
        assert len(kept) < (rows + 100) * ROW.itemsize, "of who is not released there is no row on the disk"
        async with started(cloud, served, tmp_path) as w:
            assert len(w.channel(1).ring) >= rows
            assert not (tmp_path / app.SNAPSHOT).exists()
            await asyncio.sleep(30)
            assert len(w.channel(1).ring) > rows + 200
            assert len(w.channel(2).ring) == 0


async def test_a_withdrawal_in_the_last_moment_is_not_written_to_the_disk_at_the_stop(tmp_path: Path) -> None:
    async with simulated() as (cloud, served):
        async with started(cloud, served, tmp_path) as w:
            await w.give(ADA)
            await asyncio.sleep(60)
            assert len(w.channel(1).ring) > 500
            await w.withdraw(ADA)
        assert (tmp_path / app.SNAPSHOT).stat().st_size < 500 * ROW.itemsize


@pytest.mark.parametrize("is_required", [True, False])
async def test_a_tracker_that_is_given_to_another_shows_nothing_of_who_wore_it_before(
    tmp_path: Path, is_required: bool
) -> None:
    async with simulated() as (cloud, served):
        async with started(cloud, served, tmp_path, is_required=is_required) as w:
            await w.give(*TEAM)
            await asyncio.sleep(60)
            assert len(w.channel(1).ring) > 500
        swapped_ms = cloud.now_ms()
        async with started(cloud, served, tmp_path, (BO, ADA, EVE), is_required=is_required) as w:
            assert (len(w.channel(1).ring), len(w.channel(3).ring) > 500) == (0, True)
            await asyncio.sleep(90)
            for ch in (1, 2):
                held = w.channel(ch).ring.between(0, 2**44).t_ms
                assert len(held) > 500
                assert held.min() >= swapped_ms - 1000
            assert w.channel(3).ring.between(0, swapped_ms - 30_000).t_ms.size > 0


async def test_a_gateway_that_asks_for_releases_from_now_on_drops_what_it_held_without(tmp_path: Path) -> None:
    async with simulated() as (cloud, served):
        async with started(cloud, served, tmp_path, is_required=False) as w:
            await asyncio.sleep(60)
            assert len(w.channel(1).ring) > 500
        async with started(cloud, served, tmp_path) as w:
            await asyncio.sleep(30)
            assert [len(channel.ring) for channel in w.gateway.feed.channels.values()] == [0, 0, 0]
        assert (tmp_path / app.SNAPSHOT).stat().st_size < 100 * ROW.itemsize

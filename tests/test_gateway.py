"""The whole daemon against the simulated cloud, over real sockets, in virtual time.

Both run in one event loop whose clock jumps whenever nobody has anything to do, so minutes of a session take seconds
and no test depends on how fast the machine is. The simulator's world follows the same clock.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import aiohttp
import numpy as np
import pytest

from gateway import app, wall_clock
from gateway.config import Settings
from gateway.credentials import Credentials
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.telemetry.channel import Channel, Presence
from insiders_codecs.samples import Column
from insiders_gateway_client.following import Subscription
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.messages import Codec, Message

pytestmark = pytest.mark.looptime

START_MS = 1_795_000_000_000
TRACKERS = 6

# The names of the simulator's rows: written down here once more, so that a slip in the decoder cannot hide.
KEYS = {
    "gnss.latitude": Column.LATITUDE,
    "gnss.longitude": Column.LONGITUDE,
    "gnss.altitude": Column.ALTITUDE,
    "gnss.speed": Column.SPEED,
    "ecg.hr": Column.HEART_RATE,
    "pwr.pwr_instantpower": Column.POWER,
    "pwr.pwr_cadence": Column.CADENCE,
    "device.Bat_lvl": Column.BATTERY,
    "device.standstill": Column.STANDSTILL,
}


def settings(
    cloud: SimulatedCloud, served: simulator.RunningCloud, state_dir: Path, *, has_radio: bool = False, **telemetry: Any
) -> Settings:
    return Settings.model_validate(
        {
            "gateway": {"site": "Test", "state_dir": state_dir},
            "telemetry": {"refill_minutes": 0, **telemetry},
            "cloud": {
                "api_url": served.api_url,
                "token_url": served.token_url,
                "websocket_url": served.websocket_url,
                "username": simulator.USERNAME,
                "client_id": simulator.CLIENT_ID,
            },
            "bluetooth": {"enabled": has_radio},
            "live": {"port": 0},
            "access": {"open_on_loopback": True, "require_release": False},
            "trackers": [
                {"serial_number": device.serial_number, "device_name": device.device_name, "number": number}
                for number, device in enumerate(cloud.devices, start=1)
            ],
        }
    )


@dataclass
class World:
    """A cloud and a gateway that run together."""

    cloud: SimulatedCloud
    served: simulator.RunningCloud
    gateway: app.Gateway
    started_ms: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.port}/api/v1/stream"

    def channel(self, number: int) -> Channel:
        return self.gateway.feed.channels[number]

    def device_id(self, number: int) -> int:
        return self.cloud.devices[number - 1].device_id

    def faults(self, **knobs: Any) -> None:
        self.cloud.faults = self.cloud.faults.merged(knobs)

    async def control(self, path: str, **body: Any) -> None:
        async with aiohttp.ClientSession() as http, http.post(self.served.control_url + path, json=body) as answer:
            assert answer.status < 300, await answer.text()

    def truth(self, number: int, until_ms: int) -> dict[int, dict[str, Any]]:
        """All the cloud has of a tracker since the first row the gateway got of it, by time."""
        held = self.channel(number).ring.between(0, 2**44).t_ms
        rows = self.cloud.truth(self.device_id(number), int(held[0]), until_ms)
        return {row["gnss.timestamp"]: row for row in rows}  # type: ignore[misc]


@asynccontextmanager
async def world(
    faults: Faults | None = None,
    trackers: int = TRACKERS,
    environ: Mapping[str, str] = MappingProxyType({}),
    **telemetry: Any,
) -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    def now_ms() -> int:
        return START_MS + round((loop.time() - began_s) * 1000)

    cloud = SimulatedCloud(trackers, 7, faults or Faults(), now_ms)
    with TemporaryDirectory() as state_dir:
        async with simulator.running(cloud) as served:
            credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
            configured = settings(cloud, served, Path(state_dir), **telemetry)
            async with app.running(configured, credentials, environ) as gateway:
                yield World(cloud, served, gateway, now_ms())


def assert_rings_equal_the_cloud(world: World, until_ms: int) -> None:
    """Every row the cloud has is in the ring, once, with the same numbers, and nothing else is."""
    for number in world.gateway.feed.channels:
        truth = world.truth(number, until_ms)
        held = world.channel(number).ring.between(0, until_ms + 1)
        assert held.t_ms.tolist() == sorted(truth), f"channel {number}"
        for key, column in KEYS.items():
            expected = [truth[t_ms].get(key) for t_ms in held.t_ms.tolist()]
            np.testing.assert_array_equal(held.column(column), np.array(expected, np.float64), err_msg=key)


async def until(is_so: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait in virtual time until something has become true."""
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.1)


async def test_every_tracker_is_claimed_and_its_rows_are_those_of_the_cloud() -> None:
    async with world() as w:
        await asyncio.sleep(60)
        assert {claim.status.value for claim in w.gateway.claims.current} == {"owned"}
        assert [
            channel.presence(asyncio.get_running_loop().time()) for channel in w.gateway.feed.channels.values()
        ] == [Presence.LIVE] * TRACKERS
        assert_rings_equal_the_cloud(w, w.cloud.now_ms() - 5000)
        assert all(channel.counters.rows > 500 for channel in w.gateway.feed.channels.values())


NASTY = {
    "throttled": {"throttle_rate_per_s": 4.0, "throttle_burst": 6},
    "throttled with dates": {"throttle_rate_per_s": 4.0, "throttle_burst": 6, "retry_after": "date"},
    "late batches": {"late_fraction": 0.3, "late_s": 12.0},
    "failing": {"error_fraction": 0.2, "error_body": "html"},
    "cut bodies": {"truncated_fraction": 0.2},
    "nulls, repeats and unknown fields": {
        "missing": "null",
        "duplicate_fraction": 0.2,
        "unknown_field_fraction": 0.3,
    },
}


@pytest.mark.parametrize("source", ["poll", "websocket", "auto"])
@pytest.mark.parametrize("knobs", NASTY.values(), ids=NASTY.keys())
async def test_the_rings_equal_the_cloud_whatever_it_does(knobs: dict[str, Any], source: str) -> None:
    async with world(Faults().merged(knobs), source=source) as w:
        await until(lambda: all(len(channel.ring) for channel in w.gateway.feed.channels.values()))
        await asyncio.sleep(90)
        end_ms = w.cloud.now_ms()
        w.cloud.faults = Faults()
        await asyncio.sleep(25)
        assert_rings_equal_the_cloud(w, end_ms)


async def test_throttling_revoked_tokens_and_late_batches_together_cost_no_row() -> None:
    async with world(Faults().merged({"late_fraction": 0.2, "late_s": 8.0, "latency_ms": 20.0})) as w:
        await until(lambda: all(len(channel.ring) for channel in w.gateway.feed.channels.values()))
        for _ in range(4):
            await asyncio.sleep(10)
            await w.control("tokens/revoke")
            w.faults(throttle_rate_per_s=4.0, throttle_burst=4)
            await asyncio.sleep(10)
            w.faults(throttle_rate_per_s=60.0, throttle_burst=120)
        end_ms = w.cloud.now_ms()
        w.cloud.faults = Faults()
        await asyncio.sleep(25)
        assert w.cloud.statuses[429] > 0
        assert w.cloud.statuses[401] >= 4
        assert_rings_equal_the_cloud(w, end_ms)
        assert sum(channel.counters.rows_late for channel in w.gateway.feed.channels.values()) > 0


@pytest.mark.parametrize("order", ["oldest_first", "newest_first", "interleaved"])
async def test_a_backlog_shorter_than_the_window_arrives_whole_in_any_order(order: str) -> None:
    async with world(Faults().merged({"backlog_order": order})) as w:
        await asyncio.sleep(20)
        await w.control(f"devices/{w.device_id(1)}/network", connected=False)
        await asyncio.sleep(12)
        assert w.channel(1).presence(asyncio.get_running_loop().time()) is Presence.LOST
        await w.control(f"devices/{w.device_id(1)}/network", connected=True)
        end_ms = w.cloud.now_ms()
        await asyncio.sleep(20)
        assert_rings_equal_the_cloud(w, end_ms)
        assert w.channel(1).presence(asyncio.get_running_loop().time()) is Presence.LIVE


async def test_an_outage_longer_than_the_window_is_told_as_a_gap_and_repaired_from_history() -> None:
    async with world(source="poll") as w:
        await asyncio.sleep(20)
        w.faults(error_fraction=1.0)
        await asyncio.sleep(60)
        assert [(gap.state.value, gap.reason.value) for gap in w.channel(1).gaps.gaps] == [("open", "upstream_outage")]
        w.faults(error_fraction=0.0)
        await until(lambda: w.channel(1).gaps.gaps[0].state.value == "closed")
        await until(lambda: all(ch.gaps.gaps[0].state.value == "repaired" for ch in w.gateway.feed.channels.values()))
        (gap,) = w.channel(1).gaps.gaps
        assert gap.rows == 0
        assert 300 <= gap.rows_repaired <= 700
        await asyncio.sleep(10)
        assert_rings_equal_the_cloud(w, w.cloud.now_ms() - 5000)


async def test_a_tracker_that_is_taken_from_us_falls_silent_and_its_samples_are_forgotten() -> None:
    async with world() as w:
        await asyncio.sleep(20)
        await w.control(f"devices/{w.device_id(2)}/move", to="other")
        await asyncio.sleep(3)
        now_s = asyncio.get_running_loop().time()
        assert w.channel(2).presence(now_s) is Presence.UNCLAIMED
        assert len(w.channel(2).ring) == 0
        await asyncio.sleep(5)
        assert [problem.code for problem in w.gateway.problems] == ["tracker_foreign"]
        assert w.channel(1).presence(asyncio.get_running_loop().time()) is Presence.LIVE
        polls, rows = w.channel(2).counters.polls, w.channel(1).counters.rows
        await asyncio.sleep(60)
        assert w.channel(2).counters.polls == polls, "what is not ours is not asked for"
        assert w.cloud.statuses[403] < 15, "no storm of refused requests"
        assert w.channel(1).counters.rows - rows > 580, "the others go on"
        await w.control(f"devices/{w.device_id(2)}/move", to="ours")
        await asyncio.sleep(330)
        assert w.channel(2).presence(asyncio.get_running_loop().time()) is Presence.LIVE
        assert list(w.gateway.problems) == []


async def test_a_sleeping_tracker_is_polled_rarely_and_found_when_it_wakes() -> None:
    async with world(trackers=1) as w:
        await asyncio.sleep(20)
        await w.control(f"devices/{w.device_id(1)}/power", on=False)
        await asyncio.sleep(120)
        before = w.cloud.requests["latest_data"]
        await asyncio.sleep(120)
        assert w.cloud.requests["latest_data"] - before <= 10
        await w.control(f"devices/{w.device_id(1)}/power", on=True)
        woke_ms = w.cloud.now_ms()
        await asyncio.sleep(30)
        truth = w.cloud.truth(w.device_id(1), woke_ms, w.cloud.now_ms() - 5000)
        held = w.channel(1).ring.between(woke_ms, w.cloud.now_ms() - 4999)
        assert held.t_ms.tolist() == [row["gnss.timestamp"] for row in truth]
        assert len(truth) > 100


@pytest.mark.parametrize("codec", Codec)
async def test_a_client_that_is_cut_off_again_and_again_has_every_row_once(codec: Codec) -> None:
    async with world() as w, cut_every(7.0, w.gateway.port) as port:
        client = Gateway(str(port)).follow(Subscription(last_s=5.0), codec)
        got: dict[int, list[int]] = {}
        seen: list[Message] = []
        end_s = asyncio.get_running_loop().time() + 60
        async with aclosing(client.messages()) as messages:
            async for message in messages:
                seen.append(message)
                for run in client.rows(message) if message["op"] in {"snap", "d"} else ():
                    got.setdefault(run.ch, []).extend(range(run.n0, run.last + 1))
                if asyncio.get_running_loop().time() > end_s:
                    break
        assert sum(message["op"] == "disconnected" for message in seen) >= 5
        verdicts = {
            channel["recovered"] for message in seen if message["op"] == "sub_ok" for channel in message["channels"]
        }
        assert verdicts == {"fresh", "exact"}
        assert set(got) == set(w.gateway.feed.channels)
        for ch, numbers in got.items():
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"channel {ch}"
            assert w.channel(ch).ring.newest - numbers[-1] <= 120


async def test_both_codecs_tell_the_same_story() -> None:
    async with world(trackers=2) as w:
        await asyncio.sleep(20)
        stories = []
        for codec in Codec:
            client = Gateway(w.url).follow(Subscription(last_s=15.0), codec)
            story: dict[tuple[int, int], list[float]] = {}
            async with aclosing(client.messages()) as messages:
                async for message in messages:
                    for run in client.rows(message) if message["op"] == "snap" else ():
                        for row in range(len(run)):
                            story[run.ch, run.n0 + row] = [float(values[row]) for values in run.columns.values()]
                    if message.get("end"):
                        break
            stories.append(story)
        common = stories[0].keys() & stories[1].keys()
        assert len(common) > 250
        for key in common:
            np.testing.assert_array_equal(stories[0][key], stories[1][key])


async def test_the_gateway_starts_without_a_cloud_and_finds_it_later() -> None:
    async with world(Faults().merged({"error_fraction": 1.0})) as w:
        await asyncio.sleep(30)
        assert [problem.code for problem in w.gateway.problems] == ["trackers_unchecked"]
        client = Gateway(w.url).follow()
        async with aclosing(client.messages()) as messages:
            async for message in messages:
                if message["op"] == "state" and message["key"].startswith("problem/"):
                    assert message["value"] == "open"
                    assert message["action"]
                    break
        w.faults(error_fraction=0.0)
        await until(lambda: all(len(channel.ring) for channel in w.gateway.feed.channels.values()), 120)
        await asyncio.sleep(2)
        assert list(w.gateway.problems) == []
        told = await first_words(w, "snap")
        assert [message["value"] for message in told if message.get("key", "").startswith("problem/")] == ["gone"]


async def test_a_cloud_that_answers_nobody_is_one_problem_within_ten_seconds_and_none_when_it_is_back() -> None:
    async with world(source="poll") as w:
        await asyncio.sleep(20)
        w.faults(error_fraction=1.0)
        await asyncio.sleep(3)
        assert list(w.gateway.problems) == [], "a hiccup is no problem"
        await asyncio.sleep(7)
        assert [problem.code for problem in w.gateway.problems] == ["cloud_failing"]
        w.faults(error_fraction=0.0)
        await asyncio.sleep(20)
        assert list(w.gateway.problems) == []


async def test_counters_say_what_happened() -> None:
    async with world(Faults().merged({"error_fraction": 0.3})) as w:
        await asyncio.sleep(30)
        url = f"http://127.0.0.1:{w.gateway.port}/api/v1/counters"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            counters = await answer.json()
        assert counters["channels"][0]["rows"] == w.channel(1).counters.rows
        assert sum(channel["polls_failed"] for channel in counters["channels"]) > 0
        assert counters["pairings"] == {"records_rejected": 0, "events_lost": 0}


async def first_words(world: World, last: str) -> list[Message]:
    """What a client that connects now is told up to a message."""
    told = []
    async with asyncio.timeout(10), aclosing(Gateway(world.url).follow().messages()) as messages:
        async for message in messages:
            told.append(message)
            if message["op"] == last:
                break
    return told


async def test_hello_says_how_far_back_the_past_reaches_and_counters_how_much_of_it_is_here() -> None:
    async with world(trackers=1) as w:
        await asyncio.sleep(10)
        hello = (await first_words(w, "hello"))[0]
        assert (hello["site"], hello["ring_span_s"]) == ("Test", 1800)
        url = f"http://127.0.0.1:{w.gateway.port}/api/v1/counters"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            (channel,) = (await answer.json())["channels"]
        assert (channel["oldest"], channel["newest"]) == (1, channel["rows"])


async def test_systemd_is_told_of_the_start_and_of_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        async with world(trackers=1, environ={"NOTIFY_SOCKET": str(path)}) as w:
            ready = manager.recv(1000).decode()
            assert ready == f"READY=1\nSTATUS=Live stream on port {w.gateway.port}, 1 trackers configured"
            # Longer than any part may stay silent: each one turns, or the watchdog would starve.
            await asyncio.sleep(60)
        manager.setblocking(False)
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(manager.recv(1000).decode())
    assert told[-1] == "STOPPING=1"
    assert told.count("WATCHDOG=1") >= 4


@pytest.mark.parametrize(("made", "synced"), [((), None), (("",), False), (("", "synchronized"), True)])
def test_the_clock_is_known_to_be_right_only_where_systemd_says_so(
    tmp_path: Path, made: tuple[str, ...], synced: bool | None
) -> None:
    timesync = tmp_path / "timesync"
    for name in made:
        (timesync / name).touch() if name else timesync.mkdir()
    assert wall_clock.is_clock_synced(timesync) is synced


@pytest.mark.parametrize(
    ("synced", "ahead_ms", "sure"),
    [
        (True, None, True),
        (True, 50 * 365 * 86_400_000, True),
        (None, None, True),
        (None, -59_000, True),
        (None, -61_000, False),
        (None, 61_000, False),
        (False, None, False),
        (False, 59_000, True),
        (False, 61_000, False),
    ],
)
def test_the_clock_is_sure_unless_systemd_or_the_cloud_denies_it(
    synced: bool | None, ahead_ms: int | None, sure: bool
) -> None:
    cloud_ms = 1_700_000_000_000
    reference_ms = None if ahead_ms is None else cloud_ms
    assert wall_clock.is_clock_sure(cloud_ms + (ahead_ms or 0), reference_ms, is_synced=synced) is sure


@asynccontextmanager
async def cut_every(period_s: float, port: int) -> AsyncIterator[int]:
    """A TCP relay that breaks every connection after a while, wherever it is."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(1500):
                sink.write(data)
                await sink.drain()

        try:
            async with asyncio.timeout(period_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(copy(reader, far_writer))
                tasks.create_task(copy(far_reader, writer))
        except (TimeoutError, ExceptionGroup):
            pass
        finally:
            for stream in (writer, far_writer):
                stream.transport.abort()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]

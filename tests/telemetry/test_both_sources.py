"""Polls and websockets of the simulated cloud side by side, over real sockets, in virtual time.

Without history: what is in a ring came live, and all of it has to.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gateway.cloud.client import open_cloud
from gateway.cloud.endpoints import ENDPOINTS, EndpointTable, table
from gateway.problems import Problems
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.telemetry.channel import Channel, Presence, Wearer
from gateway.telemetry.feed import Feed
from gateway.telemetry.gap import Gap, GapState
from gateway.telemetry.holes import GapReason
from gateway.telemetry.sources import Source
from tests.fault_proxy import FaultProxy, fault_proxy

# What one end of a loopback connection writes is there for the other at once, so the loop need not look at its sockets
# 42 times before its clock jumps.
pytestmark = pytest.mark.looptime(noop_cycles=6)

START_MS = 1_795_000_000_000
UNREAD_S = 5.0
"""Longest time that rows may lie in the cloud before one source stands in for the other."""


class Nobody:
    """An audience that does not listen."""

    def channel_changed(self, channel: Channel) -> None:
        pass

    def presence_changed(self, channel: Channel, presence: Presence) -> None:
        pass

    def gap_changed(self, channel: Channel, gap: Gap) -> None:
        pass


@dataclass
class World:
    """A cloud, and a feed on it."""

    cloud: SimulatedCloud
    feed: Feed
    problems: Problems
    polls_by: FaultProxy
    refused: list[str] = field(default_factory=list)

    @property
    def channels(self) -> list[Channel]:
        return list(self.feed.channels.values())

    @property
    def polls(self) -> int:
        return self.cloud.requests["latest_data"]

    def faults(self, **knobs: Any) -> None:
        self.cloud.faults = self.cloud.faults.merged(knobs)

    def device_id(self, channel: Channel) -> int:
        return self.cloud.devices[channel.ch - 1].device_id

    async def follow(self, duration_s: float) -> float:
        """Let it run; returns the longest time that newer rows of any tracker lay in the cloud unread, seconds."""
        loop = asyncio.get_running_loop()
        end_s, worst_s = loop.time() + duration_s, 0.0
        waiting = {ch: (channel.ring.newest_ms, loop.time()) for ch, channel in self.feed.channels.items()}
        while loop.time() < end_s:
            await asyncio.sleep(0.5)
            for channel in self.channels:
                newest_ms, since_s = waiting[channel.ch]
                if newest_ms != channel.ring.newest_ms or not self._has_unread(channel):
                    waiting[channel.ch] = channel.ring.newest_ms, loop.time()
                else:
                    worst_s = max(worst_s, loop.time() - since_s)
        return worst_s

    def _has_unread(self, channel: Channel) -> bool:
        newest_ms = channel.ring.newest_ms or self.cloud.now_ms() - 60_000
        return len(self.cloud.truth(self.device_id(channel), newest_ms + 1, self.cloud.now_ms())) > 0

    def assert_rings_equal_the_cloud(self, until_ms: int) -> None:
        """Every row that the cloud has since the first one here, once."""
        for channel in self.channels:
            held = channel.ring.between(0, until_ms + 1).t_ms
            truth = self.cloud.truth(self.device_id(channel), int(held[0]), until_ms)
            expected = [row["gnss.timestamp"] for row in truth]
            assert held.tolist() == expected, f"channel {channel.ch}"
            assert len(expected) > 300


@asynccontextmanager
async def world(
    source: Source = Source.AUTO, trackers: int = 3, endpoints: EndpointTable = ENDPOINTS, **knobs: Any
) -> AsyncIterator[World]:
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    def now_ms() -> int:
        return START_MS + round((loop.time() - began_s) * 1000)

    cloud = SimulatedCloud(trackers, 7, Faults().merged({"initially_owned": trackers, **knobs}), now_ms)
    problems = Problems(now_ms)
    refused: list[str] = []
    async with (
        simulator.running(cloud) as served,
        fault_proxy(served.port) as polls_by,
        open_cloud(
            api_url=served.api_url.replace(str(served.port), str(polls_by.port)),
            token_url=served.token_url,
            websocket_url=served.websocket_url,
            username=simulator.USERNAME,
            password=Secret(simulator.PASSWORD),
            client_id=simulator.CLIENT_ID,
            client_secret=Secret(simulator.CLIENT_SECRET),
            endpoints=endpoints,
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        wearers = [Wearer(device.serial_number) for device in cloud.devices]
        devices = {device.serial_number: device.device_id for device in cloud.devices}
        released = dict.fromkeys(devices, 0)
        feed = Feed(
            wearers,
            18_000,
            client,
            Nobody(),
            problems,
            refused.append,
            source=source,
            reference_ms=client.utc_ms,
            released=released,
        )
        feed.assign(devices, released)
        running = tasks.create_task(feed.run(lambda: None))
        try:
            yield World(cloud, feed, problems, polls_by, refused)
        finally:
            running.cancel()


async def test_many_moving_trackers_are_streamed_and_hardly_polled() -> None:
    async with world() as w:
        await asyncio.sleep(10)
        polls = w.polls
        assert await w.follow(60) <= 0.5
        assert w.polls == polls
        assert all(channel.counters.updates > 50 for channel in w.channels)
        w.assert_rings_equal_the_cloud(w.cloud.now_ms() - 5000)


async def test_a_couple_of_trackers_are_polled_and_not_streamed() -> None:
    async with world(trackers=2) as w:
        await w.follow(30)
        assert w.cloud.requests["live_data"] == 0
        w.assert_rings_equal_the_cloud(w.cloud.now_ms() - 5000)


@pytest.mark.parametrize("trackers", [1, 2, 3])
async def test_where_polls_find_nothing_from_the_start_the_websocket_brings_the_rows(trackers: int) -> None:
    endpoints = table({"latest_data": "GET devices/{device}/elsewhere/"})
    async with world(trackers=trackers, endpoints=endpoints) as w:
        await asyncio.sleep(7)
        assert await w.follow(60) <= 0.5
        assert w.cloud.requests["live_data"] == trackers
        assert list(w.problems) == []


@pytest.mark.parametrize("does_hang", [False, True], ids=["refused", "hanging"])
async def test_one_tracker_is_streamed_within_five_seconds_when_polls_fail_and_polled_when_streams_do(
    does_hang: bool,
) -> None:
    async with world(trackers=1) as w:
        await asyncio.sleep(20)
        assert w.cloud.requests["live_data"] == 0
        if does_hang:
            w.polls_by.hang()
        w.polls_by.refuses = not does_hang
        w.polls_by.reset_all()
        assert await w.follow(20) <= UNREAD_S
        assert w.channels[0].counters.updates > 10
        w.polls_by.refuses = False
        w.polls_by.restore()
        polls = w.polls
        w.faults(websocket_lifetime_s=1.0)
        assert await w.follow(60) <= UNREAD_S
        assert w.polls - polls > 30
        w.assert_rings_equal_the_cloud(w.cloud.now_ms() - 5000)


async def test_a_source_that_is_configured_is_the_only_one() -> None:
    async with world(Source.POLL) as w:
        await asyncio.sleep(20)
        assert w.cloud.requests["live_data"] == 0
    async with world(Source.WEBSOCKET) as w:
        await asyncio.sleep(5)
        await w.follow(60)
        assert w.polls == 0
        w.assert_rings_equal_the_cloud(w.cloud.now_ms() - 5000)


NASTY = {
    "streams live for 7 s": {"websocket_lifetime_s": 7.0},
    "streams live for half a second": {"websocket_lifetime_s": 0.5},
    "streams go silent and half open": {"websocket_silent_after_s": 8.0},
    "streams go silent and answer pings": {"websocket_silent_after_s": 8.0, "websocket_silent_pongs": True},
    "one connection at most": {"websocket_max_connections": 1},
    "one connection at most, with 429": {"websocket_max_connections": 1, "websocket_full_status": 429},
    "garbage": {"websocket_garbage_fraction": 0.3},
    "shuffled and twice": {"websocket_shuffle": 0.3, "duplicate_fraction": 0.3},
    "late batches": {"late_fraction": 0.3, "late_s": 12.0},
    "tokens that end": {"token_lifetime_s": 12.0, "websocket_closes_on_expiry": True},
    "failing requests": {"error_fraction": 0.3},
}


@pytest.mark.parametrize("knobs", NASTY.values(), ids=NASTY.keys())
async def test_no_row_is_lost_or_doubled_and_the_picture_stays_fresh_whatever_the_streams_do(
    knobs: dict[str, Any],
) -> None:
    async with world() as w:
        await asyncio.sleep(5)
        w.faults(**knobs)
        assert await w.follow(40) <= UNREAD_S
        end_ms = w.cloud.now_ms()
        w.cloud.faults = Faults()
        await asyncio.sleep(15)
        w.assert_rings_equal_the_cloud(end_ms)
        assert list(w.problems) == []


async def test_streams_that_are_refused_are_given_time_and_come_back() -> None:
    async with world(websocket_max_connections=1) as w:
        await asyncio.sleep(90)
        tries = w.cloud.requests["live_data"]
        await asyncio.sleep(60)
        assert w.cloud.requests["live_data"] - tries <= 20, "trying costs requests"
        w.faults(websocket_max_connections=0)
        await asyncio.sleep(70)
        polls = w.polls
        assert await w.follow(20) <= 0.5
        assert w.polls - polls <= 2


@pytest.mark.parametrize("source", [Source.AUTO, Source.WEBSOCKET])
async def test_connections_that_are_stuck_but_answer_pings_are_replaced(source: Source) -> None:
    async with world(source, websocket_silent_after_s=8.0, websocket_silent_pongs=True) as w:
        await asyncio.sleep(20)
        w.faults(websocket_silent_after_s=0.0, websocket_silent_pongs=False)
        await asyncio.sleep(50)
        polls = w.polls
        assert await w.follow(20) <= 0.5
        assert w.polls == polls


async def test_revoked_tokens_cost_no_row() -> None:
    async with world() as w:
        await asyncio.sleep(10)
        for _ in range(3):
            w.cloud.accounts.revoke(refresh_tokens=False)
            assert await w.follow(10) <= UNREAD_S
        w.assert_rings_equal_the_cloud(w.cloud.now_ms() - 5000)


@pytest.mark.parametrize("source", Source)
async def test_a_black_hole_is_told_within_ten_seconds_and_over_fifteen_after_its_end(source: Source) -> None:
    async with world(source) as w:
        await asyncio.sleep(20)
        w.faults(outage_every_s=1.0, outage_s=1.0, outage_form="hang")
        await asyncio.sleep(3)
        assert list(w.problems) == []
        # Without polls nobody asks; only the pings of the streams notice.
        await asyncio.sleep(7 if source.polls else 25)
        assert [problem.code for problem in w.problems] == ["cloud_unreachable"]
        await asyncio.sleep(20)
        w.faults(outage_every_s=0.0, outage_s=0.0)
        await asyncio.sleep(15)
        assert list(w.problems) == []


async def test_what_any_tracker_misses_in_a_pause_that_the_cloud_asks_for_is_no_silence() -> None:
    async with world(Source.POLL) as w:
        await asyncio.sleep(10)
        w.faults(throttle_rate_per_s=0.02, throttle_burst=1)
        await asyncio.sleep(3)
        w.faults(throttle_rate_per_s=60.0, throttle_burst=120)
        await asyncio.sleep(42)
        assert {gap.state for channel in w.channels for gap in channel.gaps.gaps} == {GapState.OPEN}
        await asyncio.sleep(25)
        gaps = [channel.gaps.gaps[-1] for channel in w.channels]
        assert [(gap.reason, gap.state) for gap in gaps] == 3 * [(GapReason.UPSTREAM_RATE_LIMITED, GapState.CLOSED)]


@pytest.mark.parametrize("source", Source)
async def test_a_tracker_that_is_taken_away_is_noticed_within_seconds_and_the_others_go_on(source: Source) -> None:
    async with world(source) as w:
        await asyncio.sleep(20)
        w.cloud.move(w.device_id(w.channels[1]), "other")
        await asyncio.sleep(5)
        assert w.refused == [w.channels[1].wearer.serial_number]
        assert len(w.channels[1].ring) == 0
        now_s = asyncio.get_running_loop().time()
        assert [channel.presence(now_s) for channel in w.channels].count(Presence.LIVE) == 2


@pytest.mark.parametrize("error_s", [7_200, 1_800_000_000, -619_315_200], ids=["2 hours", "2083", "roll-over"])
async def test_a_clock_that_goes_wrong_and_right_again_is_told_and_over_within_seconds(error_s: int) -> None:
    async with world() as w:
        await asyncio.sleep(10)
        channel = w.channels[2]
        w.cloud.set_clock(w.device_id(channel), error_s=error_s)
        await asyncio.sleep(60)
        (problem,) = w.problems
        assert (problem.code, problem.subject) == ("tracker_clock", channel.wearer.serial_number)
        assert channel.presence(asyncio.get_running_loop().time()) is Presence.LOST
        w.cloud.set_clock(w.device_id(channel), error_s=0)
        await asyncio.sleep(6)
        assert channel.presence(asyncio.get_running_loop().time()) is Presence.LIVE
        assert list(w.problems) == []
        assert channel.counters.rows_misdated > 500


async def test_a_clock_little_more_than_two_minutes_ahead_leaves_no_row_of_the_future() -> None:
    """Its rows stay in the cloud's answers until their time has come, and are misdated all the while."""
    async with world() as w:
        await asyncio.sleep(10)
        channel = w.channels[2]
        w.cloud.set_clock(w.device_id(channel), error_s=130)
        await asyncio.sleep(6)
        w.cloud.set_clock(w.device_id(channel), error_s=0)
        for _ in range(120):
            await asyncio.sleep(1)
            assert (channel.ring.newest_ms or 0) <= w.cloud.now_ms()
        assert 40 <= channel.counters.rows_misdated <= 70
        assert channel.presence(asyncio.get_running_loop().time()) is Presence.LIVE


async def test_one_tracker_alone_gets_a_stream_when_rows_from_the_future_hide_its_right_ones() -> None:
    async with world(trackers=1) as w:
        await asyncio.sleep(10)
        w.cloud.set_clock(w.device_id(w.channels[0]), error_s=7200)
        await asyncio.sleep(60)
        w.cloud.set_clock(w.device_id(w.channels[0]), error_s=0)
        await asyncio.sleep(6)
        assert w.channels[0].presence(asyncio.get_running_loop().time()) is Presence.LIVE
        assert w.cloud.requests["live_data"] >= 1
        assert np.all(np.diff(w.channels[0].ring.between(0, w.cloud.now_ms()).t_ms) > 0)


async def test_a_sleeping_fleet_is_asked_for_times_and_not_for_rows_and_found_when_it_wakes() -> None:
    async with world() as w:
        await asyncio.sleep(20)
        for channel in w.channels:
            w.cloud.set_power(w.device_id(channel), on=False)
        await asyncio.sleep(700)
        assert {task.get_name() for task in asyncio.all_tasks() if "stream of" in task.get_name()} == set()
        polls, peeks = w.polls, w.cloud.requests["latest_timestamp"]
        await asyncio.sleep(150)
        assert w.polls == polls
        assert 27 <= w.cloud.requests["latest_timestamp"] - peeks <= 33
        for channel in w.channels:
            w.cloud.set_power(w.device_id(channel), on=True)
        await asyncio.sleep(20)
        assert await w.follow(10) <= 0.5
        assert {channel.presence(asyncio.get_running_loop().time()) for channel in w.channels} == {Presence.LIVE}

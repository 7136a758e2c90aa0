"""Gaps are repaired from the simulated cloud's history, over HTTP, through the real client, in virtual time."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.cloud.client import CloudClient, open_cloud
from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    LoginRefused,
    NotFound,
    Throttled,
    Unreachable,
)
from gateway.cloud.models import Ownership
from gateway.cloud.models import Range as ModelRange
from gateway.cloud.times import TimeMs
from gateway.secret import Secret
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, running
from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.gap import GapState
from gateway.telemetry.history import BEAT_S, ROWS_PER_S, History
from gateway.telemetry.holes import GapReason
from gateway.telemetry.ring import rows_for
from gateway.telemetry.spans import Range
from insiders_codecs.cloud import DecodedRows, RowsPage
from insiders_codecs.samples import QUANTITIES, SampleBlock

pytestmark = pytest.mark.looptime

START_MS = 1_795_000_000_000
WINDOW_MS = 60_000
STEP_S = 6.0
OUTAGE, SILENT, RESTART = GapReason.UPSTREAM_OUTAGE, GapReason.DEVICE_SILENT, GapReason.GATEWAY_RESTART


@dataclass
class Bench:
    """A cloud, its client, channels that are fed straight from the cloud's state, and history."""

    cloud: SimulatedCloud
    client: CloudClient
    channels: dict[int, Channel]
    history: History
    span_ms: int
    is_read: bool = True

    def device_id(self, ch: int) -> int:
        return self.cloud.devices[ch - 1].device_id

    def faults(self, **knobs: Any) -> None:
        self.cloud.faults = self.cloud.faults.merged(knobs)

    def poll(self) -> None:
        """What the tails do each second, without requests of their own."""
        now_s = asyncio.get_running_loop().time()
        for ch, channel in self.channels.items():
            if channel.device_id is None:
                continue
            if self.is_read:
                now_ms = self.cloud.now_ms()
                newest = self.times(ch, now_ms - WINDOW_MS, now_ms)[-300:]
                channel.rows_came(SampleBlock(newest, np.zeros((len(QUANTITIES), len(newest)))), now_s)
            else:
                channel.gaps.poll_failed(OUTAGE, 10.0)

    async def minutes(self, minutes: float) -> None:
        for _ in range(round(minutes * 60 / STEP_S)):
            self.poll()
            await asyncio.sleep(STEP_S)

    async def outage(self, minutes: float) -> None:
        """Nobody is answered."""
        self.is_read = False
        self.poll()
        await asyncio.sleep(60 * minutes)
        self.is_read = True

    def requests(self) -> dict[str, int]:
        return {
            name: self.cloud.requests[name]
            for name in ("device_ownerships", "preprocessed_ranges", "preprocessed_data")
        }

    def first_ms(self, ch: int) -> int:
        first_ms = self.channels[ch].gaps._first_ms
        assert first_ms is not None
        return first_ms

    def assert_nothing_is_lost(self) -> None:
        """Rows received and declared gaps are the rows the trackers measured, and what the cloud has is not missing."""
        for ch, channel in self.channels.items():
            newest_ms = channel.gaps.newest_ms
            assert newest_ms is not None
            truth = self.times(ch, self.first_ms(ch), newest_ms)
            holes = channel.gaps._holes
            declared = np.concatenate([np.arange(0), *map(instants, holes.after_ms.tolist(), holes.before_ms.tolist())])
            kept_ms = newest_ms - self.span_ms + 1
            held = channel.ring.between(kept_ms, newest_ms + 1).t_ms
            expected = np.setdiff1d(truth[truth >= kept_ms], declared)
            np.testing.assert_array_equal(held[held >= self.first_ms(ch)], expected, err_msg=f"channel {ch}")
            assert sum(channel.gaps.totals.rows_missing.values()) == len(declared)
            assert sum(gap.rows or 0 for gap in channel.gaps.gaps) == len(declared)

    def assert_whole(self) -> None:
        """What the cloud has of the ring's span is in the ring."""
        self.assert_nothing_is_lost()
        for ch, channel in self.channels.items():
            newest_ms = channel.gaps.newest_ms
            assert newest_ms is not None
            from_ms = max(self.first_ms(ch), newest_ms - self.span_ms) + 1
            held = channel.ring.between(from_ms, newest_ms + 1).t_ms
            np.testing.assert_array_equal(held, self.times(ch, from_ms, newest_ms), err_msg=f"channel {ch}")

    def times(self, ch: int, from_ms: int, to_ms: int) -> NDArray[np.int64]:
        """Times of the rows the cloud has by now, ascending."""
        chosen = self.cloud.selection(self.device_id(ch), [(from_ms, to_ms)])
        places = np.arange(10)
        is_chosen = (places >= chosen.low[:, None]) & (places < chosen.high[:, None])
        return (chosen.times[:, None] + 100 * places)[is_chosen]


def instants(after_ms: int, before_ms: int) -> NDArray[np.int64]:
    return np.arange(after_ms + 100, before_ms, 100)


@asynccontextmanager
async def bench(trackers: int = 1, minutes: float = 30, before_s: float = 0.0, **knobs: Any) -> AsyncIterator[Bench]:
    """Run everything; `before_s` is how long the cloud has existed before."""
    loop = asyncio.get_running_loop()
    start_s = loop.time() - before_s
    cloud = SimulatedCloud(
        trackers,
        7,
        Faults().merged({"initially_owned": trackers, **knobs}),
        lambda: START_MS + round((loop.time() - start_s) * 1000),
    )
    async with (
        running(cloud) as server,
        open_cloud(
            api_url=server.api_url,
            token_url=server.token_url,
            websocket_url=server.websocket_url,
            username=USERNAME,
            password=Secret(PASSWORD),
            client_id=CLIENT_ID,
            client_secret=Secret(CLIENT_SECRET),
        ) as client,
        asyncio.TaskGroup() as tasks,
    ):
        channels = {ch: Channel(ch, Wearer(f"SN-{ch}"), rows_for(minutes)) for ch in range(1, trackers + 1)}
        for ch, channel in channels.items():
            channel.device_id = cloud.devices[ch - 1].device_id
        span_ms = rows_for(minutes) * 100
        history = History(channels, client, span_ms, jitter=lambda: 0.5)
        task = tasks.create_task(history.run(lambda: None))
        yield Bench(cloud, client, channels, history, span_ms)
        task.cancel()


async def until(is_so: Callable[[], bool], bench: Bench, within_s: int) -> None:
    for _ in range(within_s):
        if is_so():
            return
        bench.poll()
        await asyncio.sleep(1)
    raise TimeoutError


def repaired(bench: Bench) -> bool:
    gaps = [gap for channel in bench.channels.values() for gap in channel.gaps.gaps]
    return bool(gaps) and {gap.state for gap in gaps} == {GapState.REPAIRED}


async def test_nothing_is_asked_for_when_there_is_nothing_to_repair() -> None:
    async with bench(trackers=3) as b:
        await b.minutes(10)
        assert b.requests() == {"device_ownerships": 0, "preprocessed_ranges": 0, "preprocessed_data": 0}
        assert b.channels[1].gaps.gaps == ()


@pytest.mark.parametrize("minutes", [0.6, 0.9, 10])
async def test_an_outage_is_repaired_within_seconds_and_never_asked_about_again(minutes: float) -> None:
    async with bench(trackers=2) as b:
        await b.minutes(1)
        await b.outage(minutes)
        await until(lambda: repaired(b), b, 20)
        b.assert_whole()
        gap = b.channels[1].gaps.gaps[0]
        assert gap.reason is OUTAGE
        assert gap.rows_repaired == pytest.approx((minutes * 60 - 30) * 10, abs=70)
        await b.minutes(10)
        assert b.requests() == {
            "device_ownerships": 2,
            "preprocessed_ranges": 2,
            "preprocessed_data": 4 if minutes > 5 else 2,
        }
        assert b.history.repairs.gaps_repaired == 2
        assert b.history.repairs.pending() == (0, 0)


async def test_after_six_hours_the_span_of_the_ring_is_read_at_a_bounded_rate_and_the_rest_is_declared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench(trackers=2, minutes=10) as b:
        await b.minutes(1)
        with monkeypatch.context() as patch:
            patch.setattr("gateway.telemetry.history.TURN_S", 600.0)  # nothing to see in the long middle
            await b.outage(359)
        await b.outage(10)
        began_s = asyncio.get_running_loop().time()
        b.poll()
        rows = []
        for _ in range(15):
            await asyncio.sleep(1)
            rows.append(b.history.counters.rows)
        b.poll()
        await b.minutes(3)
        b.assert_whole()
        per_second = np.diff(rows)
        assert per_second.max() <= 3000, "one page at a time, one page a second"
        assert rows[-1] == 2 * 10 * 600
        assert asyncio.get_running_loop().time() - began_s > rows[-1] / ROWS_PER_S
        for channel in b.channels.values():
            (gap,) = channel.gaps.gaps
            assert (gap.state, gap.reason) == (GapState.CLOSED, OUTAGE), "nobody looked whether the cloud has it"
            assert gap.rows == pytest.approx(359 * 600, abs=600)
        asked = b.requests()
        await b.minutes(10)
        assert b.requests() == asked, "what is too old for the ring is not asked for"


async def test_the_last_minutes_of_everybody_come_before_the_half_hour_of_anybody() -> None:
    async with bench(trackers=5) as b:
        await b.minutes(1)
        await b.outage(20)
        b.poll()
        await until(lambda: b.history.counters.rows >= 5 * 2900, b, 20)
        assert b.history.counters.rows <= 6 * 3000
        for channel in b.channels.values():
            (gap,) = channel.gaps.gaps
            assert gap.rows_repaired >= 2900


async def test_the_past_before_the_first_row_is_read_as_far_as_there_is_any() -> None:
    """The simulated world begins ten minutes before the cloud."""
    async with bench() as b:
        b.channels[1].gaps.began(b.cloud.now_ms() - 30 * 60_000)
        await b.minutes(0.3)
        await until(lambda: b.channels[1].gaps.totals.rows_repaired > 5_500, b, 20)
        assert b.channels[1].gaps.gaps[0].reason is RESTART
        await b.minutes(3)
        (gap,) = b.channels[1].gaps.gaps
        assert (gap.state, gap.reason) == (GapState.CLOSED, SILENT), "read again after two minutes, to be sure"
        assert gap.rows == pytest.approx(20 * 600, abs=300)
        b.assert_whole()
        assert b.history.repairs.pending() == (0, 0)


async def test_a_tracker_that_was_switched_off_costs_a_list_of_ranges_now_and_then() -> None:
    async with bench(minutes=15) as b:
        await b.minutes(1)
        b.cloud.set_power(b.device_id(1), on=False)
        await b.minutes(4)
        b.cloud.set_power(b.device_id(1), on=True)
        await b.minutes(1)
        assert b.requests()["preprocessed_ranges"] == 0, "it may still send what it kept"
        await b.minutes(25)
        (gap,) = b.channels[1].gaps.gaps
        assert (gap.state, gap.reason) == (GapState.CLOSED, SILENT)
        assert b.requests() == {"device_ownerships": 1, "preprocessed_ranges": 4, "preprocessed_data": 0}
        b.assert_whole()


@pytest.mark.parametrize("order", ["oldest_first", "newest_first", "interleaved"])
async def test_a_backlog_that_comes_late_is_read_whole_in_any_order(order: str) -> None:
    async with bench(backlog_order=order) as b:
        await b.minutes(1)
        b.cloud.set_network(b.device_id(1), connected=False)
        await b.minutes(8)
        b.cloud.set_network(b.device_id(1), connected=True)
        await b.minutes(6)
        b.assert_whole()
        assert repaired(b)


@pytest.mark.parametrize("order", ["newest_first", "interleaved"])
async def test_a_backlog_that_still_arrives_while_it_is_read_is_read_to_its_end(order: str) -> None:
    """At two batches a second eight minutes take four to arrive: the first look finds half of them."""
    async with bench(backlog_order=order, backlog_batches_per_s=2.0) as b:
        await b.minutes(1)
        b.cloud.set_network(b.device_id(1), connected=False)
        await b.minutes(8)
        b.cloud.set_network(b.device_id(1), connected=True)
        await b.minutes(3)
        assert 0 < b.channels[1].gaps.totals.rows_repaired < 4_000
        await b.minutes(10)
        b.assert_whole()
        assert repaired(b)


async def test_rows_that_hide_behind_the_cache_of_the_cloud_are_found_when_it_has_settled() -> None:
    """Somebody with the same account asked for the same span just before the rows arrived."""
    async with bench() as b:
        await b.minutes(1)
        b.cloud.set_network(b.device_id(1), connected=False)
        await b.outage(4)
        b.is_read = False
        b.faults(backlog_order="newest_first", backlog_batches_per_s=1.0)
        b.cloud.set_network(b.device_id(1), connected=True)
        await asyncio.sleep(3)
        b.is_read = True
        await b.minutes(1.5)
        (gap,) = b.channels[1].gaps.gaps
        assert gap.reason is OUTAGE
        assert gap.rows is not None
        assert gap.rows > 1_000
        await b.minutes(10)
        b.assert_whole()
        assert repaired(b)


@pytest.mark.parametrize("over_limit", ["clamp", "refuse"])
async def test_a_part_may_come_in_several_pages(monkeypatch: pytest.MonkeyPatch, over_limit: str) -> None:
    monkeypatch.setattr("gateway.telemetry.history.PAGE_ROWS", 400)
    async with bench(over_limit=over_limit) as b:
        await b.minutes(1)
        await b.outage(5)
        await until(lambda: repaired(b), b, 30)
        b.assert_whole()
        assert b.requests() == {"device_ownerships": 1, "preprocessed_ranges": 1, "preprocessed_data": 7}


async def test_holes_by_the_dozen_are_read_together() -> None:
    async with bench(late_fraction=0.2, late_s=40.0) as b:
        await b.minutes(5)
        b.faults(late_fraction=0.0)
        await b.minutes(5)
        gaps = b.channels[1].gaps.gaps
        assert len(gaps) > 30
        b.assert_whole()
        assert repaired(b)
        assert sum(b.requests().values()) < len(gaps)


@pytest.mark.parametrize("policy", ["clip", "refuse"])
async def test_only_what_was_measured_while_the_tracker_was_ours_is_asked_for(policy: str) -> None:
    async with bench(before_s=600, partial_ownership=policy) as b:
        b.cloud.move(b.device_id(1), "other")
        await asyncio.sleep(300)
        b.cloud.move(b.device_id(1), "ours")
        ours_ms = b.cloud.now_ms()
        await asyncio.sleep(120)
        b.channels[1].gaps.began(ours_ms - 240_000)  # four minutes while it was not ours
        b.poll()
        await b.minutes(5)
        assert b.cloud.statuses[403] == 0
        (gap,) = b.channels[1].gaps.gaps
        assert (gap.state, gap.reason) == (GapState.REPAIRED, RESTART), "what others measured is not missing here"
        held = b.channels[1].ring.between(0, 2**44).t_ms
        newest_ms = int(held[-1])
        np.testing.assert_array_equal(held, b.times(1, ours_ms, newest_ms))


async def test_two_times_of_ownership_are_asked_for_apart() -> None:
    async with bench(before_s=600, partial_ownership="refuse") as b:
        left_ms = b.cloud.now_ms()
        b.cloud.move(b.device_id(1), "other")
        await asyncio.sleep(180)
        b.cloud.move(b.device_id(1), "ours")
        ours_ms = b.cloud.now_ms()
        await asyncio.sleep(120)
        b.channels[1].gaps.began(left_ms - 120_000)
        b.poll()
        await b.minutes(4)
        assert b.cloud.statuses[403] == 0
        held = b.channels[1].ring.between(0, 2**44).t_ms
        truth = np.concatenate([b.times(1, left_ms - 119_999, left_ms - 1), b.times(1, ours_ms, int(held[-1]))])
        np.testing.assert_array_equal(held, truth)


async def test_what_was_ours_is_read_although_it_belongs_to_somebody_else_by_now() -> None:
    """The tails have not noticed yet, and nothing is asked for that would be refused."""
    async with bench(partial_ownership="refuse") as b:
        await b.minutes(1)
        await b.outage(3)
        b.poll()
        b.cloud.move(b.device_id(1), "other")
        await asyncio.sleep(20)
        assert repaired(b)
        assert b.cloud.statuses[403] == 0


async def test_a_tracker_that_is_lost_while_its_past_is_on_its_way_leaves_no_row() -> None:
    async with bench(latency_ms=800.0) as b:
        await b.minutes(1)
        await b.outage(3)
        b.poll()
        channel = b.channels[1]
        async with asyncio.timeout(60):
            while not b.cloud.requests["preprocessed_data"]:
                await asyncio.sleep(0.05)
        device_id = channel.device_id
        channel.lose()
        channel.device_id = device_id  # and is ours again at once
        await asyncio.sleep(30)
        assert len(channel.ring) == 0
        assert channel.gaps.newest_ms is None
        await b.minutes(2)
        b.assert_whole()
        asked = b.requests()
        channel.lose()
        await b.minutes(5)
        assert b.requests() == asked


@pytest.mark.parametrize(
    "knobs",
    [
        {"error_fraction": 0.5},
        {"truncated_fraction": 0.4},
        {"throttle_rate_per_s": 0.5, "throttle_burst": 2},
        {"duplicate_fraction": 0.3, "unknown_field_fraction": 0.3, "missing": "null"},
    ],
    ids=["failing", "cut bodies", "throttled", "strange rows"],
)
async def test_a_cloud_that_misbehaves_makes_it_slower_and_nothing_else(knobs: dict[str, Any]) -> None:
    async with bench(trackers=2) as b:
        await b.minutes(1)
        await b.outage(6)
        b.faults(**knobs)
        await until(lambda: repaired(b), b, 900)
        b.assert_whole()


async def test_a_revoked_token_costs_nothing() -> None:
    async with bench(trackers=2) as b:
        await b.minutes(1)
        await b.outage(8)
        b.poll()
        await asyncio.sleep(2)
        b.cloud.accounts.revoke(refresh_tokens=True)
        await until(lambda: repaired(b), b, 30)
        b.assert_whole()


class Archive:
    """Answers every question with the next thing of a script; the last one is repeated."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.asked: list[str] = []
        self.asked_s: list[float] = []

    async def answer(self, name: str) -> AsyncGenerator[Any, None]:
        self.asked.append(name)
        self.asked_s.append(asyncio.get_running_loop().time())
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.Event().wait()
        yield answer

    def ownerships(self, *, device_id: int | None = None) -> AsyncIterator[Ownership]:
        return self.answer("ownerships")

    def ranges(self, device_id: int, start_ms: int, stop_ms: int) -> AsyncIterator[Range]:
        return self.answer("ranges")

    def preprocessed(
        self, device_id: int, start_ms: int, stop_ms: int, limit: int = 0
    ) -> AsyncGenerator[RowsPage, None]:
        return self.answer("preprocessed")


@asynccontextmanager
async def scripted(
    *script: object, gap_ms: int = 60_000
) -> AsyncIterator[tuple[Archive, Channel, History, list[float]]]:
    """A gap and an archive that answers as told; the times of the beats last."""
    channel = Channel(1, Wearer("SN-1"), 1000)
    channel.device_id = 7
    channel.gaps.began(0)
    channel.rows_came(SampleBlock(np.array([gap_ms]), np.zeros((len(QUANTITIES), 1))), 0.0)
    archive = Archive(*script)
    history = History({1: channel}, archive, gap_ms + 40_000, jitter=lambda: 0.5)
    beats: list[float] = []
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(history.run(lambda: beats.append(loop.time())))
        yield archive, channel, history, beats
        task.cancel()


OURS = Ownership(1, TimeMs(0), device=7)


async def test_a_span_that_is_refused_although_it_is_listed_as_ours_is_given_up_and_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scripted(OURS, Forbidden("ranges"), OURS, Forbidden("ranges")) as (archive, channel, history, _):
        await asyncio.sleep(1200)
        assert archive.asked == ["ownerships", "ranges", "ownerships", "ranges"]
        assert [gap.reason for gap in channel.gaps.gaps] == [RESTART]
        assert history.repairs.gaps_refused == 1
        assert history.counters.failures == 2
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1


@pytest.mark.parametrize(
    "error",
    [
        NotFound("ranges", "ranges", is_path_unknown=True),
        BadAnswer("ranges", Fault.WRONG_SHAPE),
        Unreachable("ranges", Broken.CONNECT),
        LoginRefused("ranges", "invalid_grant"),
        ZeroDivisionError(),
    ],
)
async def test_a_cloud_that_only_fails_is_asked_ever_more_rarely(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(OURS, error) as (archive, _, history, _):
        await asyncio.sleep(1200)
        # What passes by itself is asked for once a minute at last, so that its end is noticed.
        passes = isinstance(error, CloudError) and error.is_transient
        assert 4 <= len(archive.asked) <= (24 if passes else 16)
        assert history.counters.failures == len(archive.asked) - 1
        assert history.repairs.pending() == (1, 599)


async def test_a_page_is_read_each_second_and_not_more() -> None:
    listed = ModelRange(TimeMs(0), TimeMs(1_800_000), None)
    page = RowsPage(3000, 1, None, DecodedRows(SampleBlock(np.arange(3000), np.zeros((9, 3000)))))
    async with scripted(OURS, listed, page, gap_ms=1_800_000) as (archive, _, _, _):
        await asyncio.sleep(20)
        assert archive.asked == ["ownerships", "ranges", *["preprocessed"] * 7]
        pauses_s = np.diff(archive.asked_s)
        assert pauses_s[2:] == pytest.approx(3000 / ROWS_PER_S)
        assert pauses_s.min() > 0.1, "nor are the small requests a burst"


async def test_rows_that_nobody_asked_for_are_left_out_and_counted() -> None:
    """A cloud that ignores the span would hand out what is not ours."""
    listed = ModelRange(TimeMs(50_000), TimeMs(59_000), 91)
    page = RowsPage(3, 1, None, DecodedRows(SampleBlock(np.array([10, 55_000, 90_000]), np.zeros((9, 3)))))
    async with scripted(OURS, listed, page) as (_, channel, history, _):
        await asyncio.sleep(20)
        assert channel.ring.between(0, 2**44).t_ms.tolist() == [55_000, 60_000]
        assert (history.counters.rows, history.counters.rows_unasked) == (1, 2)


async def test_a_pause_that_the_cloud_asks_for_is_kept() -> None:
    async with scripted(OURS, Throttled("ranges", 300.0)) as (archive, _, _, _):
        await asyncio.sleep(1000)
        assert np.diff(archive.asked_s)[1:].min() >= 300.0


async def test_whose_another_tracker_was_says_nothing() -> None:
    other = Ownership(1, TimeMs(50_000), device=8)
    async with scripted(other, Unreachable("ranges", Broken.CONNECT)) as (_, channel, _, _):
        await asyncio.sleep(60)
        assert [(gap.from_ms, gap.rows) for gap in channel.gaps.gaps] == [(0, 599)]


class PagedArchive(Archive):
    """Gives its rows in two pages, each of which counts them all."""

    async def _pages(self) -> AsyncGenerator[RowsPage, None]:
        times = np.arange(50_000, 52_000, 100)
        for number, following in ((1, 2), (2, None)):
            part = times[10 * (number - 1) : 10 * number]
            yield RowsPage(len(times), number, following, DecodedRows(SampleBlock(part, np.zeros((9, len(part))))))

    def preprocessed(
        self, device_id: int, start_ms: int, stop_ms: int, limit: int = 0
    ) -> AsyncGenerator[RowsPage, None]:
        return self._pages()


async def test_rows_in_several_pages_are_all_that_there_are() -> None:
    channel = Channel(1, Wearer("SN-1"), 1000)
    channel.device_id = 7
    channel.gaps.began(0)
    channel.rows_came(SampleBlock(np.array([60_000]), np.zeros((9, 1))), 0.0)
    history = History({1: channel}, PagedArchive(OURS, ModelRange(TimeMs(50_000), TimeMs(51_900), None)), 100_000)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(history.run(lambda: None))
        await asyncio.sleep(300)
        task.cancel()
    assert [(gap.rows, gap.rows_repaired, gap.is_settled) for gap in channel.gaps.gaps] == [(579, 20, True)]


async def test_it_beats_however_long_a_request_waits_for_live_data_to_leave_it_room() -> None:
    async with scripted(None) as (_, _, _, beats):
        await asyncio.sleep(4000)
    assert len(beats) == pytest.approx(4000 / BEAT_S, abs=2)
    assert np.diff(beats) == pytest.approx(BEAT_S)

"""The stream of one tracker beside its tail, in virtual time."""

import asyncio
import logging
from itertools import pairwise

import pytest

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    NotFound,
    ServerFailed,
    Throttled,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.models import TimestampAnswer
from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.follower import (
    IDLE_S,
    LONGEST_PAUSE_S,
    LONGEST_POLLED_PAUSE_S,
    LONGEST_REFUSED_PAUSE_S,
    Follower,
)
from gateway.telemetry.gap import GapState
from gateway.telemetry.holes import GapReason
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.tail import Tail
from insiders_codecs.samples import SampleBlock
from tests.telemetry.scripted import ScriptedCloud, block, body

pytestmark = pytest.mark.looptime

CUT = Unreachable("live_data", Broken.CUT)


class Bench:
    """A follower, with or without a tail, on a channel of its own."""

    def __init__(self, *, is_polled: bool = True) -> None:
        loop = asyncio.get_running_loop()
        self.channel = Channel(1, Wearer("SN-1"), 600, reference_ms=lambda: round(loop.time() * 1000))
        self.channel.device_id = 7
        self.cloud = ScriptedCloud()
        self.reachability = Reachability()
        self.refusals = 0
        self.tail = Tail(self.channel, 7, self.cloud, self.reachability, self._refused) if is_polled else None
        self.follower = Follower(
            self.channel, 7, self.cloud, self.reachability, self._refused, self.tail, jitter=lambda: 1.0
        )

    async def run(self, duration_s: float) -> None:
        """Let both work for a while; a follower that ends by itself ends the wait."""
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.follower.run())
            tail = tasks.create_task(self.tail.run() if self.tail else asyncio.sleep(0))
            await asyncio.wait((running,), timeout=duration_s)
            running.cancel()
            tail.cancel()

    async def send(self, update: SampleBlock | CloudError | None) -> None:
        await asyncio.sleep(0)
        self.cloud.streams[7].put_nowait(update)

    async def stream(self, seconds: range) -> None:
        """A second of rows each second."""
        for second in seconds:
            await self.send(block(*range(second * 1000, second * 1000 + 1000, 100)))
            await asyncio.sleep(1.0)

    @property
    def polls(self) -> list[float]:
        return [asked_s for asked_s, *_ in self.cloud.asked]

    def _refused(self) -> None:
        self.refusals += 1
        self.channel.lose()


async def test_while_the_stream_brings_rows_nobody_polls() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(31.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(30))
    assert bench.polls == [0.0]
    assert (len(bench.channel.ring), bench.channel.counters.updates) == (300, 30)


async def test_three_seconds_after_the_last_row_of_a_silent_stream_the_tail_asks_for_all_that_may_have_come() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(14.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
    assert bench.polls == [0.0, 12.5, 13.5], "the last row came at 9.5"
    assert bench.cloud.asked[1][2] == 40


@pytest.mark.parametrize("end", [CUT, None])
async def test_when_a_stream_ends_the_tail_asks_at_once_for_what_it_may_have_missed(end: CloudError | None) -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(12.8))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
        bench.cloud.refusal = CUT
        await bench.send(end)
    assert bench.polls == [0.0, 10.5, 11.5, 12.5]
    assert bench.cloud.asked[1][2] == 20


async def test_a_stream_that_stays_open_and_withholds_what_polls_find_is_replaced() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(60.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
        for second in range(10, 40):
            bench.cloud.script = [body(range(second * 1000, second * 1000 + 1000, 100))]
            await asyncio.sleep(1.0)
    assert len(bench.cloud.opened) == 2
    assert bench.cloud.opened[1][0] <= 9.5 + 2 * IDLE_S + 1.0
    assert bench.channel.counters.streams_failed == 1


async def test_without_a_tail_the_cloud_is_asked_whether_an_idle_stream_withholds_rows() -> None:
    bench = Bench(is_polled=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(75.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
        for second in range(10, 70):
            bench.cloud.newest = second * 1000
            await asyncio.sleep(1.0)
    assert bench.cloud.opened[1][0] <= 9.5 + 3 * IDLE_S + 1.0
    assert len(bench.cloud.opened) == 2


@pytest.mark.parametrize("is_polled", [True, False])
async def test_the_stream_of_a_tracker_that_was_switched_off_stays_open(is_polled: bool) -> None:
    bench = Bench(is_polled=is_polled)
    bench.cloud.newest = 1_000_000
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(3600.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
    assert len(bench.cloud.opened) == 1
    assert len(bench.cloud.peeked) <= 3600 / IDLE_S


async def test_without_a_tail_the_last_rows_of_a_tracker_that_fell_silent_while_nobody_listened_are_read() -> None:
    """Switched off during an outage: what is missing has an end then, and history reads the rest."""
    bench = Bench(is_polled=False)
    bench.cloud.script = [body(range(70_000, 100_000, 100))]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(600.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(5))
        bench.cloud.refusal = CUT
        await bench.send(CUT)
        await asyncio.sleep(120.0)
        (gap,) = bench.channel.gaps.gaps
        assert gap.state is GapState.OPEN
        bench.cloud.refusal, bench.cloud.newest = None, 99_900
    assert bench.channel.ring.newest_ms == 99_900
    (gap,) = bench.channel.gaps.gaps
    assert (gap.state, gap.from_ms, gap.to_ms) == (GapState.CLOSED, 4_900, 70_000)
    assert len(bench.cloud.asked) == 1, "what has not changed is not read again"


@pytest.mark.parametrize(("newest_ms", "reads"), [(9_900, 0), (10**12, 1)], ids=["brought", "from the future"])
async def test_without_a_tail_rows_are_read_once_and_only_if_the_stream_did_not_bring_them(
    newest_ms: int, reads: int
) -> None:
    bench = Bench(is_polled=False)
    bench.cloud.newest, bench.cloud.script = newest_ms, [body([newest_ms])]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(600.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
    assert len(bench.cloud.asked) == reads
    assert bench.channel.ring.newest_ms == 9_900


async def test_what_is_found_out_about_the_old_id_does_not_take_away_the_new_one() -> None:
    bench = Bench(is_polled=False)

    class Reassigning(ScriptedCloud):
        async def latest_timestamp(self, device_id: int, *, overdue_s: float = 0.0) -> TimestampAnswer:
            bench.channel.device_id = 8
            raise Forbidden("latest_timestamp")

    cloud = Reassigning(refusal=Forbidden("live_data"))
    bench.follower = Follower(bench.channel, 7, cloud, bench.reachability, bench._refused, None)
    await bench.run(60.0)
    assert bench.refusals == 0
    assert len(cloud.opened) == 1


async def test_a_surprise_while_an_idle_stream_is_looked_at_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(is_polled=False)
    bench.cloud.newest = ZeroDivisionError()
    await bench.run(40.0)
    assert len(bench.cloud.opened) == 1
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 2


async def test_rows_of_a_backlog_do_not_put_the_tail_off() -> None:
    bench = Bench()
    bench.cloud.script = [body(range(100_000, 101_000, 100))]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(10.5))
        await asyncio.sleep(0.5)
        await bench.stream(range(10))
    assert len(bench.polls) == 11


async def test_what_was_lost_between_connecting_and_the_first_message_is_read_at_once() -> None:
    """A hole in the last half minute is looked into, although the stream brings newer rows each second."""
    bench = Bench()
    bench.cloud.script = [body(range(0, 1000, 100)), body(range(0, 8000, 100))]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(8.0))
        await asyncio.sleep(0.5)
        await bench.stream(range(2, 8))
    assert bench.polls[1] <= 3.5
    assert bench.channel.ring.between(0, 8000).t_ms.tolist() == list(range(0, 8000, 100))


async def test_a_stream_that_was_renewed_is_opened_again_at_once() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(10.0))
        for _ in range(3):
            await asyncio.sleep(2.0)
            await bench.send(None)
    assert [opened_s for opened_s, _ in bench.cloud.opened] == [0.0, 2.0, 4.0, 6.0]
    assert bench.channel.counters.streams_failed == 0


async def test_a_stream_that_ends_as_soon_as_it_is_open_is_not_opened_without_a_pause() -> None:
    bench = Bench()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(10.0))
        for _ in range(3):
            await asyncio.sleep(0.01)
            while 7 not in bench.cloud.streams:
                await asyncio.sleep(0.01)
            await bench.send(None)
    assert len(bench.cloud.opened) <= 4


@pytest.mark.parametrize(
    ("is_polled", "error", "longest_s"),
    [
        (True, CUT, LONGEST_PAUSE_S),
        (True, ServerFailed("live_data", 503), LONGEST_POLLED_PAUSE_S),
        (False, CUT, LONGEST_PAUSE_S),
        (True, Unauthorized("live_data"), LONGEST_REFUSED_PAUSE_S),
        (True, BadAnswer("live_data", Fault.WRONG_SHAPE), LONGEST_REFUSED_PAUSE_S),
        (True, NotFound("live_data", "x", is_path_unknown=True), LONGEST_REFUSED_PAUSE_S),
    ],
)
async def test_the_pauses_between_tries_grow_to_a_limit(is_polled: bool, error: CloudError, longest_s: float) -> None:
    bench = Bench(is_polled=is_polled)
    bench.cloud.refusal = error
    await bench.run(4 * longest_s + 256)
    opened = [opened_s for opened_s, _ in bench.cloud.opened]
    pauses = [after - before for before, after in pairwise(opened)]
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == longest_s
    assert bench.refusals == 0


async def test_a_stream_that_lasted_is_tried_again_as_if_nothing_had_been() -> None:
    bench = Bench()
    bench.cloud.refusal = CUT
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(100.0))
        await asyncio.sleep(10)
        bench.cloud.refusal = None
        while 7 not in bench.cloud.streams:
            await asyncio.sleep(0.1)
        before = len(bench.cloud.opened)
        await asyncio.sleep(31)
        broken_s = asyncio.get_running_loop().time()
        await bench.send(CUT)
        await asyncio.sleep(1.5)
        assert bench.cloud.opened[before][0] == pytest.approx(broken_s + 1.0, abs=0.01)


REFUSALS = [Forbidden("live_data"), NotFound("live_data", "x", is_path_unknown=False)]


@pytest.mark.parametrize("error", REFUSALS)
async def test_a_tracker_that_requests_are_refused_for_as_well_is_lost_once_and_not_tried_again(
    error: CloudError,
) -> None:
    bench = Bench(is_polled=False)
    bench.cloud.newest = Forbidden("latest_timestamp")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(100.0))
        await asyncio.sleep(5.0)
        await bench.send(error)
    assert bench.refusals == 1
    assert len(bench.cloud.opened) == 1


@pytest.mark.parametrize("is_polled", [True, False])
@pytest.mark.parametrize("newest", [1000, None, CUT])
@pytest.mark.parametrize("error", REFUSALS)
async def test_a_websocket_that_is_refused_does_not_take_a_tracker_away_that_requests_are_answered_for(
    error: CloudError, newest: int | CloudError | None, is_polled: bool
) -> None:
    bench = Bench(is_polled=is_polled)
    bench.cloud.newest = newest
    bench.cloud.refusal = error
    await bench.run(10.0)
    assert bench.refusals == 0
    assert [opened_s for opened_s, _ in bench.cloud.opened] == [0.0, 1.0, 3.0, 7.0]


async def test_a_pause_that_the_cloud_asks_for_is_kept() -> None:
    bench = Bench()
    bench.cloud.refusal = Throttled("live_data", 40.0)
    await bench.run(85.0)
    assert [opened_s for opened_s, _ in bench.cloud.opened] == [0.0, 40.0, 80.0]


async def test_a_message_for_a_tracker_that_was_lost_is_not_kept() -> None:
    bench = Bench(is_polled=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(10.0))
        await asyncio.sleep(5.0)
        bench.channel.lose()
        await bench.send(block(100, 200))
    assert len(bench.channel.ring) == 0
    assert len(bench.cloud.opened) == 1


async def test_without_a_tail_the_stream_tells_of_outages_and_with_one_the_tail_does() -> None:
    for is_polled, expected in ((False, [GapReason.UPSTREAM_OUTAGE]), (True, [])):
        bench = Bench(is_polled=is_polled)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bench.run(20.0))
            await asyncio.sleep(0.5)
            await bench.stream(range(3))
            bench.cloud.refusal = CUT
            await bench.send(CUT)
        gaps = bench.channel.gaps.changes()
        assert [gap.reason for gap in gaps if gap.state is GapState.OPEN] == expected


async def test_a_stream_that_delivers_is_an_answer_of_the_cloud() -> None:
    bench = Bench()
    bench.cloud.script = [Unreachable("latest_data", Broken.TIMEOUT)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(30.0))
        await asyncio.sleep(0.5)
        for second in range(28):
            await bench.stream(range(second, second + 1))
            assert bench.reachability.trouble(asyncio.get_running_loop().time()) is None


async def test_streams_that_end_and_open_again_are_no_silence_of_the_cloud() -> None:
    bench = Bench(is_polled=False)
    now = asyncio.get_running_loop().time
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(200.0))
        await asyncio.sleep(0.5)
        for _ in range(5):
            await bench.send(CUT)  # again and again, so that the pauses before the next try grow
            for _ in range(30):
                await asyncio.sleep(1.0)
                assert bench.reachability.trouble(now()) is None
    assert len(bench.cloud.opened) > 4


async def test_a_surprise_is_logged_and_the_stream_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.cloud.refusal = ZeroDivisionError()
    await bench.run(2.0)
    assert len(bench.cloud.opened) == 2
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 2


async def test_many_failures_are_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.cloud.refusal = CUT
    await bench.run(300.0)
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 1


async def test_a_surprise_while_asking_whose_tracker_it_is_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(is_polled=False)
    bench.cloud.refusal = Forbidden("live_data")
    bench.cloud.newest = ZeroDivisionError()
    await bench.run(2.0)
    assert len(bench.cloud.opened) == 2
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 2

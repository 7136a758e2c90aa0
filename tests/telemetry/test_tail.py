"""The polls of one tracker, in virtual time."""

import asyncio
import logging

import numpy as np
import pytest

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    NotFound,
    Rejected,
    Throttled,
    Unreachable,
)
from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.gap import GapState
from gateway.telemetry.holes import GapReason
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.schedule import MOST_ROWS
from gateway.telemetry.tail import Tail
from tests.telemetry.scripted import ScriptedCloud, body

pytestmark = pytest.mark.looptime

EMPTY = body([])
DOWN = Unreachable("latest_data", Broken.CONNECT)


class Bench:
    """A tail on a channel of its own."""

    def __init__(self, *script: bytes | Exception) -> None:
        self.channel = Channel(1, Wearer("SN-1"), 600)
        self.channel.device_id = 7
        self.cloud = ScriptedCloud(list(script))
        self.refusals = 0
        self.reachability = Reachability()
        self.tail = Tail(self.channel, 7, self.cloud, self.reachability, self._refused)

    async def run(self, duration_s: float) -> None:
        """Let it poll for a while; a tail that ends by itself ends the wait."""
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.tail.run())
            await asyncio.wait((running,), timeout=duration_s)
            running.cancel()

    def _refused(self) -> None:
        self.refusals += 1


def unknown(*, is_path_unknown: bool) -> NotFound:
    return NotFound("latest_data", "devices/7/data/latest", is_path_unknown=is_path_unknown)


@pytest.mark.parametrize("error", [Forbidden("latest_data"), unknown(is_path_unknown=False)], ids=["403", "404"])
async def test_a_refused_tracker_is_told_once_and_never_asked_again(error: CloudError) -> None:
    bench = Bench(body([100]), error)
    await bench.run(60.0)
    assert bench.refusals == 1
    assert len(bench.cloud.asked) == 2
    assert bench.channel.counters.polls_failed == 1
    assert bench.channel.gaps.changes() == []


@pytest.mark.parametrize(
    "error",
    [DOWN, Throttled("latest_data", 1.0), unknown(is_path_unknown=True), BadAnswer("latest_data", Fault.NOT_JSON)],
)
async def test_trouble_that_says_nothing_about_the_tracker_is_waited_out(error: CloudError) -> None:
    bench = Bench(error, error, error, body([100]))
    await bench.run(8.5)
    assert bench.refusals == 0
    assert [asked_s for asked_s, *_ in bench.cloud.asked] == [0.0, 1.0, 3.0, 7.0, 8.0]
    assert bench.channel.counters.polls_failed == 3
    assert len(bench.channel.ring) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(DOWN, GapReason.UPSTREAM_OUTAGE), (Throttled("latest_data", 1.0), GapReason.UPSTREAM_RATE_LIMITED)],
)
async def test_an_outage_is_a_gap_with_its_reason(error: CloudError, reason: GapReason) -> None:
    bench = Bench(body([100]), error)
    await bench.run(1.5)
    assert bench.channel.gaps.changes() == [], "one failed poll is no outage"
    await bench.run(10.0)
    (gap,) = bench.channel.gaps.changes()
    assert (gap.from_ms, gap.reason) == (100, reason)


async def test_what_a_poll_missed_while_it_waited_for_its_turn_is_for_want_of_budget_and_no_silence() -> None:
    bench = Bench(body(range(0, 1000, 100)), body(range(45_000, 46_000, 100)))
    waits = iter([0.0, 45.0])
    bench.cloud.queue_s = lambda: next(waits, 0.0)
    await bench.run(46.5)
    bench.channel.gaps.filled(np.arange(46_000, 60_000, 100))
    assert [gap.reason for gap in bench.channel.gaps.gaps] == [GapReason.UPSTREAM_RATE_LIMITED]


@pytest.mark.parametrize(
    ("error", "reason", "after_s"),
    [
        (None, GapReason.UPSTREAM_RATE_LIMITED, 30.0),
        (Throttled("latest_data", 60.0), GapReason.UPSTREAM_RATE_LIMITED, 3.0),
        (DOWN, GapReason.UPSTREAM_OUTAGE, 3.0),
    ],
)
async def test_a_poll_that_waits_opens_a_gap_when_others_fail_or_when_rows_are_lost_to_it(
    error: CloudError | None, reason: GapReason, after_s: float
) -> None:
    bench = Bench(body([100]), body([200]))
    waits = iter([0.0, 100.0])
    bench.cloud.queue_s = lambda: next(waits, 0.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(60.0))
        await asyncio.sleep(1.5)
        if error is not None:
            bench.reachability.failed(error, 1.5)
        for now_s in range(2, 60):
            await asyncio.sleep(1.0)
            bench.tail.look(float(now_s))
            if gaps := bench.channel.gaps.changes():
                break
    ((gap,), opened_s) = gaps, now_s
    assert (gap.reason, gap.state) == (reason, GapState.OPEN)
    assert after_s < opened_s <= after_s + 2.0


async def test_polls_are_of_no_use_when_they_hang_or_fail_twice_and_not_while_they_wait_for_their_turn() -> None:
    bench = Bench(body([100]), body([200]), DOWN, DOWN, body([300]))
    queue, latency = iter([0.0, 10.0]), iter([0.0, 6.0])
    bench.cloud.queue_s, bench.cloud.latency_s = lambda: next(queue, 0.0), lambda: next(latency, 0.0)
    told: list[tuple[bool, ...]] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(30.0))
        for now_s in range(24):
            await asyncio.sleep(0.5)
            told.append(tuple(bench.tail.is_unanswered(now_s + 0.5, is_streamed=is_so) for is_so in (False, True)))
            await asyncio.sleep(0.5)
    assert [second for second, (now, _) in enumerate(told) if now] == [14, 15, 16, 18, 19]
    assert [second for second, (_, now) in enumerate(told) if now] == [14, 15, 16, 17, 18, 19]


async def test_a_surprise_is_counted_and_logged_and_polling_goes_on_at_the_pace_of_failures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(ZeroDivisionError(), ZeroDivisionError(), ZeroDivisionError(), body([100]))
    await bench.run(7.5)
    assert [asked_s for asked_s, *_ in bench.cloud.asked] == [0.0, 1.0, 3.0, 7.0]
    assert bench.channel.counters.polls_failed == 3
    assert len(bench.channel.ring) == 1
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 3


async def test_an_outage_is_one_warning_and_not_one_each_second(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(body([100]), DOWN)
    await bench.run(30.0)
    bench.cloud.script = [body([200]), DOWN]
    await bench.run(29.0)
    assert sum(record.levelno == logging.WARNING for record in caplog.records) == 2


async def test_what_is_left_out_of_an_answer_is_counted() -> None:
    bench = Bench(b'[{"gnss.timestamp": 1, "ecg.hr": "x", "gnss.speed": -1}, {"gnss.timestamp": "x"}, 5, 6]', EMPTY)
    await bench.run(2.5)
    counters = bench.channel.counters
    assert (counters.polls, counters.rows, counters.rows_rejected, counters.fields_rejected) == (3, 1, 3, 2)


async def test_the_client_is_told_how_long_the_tracker_is_overdue() -> None:
    bench = Bench(body([100]), DOWN, DOWN, body([200]))
    await bench.run(4.5)
    assert [overdue_s for *_, overdue_s in bench.cloud.asked] == [0.0, 0.0, 1.0, 3.0]


async def test_a_slow_cloud_has_turns_skipped_and_counted() -> None:
    bench = Bench(body([100]))
    bench.cloud.latency_s = lambda: 2.5
    await bench.run(8.0)
    assert [asked_s for asked_s, *_ in bench.cloud.asked] == [0.0, 3.0, 6.0]
    assert bench.channel.counters.turns_skipped == 4


async def test_a_hole_is_looked_into_while_it_lies_inside_the_window_and_not_after() -> None:
    sizes = []
    for age_ms in (20_000, 31_000):
        times = [0, 100, *range(5_000, 5_000 + age_ms, 100)]
        bench = Bench(body(times), EMPTY)
        await bench.run(3.5)
        sizes.append([size for _, _, size, _ in bench.cloud.asked])
    assert sizes == [[MOST_ROWS, 20, 20, 20 + 248], [MOST_ROWS, 20, 20, 20]]


async def test_rows_are_asked_for_up_to_the_moment_the_request_goes_out_and_not_the_one_it_was_due() -> None:
    bench = Bench(body([100]))
    queue_s = iter([0.0, 3.5, 0.0])
    bench.cloud.queue_s = lambda: next(queue_s)
    await bench.run(5.5)
    assert [(asked_s, size) for asked_s, _, size, _ in bench.cloud.asked] == [(0.0, MOST_ROWS), (4.5, 55), (5.0, 15)]


async def test_a_sleeping_tracker_whose_stream_wakes_and_stops_is_asked_three_seconds_later() -> None:
    bench = Bench(body([100]), EMPTY)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.run(92.0))
        await asyncio.sleep(85.5)
        bench.tail.streamed(85.5)
    assert next(asked_s for asked_s, *_ in bench.cloud.asked if asked_s > 85.5) == 88.5


async def test_a_sleeping_tracker_is_asked_for_its_newest_time_and_for_rows_only_when_it_is_newer() -> None:
    bench = Bench(body([100]), EMPTY)
    bench.cloud.newest = 100
    await bench.run(150.0)
    polls, peeks = len(bench.cloud.asked), len(bench.cloud.peeked)
    assert bench.cloud.asked[-1][0] < 61.0
    assert peeks >= 5
    bench.cloud.newest = 5_000
    bench.cloud.script = [body(range(100, 5_100, 100)), EMPTY]
    await bench.run(15.5)
    assert bench.cloud.asked[polls][2] == 160, "all that can have come since the last peek"
    assert len(bench.channel.ring) == 50


@pytest.mark.parametrize(
    ("error", "polls"),
    [
        (Rejected("latest_timestamp", 400), "always"),
        (NotFound("latest_timestamp", "x", is_path_unknown=True), "always"),
        (BadAnswer("latest_timestamp", Fault.WRONG_SHAPE), "always"),
        (BadAnswer("latest_timestamp", Fault.NOT_JSON), "this time"),
    ],
)
async def test_where_the_newest_time_is_not_to_be_had_rows_are_asked_for(error: CloudError, polls: str) -> None:
    bench = Bench(body([100]), EMPTY)
    bench.cloud.newest = error
    await bench.run(120.0)
    asleep = [asked_s for asked_s, *_ in bench.cloud.asked if asked_s > 62.0]
    assert len(asleep) >= 3
    assert len(bench.cloud.peeked) == (1 if polls == "always" else len(asleep) + 1)
    assert bench.channel.counters.polls_failed == 0


async def test_a_peek_that_fails_is_a_failed_poll_and_one_that_is_refused_a_refusal() -> None:
    bench = Bench(body([100]), EMPTY)
    bench.cloud.newest = DOWN
    await bench.run(70.0)
    assert bench.channel.counters.polls_failed >= 2
    bench.cloud.newest = Forbidden("latest_timestamp")
    await bench.run(20.0)
    assert bench.refusals == 1


async def test_rows_that_were_forgotten_for_a_clock_are_taken_from_the_next_answer_that_repeats_them() -> None:
    """Believed before anybody knew the time, then taken back: what was right among them is in every answer still."""
    now_ms, reference_ms = 1_795_000_000_000, [None, 1_795_000_003_000]
    right = range(now_ms, now_ms + 2_000, 100)
    bench = Bench(body([3_300_000_000_000, *right[::-1]]))
    bench.channel = Channel(1, Wearer("SN-1"), 600, 0, lambda: reference_ms[0])
    bench.channel.device_id = 7
    bench.tail = Tail(bench.channel, 7, bench.cloud, bench.reachability, bench._refused)
    await bench.run(0.5)
    assert len(bench.channel.ring) == 21
    reference_ms.pop(0)
    await bench.run(5)
    assert bench.channel.ring.between(0, now_ms * 2).t_ms.tolist() == [*right]
    assert bench.channel.ring.newest_ms == right[-1]

"""The polls of one tracker, in virtual time."""

import asyncio
import logging

import pytest

from gateway.cloud.errors import BadAnswer, Broken, CloudError, Fault, Forbidden, NotFound, Throttled, Unreachable
from gateway.telemetry.channel import Channel, Wearer
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
        self.tail = Tail(self.channel, 7, self.cloud, Reachability(), self._refused)

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

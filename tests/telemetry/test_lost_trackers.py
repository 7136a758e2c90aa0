"""What is under way, open or unexplained when a tracker is lost or an outage ends."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from gateway.cloud.errors import Broken, Forbidden, Unreachable
from gateway.problems import Problems
from gateway.telemetry.channel import Channel, Presence, Wearer
from gateway.telemetry.feed import Feed
from gateway.telemetry.gap import Gap, GapState
from gateway.telemetry.gaps import GapTracker
from gateway.telemetry.holes import GapReason
from insiders_codecs.cloud import DecodedRows, decode_rows
from tests.telemetry.scripted import EVERYBODY, Decode, ScriptedCloud, body


class Held(ScriptedCloud):
    """A cloud whose answers come when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, asyncio.Future[bytes]] = {}

    async def latest_data(
        self, device_id: int, size: Callable[[], int], *, overdue_s: float = 0.0, decode: Decode = decode_rows
    ) -> DecodedRows:
        self.held[device_id] = asyncio.get_running_loop().create_future()
        return decode(await self.held[device_id])


class Nobody:
    """An audience that does not listen."""

    def channel_changed(self, channel: Channel) -> None:
        pass

    def presence_changed(self, channel: Channel, presence: Presence) -> None:
        pass

    def gap_changed(self, channel: Channel, gap: Gap) -> None:
        pass


@pytest.mark.looptime
async def test_an_answer_under_way_when_the_tracker_is_lost_is_not_kept() -> None:
    """The answer and the news that the tracker is not ours are read from two sockets in one turn of the loop."""
    cloud = Held()
    feed = Feed(
        [Wearer("SN-1")], 100, cloud, Nobody(), Problems(lambda: 0), lambda _serial_number: None, released=EVERYBODY
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run(lambda: None))
        feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(0.7)
        cloud.held[11].set_result(body([100, 200]))
        feed.assign({}, EVERYBODY)
        await asyncio.sleep(1)
        running.cancel()
    assert len(feed.channels[1].ring) == 0


@pytest.mark.looptime
async def test_a_question_about_the_last_tracker_that_was_lost_before_its_answer_is_no_trouble_with_the_cloud() -> None:
    problems, cloud = Problems(lambda: 0), Held()
    cloud.refusal = Unreachable("live_data", Broken.CONNECT)
    feed = Feed([Wearer("SN-1")], 100, cloud, Nobody(), problems, lambda _serial_number: None, released=EVERYBODY)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run(lambda: None))
        feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(10)
        assert [problem.code for problem in problems] == ["cloud_unreachable"]
        feed.assign({}, EVERYBODY)
        await asyncio.sleep(10)
        running.cancel()
    assert list(problems) == []


@pytest.mark.looptime
async def test_a_refusal_of_the_old_id_does_not_take_away_the_new_one() -> None:
    cloud = Held()
    refused: list[str] = []
    feed = Feed([Wearer("SN-1")], 100, cloud, Nobody(), Problems(lambda: 0), refused.append, released=EVERYBODY)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run(lambda: None))
        feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(0.7)
        cloud.held[11].set_exception(Forbidden("latest_data"))
        feed.assign({"SN-1": 12}, EVERYBODY)
        await asyncio.sleep(1)
        running.cancel()
    assert feed.channels[1].device_id == 12
    assert refused == []


def in_outage() -> GapTracker:
    """Rows up to 900, a hole within them, and a gap that was opened and told."""
    gaps = GapTracker()
    gaps.rows_came(np.array([0, 100, 800, 900], np.int64))
    gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 5.0)
    assert [gap.state for gap in gaps.changes()] == [GapState.OPEN]
    return gaps


def test_a_gap_that_is_open_when_its_tracker_is_lost_does_not_stay_open_for_ever() -> None:
    gaps = in_outage()
    gaps.forget()
    assert [gap.state for gap in gaps.changes()] != []


def test_a_gap_never_ends_before_it_begins() -> None:
    """The first answer after the outage brings only rows that fill an older hole."""
    gaps = in_outage()
    gaps.rows_came(np.array([200, 300], np.int64))
    for gap in gaps.changes():
        assert gap.to_ms is None or gap.to_ms >= gap.from_ms


def test_late_rows_alone_do_not_repair_an_outage() -> None:
    gaps = in_outage()
    gaps.rows_came(np.array([200, 300], np.int64))
    gaps.rows_came(np.arange(50_000, 60_000, 100))
    told = {gap.id: gap for gap in gaps.changes()}
    assert (told[1].state, told[1].reason, told[1].to_ms) == (GapState.CLOSED, GapReason.UPSTREAM_OUTAGE, 50_000)


def test_the_reason_of_an_outage_outlives_an_answer_without_rows() -> None:
    gaps = in_outage()
    gaps.rows_came(np.array([], np.int64))
    gaps.rows_came(np.arange(50_000, 60_000, 100))
    (gap, *_) = gaps.changes()
    assert (gap.id, gap.reason) == (1, GapReason.UPSTREAM_OUTAGE)


def test_what_failed_before_a_tracker_was_lost_is_no_reason_afterwards() -> None:
    gaps = GapTracker()
    gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 1.0)
    gaps.forget()
    gaps.rows_came(np.array([0, 100, *range(5000, 20_000, 100)], np.int64))
    assert [gap.reason for gap in gaps.changes()] == [GapReason.DEVICE_SILENT]

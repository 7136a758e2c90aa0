"""All channels: who is polled, and what the audience hears, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.cloud.errors import Broken, Forbidden, Unreachable
from gateway.problems import Problems
from gateway.telemetry.channel import Channel, Presence, Wearer
from gateway.telemetry.feed import Feed
from gateway.telemetry.gap import Gap
from gateway.telemetry.holes import GapReason
from gateway.telemetry.snapshot import SavedChannel
from insiders_codecs.cloud import DecodedRows, decode_rows
from tests.telemetry.scripted import EVERYBODY, Decode, ScriptedCloud, block, body

pytestmark = pytest.mark.looptime


class Audience:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.channels: list[tuple[int, int | None]] = []
        self.presences: list[tuple[int, Presence]] = []
        self.gaps: list[tuple[int, Gap]] = []

    def channel_changed(self, channel: Channel) -> None:
        self.channels.append((channel.ch, channel.device_id))

    def presence_changed(self, channel: Channel, presence: Presence) -> None:
        self.presences.append((channel.ch, presence))

    def gap_changed(self, channel: Channel, gap: Gap) -> None:
        self.gaps.append((channel.ch, gap))


class Moving(ScriptedCloud):
    """A tracker that moves: a second of rows for each second of the loop's clock."""

    async def latest_data(
        self, device_id: int, size: Callable[[], int], *, overdue_s: float = 0.0, decode: Decode = decode_rows
    ) -> DecodedRows:
        now_ms = round(asyncio.get_running_loop().time() * 1000) // 1000 * 1000
        self.script = [body(range(now_ms, now_ms + 1000, 100))]
        return await super().latest_data(device_id, size, overdue_s=overdue_s, decode=decode)


class Bench:
    """A feed of two trackers."""

    def __init__(self, cloud: ScriptedCloud) -> None:
        self.cloud = cloud
        self.heard = Audience()
        self.refused: list[str] = []
        self.beats = 0
        self.feed = Feed(
            [Wearer("SN-1"), Wearer("SN-2")],
            600,
            cloud,
            self.heard,
            Problems(lambda: 0),
            self.refused.append,
            released=EVERYBODY,
        )

    def beat(self) -> None:
        self.beats += 1

    def polls(self, device_id: int) -> int:
        return sum(asked == device_id for _, asked, *_ in self.cloud.asked)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.feed.run(self.beat))
            await asyncio.sleep(0)
            yield
            running.cancel()


@pytest.fixture(name="bench")
def _bench() -> Bench:
    return Bench(Moving([]))


async def test_channels_are_numbered_from_one_and_described_at_the_start(bench: Bench) -> None:
    async with bench.running():
        await asyncio.sleep(5)
    assert list(bench.feed.channels) == [1, 2]
    assert bench.heard.channels == [(1, None), (2, None)]
    assert bench.heard.presences == [(1, Presence.UNCLAIMED), (2, Presence.UNCLAIMED)]
    assert bench.cloud.asked == []


async def test_a_tracker_that_becomes_ours_is_polled_at_once_and_once_a_second(bench: Bench) -> None:
    async with bench.running():
        await asyncio.sleep(0.25)
        bench.feed.assign({"SN-2": 22}, EVERYBODY)
        await asyncio.sleep(0.01)
        assert bench.polls(22) == 1
        await asyncio.sleep(10)
    assert bench.polls(22) == 11
    assert bench.polls(11) == 0
    assert bench.heard.channels[2:] == [(2, 22)]
    assert [presence for ch, presence in bench.heard.presences if ch == 2] == [
        Presence.UNCLAIMED,
        Presence.WAITING,
        Presence.LIVE,
    ]


async def test_saying_the_same_again_changes_nothing(bench: Bench) -> None:
    async with bench.running():
        for _ in range(5):
            bench.feed.assign({"SN-1": 11}, EVERYBODY)
            await asyncio.sleep(0.9)
        assert len(bench.feed.channels[1].ring) == 50
    assert bench.heard.channels[2:] == [(1, 11)]
    assert bench.polls(11) == 5


async def test_a_tracker_that_is_ours_no_longer_is_not_polled_and_forgotten(bench: Bench) -> None:
    async with bench.running():
        bench.feed.assign({"SN-1": 11, "SN-2": 22}, EVERYBODY)
        await asyncio.sleep(3)
        bench.feed.assign({"SN-2": 22}, EVERYBODY)
        await asyncio.sleep(0.01)
        polls = bench.polls(11)
        await asyncio.sleep(10)
        assert bench.polls(11) == polls
        assert len(bench.feed.channels[1].ring) == 0
        assert len(bench.feed.channels[2].ring) > 100
    assert bench.heard.presences[-1] == (1, Presence.UNCLAIMED)
    assert bench.heard.channels[-1] == (1, None)


async def test_a_tracker_that_comes_back_under_another_id_is_polled_under_that_and_begins_anew(bench: Bench) -> None:
    async with bench.running():
        bench.feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(3)
        bench.feed.assign({"SN-1": 12}, EVERYBODY)
        assert len(bench.feed.channels[1].ring) == 0
        await asyncio.sleep(0.01)
        old = bench.polls(11)
        await asyncio.sleep(5)
    assert bench.polls(11) == old
    assert bench.polls(12) == 6
    assert len(bench.feed.channels[1].ring) == 60


async def test_a_refused_tracker_is_forgotten_told_and_polled_again_only_when_it_is_ours_again() -> None:
    bench = Bench(ScriptedCloud([body([100]), Forbidden("latest_data"), body([200])]))
    async with bench.running():
        bench.feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(30)
        assert bench.refused == ["SN-1"]
        assert bench.polls(11) == 2
        assert len(bench.feed.channels[1].ring) == 0
        assert bench.heard.channels[-1] == (1, None)
        assert bench.heard.presences[-1] == (1, Presence.UNCLAIMED)
        bench.feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(1.5)
        assert bench.polls(11) == 4
        assert bench.feed.channels[1].ring.newest_ms == 200


async def test_a_refused_tracker_that_is_ours_again_at_once_is_polled_again() -> None:
    """The roster may already know better when the refusal arrives."""
    cloud = ScriptedCloud([Forbidden("latest_data"), body([200])])
    feed = Feed(
        [Wearer("SN-1")],
        600,
        cloud,
        Audience(),
        Problems(lambda: 0),
        lambda _serial_number: feed.assign({"SN-1": 11}, EVERYBODY),
        released=EVERYBODY,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run(lambda: None))
        feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(3)
        running.cancel()
    assert feed.channels[1].ring.newest_ms == 200


async def test_silence_is_told_step_by_step_and_each_step_once() -> None:
    bench = Bench(ScriptedCloud([body([100]), body([])]))
    async with bench.running():
        bench.feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(60)
    assert [presence for ch, presence in bench.heard.presences if ch == 1][-3:] == [
        Presence.LIVE,
        Presence.STALE,
        Presence.LOST,
    ]
    assert len(bench.heard.presences) <= 6


async def test_gaps_are_told_once_with_their_channel() -> None:
    bench = Bench(ScriptedCloud([body([0, 100, 2_000, *range(2_100, 9_000, 100)]), body([])]))
    async with bench.running():
        bench.feed.assign({"SN-2": 22}, EVERYBODY)
        await asyncio.sleep(5)
    assert [(ch, gap.from_ms, gap.to_ms) for ch, gap in bench.heard.gaps] == [(2, 100, 2_000)]


async def test_it_beats_on_every_turn_and_does_not_spin(bench: Bench) -> None:
    async with bench.running():
        bench.feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(20)
    assert 40 <= bench.beats <= 45


async def test_a_cloud_that_refuses_a_tracker_has_answered() -> None:
    """The outage is over, although the first answer is a no and there is nobody left to ask."""
    down = Unreachable("latest_data", Broken.CONNECT)
    cloud = ScriptedCloud([down, down, down, down, Forbidden("latest_data")], refusal=down)
    problems = Problems(lambda: 0)
    feed = Feed([Wearer("SN-1")], 600, cloud, Audience(), problems, lambda _serial_number: None, released=EVERYBODY)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run(lambda: None))
        feed.assign({"SN-1": 11}, EVERYBODY)
        await asyncio.sleep(7)
        assert [problem.code for problem in problems] == ["cloud_unreachable"]
        await asyncio.sleep(30)
        running.cancel()
    assert list(problems) == []


async def test_a_clock_that_goes_wrong_or_right_is_told_although_the_presence_stays(bench: Bench) -> None:
    async with bench.running():
        await asyncio.sleep(1)
        told = len(bench.heard.presences)
        for error_ms in (7_200_000, 7_200_100, None):
            bench.feed.channels[1].clock_error_ms = error_ms
            await asyncio.sleep(1)
    assert bench.heard.presences[told:] == [(1, Presence.UNCLAIMED)] * 2


def feed_of(*serial_numbers: str, saved: Sequence[SavedChannel] = ()) -> Feed:
    wearers = [Wearer(serial_number) for serial_number in serial_numbers]
    return Feed(
        wearers,
        600,
        Moving(),
        Audience(),
        Problems(lambda: 0),
        lambda _serial_number: None,
        saved=saved,
        released=EVERYBODY,
    )


async def test_after_a_restart_a_tracker_goes_on_under_its_number_and_no_number_is_given_twice() -> None:
    before = feed_of("SN-1", "SN-2", "SN-3")
    for ch, channel in before.channels.items():
        channel.device_id = 10 * ch
        channel.rows_came(block(100, 200, 5_000, 20_000), 0.0)
    after = feed_of("SN-0", "SN-3", "SN-1", saved=[channel.saved() for channel in before.channels.values()])
    assert {ch: channel.wearer.serial_number for ch, channel in after.channels.items()} == {
        4: "SN-0",
        3: "SN-3",
        1: "SN-1",
    }
    restored, was = after.channels[3], before.channels[3]
    assert (restored.device_id, len(restored.ring), restored.ring.newest) == (30, 4, 4)
    assert (restored.counters, restored.gaps.gaps) == (was.counters, was.gaps.gaps)
    assert (after.channels[4].device_id, len(after.channels[4].ring)) == (None, 0)


async def test_the_number_of_a_tracker_that_left_the_roster_is_kept_for_it_over_every_further_restart() -> None:
    """Or a client that was away meanwhile would read somebody else's rows under it, from its own cursor on."""
    before = feed_of("SN-1", "SN-2")
    before.channels[2].device_id = 20
    before.channels[2].rows_came(block(100, 200, 300), 0.0)
    without = feed_of("SN-1", saved=list(before.saved()))
    after = feed_of("SN-1", "SN-3", saved=list(without.saved()))
    assert list(after.channels) == [1, 3]
    again = feed_of("SN-1", "SN-2", "SN-3", saved=list(after.saved()))
    back = again.channels[2]
    assert list(again.channels) == [1, 2, 3]
    assert (back.wearer.serial_number, back.device_id, len(back.ring)) == ("SN-2", None, 0)
    assert (back.ring.newest, back.ring.withdrawn) == (3, 3)


async def test_after_a_restart_the_rows_of_a_tracker_that_was_lost_meanwhile_are_forgotten() -> None:
    before = feed_of("SN-1")
    before.channels[1].device_id = 10
    before.channels[1].rows_came(block(100, 200), 0.0)
    after = feed_of("SN-1", saved=[before.channels[1].saved()])
    after.assign({}, EVERYBODY)
    assert len(after.channels[1].ring) == 0
    assert after.channels[1].ring.newest == 2, "arrival numbers go on"


async def test_a_gateway_that_went_on_asks_for_rows_at_once_and_keeps_those_it_has() -> None:
    before = feed_of("SN-1")
    before.channels[1].device_id = 10
    before.channels[1].rows_came(block(*range(-60_000, -50_000, 100)), 0.0)
    feed = feed_of("SN-1", saved=[before.channels[1].saved()])
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(feed.run(lambda: None))
        await asyncio.sleep(6.5)
        running.cancel()
    ring = feed.channels[1].ring
    assert len(ring) == 100 + 70
    (gap,) = feed.channels[1].gaps.gaps
    assert (gap.reason, gap.from_ms, gap.to_ms) == (GapReason.GATEWAY_RESTART, -50_100, 0)

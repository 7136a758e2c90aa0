"""Who is not released is not followed and not kept; what was kept is overwritten; what was before stays out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.problems import Problems
from gateway.telemetry.channel import Channel, Presence, Wearer
from gateway.telemetry.feed import Feed
from gateway.telemetry.seconds import Seconds
from gateway.telemetry.snapshot import SavedChannel
from gateway.telemetry.timekeeping import BEHIND_MS
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from tests.telemetry.scripted import ScriptedCloud, block, body
from tests.telemetry.test_feed import Audience, Moving

pytestmark = pytest.mark.looptime

HEART_RATE = 171.0
Raw = NDArray[np.uint8]


class Memory:
    """Every table that a ring has ever held its rows in, so that nothing of it is given back unseen."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tables: dict[int, Raw] = {}

    def look(self) -> None:
        raw = self._channel.ring._table.raw
        self._tables[id(raw)] = raw

    @property
    def count(self) -> int:
        return len(self._tables)

    def is_zero(self, *, is_current_too: bool = True) -> bool:
        self.look()
        current = self._channel.ring._table.raw
        return not any(raw.any() for raw in self._tables.values() if is_current_too or raw is not current)


def hearts(first_ms: int, count: int) -> SampleBlock:
    """Rows of somebody whose heart beats."""
    values = np.full((len(QUANTITIES), count), np.nan)
    values[Column.HEART_RATE], values[Column.SPEED] = HEART_RATE, 3.0
    return SampleBlock(first_ms + 100 * np.arange(count, dtype=np.int64), values)


class Bench:
    """A feed of two trackers that are both ours."""

    def __init__(self, cloud: ScriptedCloud, reference_ms: int | None = None) -> None:
        self.cloud, self.heard = cloud, Audience()
        self.feed = Feed(
            [Wearer("SN-1", "Ada"), Wearer("SN-2", "Bo")],
            600,
            cloud,
            self.heard,
            Problems(lambda: 0),
            lambda _: None,
            reference_ms=lambda: reference_ms,
            released={},
        )

    def release(self, **since_ms: int) -> None:
        self.feed.assign({"SN-1": 11, "SN-2": 22}, {f"SN-{name[1:]}": since for name, since in since_ms.items()})

    def presence(self, ch: int) -> Presence:
        return self.feed.channels[ch].presence(asyncio.get_running_loop().time())

    def asked(self) -> set[int]:
        return {device_id for _, device_id, *_ in self.cloud.asked} | {device_id for _, device_id in self.cloud.opened}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.feed.run(lambda: None))
            await asyncio.sleep(0)
            yield
            running.cancel()


async def test_who_is_not_released_is_not_asked_for_and_the_audience_knows() -> None:
    bench = Bench(Moving([]))
    async with bench.running():
        bench.release(s2=0)
        await asyncio.sleep(60)
        assert bench.asked() == {22}
        assert (bench.presence(1), bench.presence(2)) == (Presence.UNRELEASED, Presence.LIVE)
        assert bench.heard.presences[:2] == [(1, Presence.UNRELEASED), (2, Presence.UNRELEASED)]
        assert (1, 11) not in bench.heard.channels
        assert len(bench.feed.channels[1].ring) == 0


async def test_a_withdrawal_ends_the_polls_within_a_turn_and_leaves_zeros() -> None:
    bench = Bench(Moving([]))
    async with bench.running():
        bench.release(s1=0, s2=0)
        await asyncio.sleep(30.2)
        channel = bench.feed.channels[1]
        memory = Memory(channel)
        memory.look()
        assert not memory.is_zero()
        newest = channel.ring.newest
        bench.release(s2=0)
        assert memory.is_zero()
        assert (len(channel.ring), channel.ring.withdrawn, channel.ring.newest_ms) == (0, newest, None)
        await asyncio.sleep(0.1)
        assert bench.heard.presences[-1] == (1, Presence.UNRELEASED)
        asked = len([device_id for _, device_id, *_ in bench.cloud.asked if device_id == 11])
        await asyncio.sleep(30)
        assert len([device_id for _, device_id, *_ in bench.cloud.asked if device_id == 11]) == asked
        assert memory.is_zero()
        assert bench.presence(2) is Presence.LIVE


async def test_an_answer_that_was_on_its_way_when_the_release_was_withdrawn_is_not_kept() -> None:
    cloud = Moving([], latency_s=lambda: 0.8)
    bench = Bench(cloud)
    async with bench.running():
        bench.release(s1=0)
        await asyncio.sleep(10.4)
        assert len(cloud.asked) > 5
        bench.release()
        await asyncio.sleep(10)
        assert Memory(bench.feed.channels[1]).is_zero()


async def test_withdrawn_and_given_again_at_once_an_answer_on_its_way_brings_nothing_from_before() -> None:
    cloud = Moving([], latency_s=lambda: 0.8)
    bench = Bench(cloud)
    async with bench.running():
        bench.release(s1=0)
        await asyncio.sleep(10.4)
        bench.release()
        bench.release(s1=10_400)
        await asyncio.sleep(5)
        t_ms = bench.feed.channels[1].ring.between(0, 2**44).t_ms
        assert len(t_ms) > 20
        assert t_ms.min() >= 10_400


async def test_a_release_follows_within_a_second_and_takes_no_row_from_before() -> None:
    cloud = ScriptedCloud([body(range(0, 30_000, 100))])
    bench = Bench(cloud)
    async with bench.running():
        await asyncio.sleep(100)
        assert cloud.asked == []
        bench.release(s1=29_000)
        await asyncio.sleep(1)
        channel = bench.feed.channels[1]
        assert channel.ring.between(0, 2**44).t_ms.tolist() == list(range(29_000, 30_000, 100))
        assert channel.counters.rows_unreleased == 290
        assert bench.presence(1) is Presence.LIVE


async def test_a_release_that_begins_anew_takes_back_what_was_before() -> None:
    """As when a tracker is given to another athlete, who is released too."""
    cloud = ScriptedCloud([body(range(0, 30_000, 100))])
    bench = Bench(cloud)
    async with bench.running():
        bench.release(s1=0)
        await asyncio.sleep(1)
        channel = bench.feed.channels[1]
        assert len(channel.ring) == 300
        bench.release(s1=20_000)
        assert Memory(channel).is_zero()
        await asyncio.sleep(1)
        assert channel.ring.between(0, 2**44).t_ms.tolist() == list(range(20_000, 30_000, 100))


async def test_who_is_released_and_not_ours_is_unclaimed_and_who_is_neither_is_unreleased() -> None:
    bench = Bench(Moving([]))
    bench.feed.assign({}, {"SN-1": 0})
    assert (bench.presence(1), bench.presence(2)) == (Presence.UNCLAIMED, Presence.UNRELEASED)


# --- one channel -----------------------------------------------------------------------------------------------------


def channel_of(since_ms: int | None, reference_ms: int | None = None, refill_ms: int = 0) -> Channel:
    channel = Channel(1, Wearer("SN-1"), 600, refill_ms, lambda: reference_ms)
    channel.device_id, channel.since_ms = 11, since_ms
    return channel


def test_nothing_is_kept_of_who_is_not_released_whichever_way_it_comes() -> None:
    channel = channel_of(None, 2_000_000_000_000)
    assert channel.rows_came(hearts(1_999_999_999_000, 10), 0.0) == 0
    assert channel.rows_came(hearts(1_000, 10), 0.0) == 0
    assert channel.history_came(hearts(1_999_999_999_000, 10)) == 0
    assert Memory(channel).is_zero()
    assert channel.gaps.newest_ms is None


def test_the_past_is_wanted_from_the_release_on_and_not_from_before() -> None:
    channel = channel_of(100_000, 160_000, refill_ms=1_800_000)
    channel.rows_came(hearts(150_000, 100), 0.0)
    channel.rows_came(hearts(160_000, 100), 0.0)
    channel.rows_came(hearts(170_000, 100), 0.0)
    assert [(hole.after_ms, hole.before_ms) for hole in channel.gaps.holes(0)] == [(100_000, 150_000)]


def test_history_from_before_the_release_is_left_out_and_counted() -> None:
    channel = channel_of(100_000)
    channel.rows_came(hearts(150_000, 100), 0.0)
    assert channel.history_came(hearts(99_000, 20)) == 10
    assert channel.ring.between(0, 2**44).t_ms.min() == 100_000
    assert (channel.counters.rows_history, channel.counters.rows_unreleased) == (10, 10)


@pytest.mark.parametrize("wrong_ms", [315_964_800_000, 4_000_000_000_000], ids=["GPS begins", "far ahead"])
def test_rows_whose_time_is_wrong_may_be_from_before_a_fresh_release(wrong_ms: int) -> None:
    reference_ms = 2_000_000_000_000
    fresh, old = channel_of(reference_ms - BEHIND_MS, reference_ms), channel_of(1, reference_ms)
    for channel in (fresh, old):
        channel.rows_came(block(), 0.0)  # the first answer of all
        for second in range(3):
            for _ in range(2):
                channel.rows_came(hearts(wrong_ms + 1000 * second, 10), float(second))
        assert channel.clock_error_ms == wrong_ms + 2900 - reference_ms, "somebody has to see to that tracker"
        assert channel.moved_s == 2.0
    assert Memory(fresh).is_zero()
    assert (fresh.counters.rows_misdated, fresh.counters.rows_unreleased) == (0, 30)
    assert (old.counters.rows_misdated, old.counters.rows_unreleased) == (30, 0)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("rows"), st.integers(0, 2000)),
            st.tuples(st.just("history"), st.integers(0, 2000)),
            st.tuples(st.just("withdraw"), st.just(0)),
            st.tuples(st.just("give"), st.integers(0, 2000)),
        ),
        max_size=60,
    )
)
def test_in_whatever_order_no_row_from_before_is_there_and_no_memory_keeps_what_was(
    steps: list[tuple[str, int]],
) -> None:
    channel = Channel(1, Wearer("SN-1"), 50)
    channel.device_id, channel.since_ms = 11, None
    memory = Memory(channel)
    for step, place in steps:
        match step:
            case "rows":
                channel.rows_came(hearts(100 * place, 30), 0.0)
            case "history":
                channel.history_came(hearts(100 * place, 70))
            case "withdraw":
                channel.lose()
                channel.since_ms = None
            case _:
                channel.lose()
                channel.device_id, channel.since_ms = 11, 100 * place
        memory.look()
        assert memory.is_zero(is_current_too=False), "what the ring gave back when it grew or shrank"
        if step in {"withdraw", "give"} or channel.since_ms is None:
            assert memory.is_zero()
        else:
            assert not len(channel.ring.between(0, channel.since_ms))


def test_memory_that_a_ring_grew_out_of_is_seen() -> None:
    """So that the test above looks at something."""
    channel = channel_of(0)
    memory = Memory(channel)
    memory.look()
    channel.rows_came(hearts(100_000, 600), 0.0)
    channel.history_came(hearts(50_000, 400))
    channel.rows_came(hearts(160_000, 10), 0.0)
    memory.look()
    assert memory.count > 1
    assert not memory.is_zero()


def test_the_seconds_that_evidence_is_taken_from_are_overwritten_too() -> None:
    channel = channel_of(0)
    seconds = Seconds([channel, Channel(2, Wearer("SN-2"), 10)])
    channel.rows_came(hearts(100_000, 200), 0.0)
    seconds.update()
    assert (seconds._values == HEART_RATE).any()
    channel.lose()
    seconds.update()
    assert np.isnan(seconds._values).all()


# --- over a restart --------------------------------------------------------------------------------------------------


def restarted(saved: SavedChannel, released: dict[str, int]) -> Channel:
    feed = Feed(
        [Wearer("SN-1")],
        600,
        Moving([]),
        Audience(),
        Problems(lambda: 0),
        lambda _: None,
        saved=[saved],
        released=released,
    )
    return feed.channels[1]


async def test_what_was_saved_of_who_is_not_released_any_more_is_dropped() -> None:
    before = channel_of(0)
    before.rows_came(hearts(100_000, 100), 0.0)
    saved = before.saved()
    kept = restarted(saved, {"SN-1": 100_000})
    assert (kept.device_id, len(kept.ring), kept.ring.withdrawn) == (11, 100, 0)
    for released in ({}, {"SN-1": 105_000}):
        lost = restarted(saved, released)
        assert (lost.device_id, len(lost.ring), lost.ring.newest, lost.ring.withdrawn) == (None, 0, 100, 100)
        assert Memory(lost).is_zero()
        assert lost.gaps.newest_ms is None

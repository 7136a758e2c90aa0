"""The ring of recent rows: order of arrival, duplicates, cursors, late and misdated rows, growth."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from numpy.typing import NDArray

from gateway.telemetry.ring import LIVE_WINDOW_MS, Ring, rows_for
from insiders_codecs.packing import Rows, RowTable, as_rows
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock


def block(*times: int) -> SampleBlock:
    """Rows whose altitude tells their time, so that a mixed-up row shows."""
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.ALTITUDE] = np.array(times) / 1000
    return SampleBlock(np.array(times, np.int64), values)


def read_all(ring: Ring, after: int, limit: int = 1000) -> list[tuple[int, int, bool, bool]]:
    """Arrival number, time, whether late and whether misdated of every row after a cursor."""
    rows = []
    while (run := ring.read(after, limit)) is not None:
        assert len(run.block) >= 1
        assert np.rint(run.block.column(Column.ALTITUDE) * 1000).tolist() == run.block.t_ms.tolist()
        rows += [(run.n0 + i, t_ms, run.is_late, run.is_misdated) for i, t_ms in enumerate(run.block.t_ms.tolist())]
        after = run.last
    return rows


def test_rows_are_numbered_from_one_as_they_arrive() -> None:
    ring = Ring(1, 10)
    assert (ring.oldest, ring.newest, ring.newest_ms, len(ring)) == (1, 0, None, 0)
    ring.append(block(100, 200))
    ring.append(block(300))
    assert read_all(ring, 0) == [(1, 100, False, False), (2, 200, False, False), (3, 300, False, False)]
    assert read_all(ring, 2) == [(3, 300, False, False)]
    assert ring.read(3, 10) is None


def test_a_time_already_here_is_dropped_and_counted() -> None:
    ring = Ring(1, 10)
    ring.append(block(100, 200, 300))
    new = ring.append(block(200, 300, 400))
    assert new.t_ms.tolist() == [400]
    assert ring.duplicates == 2
    assert ring.append(block(100, 400)).t_ms.tolist() == []
    assert [t_ms for _, t_ms, _, _ in read_all(ring, 0)] == [100, 200, 300, 400]


@pytest.mark.parametrize("is_misdated", [False, True])
def test_an_answer_without_rows_changes_nothing(is_misdated: bool) -> None:
    ring = Ring(1, 10)
    assert len(ring.append(block(), is_misdated=is_misdated)) == 0
    assert (ring.newest, ring.newest_ms, ring.duplicates) == (0, None, 0)


def test_a_repeat_from_far_back_is_still_known() -> None:
    """Older than the window of ordinary repeats, but still in the ring."""
    ring = Ring(1, 3000)
    times = list(range(0, 2 * LIVE_WINDOW_MS + 100_000, 100))
    for start in range(0, len(times), 10):
        ring.append(block(*times[start : start + 10]))
    assert len(ring.append(block(0, 100, 5_050))) == 1
    assert ring.newest_ms == times[-1]


@pytest.mark.parametrize("age_ms", [LIVE_WINDOW_MS - 100, LIVE_WINDOW_MS + 100, 2 * LIVE_WINDOW_MS])
def test_a_repeat_of_any_age_is_known_at_any_moment(age_ms: int) -> None:
    ring = Ring(1, 3000)
    for start in range(0, 250_000, 1000):
        ring.append(block(*range(start, start + 1000, 100)))
        if start > age_ms:
            assert len(ring.append(block(start - age_ms))) == 0


def test_late_rows_are_appended_and_read_as_late() -> None:
    ring = Ring(1, 10)
    ring.append(block(100, 500))
    ring.append(block(200, 300, 600))
    assert read_all(ring, 0) == [
        (1, 100, False, False),
        (2, 500, False, False),
        (3, 200, True, False),
        (4, 300, True, False),
        (5, 600, False, False),
    ]
    assert ring.newest_ms == 600


def test_a_reader_left_behind_sees_where_the_ring_begins() -> None:
    ring = Ring(1, 4)
    for t_ms in range(100, 800, 100):
        ring.append(block(t_ms))
    run = ring.read(1, 10)
    assert run is not None
    assert (run.n0, ring.oldest, ring.newest, len(ring)) == (4, 4, 7, 4)


def test_a_block_larger_than_the_ring_leaves_its_newest_rows() -> None:
    ring = Ring(1, 4)
    ring.append(block(*range(100, 1100, 100)))
    assert read_all(ring, 0) == [
        (7, 700, False, False),
        (8, 800, False, False),
        (9, 900, False, False),
        (10, 1000, False, False),
    ]


def test_a_limit_cuts_what_is_read() -> None:
    ring = Ring(1, 10)
    ring.append(block(100, 200, 300))
    run = ring.read(0, 2)
    assert run is not None
    assert (run.n0, run.last) == (1, 2)


def test_since_finds_the_cursor_before_a_time() -> None:
    ring = Ring(1, 10)
    ring.append(block(100, 200, 600))
    ring.append(block(300, 700))
    assert ring.since(0) == 0
    assert ring.since(250) == 2  # the row at 600 came before the late one at 300
    assert ring.since(650) == 4
    assert ring.since(701) == ring.newest == 5


def test_many_who_ask_for_the_past_at_once_have_the_ring_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ring, looks, look = Ring(1, 18_000), list[int](), Ring._in_order

    def in_order(ring: Ring, array: NDArray[Any], count: int | None = None) -> NDArray[Any]:
        looks.append(len(array))
        return look(ring, array, count)

    ring.append(block(*range(0, 100_000, 100)))
    monkeypatch.setattr(Ring, "_in_order", in_order)
    assert [ring.since(number * 100) for number in range(190)] == list(range(190))
    assert len(looks) == 2, "times and flags"
    ring.append(block(100_000))
    assert ring.since(100_000) == 1000
    ring.clear()
    assert ring.since(0) == ring.newest


def test_between_is_half_open_and_ordered_by_time() -> None:
    ring = Ring(1, 10)
    ring.append(block(100, 200, 600))
    ring.append(block(300))
    assert ring.between(200, 600).t_ms.tolist() == [200, 300]
    assert ring.between(700, 900).t_ms.tolist() == []


def test_clearing_overwrites_the_rows_and_goes_on_counting() -> None:
    ring = Ring(1, 4)
    ring.append(block(100, 200))
    ring.clear()
    assert (len(ring), ring.oldest, ring.newest, ring.newest_ms) == (0, 3, 2, None)
    assert not ring._table.raw.any()
    ring.append(block(100))
    assert read_all(ring, 0) == [(3, 100, False, False)]


def test_after_clearing_the_same_times_are_new_and_not_late() -> None:
    ring = Ring(1, 100)
    ring.append(block(100, 200, 5000))
    ring.append(block(300))
    ring.clear()
    assert ring.append(block(100, 200)).t_ms.tolist() == [100, 200]
    assert ring.append(block(50, 200, 300)).t_ms.tolist() == [50, 300]
    assert read_all(ring, 0) == [
        (5, 100, False, False),
        (6, 200, False, False),
        (7, 50, True, False),
        (8, 300, False, False),
    ]
    assert (ring.newest_ms, ring.duplicates) == (300, 1)


def test_an_empty_ring_answers_every_question() -> None:
    ring = Ring(1, 4)
    ring.append(block(100, 200, 300, 400, 500))
    ring.clear()
    assert ring.read(0, 10) is None
    assert ring.since(0) == ring.newest == 5
    assert len(ring.between(0, 1000)) == 0


@pytest.mark.parametrize(("minutes", "rows"), [(30, 18_000), (0.5, 300), (0, 1)])
def test_the_span_is_given_in_minutes(minutes: float, rows: int) -> None:
    assert rows_for(minutes) == rows


def rows_at(seconds: range) -> SampleBlock:
    """Ten rows for each second."""
    return block(*range(1000 * seconds.start, 1000 * seconds.stop, 100))


def fill(ring: Ring, seconds: range) -> None:
    """Live rows, one answer a second."""
    for second in seconds:
        ring.append(rows_at(range(second, second + 1)))


def times_held(ring: Ring) -> list[int]:
    """Times of all rows here, ascending."""
    times: list[int] = ring.between(0, 2**44).t_ms.tolist()
    return times


def test_rows_of_the_past_do_not_push_out_younger_ones() -> None:
    """An outage from 20 s to 40 s is filled at 60 s: what came before it stays as long as it is within the span."""
    ring = Ring(1, 600)
    fill(ring, range(20))
    fill(ring, range(40, 60))
    ring.append(rows_at(range(20, 40)))
    for newest_s in range(61, 300):
        fill(ring, range(newest_s - 1, newest_s))
        expected = range(max(0, 1000 * newest_s - 60_000), 1000 * newest_s, 100)
        assert set(expected) <= set(times_held(ring))
    assert ring.overrun == 0


def test_an_answer_about_the_past_leaves_no_copy_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else memory that was given back would hold rows of somebody who has withdrawn since."""
    copies = list[NDArray[np.uint8]]()

    def seen(raw: NDArray[np.uint8]) -> Rows:
        copies.append(raw)
        return as_rows(raw)

    monkeypatch.setattr("gateway.telemetry.ring.as_rows", seen)
    ring = Ring(1, 10)
    for start in range(0, 1500, 300):  # so that it has begun again from the front
        ring.append(block(start, start + 100, start + 200))
    got = ring.between(600, 1400)
    assert got.t_ms.tolist() == list(range(600, 1400, 100))
    assert np.rint(got.column(Column.ALTITUDE) * 1000).tolist() == got.t_ms.tolist()
    assert [len(copy) for copy in copies] == [8]
    assert not copies[0].any()
    assert len(read_all(ring, 0)) == 10, "what is kept is kept"


def test_memory_that_history_needed_is_given_back() -> None:
    ring = Ring(1, 600)
    fill(ring, range(20))
    fill(ring, range(50, 60))
    ring.append(rows_at(range(20, 50)))
    fill(ring, range(60, 110))
    assert 900 <= len(ring) <= 930
    fill(ring, range(110, 300))
    assert len(ring) <= 630
    assert set(range(240_000, 300_000, 100)) <= set(times_held(ring))
    assert ring.overrun == 0


def test_a_ring_that_may_not_grow_further_counts_what_it_loses() -> None:
    """Rows ten times as dense as trackers send them: the ring holds twice its capacity and says what it cannot hold."""
    ring = Ring(1, 100)
    times = list(range(0, 10_000, 10))
    for start in range(0, len(times), 50):
        ring.append(block(*times[start : start + 50]))
    assert len(ring) == 205
    assert ring.overrun == len(times) - 205
    assert times_held(ring) == times[-205:]


def test_pages_of_history_far_in_the_past_are_known_when_they_come_again() -> None:
    ring = Ring(1, 18_000)
    page = rows_at(range(1000, 1300))
    fill(ring, range(2500, 2600))
    assert len(ring.append(page)) == 3000
    assert len(ring.append(page)) == 0
    assert len(ring.append(rows_at(range(1200, 1400)))) == 1000
    assert ring.duplicates == 4000


def test_rows_whose_time_is_wrong_are_kept_and_tell_nothing_of_the_present() -> None:
    ring = Ring(1, 100)
    ring.append(block(100_000, 100_100))
    assert ring.append(block(0, 100, 900_000), is_misdated=True).t_ms.tolist() == [0, 100, 900_000]
    ring.append(block(100_200))
    assert read_all(ring, 0) == [
        (1, 100_000, False, False),
        (2, 100_100, False, False),
        (3, 0, False, True),
        (4, 100, False, True),
        (5, 900_000, False, True),
        (6, 100_200, False, False),
    ]
    assert ring.newest_ms == 100_200
    assert ring.since(100_101) == 5
    assert ring.between(100_000, 200_000).t_ms.tolist() == [100_000, 100_100, 100_200]
    assert len(ring.between(900_000, 900_001)) == 0
    assert (ring.count(900_000, 900_001), ring.count(0, 1_000_000)) == (1, 6)


def test_misdated_rows_are_known_when_they_come_again() -> None:
    ring = Ring(1, 100)
    ring.append(block(0, 100), is_misdated=True)
    assert ring.append(block(100, 200), is_misdated=True).t_ms.tolist() == [200]
    assert ring.duplicates == 1
    ring.clear()
    assert ring.append(block(100), is_misdated=True).t_ms.tolist() == [100]


def test_a_row_of_the_past_is_not_taken_for_a_misdated_one_of_the_same_time() -> None:
    ring = Ring(1, 1000)
    ring.append(block(100, 200), is_misdated=True)
    ring.append(block(100_000))
    assert ring.append(block(100, 300)).t_ms.tolist() == [100, 300]
    assert ring.append(block(100, 200, 300)).t_ms.tolist() == [200]


def test_a_row_is_judged_anew_once_the_right_time_is_known() -> None:
    """A row taken for right is not kept again as misdated; a right one is, of an instant that a wrong clock told."""
    ring = Ring(1, 100)
    ring.append(block(100, 200))
    assert len(ring.append(block(100, 200), is_misdated=True)) == 0
    ring.append(block(300, 400), is_misdated=True)
    assert ring.append(block(200, 300)).t_ms.tolist() == [300]
    assert ring.between(0, 1000).t_ms.tolist() == [100, 200, 300]
    ring.append(block(900))
    ring.append(block(500, 600), is_misdated=True)
    assert ring.append(block(500, 600)).t_ms.tolist() == [500, 600]


@pytest.mark.parametrize("capacity", [40, 100, 500])
def test_a_restored_ring_goes_on_where_it_was_dumped(capacity: int) -> None:
    """Also with another capacity than before, which holds what it can of the newest."""
    ring = Ring(1, 100)
    ring.append(block(99_000_000), is_misdated=True)
    fill(ring, range(10))
    ring.append(block(8_950, 9_950))
    restored = Ring.restore(2, capacity, ring.dump())
    assert (restored.newest, restored.newest_ms, restored.duplicates) == (103, 9_950, 0)
    assert read_all(restored, 0) == read_all(ring, 0)[-len(restored) :]
    assert len(restored) >= min(capacity, 100)
    assert len(restored.append(block(8_900, 8_950, 9_900))) == 0
    restored.append(block(10_000))
    assert read_all(restored, 103) == [(104, 10_000, False, False)]


def test_what_the_cloud_sends_is_kept_to_the_last_digit() -> None:
    """Values as the cloud prints them: degrees with seven decimals, metres with three."""
    sent = np.array([46.5196535, 6.6322734, 495.213, 3.417, 151, 243.5, 92.5, 90, 1])
    edges = np.array([[q.lowest, q.highest] for q in QUANTITIES])
    values = np.column_stack([sent, np.full(len(sent), np.nan), edges])
    ring = Ring(1, 10)
    ring.append(SampleBlock(np.array([100, 200, 300, 400]), values))
    run = ring.read(0, 10)
    assert run is not None
    np.testing.assert_array_equal(run.block.values, values)
    np.testing.assert_array_equal(ring.between(0, 1000).values, values)


def test_a_row_takes_32_bytes() -> None:
    """A thousand trackers with ten minutes each fit into 192 MB."""
    assert RowTable(6000).raw.nbytes == 6000 * 32


SMALL, MOST = 20, 41
"""Capacity of the ring that the machine works with, a span of 2000 ms, and how many rows it may grow to."""


class RingMachine(RuleBasedStateMachine):
    """The ring against plain lists; one reader follows all along, and the ring is dumped and restored in between."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Ring(1, SMALL)
        self.arrived: list[tuple[int, int, bool, bool]] = []  # number, time, late, misdated of every row ever
        self.newest_ms = -1
        self.offered = 0
        self.overrun = 0
        self.cursor = 0
        self.forgotten = 0

    @rule(
        start=st.integers(-120, 12),
        steps=st.lists(st.sampled_from([1, 1, 1, 4, 20]), max_size=40),
    )
    def rows_come(self, start: int, steps: list[int]) -> None:
        """Old, new and repeated rows in one answer."""
        times = self.times_from(start, steps)
        known = {t_ms for _, t_ms, _, is_misdated in self.held() if not is_misdated}
        fresh = [t_ms for t_ms in times if t_ms not in known]
        newest_ms = self.newest_ms
        self.newest_ms = max(newest_ms, times[-1])
        self.take(fresh, self.append(times), late_before_ms=newest_ms)

    @rule(start=st.integers(-40, 80), steps=st.lists(st.sampled_from([1, 2]), max_size=5))
    def misdated_rows_come(self, start: int, steps: list[int]) -> None:
        """Rows with wrong times, which may be any."""
        times = self.times_from(start, steps)
        known = {t_ms for _, t_ms, _, _ in self.held()}
        fresh = [t_ms for t_ms in times if t_ms not in known]
        self.take(fresh, self.append(times, is_misdated=True), is_misdated=True)

    def times_from(self, start: int, steps: list[int]) -> list[int]:
        """Ascending times that begin some rows after the newest (before, if negative)."""
        first = max(0, self.newest_ms // 25 + start)  # four times as dense as trackers send them: too many to hold
        return [25 * t for t in itertools.accumulate(steps, initial=first)]

    def append(self, times: list[int], *, is_misdated: bool = False) -> list[int]:
        """Offer rows; gives the times of the new ones."""
        self.offered += len(times)
        self.oldest_before = self.ring.oldest
        taken: list[int] = self.ring.append(block(*times), is_misdated=is_misdated).t_ms.tolist()
        return taken

    def take(self, fresh: list[int], taken: list[int], *, late_before_ms: int = -1, is_misdated: bool = False) -> None:
        """What was new is what should have been, and what had to go for it was too old or is counted."""
        assert taken == fresh
        for t_ms in fresh:
            self.arrived.append((len(self.arrived) + 1, t_ms, t_ms < late_before_ms, is_misdated))
        lost = self.arrived[self.oldest_before - 1 : self.ring.oldest - 1]
        lost_within = [number for number, t_ms, _, wrong in lost if not wrong and t_ms > self.newest_ms - SMALL * 100]
        for number in lost_within:
            assert self.ring.newest - number + 1 > MOST
        self.overrun += len(lost_within)

    def held(self) -> list[tuple[int, int, bool, bool]]:
        """The rows that are here."""
        return self.arrived[self.ring.oldest - 1 :]

    @rule()
    def restart(self) -> None:
        """A ring that was dumped and restored goes on as if nothing had happened."""
        self.ring = Ring.restore(1, SMALL, self.ring.dump())

    @rule()
    def clear(self) -> None:
        """The tracker is ours no more: what came before is not known, not here, and tells nothing of the present."""
        self.ring.clear()
        self.forgotten = self.ring.withdrawn
        self.newest_ms = -1

    @rule(limit=st.integers(1, 8))
    def follow(self, limit: int) -> None:
        """A reader gets the next rows after its cursor, or those that are left of them."""
        run = self.ring.read(self.cursor, limit)
        if run is None:
            assert max(self.cursor, self.ring.withdrawn) == len(self.arrived)
            return
        assert run.n0 == max(self.cursor + 1, self.ring.oldest)
        assert run.block.t_ms.tolist() == [t_ms for _, t_ms, _, _ in self.arrived[run.n0 - 1 : run.last]]
        assert len(run.block) <= limit
        self.cursor = run.last

    @rule(back=st.integers(0, 60))
    def look(self, back: int) -> None:
        """Answers by time leave misdated rows out; counts do not."""
        from_ms = self.newest_ms - 100 * back
        later = [number for number, t_ms, _, wrong in self.held() if t_ms >= from_ms and not wrong]
        assert self.ring.since(from_ms) == (later[0] - 1 if later else self.ring.newest)
        within = [(t_ms, wrong) for _, t_ms, _, wrong in self.held() if from_ms <= t_ms < from_ms + 2000]
        right = sorted(t_ms for t_ms, wrong in within if not wrong)
        assert self.ring.between(from_ms, from_ms + 2000).t_ms.tolist() == right
        assert self.ring.count(from_ms, from_ms + 2000) == len({t_ms for t_ms, _ in within})

    @invariant()
    def every_row_is_what_it_was(self) -> None:
        """Every row here has the number, the time and the flags of its arrival."""
        assert read_all(self.ring, 0, limit=5) == self.held()
        assert self.ring.newest == len(self.arrived)
        assert self.ring.withdrawn == self.forgotten
        assert (self.ring.newest_ms or 0) == max(0, self.newest_ms)

    @invariant()
    def nothing_goes_before_its_time_uncounted(self) -> None:
        """At least the capacity is here, no more than it may grow to, and what was lost within the span is counted."""
        assert min(SMALL, len(self.arrived) - self.forgotten) <= len(self.ring) <= MOST
        assert self.ring.overrun == self.overrun
        assert self.ring.duplicates == self.offered - len(self.arrived)


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(max_examples=60, stateful_step_count=40)

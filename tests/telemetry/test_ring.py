"""The ring of recent rows: order of arrival, duplicates, cursors, late rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.telemetry.ring import _RECENT_ROWS, LIVE_WINDOW_MS, Ring, rows_for
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock


def block(*times: int) -> SampleBlock:
    """Rows whose speed tells their time, so that a mixed-up row shows."""
    values = np.full((len(QUANTITIES), len(times)), np.nan)
    values[Column.SPEED] = times
    return SampleBlock(np.array(times, np.int64), values)


def read_all(ring: Ring, after: int, limit: int = 1000) -> list[tuple[int, int, bool]]:
    """Arrival number, time and lateness of every row after a cursor."""
    rows = []
    while (run := ring.read(after, limit)) is not None:
        assert len(run.block) >= 1
        assert run.block.column(Column.SPEED).tolist() == run.block.t_ms.tolist()
        rows += [(run.n0 + i, t_ms, run.is_late) for i, t_ms in enumerate(run.block.t_ms.tolist())]
        after = run.last
    return rows


def test_rows_are_numbered_from_one_as_they_arrive() -> None:
    ring = Ring(1, 10)
    assert (ring.oldest, ring.newest, ring.newest_ms, len(ring)) == (1, 0, None, 0)
    ring.append(block(100, 200))
    ring.append(block(300))
    assert read_all(ring, 0) == [(1, 100, False), (2, 200, False), (3, 300, False)]
    assert read_all(ring, 2) == [(3, 300, False)]
    assert ring.read(3, 10) is None


def test_a_time_already_here_is_dropped_and_counted() -> None:
    ring = Ring(1, 10)
    ring.append(block(100, 200, 300))
    new = ring.append(block(200, 300, 400))
    assert new.t_ms.tolist() == [400]
    assert ring.duplicates == 2
    assert ring.append(block(100, 400)).t_ms.tolist() == []
    assert [t_ms for _, t_ms, _ in read_all(ring, 0)] == [100, 200, 300, 400]


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
    assert read_all(ring, 0) == [(1, 100, False), (2, 500, False), (3, 200, True), (4, 300, True), (5, 600, False)]
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
    assert read_all(ring, 0) == [(7, 700, False), (8, 800, False), (9, 900, False), (10, 1000, False)]


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
    assert np.isnan(ring._values).all()
    ring.append(block(100))
    assert read_all(ring, 0) == [(3, 100, False)]


def test_after_clearing_the_same_times_are_new_and_not_late() -> None:
    ring = Ring(1, 100)
    ring.append(block(100, 200, 5000))
    ring.append(block(300))
    ring.clear()
    assert ring.append(block(100, 200)).t_ms.tolist() == [100, 200]
    assert ring.append(block(50, 200, 300)).t_ms.tolist() == [50, 300]
    assert read_all(ring, 0) == [(5, 100, False), (6, 200, False), (7, 50, True), (8, 300, False)]
    assert (ring.newest_ms, ring.duplicates) == (300, 1)


def test_an_empty_ring_answers_every_question() -> None:
    ring = Ring(1, 4)
    ring.append(block(100, 200, 300, 400, 500))
    ring.clear()
    assert ring.read(0, 10) is None
    assert ring.since(0) == ring.newest == 5
    assert len(ring.between(0, 1000)) == 0
    assert len(ring.newest_by_time(3)) == 0


def test_a_repeat_is_known_even_when_its_row_has_been_overwritten() -> None:
    """As long as the cloud can repeat it; a small ring forgets its rows sooner than that."""
    ring = Ring(1, 4)
    times = list(range(0, LIVE_WINDOW_MS + 100, 100))
    ring.append(block(*times))
    assert len(ring.append(block(*times))) == 0
    assert ring.duplicates == len(times)


def test_what_is_known_of_past_times_does_not_grow_without_end() -> None:
    ring = Ring(1, 100)
    for start in range(0, 1_000_000, 1000):
        ring.append(block(*range(start, start + 1000, 100)))
    assert len(ring._recent) <= 2 * _RECENT_ROWS


@pytest.mark.parametrize(("minutes", "rows"), [(30, 18_000), (0.5, 300), (0, 1)])
def test_the_span_is_given_in_minutes(minutes: float, rows: int) -> None:
    assert rows_for(minutes) == rows


arrival_times = st.lists(
    st.lists(st.integers(0, 60).map(lambda t: 100 * t), min_size=1, max_size=8, unique=True).map(sorted), max_size=12
)


@given(arrival_times, st.integers(1, 40), st.integers(1, 30))
def test_the_newest_by_time_are_the_newest_of_all_that_is_here(
    batches: list[list[int]], capacity: int, count: int
) -> None:
    ring = Ring(1, capacity)
    for batch in batches:
        ring.append(block(*batch))
    here = sorted(t_ms for _, t_ms, _ in read_all(ring, 0))
    newest = ring.newest_by_time(count)
    assert newest.t_ms.tolist() == here[-count:]
    assert newest.column(Column.SPEED).tolist() == here[-count:]


class RingMachine(RuleBasedStateMachine):
    """The ring against a plain list; one reader follows all along."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = Ring(1, 16)
        self.arrived: list[int] = []  # every time ever appended, in order: row n is at n - 1
        self.cursor = 0
        self.now = 0

    @rule(
        offsets=st.lists(st.integers(-12, 12), min_size=1, max_size=6, unique=True),
        forward=st.integers(0, 6),
    )
    def rows_come(self, offsets: list[int], forward: int) -> None:
        """Old, new and repeated rows in one answer."""
        self.now += forward
        times = sorted({100 * max(0, self.now + offset) for offset in offsets})
        # The ring forgets a time only when it has been overwritten and lies outside the window of repeats; within this
        # machine nothing ever does.
        fresh = [t_ms for t_ms in times if t_ms not in self.arrived]
        assert self.ring.append(block(*times)).t_ms.tolist() == fresh
        self.arrived += fresh

    @rule(limit=st.integers(1, 8))
    def follow(self, limit: int) -> None:
        """A reader gets the next rows after its cursor, or those that are left of them."""
        run = self.ring.read(self.cursor, limit)
        if run is None:
            assert self.cursor == len(self.arrived)
            return
        assert run.n0 == max(self.cursor + 1, self.ring.oldest)
        assert run.block.t_ms.tolist() == self.arrived[run.n0 - 1 : run.last]
        assert len(run.block) <= limit
        self.cursor = run.last

    @invariant()
    def numbers_and_lateness_are_right(self) -> None:
        """Every row here has the number, the time and the lateness of its arrival."""
        newest = -1
        expected = []
        for number, t_ms in enumerate(self.arrived, start=1):
            expected.append((number, t_ms, t_ms < newest))
            newest = max(newest, t_ms)
        assert read_all(self.ring, 0, limit=5) == expected[-16:]
        assert self.ring.newest == len(self.arrived)


TestRingMachine = RingMachine.TestCase

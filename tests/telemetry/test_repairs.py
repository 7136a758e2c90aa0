"""What is read from history when, and what answers prove: decisions only, without a cloud or a loop."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.gap import Gap, GapState
from gateway.telemetry.holes import GapReason
from gateway.telemetry.repairs import APART_MS, PAUSES_S, REST_S, SETTLE_S, Ask, Asked, Repairs
from gateway.telemetry.spans import PART_MS, claimed, joined, parts
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

OUTAGE, SILENT, RESTART = GapReason.UPSTREAM_OUTAGE, GapReason.DEVICE_SILENT, GapReason.GATEWAY_RESTART
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
EVER = [(0, 2**44)]


@dataclass(frozen=True)
class Listed:
    """A range as the cloud lists it."""

    start_ms: int
    stop_ms: int
    size: int | None


def block(start_ms: int, stop_ms: int) -> SampleBlock:
    t_ms = np.arange(start_ms, stop_ms, 100)
    return SampleBlock(t_ms, np.zeros((len(QUANTITIES), len(t_ms))))


class Bench:
    """Trackers with one hour of ring, whose clocks and ours began together."""

    def __init__(self, trackers: int = 1, span_ms: int = HOUR_MS) -> None:
        self.channels = {ch: Channel(ch, Wearer(f"SN-{ch}"), span_ms // 100) for ch in range(1, trackers + 1)}
        for ch, channel in self.channels.items():
            channel.device_id = 10 * ch
        self.repairs = Repairs(self.channels, span_ms)
        self.now_s = 0.0

    def rows(self, start_ms: int, stop_ms: int, ch: int = 1) -> None:
        self.channels[ch].rows_came(block(start_ms, stop_ms), self.now_s)

    def outage(self, from_ms: int, to_ms: int, ch: int = 1, reason: GapReason = OUTAGE) -> None:
        """A hole between the newest row and the next ones, of which ten seconds come."""
        self.rows(from_ms - 1000, from_ms, ch)
        if reason is not SILENT:
            self.channels[ch].gaps.poll_failed(reason, 10.0)
        self.rows(to_ms, to_ms + 10_000, ch)

    def ask(self, what: Asked, owned: list[tuple[int, int]] | None = None) -> Ask:
        """The next question, which has to be this one; ownerships are answered on the way."""
        ask = self.repairs.next(self.now_s)
        if ask is not None and ask.what is Asked.OWNERSHIPS and what is not Asked.OWNERSHIPS:
            self.repairs.ownerships_came(ask, EVER if owned is None else owned)
            ask = self.repairs.next(self.now_s)
        assert ask is not None
        assert ask.what is what
        return ask

    def list(self, *ranges: Listed) -> Ask:
        ask = self.ask(Asked.RANGES)
        self.repairs.ranges_came(ask, ranges, self.now_s)
        return ask

    def list_all(self, ask: Ask | None = None) -> Ask:
        ask = ask or self.ask(Asked.RANGES)
        self.repairs.ranges_came(ask, [Listed(ask.from_ms, ask.to_ms, 10**6)], self.now_s)
        return ask

    def read(self, *given: SampleBlock, counted: int | None = None) -> Ask:
        ask = self.ask(Asked.ROWS)
        rows = 0
        for came in given:
            self.channels[ask.ch].history_came(came)
            rows += len(came)
        self.repairs.rows_came(ask, rows if counted is None else counted, rows, self.now_s)
        return ask

    def idle_until(self, limit_s: float) -> float | None:
        """When the next question comes, by the second."""
        for _ in range(math.ceil(limit_s - self.now_s)):
            if self.repairs.next(self.now_s) is not None:
                return self.now_s
            self.now_s += 1
        return None

    @property
    def gap(self) -> Gap:
        (gap,) = self.channels[1].gaps.gaps
        return gap


def test_a_gap_of_our_own_making_is_read_at_once_and_only_what_is_missing() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    listed = bench.list_all()
    assert (listed.from_ms, listed.to_ms) == (99_901, 159_999)
    read = bench.read(block(100_000, 160_000))
    assert (read.ch, read.device_id, read.from_ms, read.to_ms) == (1, 10, 99_901, 159_999)
    assert bench.repairs.next(0.0) is None
    assert bench.gap.state is GapState.REPAIRED
    assert bench.repairs.gaps_repaired == 1
    assert bench.idle_until(7200) is None


def test_what_the_tracker_left_out_is_given_time_first() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000, reason=SILENT)
    assert bench.idle_until(7200) == SETTLE_S


def test_the_ranges_alone_prove_that_there_is_nothing() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    bench.list()
    assert bench.gap.reason is OUTAGE, "it may not have settled"
    bench.now_s = SETTLE_S
    bench.list()
    assert bench.gap.reason is SILENT
    assert bench.repairs.pending() == (0, 0)


def test_ranges_that_count_no_more_rows_than_we_have_prove_it_too() -> None:
    bench = Bench()
    bench.rows(0, 10_000)
    bench.rows(20_000, 30_000)
    bench.rows(40_000, 60_000)
    bench.repairs.next(bench.now_s)
    bench.now_s = SETTLE_S
    ask = bench.list(Listed(20_000, 29_900, 100))
    assert (ask.from_ms, ask.to_ms) == (9_901, 39_999)
    assert bench.repairs.next(bench.now_s) is None
    assert {gap.reason for gap in bench.channels[1].gaps.gaps} == {SILENT}
    assert bench.repairs.pending() == (0, 0)


@pytest.mark.parametrize("listed", [Listed(0, 300_000, 3001), Listed(110_000, 120_000, None)])
def test_ranges_that_do_not_tell_leave_it_to_the_pages(listed: Listed) -> None:
    """A range may be reported whole although it reaches beyond what was asked for."""
    bench = Bench()
    bench.outage(100_000, 160_000)
    bench.list(listed)
    bench.read(counted=0)
    bench.now_s = SETTLE_S
    bench.list(listed)
    bench.read(counted=0)
    assert bench.gap.reason is SILENT


@pytest.mark.parametrize("size", [600, None])
def test_rows_that_the_cloud_counts_and_does_not_give_stay_missing_and_are_asked_for_again(size: int | None) -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    for pause_s in PAUSES_S:
        bench.list(Listed(100_000, 159_900, size))
        bench.read(counted=5)
        assert (bench.gap.reason, bench.gap.rows) == (OUTAGE, 600)
        assert bench.repairs.pending() == (1, 600)
        asked_s = bench.now_s
        assert bench.idle_until(1e6) == asked_s + pause_s


def test_pages_older_than_the_ranges_prove_nothing() -> None:
    """The ranges are not cached: they count rows that the pages do not show yet."""
    bench = Bench()
    bench.outage(100_000, 160_000)
    bench.now_s = SETTLE_S
    for start_ms in (100_000, 110_000):
        bench.list(Listed(start_ms, 159_900, (160_000 - start_ms) // 100))
        bench.read(block(start_ms, start_ms + 10_000))
        assert (bench.gap.reason, bench.gap.rows) == (OUTAGE, (150_000 - start_ms) // 100)
        bench.now_s += SETTLE_S


def test_looks_are_ever_rarer_and_end_when_the_hole_has_left_the_ring() -> None:
    bench = Bench(span_ms=HOUR_MS)
    bench.outage(100_000, 160_000)
    looks = []
    for minute in range(100):
        ask = bench.repairs.next(bench.now_s)
        if ask is not None and ask.what is not Asked.TRACES:
            looks.append(bench.now_s)
            bench.list()
        bench.now_s += 60.0
        bench.rows(170_000 + MINUTE_MS * minute, 170_000 + MINUTE_MS * (minute + 1))
    assert looks == [0, 120, 420, 1020, 2220]


def test_time_that_was_not_ours_is_neither_asked_for_nor_missing() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    ask = bench.ask(Asked.RANGES, owned=[(0, 110_000), (110_001, 119_999), (140_000, 2**44)])
    assert (ask.from_ms, ask.to_ms) == (140_000, 159_999)
    bench.list_all()
    bench.read(block(140_000, 160_000))
    ask = bench.list_all()
    assert (ask.from_ms, ask.to_ms) == (99_901, 119_999)
    bench.read(block(100_000, 120_000))
    assert (bench.gap.rows, bench.gap.state) == (0, GapState.REPAIRED)
    assert bench.idle_until(7200) is None


def test_what_may_be_asked_for_in_part_is_not_proved_as_a_whole() -> None:
    bench = Bench(span_ms=20_000)
    bench.outage(100_000, 160_000)
    bench.ask(Asked.RANGES)
    for _ in range(2):
        assert not bench.gap.is_settled
        bench.list()
        assert bench.gap.reason is OUTAGE
        bench.now_s += SETTLE_S
    ask = bench.ask(Asked.TRACES)
    assert (ask.from_ms, ask.to_ms) == (99_901, 159_999), "whether the cloud has rows of it is asked for all of it"
    bench.repairs.traces_came(ask, ())
    assert (bench.gap.reason, bench.gap.is_settled) == (SILENT, True)


def test_silence_that_has_left_memory_is_traced_and_what_the_cloud_has_of_it_is_no_silence() -> None:
    bench = Bench(span_ms=10 * MINUTE_MS)
    for start_ms in (99_000, 200_000, 300_000, 3_600_000):  # a backlog comes faster than it can be read
        bench.rows(start_ms, start_ms + 10_000)
    assert bench.repairs.next(0.0) is None
    bench.now_s = SETTLE_S
    bench.list()  # of the newest hole only the end is wanted, and the cloud has nothing there
    asked = []
    for ranges in ([], [Listed(250_000, 260_000, 101)], []):
        ask = bench.ask(Asked.TRACES)
        asked.append(ask.from_ms)
        assert not any(gap.is_settled for gap in bench.channels[1].gaps.gaps)
        bench.repairs.traces_came(ask, ranges)
    assert asked == [309_901, 209_901, 108_901]
    assert bench.channels[1].gaps.totals.rows_missing == {
        GapReason.RING_OVERRUN: 101,
        SILENT: (200_000 - 108_900) // 100
        - 1
        + (300_000 - 209_900) // 100
        - 1
        - 101
        + (3_600_000 - 309_900) // 100
        - 1,
    }
    told = [(gap.reason, gap.is_settled) for gap in bench.channels[1].gaps.gaps]
    assert told == [(SILENT, True), (GapReason.RING_OVERRUN, True), (SILENT, True)]
    assert bench.repairs.next(bench.now_s) is None


def left_memory() -> Bench:
    """A hole whose rows nobody will read, which is to be traced."""
    bench = Bench(span_ms=10 * MINUTE_MS)
    bench.outage(100_000, 160_000, reason=SILENT)
    bench.rows(170_000, HOUR_MS)
    assert bench.idle_until(7200) == SETTLE_S
    return bench


def test_a_trace_that_is_refused_twice_is_given_up() -> None:
    bench = left_memory()
    assert not bench.repairs.refused(bench.ask(Asked.TRACES))
    assert bench.repairs.refused(bench.ask(Asked.TRACES))
    assert bench.idle_until(7200) is None
    assert (bench.gap.is_settled, bench.repairs.gaps_refused) == (True, 1)


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ([Listed(0, 99_900, 999), Listed(160_000, HOUR_MS, 999)], SILENT),
        ([Listed(0, 100_000, 999)], GapReason.RING_OVERRUN),
        ([Listed(159_900, HOUR_MS, 999)], GapReason.RING_OVERRUN),
    ],
)
def test_ranges_that_end_with_the_rows_beside_a_hole_are_no_trace_of_others(
    listed: list[Listed], reason: GapReason
) -> None:
    bench = left_memory()
    bench.repairs.traces_came(bench.ask(Asked.TRACES), listed)
    assert bench.gap.reason is reason


def test_nothing_is_asked_for_that_left_the_ring_before_the_gap_was_found() -> None:
    bench = Bench(span_ms=10 * MINUTE_MS)
    bench.outage(100_000, 100_000 + HOUR_MS)
    ask = bench.ask(Asked.RANGES)
    assert (ask.from_ms, ask.to_ms) == (100_000 + HOUR_MS - 10 * MINUTE_MS, 99_999 + HOUR_MS)


def test_the_newest_part_of_the_fleet_comes_first() -> None:
    bench = Bench(trackers=2)
    for ch in (1, 2):
        bench.outage(100_000, 1_000_000 + ch, ch=ch)
    ends = []
    for _ in range(12):
        ask = bench.repairs.next(bench.now_s)
        if ask is None:
            break
        if ask.what is Asked.OWNERSHIPS:
            bench.repairs.ownerships_came(ask, EVER)
        elif ask.what is Asked.RANGES:
            bench.list_all(ask)
        else:
            assert ask.to_ms - ask.from_ms <= PART_MS, "no more than a page"
            ends.append((ask.ch, round((1_000_000 - ask.to_ms) / PART_MS)))
            bench.repairs.rows_came(ask, 10**6, 0, bench.now_s)
    assert ends[:4] == [(2, 0), (1, 0), (2, 1), (1, 1)]


def test_a_newer_gap_goes_before_what_is_left_of_an_older_one() -> None:
    bench = Bench()
    bench.outage(100_000, 1_500_000)
    bench.list_all()
    bench.read(counted=1)
    bench.rows(1_510_000, 1_600_000)
    bench.outage(1_600_000, 1_680_000)
    bench.now_s = REST_S
    assert bench.ask(Asked.RANGES).to_ms == 1_679_999
    bench.list_all()
    newest = bench.ask(Asked.ROWS)
    assert (newest.from_ms, newest.to_ms) == (1_599_901, 1_679_999)


def test_gaps_found_one_after_the_other_are_looked_at_together() -> None:
    bench = Bench()
    bench.outage(10_000, 20_000)
    bench.list()
    for start_ms in (40_000, 60_000, 80_000):
        bench.outage(start_ms, start_ms + 5_000)
        assert bench.repairs.next(bench.now_s) is None
    bench.now_s = REST_S
    ask = bench.ask(Asked.RANGES)
    assert (ask.from_ms, ask.to_ms) == (39_901, 84_999)
    bench.list_all()
    assert bench.ask(Asked.ROWS).from_ms == 39_901, "what lies between is cheaper than another request"


def test_holes_far_apart_are_listed_together_and_read_apart() -> None:
    bench = Bench()
    bench.rows(0, 1000)
    bench.channels[1].gaps.poll_failed(OUTAGE, 10.0)
    bench.rows(11_000, 11_000 + APART_MS + 1000)
    bench.outage(12_000 + APART_MS + 2000, 200_000)
    ask = bench.list_all()
    assert (ask.from_ms, ask.to_ms) == (901, 199_999)
    assert bench.read(counted=1).from_ms > APART_MS
    assert bench.read(counted=1).to_ms == 10_999


def test_a_refusal_has_the_ownerships_read_once_more_and_the_second_is_final() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    assert not bench.repairs.refused(bench.ask(Asked.RANGES))
    bench.now_s += REST_S
    bench.repairs.ownerships_came(bench.ask(Asked.OWNERSHIPS), EVER)
    assert bench.repairs.refused(bench.ask(Asked.RANGES))
    assert bench.idle_until(7200) is None
    assert (bench.gap.reason, bench.repairs.gaps_refused, bench.repairs.pending()) == (OUTAGE, 1, (0, 0))
    bench.outage(200_000, 260_000)
    bench.ask(Asked.OWNERSHIPS)  # of another gap nothing is known yet


def test_passing_failures_are_repeated_and_then_let_others_come_first() -> None:
    bench = Bench(trackers=2)
    bench.outage(100_000, 160_000, ch=1)
    bench.outage(100_000, 150_000, ch=2)
    for _ in range(3):
        ask = bench.ask(Asked.RANGES)
        assert ask.ch == 1
        bench.repairs.failed(ask, bench.now_s, is_transient=True)
    assert bench.ask(Asked.RANGES).ch == 2
    bench.list_all()
    bench.read(block(100_000, 150_000))
    assert bench.idle_until(7200) == PAUSES_S[0]


def test_an_outage_of_history_makes_the_next_look_no_rarer() -> None:
    """Or what lies in the ring's span when the cloud is back would have left it at the next look."""
    bench = Bench()
    bench.outage(100_000, 160_000)
    for _ in range(5):
        began_s = bench.now_s
        for _ in range(3):
            bench.repairs.failed(bench.ask(Asked.RANGES), bench.now_s, is_transient=True)
        assert bench.idle_until(7200) == began_s + PAUSES_S[0]
    bench.list_all()
    bench.read(block(100_000, 150_000))
    assert bench.idle_until(7200) == began_s + PAUSES_S[0] + PAUSES_S[0], "the first look that was one"
    bench.list()
    assert bench.gap.is_settled


def test_after_a_look_a_tracker_rests_however_long_it_took() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    bench.ask(Asked.RANGES)
    bench.now_s = 2 * REST_S
    bench.list()
    bench.outage(171_000, 200_000)
    assert bench.idle_until(7200) == 3 * REST_S


def test_what_will_not_change_by_asking_again_is_asked_later() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    bench.repairs.failed(bench.ask(Asked.RANGES), bench.now_s, is_transient=False)
    assert bench.idle_until(7200) == PAUSES_S[0]
    assert bench.gap.reason is OUTAGE


@pytest.mark.parametrize("is_ours_again", [False, True])
def test_an_answer_about_a_tracker_that_was_lost_meanwhile_is_ignored(is_ours_again: bool) -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    ask = bench.ask(Asked.RANGES)
    bench.channels[1].lose()
    if is_ours_again:
        bench.channels[1].device_id = 10
        bench.outage(100_000, 160_000)
    assert not bench.repairs.is_wanted(ask)
    bench.repairs.ranges_came(ask, [], bench.now_s)
    bench.repairs.rows_came(ask, 0, 0, bench.now_s)
    bench.repairs.failed(ask, bench.now_s, is_transient=False)
    assert not bench.repairs.refused(ask)
    if is_ours_again:
        bench.ask(Asked.OWNERSHIPS)  # it may be ours since another time
    else:
        assert bench.repairs.next(bench.now_s) is None


def test_a_gap_that_is_repaired_while_the_ownerships_are_asked_for_is_let_go() -> None:
    bench = Bench(trackers=2)
    bench.outage(100_000, 160_000)
    ask = bench.ask(Asked.OWNERSHIPS)
    bench.rows(100_000, 160_000)
    bench.rows(170_000, 180_000)
    bench.repairs.ownerships_came(ask, EVER)
    assert bench.repairs.next(bench.now_s) is None


def test_one_of_two_gaps_that_is_repaired_while_the_ownerships_are_asked_for_is_let_go() -> None:
    bench = Bench()
    bench.outage(100_000, 160_000)
    bench.outage(171_000, 200_000)
    ask = bench.ask(Asked.OWNERSHIPS)
    bench.rows(171_000, 200_000)
    bench.repairs.next(bench.now_s)
    bench.repairs.ownerships_came(ask, EVER)
    assert bench.ask(Asked.RANGES).to_ms == 159_999


def test_rows_sent_with_a_wrong_time_are_not_called_silence() -> None:
    bench = Bench()
    bench.rows(0, 1000)
    bench.channels[1].gaps.misdated()
    bench.rows(60_000, 80_000)
    bench.repairs.next(0.0)
    bench.now_s = SETTLE_S
    bench.list()
    assert bench.gap.reason is GapReason.CLOCK_STEP
    assert bench.repairs.pending() == (0, 0)


@pytest.mark.parametrize("others", [0, 10])
def test_where_only_misdated_rows_are_here_the_cloud_is_asked_for_others_and_believed_if_it_has_none(
    others: int,
) -> None:
    """A wrong clock told instants of which right rows were measured later, and missed."""
    bench = Bench()
    bench.channels[1].ring.append(block(100_000, 101_000), is_misdated=True)
    bench.outage(100_000, 101_000)
    bench.list(Listed(100_000, 100_900, 10))
    values = block(100_000, 101_000).values.copy()
    values[Column.SPEED, :others] = 4.2
    bench.read(SampleBlock(block(100_000, 101_000).t_ms, values))
    assert bench.gap.rows == 10 - others
    if not others:
        bench.now_s = SETTLE_S
        bench.list(Listed(100_000, 100_900, 10))
        bench.read(block(100_000, 101_000))
        assert bench.gap.is_settled
        assert bench.repairs.pending() == (0, 0)


spans = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).map(sorted).map(tuple), max_size=8)


@given(spans, st.integers(1, 10**5))
def test_joined_spans_cover_all_are_apart_and_bridge_no_more_than_allowed(
    given_spans: list[tuple[int, int]], apart_ms: int
) -> None:
    result = joined(given_spans, apart_ms)
    assert all(any(a <= start and stop <= b for a, b in result) for start, stop in given_spans)
    assert all(second[0] - first[1] > apart_ms for first, second in pairwise(result))
    edges = sorted(given_spans)
    assert sum(b - a for a, b in result) <= sum(b - a for a, b in edges) + apart_ms * len(edges)


@given(spans, st.integers(0, 10**6), st.integers(0, 10**7))
def test_parts_are_pages_that_cover_what_is_wanted_and_there_and_nothing_else(
    listed: list[tuple[int, int]], start_ms: int, length_ms: int
) -> None:
    asked = (start_ms, start_ms + length_ms)
    result = parts([asked], asked, [Listed(a, b, 1) for a, b in listed])
    assert result == sorted(result)
    for first_ms, last_ms in result:
        assert asked[0] <= first_ms <= last_ms <= asked[1]
        assert last_ms - first_ms <= PART_MS
    for a, b in listed:
        for t_ms in {max(a, asked[0]), min(b, asked[1]), (a + b) // 2}:
            if a <= t_ms <= b and asked[0] <= t_ms <= asked[1]:
                assert any(first_ms <= t_ms <= last_ms for first_ms, last_ms in result)


def test_the_rows_of_ranges_count_only_where_they_lie_inside() -> None:
    assert claimed((10, 20), []) == 0
    assert claimed((10, 20), [Listed(10, 12, 3), Listed(15, 20, 6)]) == 9
    assert claimed((10, 20), [Listed(9, 12, 3)]) is None
    assert claimed((10, 20), [Listed(15, 21, 6)]) is None
    assert claimed((10, 20), [Listed(15, 16, None)]) is None

"""One tracker's channel: how alive it is, what it counts, and what it forgets."""

from dataclasses import dataclass

import numpy as np
import pytest

from gateway.telemetry.channel import BEHIND_AFTER_MS, LOST_AFTER_S, STALE_AFTER_S, Channel, Presence, Wearer
from gateway.telemetry.holes import GapReason
from gateway.telemetry.timekeeping import AHEAD_MS
from insiders_codecs.samples import Column, SampleBlock
from tests.telemetry.scripted import block

JUST_BEFORE = -1e-6


@pytest.fixture(name="channel")
def _channel() -> Channel:
    channel = Channel(1, Wearer("SN-1"), 100)
    channel.device_id = 7
    return channel


@pytest.mark.parametrize(
    ("silent_s", "presence"),
    [
        (0.0, Presence.LIVE),
        (STALE_AFTER_S + JUST_BEFORE, Presence.LIVE),
        (STALE_AFTER_S, Presence.STALE),
        (LOST_AFTER_S + JUST_BEFORE, Presence.STALE),
        (LOST_AFTER_S, Presence.LOST),
        (1e6, Presence.LOST),
    ],
)
def test_presence_is_told_by_the_time_since_the_last_new_row(
    channel: Channel, silent_s: float, presence: Presence
) -> None:
    channel.rows_came(block(100), 0.0)
    assert channel.presence(silent_s) is presence


def test_before_the_first_row_a_channel_waits_and_without_a_device_it_is_unclaimed(channel: Channel) -> None:
    assert channel.presence(1e6) is Presence.WAITING
    channel.rows_came(block(100), 0.0)
    channel.device_id = None
    assert channel.presence(0.0) is Presence.UNCLAIMED


def test_only_a_new_row_is_a_sign_of_life(channel: Channel) -> None:
    channel.rows_came(block(100, 200), 0.0)
    channel.rows_came(block(100, 200), 9.0)
    channel.rows_came(block(), 9.0)
    assert channel.presence(9.0) is Presence.STALE
    channel.rows_came(block(150), 9.0)
    assert channel.presence(9.0) is Presence.LIVE


def test_rows_are_counted_once_and_late_ones_are_those_older_than_the_newest_before_them(channel: Channel) -> None:
    assert channel.rows_came(block(500, 600), 0.0) == 2
    assert channel.rows_came(block(300, 400, 600, 700), 0.0) == 3
    assert (channel.counters.rows, channel.counters.rows_late) == (5, 2)
    assert channel.ring.duplicates == 1


def test_a_lost_tracker_leaves_no_sample_and_begins_anew(channel: Channel) -> None:
    channel.rows_came(block(100, 5_000, 20_000), 0.0)
    assert len(channel.gaps.changes()) == 1
    channel.lose()
    assert channel.device_id is None
    assert (len(channel.ring), channel.ring.newest_ms) == (0, None)
    channel.device_id = 7
    assert channel.presence(0.0) is Presence.WAITING
    channel.rows_came(block(900_000), 0.0)
    assert channel.gaps.gaps == ()
    assert channel.gaps.oldest_hole_ms(0) is None


def test_an_outage_of_the_last_owner_is_not_carried_over(channel: Channel) -> None:
    channel.rows_came(block(100), 0.0)
    channel.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 5.0)
    first = channel.gaps.changes()[0].id
    channel.lose()
    channel.device_id = 7
    channel.rows_came(block(50_000), 0.0)
    channel.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 5.0)
    (gap,) = [gap for gap in channel.gaps.changes() if gap.from_ms == 50_000]
    assert gap.id > first, "a client that heard of the first gap would take the second for it"


NOW_MS = 1_795_000_000_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


@dataclass
class Reference:
    """What the right time is said to be."""

    now_ms: int | None = NOW_MS

    def __call__(self) -> int | None:
        return self.now_ms


def made(reference: Reference, refill_ms: int = 0) -> Channel:
    channel = Channel(1, Wearer("SN-1"), 1000, refill_ms, reference)
    channel.device_id = 7
    return channel


def times(channel: Channel, *, misdated: bool) -> list[int]:
    """What the ring hands out to clients, flagged or not."""
    found: list[int] = []
    cursor = 0
    while (run := channel.ring.read(cursor, 10_000)) is not None:
        if run.is_misdated is misdated:
            found += run.block.t_ms.tolist()
        cursor = run.n0 + len(run.block) - 1
    return found


def second(start_ms: int) -> range:
    return range(start_ms, start_ms + 1000, 100)


def test_rows_that_come_and_are_old_are_behind_and_never_shown_as_now() -> None:
    channel = made(Reference())
    channel.rows_came(block(NOW_MS - BEHIND_AFTER_MS - 1), 0.0)
    assert channel.presence(0.0) is Presence.BEHIND
    assert channel.presence(STALE_AFTER_S) is Presence.BEHIND
    assert channel.presence(LOST_AFTER_S) is Presence.LOST
    channel.rows_came(block(NOW_MS - BEHIND_AFTER_MS), 1.0)
    assert channel.presence(1.0) is Presence.LIVE


def test_nothing_is_called_old_while_nobody_knows_the_time() -> None:
    channel = made(Reference(None))
    channel.rows_came(block(1000), 0.0)
    assert channel.presence(0.0) is Presence.LIVE
    assert channel.ages.median_ms(0.0) is None


def test_the_age_of_newer_rows_is_taken_when_they_arrive_and_of_late_ones_it_is_not() -> None:
    channel = made(Reference())
    channel.rows_came(block(NOW_MS - 5_000, NOW_MS - 900), 0.0)
    channel.rows_came(block(NOW_MS - 4_900), 1.0)
    assert channel.ages.median_ms(1.0) == 900


@pytest.mark.parametrize(
    "wrong_ms", [3_155_760_000_000, NOW_MS + 2 * HOUR_MS, NOW_MS - 1024 * 7 * DAY_MS, 1_000_000], ids=str
)
def test_rows_under_wrong_times_are_kept_flagged_and_count_for_nothing(wrong_ms: int) -> None:
    channel = made(Reference())
    channel.rows_came(block(NOW_MS - 900), 0.0)
    assert channel.rows_came(block(*second(wrong_ms)), 1.0) == 10
    assert times(channel, misdated=True) == list(second(wrong_ms))
    assert channel.clock_error_ms == wrong_ms + 900 - NOW_MS
    assert (channel.ring.newest_ms, channel.gaps.newest_ms) == (NOW_MS - 900, NOW_MS - 900)
    assert (channel.counters.rows, channel.counters.rows_misdated) == (1, 10)
    assert channel.presence(LOST_AFTER_S) is Presence.LOST, "such rows are no sign of a present value"
    assert channel.moved_s == 1.0, "but of a tracker that is awake"


def test_a_clock_that_becomes_right_again_leaves_a_gap_with_its_reason_and_nothing_else() -> None:
    reference = Reference()
    channel = made(reference)
    channel.rows_came(block(*second(NOW_MS - 1000)), 0.0)
    channel.rows_came(block(*second(NOW_MS + 2 * HOUR_MS)), 1.0)
    reference.now_ms = NOW_MS + 20_000
    channel.rows_came(block(*range(NOW_MS + 10_000, NOW_MS + 20_000, 100)), 20.0)
    assert channel.clock_error_ms is None
    assert channel.presence(20.0) is Presence.LIVE
    assert channel.counters.rows_late == 0
    (gap,) = channel.gaps.gaps
    assert (gap.from_ms, gap.to_ms, gap.reason) == (NOW_MS - 100, NOW_MS + 10_000, GapReason.CLOCK_STEP)


def test_a_late_row_with_a_right_time_does_not_make_the_clock_right() -> None:
    channel = made(Reference())
    channel.rows_came(block(NOW_MS - 2000, NOW_MS - 1000), 0.0)
    channel.rows_came(block(NOW_MS + HOUR_MS), 1.0)
    channel.rows_came(block(NOW_MS - 1500), 2.0)
    assert channel.clock_error_ms == HOUR_MS


def test_rows_from_the_future_that_every_answer_brings_again_are_new_once() -> None:
    """They stay on top of the cloud's newest rows for ever, long after the ring has forgotten them."""
    reference = Reference()
    channel = made(reference)
    future = list(second(3_155_760_000_000))
    for n in range(400):
        reference.now_ms = NOW_MS + n * 1000
        channel.rows_came(block(*second(NOW_MS + n * 1000 - 1000), *future), float(n))
    assert times(channel, misdated=True) == [], "as many right rows came as the ring holds"
    assert channel.counters.rows == 4000
    assert channel.counters.rows_misdated == 10
    assert channel.rows_on_top() == 10


@pytest.mark.parametrize("since_ms", [0, 1, NOW_MS - DAY_MS], ids=["no releases", "old release", "fresh release"])
def test_a_wrong_time_does_not_become_right_when_it_draws_near(since_ms: int) -> None:
    reference = Reference()
    channel = made(reference)
    channel.since_ms = since_ms
    channel.rows_came(block(*second(NOW_MS - 1000)), 0.0)
    future = second(NOW_MS + AHEAD_MS + 5000)
    channel.rows_came(block(*future), 1.0)
    kept = times(channel, misdated=True)
    for elapsed_ms in range(2000, 2 * AHEAD_MS, 1000):
        reference.now_ms = NOW_MS + elapsed_ms
        assert channel.rows_came(block(*future), elapsed_ms / 1000) == 0
        assert channel.history_came(block(*future)) == 0
    assert times(channel, misdated=True) == kept
    assert times(channel, misdated=False) == list(second(NOW_MS - 1000))
    assert channel.ring.newest_ms == channel.gaps.newest_ms == NOW_MS - 100
    assert channel.gaps.gaps == ()


def test_another_row_of_the_instant_that_a_wrong_clock_told_is_taken() -> None:
    """Also by a gateway that has been restarted since."""
    reference = Reference()
    before = made(reference)
    before.rows_came(block(*second(NOW_MS - 1000)), 0.0)
    future = block(*second(NOW_MS + 2 * AHEAD_MS))
    before.rows_came(future, 1.0)
    channel = made(reference)
    channel.restore(before.saved())
    reference.now_ms = NOW_MS + 2 * AHEAD_MS + 1000
    values = future.values.copy()
    values[Column.SPEED, 3:] = 4.2
    assert channel.rows_came(SampleBlock(future.t_ms, values), 241.0) == 7
    assert times(channel, misdated=False) == [*second(NOW_MS - 1000), *future.t_ms[3:].tolist()]
    assert channel.ring.between(NOW_MS, 2**44).column(Column.SPEED).tolist() == [4.2] * 7


def test_old_rows_in_the_first_answer_are_those_of_a_tracker_that_rested_and_no_wrong_clock() -> None:
    """After the winter break the newest rows of every tracker are months old."""
    channel = made(Reference())
    old = list(second(NOW_MS - 60 * DAY_MS))
    for n in range(3):
        assert channel.rows_came(block(*old), float(n)) == 0
    assert (channel.clock_error_ms, len(channel.ring), channel.counters.rows_outdated) == (None, 0, 10)
    assert channel.presence(2.0) is Presence.WAITING
    channel.rows_came(block(*old, NOW_MS - 60 * DAY_MS + 1000), 3.0)
    wrong_by = (channel.clock_error_ms, channel.moved_s)
    assert wrong_by == (1000 - 60 * DAY_MS, 3.0), "but whoever sends such a row now has a wrong clock"
    channel.rows_came(block(*second(NOW_MS - 1000)), 4.0)
    assert (channel.clock_error_ms, channel.presence(4.0)) == (None, Presence.LIVE)
    assert channel.gaps.gaps == ()


def test_what_was_believed_before_anybody_knew_the_time_is_taken_back_if_it_was_wrong() -> None:
    reference = Reference(None)
    channel = made(reference)
    channel.rows_came(block(*second(3_155_760_000_000)), 0.0)
    reference.now_ms = NOW_MS
    channel.rows_came(block(*second(NOW_MS - 1000)), 1.0)
    assert channel.ring.newest_ms == channel.gaps.newest_ms == NOW_MS - 100
    assert times(channel, misdated=False) == list(second(NOW_MS - 1000))
    assert channel.presence(1.0) is Presence.LIVE


def test_what_was_believed_before_anybody_knew_the_time_stays_if_it_was_right() -> None:
    reference = Reference(None)
    channel = made(reference)
    channel.rows_came(block(*second(NOW_MS - 2000)), 0.0)
    reference.now_ms = NOW_MS
    channel.rows_came(block(*second(NOW_MS - 1000)), 1.0)
    assert len(channel.ring) == 20


def test_what_was_believed_before_anybody_knew_the_time_may_be_as_far_ahead_as_a_right_time_may() -> None:
    for ahead_ms, kept in ((AHEAD_MS, 2), (AHEAD_MS + 1, 1)):
        reference = Reference(None)
        channel = made(reference)
        channel.rows_came(block(NOW_MS + ahead_ms), 0.0)
        reference.now_ms = NOW_MS
        channel.rows_came(block(NOW_MS), 1.0)
        assert len(channel.ring) == kept


def test_rows_of_history_do_not_say_that_the_cloud_answers_about_the_newest() -> None:
    channel = made(Reference())
    channel.rows_came(block(*second(NOW_MS - 60_000), *second(NOW_MS - 50_000)), 0.0)
    channel.gaps.poll_failed(GapReason.UPSTREAM_OUTAGE, 1.0)
    channel.history_came(block(*second(NOW_MS - 58_000)))
    channel.rows_came(block(*range(NOW_MS - 20_000, NOW_MS, 100)), 1.0)
    assert channel.gaps.gaps[-1].reason is GapReason.UPSTREAM_OUTAGE


def test_a_cloud_that_sets_its_clock_back_takes_nothing_away() -> None:
    reference = Reference()
    channel = made(reference)
    channel.rows_came(block(*second(NOW_MS - 1000)), 0.0)
    reference.now_ms = NOW_MS - HOUR_MS
    channel.rows_came(block(*second(NOW_MS)), 1.0)
    assert len(channel.ring) == 20


def test_yesterdays_rows_do_not_show_that_a_tracker_moves_and_todays_do() -> None:
    channel = made(Reference())
    channel.rows_came(block(*second(NOW_MS - DAY_MS)), 0.0)
    assert (channel.moved_s, channel.presence(0.0)) == (None, Presence.BEHIND)
    channel.rows_came(block(*second(NOW_MS - DAY_MS + 1000)), 1.0)
    assert channel.moved_s == 1.0, "newer rows came: it hands in a backlog"
    channel = made(Reference())
    channel.rows_came(block(*second(NOW_MS - 1000)), 0.0)
    assert channel.moved_s == 0.0


@pytest.mark.parametrize(
    ("reference_ms", "first_ms", "hole"),
    [
        (NOW_MS, NOW_MS - 30_000, (NOW_MS - HOUR_MS, NOW_MS - 30_000)),
        (NOW_MS, NOW_MS - 2 * HOUR_MS, None),
        (None, NOW_MS, (NOW_MS - HOUR_MS, NOW_MS)),
    ],
)
def test_the_past_that_is_wanted_reaches_back_from_now_and_not_from_the_first_row(
    reference_ms: int | None, first_ms: int, hole: tuple[int, int] | None
) -> None:
    channel = made(Reference(reference_ms), refill_ms=HOUR_MS)
    channel.rows_came(block(first_ms), 0.0)
    gaps = [(gap.from_ms, gap.to_ms) for gap in channel.gaps.gaps]
    assert gaps == ([] if hole is None else [hole])
    assert all(gap.reason is GapReason.GATEWAY_RESTART for gap in channel.gaps.gaps)


def test_rows_of_history_fill_gaps_and_are_no_sign_of_life() -> None:
    channel = made(Reference(), refill_ms=60_000)
    channel.rows_came(block(*second(NOW_MS - 1000)), 0.0)
    assert channel.history_came(block(*range(NOW_MS - 60_000, NOW_MS - 500, 100))) == 590
    assert [gap.state.value for gap in channel.gaps.gaps] == ["repaired"]
    assert (channel.counters.rows, channel.counters.rows_history) == (10, 590)
    assert channel.presence(LOST_AFTER_S) is Presence.LOST
    assert np.array_equal(channel.ring.between(0, 2**44).t_ms, np.arange(NOW_MS - 60_000, NOW_MS, 100))


def test_a_lost_tracker_leaves_no_trace_of_its_clock() -> None:
    channel = made(Reference())
    channel.rows_came(block(NOW_MS - 900), 0.0)
    channel.rows_came(block(*second(NOW_MS + HOUR_MS)), 1.0)
    channel.lose()
    assert (channel.clock_error_ms, channel.moved_s, channel.rows_on_top()) == (None, None, 0)
    assert channel.ages.median_ms(1.0) is None

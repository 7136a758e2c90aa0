"""When batches arrive, and that asking never changes it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.delivery import BATCH_MS, NEVER, Delivery
from gateway.simulator.faults import Faults
from tests.simulator.bench import START_MS

FIRST_MS = START_MS + 597
FAULTY = Faults(late_fraction=0.3, late_s=20, backlog_batches_per_s=3)


def arrivals(delivery: Delivery) -> np.ndarray:
    return delivery._arrival[: delivery._measured].copy()


def test_a_batch_arrives_after_its_measurement_and_the_trackers_latency() -> None:
    """Between 0.3 and 0.9 s after its last row, differently for each tracker."""
    delays = set()
    for tracker in range(8):
        delivery = Delivery(7, tracker, FIRST_MS)
        delivery.advance(FIRST_MS + 600_000, Faults())
        batches = delivery.arrived(FIRST_MS + 600_000)
        assert batches.size in {598, 599}
        late = arrivals(delivery) - (delivery.times(np.arange(600)) + 900)
        assert late.min() >= 300
        assert late.max() <= 900
        delays.add(int(late.mean()))
    assert len(delays) > 4


@given(
    looks=st.lists(st.integers(0, 400_000), max_size=20),
    cut=st.integers(20_000, 150_000),
    length=st.integers(1, 100_000),
    order=st.sampled_from(["oldest_first", "newest_first", "interleaved"]),
    every=st.sampled_from([0, 7, 45, 100.5]),
    lasts=st.sampled_from([0, 3.3, 20]),
)
def test_looking_changes_nothing(
    looks: list[int], cut: int, length: int, order: str, every: float, lasts: float
) -> None:
    """Whatever instants are looked at, the arrival times are those of a cloud that only saw the events."""
    knobs = {"backlog_order": order, "tracker_offline_every_s": every, "tracker_offline_s": lasts, "lost_fraction": 0.1}
    faults = FAULTY.merged(knobs)
    plain, watched = Delivery(7, 0, FIRST_MS), Delivery(7, 0, FIRST_MS)
    events: list[tuple[int, bool | None]] = [(cut, False), (cut + length, True)]
    for at, connected in sorted([*events, *((look, None) for look in looks)], key=lambda event: event[0]):
        if connected is None:
            watched.advance(FIRST_MS + at, faults)
        else:
            plain.set_connected(FIRST_MS + at, faults, connected=connected)
            watched.set_connected(FIRST_MS + at, faults, connected=connected)
    for delivery in (plain, watched):
        delivery.advance(FIRST_MS + 500_000, faults)
    assert (arrivals(plain) == arrivals(watched)).all()


@given(looks=st.lists(st.integers(0, 300_000), min_size=1, max_size=30), every=st.sampled_from([0, 45]))
def test_nothing_arrives_before_the_announced_instant(looks: list[int], every: int) -> None:
    """And what had arrived once stays."""
    faults = FAULTY.merged({"tracker_offline_every_s": every, "tracker_offline_s": 20, "backlog_order": "newest_first"})
    delivery = Delivery(7, 0, FIRST_MS)
    before: set[int] = set()
    next_ms = FIRST_MS
    for look in sorted(looks):
        now_ms = FIRST_MS + look
        delivery.advance(now_ms, faults)
        there = set(delivery.arrived(now_ms).tolist())
        assert there >= before
        assert there == before or now_ms >= next_ms
        before, next_ms = there, delivery.next_arrival_ms(faults)
        assert next_ms > now_ms


def test_late_batches_come_out_of_order_and_only_some() -> None:
    delivery = Delivery(7, 0, FIRST_MS)
    delivery.advance(FIRST_MS + 1_000_000, Faults(late_fraction=0.1, late_s=8))
    delay = arrivals(delivery) - (delivery.times(np.arange(1000)) + 900)
    late = delay > 1000
    assert 0.05 < late.mean() < 0.15
    assert delay.max() <= 9_000
    order = delivery.arrived_between(FIRST_MS, FIRST_MS + 1_000_000)
    assert (np.diff(order) < 0).any()


def lose_network(order: str, rate: float = 10.0) -> tuple[Delivery, int]:
    """Twenty seconds without network, and the instant it is back."""
    faults = Faults().merged({"backlog_order": order, "backlog_batches_per_s": rate})
    delivery = Delivery(7, 0, FIRST_MS)
    delivery.set_connected(FIRST_MS + 10_000, faults, connected=False)
    back_ms = FIRST_MS + 30_000
    delivery.advance(back_ms, faults)
    assert delivery.arrived(back_ms).tolist() == list(range(10))
    delivery.set_connected(back_ms, faults, connected=True)
    delivery.advance(back_ms + 60_000, faults)
    return delivery, back_ms


def test_an_oldest_first_backlog_holds_back_live_data() -> None:
    delivery, back_ms = lose_network("oldest_first", rate=4)
    order = delivery.arrived_between(back_ms, back_ms + 60_000)
    assert order.tolist() == sorted(order.tolist())
    assert order[0] == 10
    assert arrivals(delivery)[30] > back_ms + 5000


@pytest.mark.parametrize(("order", "first"), [("newest_first", 29), ("interleaved", 10)])
def test_other_backlogs_come_beside_live_data(order: str, first: int) -> None:
    delivery, back_ms = lose_network(order, rate=4)
    assert arrivals(delivery)[30] < back_ms + 1000 + 2000
    backlog = [b for b in delivery.arrived_between(back_ms, back_ms + 60_000).tolist() if b < 30]
    assert backlog[0] == first
    assert sorted(backlog) == list(range(10, 30))


def test_what_was_still_waiting_when_the_network_goes_again_is_kept() -> None:
    """Nothing is lost and nothing arrives twice over two losses."""
    faults = Faults(backlog_batches_per_s=1)
    delivery = Delivery(7, 0, FIRST_MS)
    for at, connected in ((10_000, False), (30_000, True), (35_000, False), (50_000, True)):
        delivery.set_connected(FIRST_MS + at, faults, connected=connected)
    delivery.advance(FIRST_MS + 300_000, faults)
    assert delivery.arrived(FIRST_MS + 45_000).size < 20
    assert delivery.arrived(FIRST_MS + 10**6).tolist() == list(range(300))


def test_a_tracker_switched_off_measures_nothing_and_keeps_its_backlog() -> None:
    delivery = Delivery(7, 0, FIRST_MS)
    delivery.set_connected(FIRST_MS + 10_000, Faults(), connected=False)
    delivery.set_powered(FIRST_MS + 20_500, Faults(), powered=False)
    delivery.set_connected(FIRST_MS + 25_000, Faults(), connected=True)
    delivery.advance(FIRST_MS + 30_000, Faults())
    assert delivery.arrived(FIRST_MS + 30_000).tolist() == list(range(10))
    delivery.set_powered(FIRST_MS + 40_500, Faults(), powered=True)
    delivery.advance(FIRST_MS + 50_000, Faults())
    assert delivery.arrived(FIRST_MS + 60_000).tolist() == [*range(20), *range(41, 50)]


def test_new_knobs_do_not_change_what_was_measured() -> None:
    delivery = Delivery(7, 0, FIRST_MS)
    delivery.advance(FIRST_MS + 100 * BATCH_MS, Faults())
    before = arrivals(delivery)
    delivery.advance(FIRST_MS + 200 * BATCH_MS, Faults(late_fraction=1, late_s=30))
    assert (arrivals(delivery)[:100] == before).all()


LOSING = Faults(tracker_offline_every_s=100, tracker_offline_s=25, backlog_batches_per_s=50)


def offline_s(delivery: Delivery) -> list[int]:
    """Seconds whose batch came by more than 3 s late."""
    delay = arrivals(delivery) - (delivery.times(np.arange(delivery._measured)) + 900)
    return np.flatnonzero(delay > 3000).tolist()


def test_scheduled_losses_come_once_a_period_and_differ_by_tracker() -> None:
    """Each is one stretch, its rows come when it is over, and not all trackers lose the network together."""
    begins = set()
    for tracker in range(6):
        delivery = Delivery(7, tracker, FIRST_MS)
        delivery.advance(FIRST_MS + 1_000_000, LOSING)
        late = np.array(offline_s(delivery))
        stretches = np.split(late, np.flatnonzero(np.diff(late) > 1) + 1)
        assert 9 <= len(stretches) <= 11
        assert {len(stretch) for stretch in stretches[1:-1]} <= {22, 23}
        assert {int(b[0] - a[0]) for a, b in pairwise(stretches[1:-1])} <= {99, 100, 101}
        assert (arrivals(delivery)[:900] < NEVER - 1).all()
        begins.add(int(stretches[1][0]) % 100)
    assert len(begins) > 3


def test_a_cut_by_hand_and_a_scheduled_loss_both_have_to_end() -> None:
    """A tracker that is given its network back during a loss stays without, and the other way round."""
    plain = Delivery(7, 0, FIRST_MS)
    plain.advance(FIRST_MS + 400_000, LOSING)
    begin = next(s for s in offline_s(plain) if s > 100)
    early, late = Delivery(7, 0, FIRST_MS), Delivery(7, 0, FIRST_MS)
    for delivery, back in ((early, begin + 10), (late, begin + 50)):
        delivery.set_connected(FIRST_MS + (begin - 20) * 1000, LOSING, connected=False)
        delivery.set_connected(FIRST_MS + back * 1000, LOSING, connected=True)
        delivery.advance(FIRST_MS + 400_000, LOSING)
    first = (begin - 10) * 1000 + FIRST_MS
    assert arrivals(early)[begin - 10] > first + 30_000
    assert arrivals(late)[begin - 10] > first + 55_000
    assert not early.arrived(FIRST_MS + (begin + 20) * 1000)[-1] >= begin


def test_losses_that_are_switched_off_end_at_once() -> None:
    """When the knobs change, not when somebody looks next."""
    always = Faults(tracker_offline_every_s=10, tracker_offline_s=10)
    delivery = Delivery(7, 0, FIRST_MS)
    delivery.advance(FIRST_MS + 60_000, always)
    assert (delivery.arrived(FIRST_MS + 60_000).size, delivery.online) == (0, False)
    delivery.advance(FIRST_MS + 300_000, Faults(backlog_batches_per_s=20))
    assert delivery.arrived(FIRST_MS + 65_000).size >= 59
    assert delivery.online


def test_lost_batches_never_come_however_long_one_waits() -> None:
    delivery = Delivery(7, 0, FIRST_MS)
    faults = LOSING.merged({"lost_fraction": 0.1})
    delivery.advance(FIRST_MS + 1_000_000, faults)
    delivery.advance(FIRST_MS + 2_000_000, Faults())
    lost = arrivals(delivery)[:1000] == NEVER
    assert 60 < lost.sum() < 140
    assert delivery.arrived(NEVER - 2).size == 2000 - lost.sum()


def test_a_wrong_clock_moves_the_times_and_not_the_arrival() -> None:
    """From when it was set; a batch in progress is told its time at its end."""
    plain, wrong = Delivery(7, 0, FIRST_MS), Delivery(7, 0, FIRST_MS)
    wrong.set_clock(FIRST_MS + 100_500, Faults(), error_s=-50)
    wrong.set_clock(FIRST_MS + 200_500, Faults(), error_s=0)
    for delivery in (plain, wrong):
        delivery.advance(FIRST_MS + 300_000, Faults())
    assert (arrivals(plain) == arrivals(wrong)).all()
    error_ms = wrong.times(np.arange(300)) - wrong.measured_ms(np.arange(300))
    assert error_ms.tolist() == [0] * 100 + [-50_000] * 100 + [0] * 100


def test_of_rows_with_one_time_the_cloud_keeps_the_one_measured_last() -> None:
    """As soon as it has it, and all times are there once, in order."""
    delivery = Delivery(7, 0, FIRST_MS)
    delivery.set_clock(FIRST_MS + 100_500, Faults(), error_s=-50)
    delivery.advance(FIRST_MS + 300_000, Faults())
    assert delivery.arrived(FIRST_MS + 101_000).tolist() == list(range(100))
    batches = delivery.arrived(FIRST_MS + 160_000)
    times = delivery.times(batches)
    assert (np.diff(times) == 1000).all()
    assert batches.tolist()[:52] == [*range(50), 100, 101]
    assert delivery.arrived(FIRST_MS + 160_000, newest=5).tolist() == batches.tolist()[-5:]


@pytest.mark.parametrize(
    ("lasts", "expected"), [(0, [*range(600, 700), *range(701, 900)]), (30, [*range(600, 630), *range(701, 731)])]
)
def test_clocks_are_wrong_from_the_start_for_a_while(lasts: float, expected: list[int]) -> None:
    """Not before the simulator began, and again after the tracker was switched off and on."""
    faults = Faults(clock_error_s=7200, clock_error_for_s=lasts)
    delivery = Delivery(7, 0, FIRST_MS, FIRST_MS + 600_000)
    delivery.set_powered(FIRST_MS + 699_900, faults, powered=False)
    delivery.set_powered(FIRST_MS + 700_500, faults, powered=True)
    delivery.advance(FIRST_MS + 900_000, faults)
    assert np.flatnonzero(delivery._error_s[:900] == 7200).tolist() == expected


def test_only_a_fraction_of_trackers_starts_with_a_wrong_clock() -> None:
    faults = Faults(clock_error_s=-619_315_200, clock_error_fraction=0.3)
    wrong = 0
    for tracker in range(100):
        delivery = Delivery(7, tracker, FIRST_MS)
        delivery.advance(FIRST_MS + 2000, faults)
        wrong += int(delivery._error_s[0] != 0)
    assert 15 < wrong < 45


def test_the_newest_are_found_behind_a_hole() -> None:
    """Also when most of the last batches have not arrived."""
    delivery = Delivery(7, 0, FIRST_MS)
    faults = Faults(backlog_order="newest_first", backlog_batches_per_s=1)
    delivery.set_connected(FIRST_MS + 100_000, faults, connected=False)
    delivery.set_connected(FIRST_MS + 400_000, faults, connected=True)
    now_ms = FIRST_MS + 402_500
    delivery.advance(now_ms, faults)
    everything = delivery.arrived(now_ms).tolist()
    assert delivery.arrived(now_ms, newest=5).tolist() == everything[-5:]
    assert delivery.arrived(now_ms, newest=500).tolist() == everything

"""When batches arrive, and that asking never changes it."""

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
)
def test_looking_changes_nothing(looks: list[int], cut: int, length: int, order: str) -> None:
    """Whatever instants are looked at, the arrival times are those of a cloud that only saw the events."""
    faults = FAULTY.merged({"backlog_order": order})
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
    assert (arrivals(plain) < NEVER - 1).all()


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

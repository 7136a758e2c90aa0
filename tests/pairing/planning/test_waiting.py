"""Waiting for a tracker: what a person can do about it, when it is too long, when to look again."""

from dataclasses import replace
from datetime import UTC

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from gateway.pairing.conditions import ConditionType, Reason
from gateway.pairing.documents import Slot
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Delivery, Observation, Trouble
from gateway.pairing.planning.plan import State, TrackerPlan, plan
from gateway.pairing.reconciling.watching import Watch
from tests.pairing.fleets import HR, fleet, tracker

MINUTE_S = 60.0


def waited_for(
    *,
    contact_ago_s: float | None = 0.0,
    contacts: int = 0,
    waiting_s: float = 1000.0,
    still_s: float = 0.0,
    is_immediate: bool = False,
    listened_s: float = 1e6,
) -> Observation:
    """The cloud has what is wanted, and the tracker not yet."""
    seen = tracker("T1", "A", "A", "")
    desired = msgspec.structs.replace(seen.desired, is_immediate=is_immediate)
    return replace(
        seen,
        desired=desired,
        listened_s=listened_s,
        contact_ago_s=contact_ago_s,
        contacts=contacts,
        waiting_s=waiting_s,
        still_s=still_s,
    )


def unheeded(seen: Observation) -> Observation:
    """Its athlete may not be shown, so nobody listens to it."""
    return replace(seen, delivery=dict.fromkeys(Slot, Delivery.UNRELEASED))


def planned(seen: Observation) -> TrackerPlan:
    return plan(fleet(seen), UTC).trackers["T1"]


@pytest.mark.parametrize(
    ("seen", "state", "reason"),
    [
        (waited_for(contact_ago_s=None), State.AWAITING_DEVICE, Reason.DEVICE_OFFLINE),
        (waited_for(contact_ago_s=None, listened_s=60.0), State.AWAITING_DEVICE, Reason.DEVICE_OFFLINE),
        (waited_for(contact_ago_s=None, listened_s=59.0), State.AWAITING_DEVICE, Reason.AWAITING_DEVICE),
        (waited_for(contact_ago_s=30.0, listened_s=59.0), State.AWAITING_DEVICE, Reason.DEVICE_OFFLINE),
        (waited_for(contact_ago_s=30.0), State.AWAITING_DEVICE, Reason.DEVICE_OFFLINE),
        (waited_for(contact_ago_s=29.0), State.AWAITING_DEVICE, Reason.AWAITING_POWER_CYCLE),
        (waited_for(still_s=2 * 60 * MINUTE_S), State.AWAITING_DEVICE, Reason.AWAITING_POWER_CYCLE),
        (waited_for(contacts=1), State.AWAITING_DEVICE, Reason.AWAITING_DEVICE),
        (waited_for(contacts=2, still_s=29 * MINUTE_S), State.AWAITING_DEVICE, Reason.AWAITING_DEVICE),
        (waited_for(contacts=1, still_s=30 * MINUTE_S), State.STALLED, Reason.DEVICE_CONTACTED_BUT_UNCHANGED),
        (waited_for(contacts=3), State.STALLED, Reason.DEVICE_CONTACTED_BUT_UNCHANGED),
        (waited_for(contacts=3, contact_ago_s=31.0), State.AWAITING_DEVICE, Reason.DEVICE_OFFLINE),
        (waited_for(is_immediate=True, waiting_s=119.0), State.AWAITING_DEVICE, Reason.AWAITING_DEVICE),
        (waited_for(is_immediate=True, waiting_s=120.0), State.AWAITING_DEVICE, Reason.AWAITING_POWER_CYCLE),
        (unheeded(waited_for(contact_ago_s=None)), State.AWAITING_DEVICE, Reason.AWAITING_POWER_CYCLE),
        (unheeded(waited_for(contacts=3)), State.AWAITING_DEVICE, Reason.AWAITING_POWER_CYCLE),
    ],
)
def test_why_a_tracker_has_not_taken_it_over(seen: Observation, state: State, reason: Reason) -> None:
    found = planned(seen)
    assert (found.state, found.conditions[0].reason, found.write) == (state, reason, None)
    stalled = next(it for it in found.conditions if it.type is ConditionType.STALLED)
    assert stalled.is_right == (state is not State.STALLED)


def test_that_one_slot_was_told_at_once_says_nothing_of_the_other() -> None:
    seen = waited_for(is_immediate=True, waiting_s=100.0)
    word = msgspec.structs.replace(seen.desired.word(HR), is_immediate=False)
    seen = replace(seen, desired=msgspec.structs.replace(seen.desired, earlier={HR: word}))
    assert planned(seen).conditions[0].reason is Reason.AWAITING_POWER_CYCLE


def test_a_tracker_that_cannot_be_asked_about_is_not_stalled() -> None:
    found = planned(replace(waited_for(contacts=3), trouble=Trouble.OFFLINE, read_ago_s=4000.0))
    assert (found.state, found.conditions[0].reason) == (State.AWAITING_DEVICE, Reason.OFFLINE)


@pytest.mark.parametrize(
    ("still_s", "every_s"), [(0, 15), (119, 15), (120, 60), (30 * 60 - 1, 60), (30 * 60, 300), (1e6, 300)]
)
def test_it_is_looked_at_often_after_something_moved_and_then_rarely(still_s: float, every_s: float) -> None:
    assert planned(waited_for(still_s=still_s, waiting_s=1e7)).read_every_s == every_s


def test_a_contact_makes_it_looked_at_often_again() -> None:
    assert planned(waited_for(waiting_s=1e6, still_s=1e6)).read_every_s == 300
    assert planned(waited_for(waiting_s=1e6, still_s=1.0)).read_every_s == 15


def test_starts_of_a_tracker_that_was_in_sync_are_not_counted_when_it_forgets() -> None:
    """Else a tracker that started often would be stalled in the moment in which somebody resets it."""
    watch, has, forgot = Watch(0.0), PairingSet(Pairing("a0:9e:1a:00:00:01", "A")), PairingSet()
    watch.took(BluetoothConfig(current=has, target=has), Memory(), 0.5, 0.0, 0)
    for day in range(1, 5):
        watch.contacted(day * 86_400.0)
    watch.took(BluetoothConfig(current=has, target=has), Memory(), 0.5, 4 * 86_400.0, 0)
    watch.took(BluetoothConfig(current=forgot, target=has), Memory(), 0.5, 4 * 86_400.0 + 60, 0)
    assert watch.contacts == 0
    watch.contacted(5 * 86_400.0)
    assert watch.contacts == 1


ages = st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, 30.0, 120.0, 1800.0]))


@given(st.none() | ages, st.integers(0, 9), ages, ages, st.booleans())
def test_whatever_it_waits_for_it_never_writes(
    contact_ago_s: float | None, contacts: int, waiting_s: float, still_s: float, is_immediate: bool
) -> None:
    found = planned(
        waited_for(
            contact_ago_s=contact_ago_s,
            contacts=contacts,
            waiting_s=waiting_s,
            still_s=still_s,
            is_immediate=is_immediate,
        )
    )
    assert found.state in {State.AWAITING_DEVICE, State.STALLED}
    assert found.write is None
    assert found.conditions[0].action
    if contact_ago_s is None or contact_ago_s >= 30:
        assert found.state is State.AWAITING_DEVICE

"""Evidence: a held strap is silent in the air, and a radio that hears nothing proves nothing."""

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pairing.conditions import ConditionType, Reason, Status
from gateway.pairing.documents import Slot
from gateway.pairing.observation import Air, Delivery, Ears, Match, Observation
from gateway.pairing.planning import sensing
from gateway.pairing.planning.plan import plan
from tests.pairing.fleets import HR, fleet, sensor, tracker

A = sensor("A")
LISTENING, BRIEFLY = Ears("listening", 600.0), Ears("listening", 60.0)
DEAF_STATES = ("starting", "silent", "disabled", "no_bus", "no_service", "no_adapter", "blocked", "failed", "busy")

SEEN = Air("seen", silent_s=1.0, rssi_dbm=-60)
GONE = Air("gone", silent_s=300.0, rssi_dbm=-60)
UNHEARD = Air("unknown", was_heard=False)


def of(air: Air | None, delivery: Delivery | None, *, has_it: bool = True) -> Observation:
    seen = tracker("T1", "A", "A", "A" if has_it else "B")
    return replace(
        seen,
        air={} if air is None else {HR: air},
        delivery={} if delivery is None else {HR: delivery},
    )


T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN


@pytest.mark.parametrize(
    ("air", "delivery", "ears", "status", "reason"),
    [
        # In the air.
        (SEEN, Delivery.NOTHING, LISTENING, T, Reason.OK),
        (replace(SEEN, presence="quiet"), Delivery.NOTHING, LISTENING, T, Reason.OK),
        (replace(SEEN, is_ambiguous=True), Delivery.FLOWING, LISTENING, U, Reason.AMBIGUOUS_NEIGHBOURS),
        (SEEN, Delivery.FLOWING, LISTENING, T, Reason.OK),
        # Its tracker has it, so it is silent.
        (GONE, Delivery.FLOWING, LISTENING, T, Reason.HELD_BY_TRACKER),
        (GONE, Delivery.FLAT, LISTENING, T, Reason.HELD_BY_TRACKER),
        (None, Delivery.FLOWING, LISTENING, T, Reason.HELD_BY_TRACKER),
        (UNHEARD, Delivery.FLOWING, Ears("no_adapter"), T, Reason.HELD_BY_TRACKER),
        (replace(GONE, holder="tracker"), Delivery.TRACKER_SILENT, LISTENING, T, Reason.HELD_BY_TRACKER),
        # Its tracker may have it.
        (GONE, Delivery.TRACKER_SILENT, LISTENING, U, Reason.TRACKER_OFFLINE),
        (UNHEARD, Delivery.TRACKER_SILENT, LISTENING, U, Reason.TRACKER_OFFLINE),
        (GONE, Delivery.UNRELEASED, LISTENING, U, Reason.NOT_RELEASED),
        (SEEN, Delivery.UNRELEASED, LISTENING, T, Reason.OK),
        # Nobody has it.
        (GONE, Delivery.NOTHING, LISTENING, F, Reason.SEEN_STALE),
        (UNHEARD, Delivery.NOTHING, LISTENING, F, Reason.NEVER_SEEN),
        (None, Delivery.NOTHING, LISTENING, F, Reason.NEVER_SEEN),
        (UNHEARD, Delivery.NOTHING, Ears("listening", 119.0), U, Reason.JUST_LISTENING),
        (UNHEARD, Delivery.NOTHING, Ears("listening", 120.0), F, Reason.NEVER_SEEN),
        (replace(GONE, presence="unknown"), Delivery.NOTHING, BRIEFLY, U, Reason.JUST_LISTENING),
        (replace(UNHEARD, has_new_address=True), Delivery.NOTHING, LISTENING, F, Reason.NEW_ADDRESS),
        (replace(SEEN, has_new_address=True), Delivery.NOTHING, LISTENING, F, Reason.NEW_ADDRESS),
        (replace(GONE, has_new_address=True), Delivery.FLOWING, LISTENING, T, Reason.HELD_BY_TRACKER),
        # The radio hears nothing.
        (GONE, Delivery.NOTHING, Ears("silent"), U, Reason.SCANNER_QUIET),
        (GONE, Delivery.NOTHING, Ears("starting"), U, Reason.JUST_LISTENING),
        (GONE, Delivery.NOTHING, Ears("no_adapter"), U, Reason.NO_ADAPTER),
        (GONE, Delivery.NOTHING, Ears("disabled"), U, Reason.NO_ADAPTER),
        (GONE, Delivery.NOTHING, Ears("blocked"), U, Reason.ADAPTER_DEGRADED),
        (GONE, Delivery.NOTHING, Ears("failed"), U, Reason.ADAPTER_DEGRADED),
        (SEEN, Delivery.NOTHING, Ears("failed"), U, Reason.ADAPTER_DEGRADED),
    ],
)
def test_whether_a_sensor_is_seen(
    air: Air | None, delivery: Delivery, ears: Ears, status: Status, reason: Reason
) -> None:
    seen = of(air, delivery)
    found = sensing.seen(seen, HR, A, replace(fleet(seen), ears=ears), UTC)
    assert (found.status, found.reason) == (status, reason)


def test_a_faint_sensor_is_remarked_upon_and_nothing_else_than_seen() -> None:
    """It goes to and fro around any limit."""
    for rssi_dbm, words in ((-84, "is in the air"), (-85, "is in the air, but faint")):
        seen = of(replace(SEEN, rssi_dbm=rssi_dbm), Delivery.NOTHING)
        found = plan(replace(fleet(seen), ears=LISTENING), UTC).trackers["T1"].conditions
        (it,) = (it for it in found if it.type is ConditionType.SENSOR_SEEN)
        assert (it.status, it.reason, it.text) == (T, Reason.OK, f"{A.name} {words}")


def test_in_the_first_minute_the_silence_of_a_tracker_says_nothing() -> None:
    for listened_s, contact_ago_s, reason in (
        (59.0, None, Reason.JUST_LISTENING),
        (60.0, None, Reason.TRACKER_OFFLINE),
        (59.0, 40.0, Reason.TRACKER_OFFLINE),
    ):
        seen = replace(of(GONE, Delivery.TRACKER_SILENT), listened_s=listened_s, contact_ago_s=contact_ago_s)
        found = sensing.seen(seen, HR, A, replace(fleet(seen), ears=LISTENING), UTC), sensing.delivering(seen, HR, A)
        assert [(it.status, it.reason) for it in found] == [(U, reason)] * 2


def test_values_of_another_sensor_explain_no_silence() -> None:
    seen = of(GONE, Delivery.FLOWING, has_it=False)
    found = sensing.seen(seen, HR, A, replace(fleet(seen), ears=LISTENING), UTC)
    assert (found.status, found.reason) == (F, Reason.SEEN_STALE)


airs = st.builds(
    Air,
    st.sampled_from(["seen", "quiet", "gone", "unknown"]),
    was_heard=st.booleans(),
    silent_s=st.none() | st.floats(0, 1e5),
    rssi_dbm=st.none() | st.integers(-110, -20),
    holder=st.sampled_from(["free", "tracker", "shared", "not_used", "elsewhere", "not_worn", "unknown"]),
    has_new_address=st.booleans(),
    is_ambiguous=st.booleans(),
)


@given(st.none() | airs, st.none() | st.sampled_from(Delivery), st.sampled_from(DEAF_STATES), st.booleans())
def test_a_deaf_radio_never_says_that_a_sensor_is_not_there(
    air: Air | None, delivery: Delivery | None, state: str, has_it: bool
) -> None:
    seen = of(air, delivery, has_it=has_it)
    found = sensing.seen(seen, HR, A, replace(fleet(seen), ears=Ears(state)), UTC)
    assert found.status is not F


@pytest.mark.parametrize(
    ("delivery", "holder", "has_it", "status", "reason"),
    [
        (Delivery.FLOWING, "tracker", True, T, Reason.OK),
        (Delivery.FLOWING, "free", False, U, Reason.AWAITING_DEVICE),
        (Delivery.NOTHING, "free", True, F, Reason.NO_DATA),
        (Delivery.NOTHING, "elsewhere", True, F, Reason.IN_USE_ELSEWHERE),
        (Delivery.FLAT, "tracker", True, F, Reason.FLAT_ZERO),
        (Delivery.TRACKER_SILENT, "tracker", True, U, Reason.TRACKER_OFFLINE),
        (None, "unknown", True, U, Reason.TRACKER_OFFLINE),
        (Delivery.UNRELEASED, "unknown", True, U, Reason.NOT_RELEASED),
    ],
)
def test_whether_a_tracker_sends_what_a_sensor_measures(
    delivery: Delivery | None, holder: str, has_it: bool, status: Status, reason: Reason
) -> None:
    found = sensing.delivering(of(replace(GONE, holder=holder), delivery, has_it=has_it), HR, A)
    assert (found.status, found.reason) == (status, reason)


@pytest.mark.parametrize(
    ("match", "delivery", "has_it", "status", "reason"),
    [
        (None, Delivery.FLOWING, True, U, Reason.NOT_BROADCASTING),
        (Match("T1", 0.5, 100), Delivery.FLOWING, True, T, Reason.OK),
        (Match("T2", 0.5, 100), Delivery.FLOWING, True, F, Reason.ON_OTHER_TRACKER),
        (Match("T2", 0.5, 100), Delivery.FLOWING, False, U, Reason.AWAITING_DEVICE),
        (Match(None, 0.9, 100), Delivery.FLOWING, True, F, Reason.ON_NO_TRACKER),
        (Match(None, 0.9, 100), Delivery.TRACKER_SILENT, True, U, Reason.TOO_LITTLE),
        (Match(None, 0.1, 100), Delivery.FLOWING, True, U, Reason.TOO_LITTLE),
        (Match(None, 0.0, 10), Delivery.FLOWING, True, U, Reason.TOO_LITTLE),
    ],
)
def test_whether_what_a_strap_broadcasts_is_what_its_tracker_sends(
    match: Match | None, delivery: Delivery, has_it: bool, status: Status, reason: Reason
) -> None:
    found = sensing.matched(replace(of(SEEN, delivery, has_it=has_it), match=match), A)
    assert (found.status, found.reason) == (status, reason)


def test_of_a_tracker_that_was_not_read_it_is_not_said_that_it_does_not_listen() -> None:
    seen = replace(of(SEEN, Delivery.FLOWING), documents=None)
    for found in (sensing.delivering(seen, HR, A), sensing.matched(seen, A)):
        assert (found.status, found.reason) == (U, Reason.NOT_READ_YET)


def test_what_is_told_of_a_sensor_never_makes_or_stops_a_write() -> None:
    for air in (SEEN, GONE, UNHEARD, replace(GONE, holder="elsewhere")):
        for delivery in Delivery:
            for target in ("", "A"):
                seen = replace(
                    tracker("T1", "A", target),
                    air=dict.fromkeys(Slot, air),
                    delivery=dict.fromkeys(Slot, delivery),
                    match=Match("T2", 0.9, 100),
                )
                assert (plan(fleet(seen), UTC).trackers["T1"].write is None) == bool(target)

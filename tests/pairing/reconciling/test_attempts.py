"""When a tracker is tried again: the wait after each failure, and everything that ends it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.errors import (
    BadAnswer,
    Broken,
    CloudError,
    Fault,
    Forbidden,
    LoginRefused,
    NetworkLoginNeeded,
    NotFound,
    Rejected,
    ServerFailed,
    Throttled,
    TlsFailed,
    Unauthorized,
    Unreachable,
)
from gateway.cloud.models import BluetoothConfig, Pairing, PairingSet
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Sensor
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Trouble
from gateway.pairing.reconciling.attempts import CAP_S, LOST_AFTER, SPREAD_S, STABLE_S, Attempts, Connection, trouble_of
from gateway.pairing.reconciling.watching import SILENCE_S, Watch

ALL_OF_IT = 1.0 - 2**-53
"""The largest jitter: the wait is as long as it can be."""

OP = "set_bluetooth_config"


def test_the_wait_doubles_from_two_seconds_to_two_minutes_and_all_of_it_is_random() -> None:
    attempts, waits = Attempts(), []
    for _ in range(9):
        attempts = attempts.failed(1000.0, ALL_OF_IT)
        waits.append(round(attempts.wait_s(1000.0), 3))
    assert waits == [2, 4, 8, 16, 32, 64, 120, 120, 120]
    assert attempts.failed(1000.0, 0.0).wait_s(1000.0) == 0


def test_a_day_of_one_tracker() -> None:
    """The trace of a scripted day, as the rules are written: what lengthens a wait, and what ends it."""
    trace: list[tuple[str, int, float]] = []
    watch = Watch(0.0)

    def note(what: str, now_s: float) -> None:
        trace.append((what, watch.attempts.failures, round(watch.attempts.wait_s(now_s), 1)))

    watch.wants(Desired(generation=1))
    for now_s in (0.0, 10.0, 20.0, 30.0):
        watch.attempts = watch.attempts.failed(now_s, ALL_OF_IT)
    note("four failures", 30.0)
    note("the first success, when that is over, forgets none of them", 46.0)
    watch.attempts = watch.attempts.failed(50.0, ALL_OF_IT)
    note("the fifth", 50.0)
    watch.wants(Desired(generation=1))
    note("the same is wanted", 51.0)
    watch.wants(Desired(generation=2))
    note("something else is wanted", 52.0)
    for now_s in (60.0, 70.0, 80.0, 90.0, 100.0, 110.0, 120.0):
        watch.attempts = watch.attempts.failed(now_s, ALL_OF_IT)
    note("seven more", 120.0)
    watch.attempts = watch.attempts.restored(130.0, 0.5)
    note("the cloud is back for everybody", 130.0)
    watch.attempts = watch.attempts.failed(150.0, ALL_OF_IT)
    note("a failure after that", 150.0)
    watch.attempts = watch.attempts.throttled(160.0, 300.0)
    note("a pause that the cloud asks for is no failure", 160.0)
    watch.forgive()
    note("a person says to try again", 161.0)
    for now_s in (200.0, 210.0, 220.0):
        watch.attempts = watch.attempts.failed(now_s, ALL_OF_IT)
    note("three failures", 220.0)
    watch.attempts = watch.attempts.failed(220.0 + STABLE_S, ALL_OF_IT)
    note("the next after ten good minutes", 220.0 + STABLE_S)
    assert trace == [
        ("four failures", 4, 16.0),
        ("the first success, when that is over, forgets none of them", 4, 0.0),
        ("the fifth", 5, 32.0),
        ("the same is wanted", 5, 31.0),
        ("something else is wanted", 0, 0.0),
        ("seven more", 7, 120.0),
        ("the cloud is back for everybody", 0, 15.0),
        ("a failure after that", 1, 2.0),
        ("a pause that the cloud asks for is no failure", 1, 300.0),
        ("a person says to try again", 0, 0.0),
        ("three failures", 3, 8.0),
        ("the next after ten good minutes", 1, 2.0),
    ]


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(0, 1, exclude_max=True)), max_size=40))
def test_no_failure_makes_anybody_wait_for_more_than_two_minutes(steps: list[tuple[float, float]]) -> None:
    attempts, now_s = Attempts(), 0.0
    for after_s, jitter in steps:
        now_s += after_s
        attempts = attempts.failed(now_s, jitter)
        assert 0 <= attempts.wait_s(now_s) <= CAP_S
        assert attempts.restored(now_s, jitter).wait_s(now_s) <= min(SPREAD_S, attempts.wait_s(now_s))


def test_the_cloud_is_back_only_for_those_who_had_lost_it() -> None:
    connection = Connection()
    assert not connection.answered()
    for _ in range(LOST_AFTER - 1):
        connection.failed()
    assert not connection.answered(), "one tracker's bad moment"
    for _ in range(LOST_AFTER):
        connection.failed()
    assert connection.answered()
    assert not connection.answered()


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (Unreachable(OP, Broken.TIMEOUT), Trouble.OFFLINE),
        (TlsFailed(OP, "expired"), Trouble.OFFLINE),
        (NetworkLoginNeeded(OP), Trouble.OFFLINE),
        (LoginRefused(OP, "invalid_grant"), Trouble.AUTH),
        (Unauthorized(OP), Trouble.AUTH),
        (Throttled(OP, 5.0), Trouble.RATE_LIMITED),
        (Forbidden(OP), Trouble.FORBIDDEN),
        (ServerFailed(OP, 503), Trouble.SERVER),
        (BadAnswer(OP, Fault.NOT_JSON), Trouble.BAD_ANSWER),
        (NotFound(OP, "x", is_path_unknown=True), Trouble.BAD_ANSWER),
        (NotFound(OP, "x", is_path_unknown=False), Trouble.REJECTED),
        (Rejected(OP, 400), Trouble.REJECTED),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, CloudError) else str(it),
)
def test_every_error_has_its_class(error: CloudError, trouble: Trouble) -> None:
    assert trouble_of(error) is trouble


# --- what is known of one tracker -----------------------------------------------------------------------------------


def config(target: str, current: str) -> BluetoothConfig:
    return BluetoothConfig(PairingSet(Pairing(current, "H10")), PairingSet(Pairing(target, "H10")))


A, B, C = "a0:9e:1a:00:00:01", "a0:9e:1a:00:00:02", "a0:9e:1a:00:00:03"


def test_it_is_waited_for_from_the_moment_its_target_changed() -> None:
    watch = Watch(0.0)
    watch.took(config(A, A), Memory(), 0.5, 10.0, 10_000)
    assert watch.waiting_s(20.0) is None
    watch.took(config(B, A), Memory(), 0.5, 30.0, 30_000)
    watch.took(config(B, A), Memory(), 0.5, 45.0, 45_000)
    assert watch.waiting_s(50.0) == 20.0
    watch.took(config(A, B), Memory(), 0.5, 60.0, 60_000)
    assert watch.waiting_s(61.0) == 1.0, "another target, another wait"
    watch.took(config(A, A), Memory(), 0.5, 70.0, 70_000)
    assert watch.waiting_s(71.0) is None


def test_a_restart_does_not_forget_since_when_it_is_waited_for() -> None:
    ours = Document(heart_rate=Sensor(B, "H10"))
    watch = Watch(0.0)
    watch.took(config(B, A), Memory(ours=ours, ours_ms=1_000_000), 0.5, 5.0, 1_090_000)
    assert watch.waiting_s(5.0) == 90.0
    watch = Watch(0.0)
    watch.took(config(B, A), Memory(ours=ours, ours_ms=9_000_000), 0.5, 5.0, 1_090_000)
    assert watch.waiting_s(5.0) == 0.0, "the wall clock was wrong then, or is now"


def test_it_appears_anew_after_half_a_minute_of_silence() -> None:
    watch = Watch(0.0)
    seen = [watch.contacted(at_s) for at_s in (None, 5.0, 6.0, 6.0, 6.0 + SILENCE_S, 40.0)]
    assert seen == [False, False, False, False, True, False]
    assert watch.contacts == 1
    late = Watch(0.0)
    assert late.contacted(SILENCE_S), "it was not there when the gateway started"


def test_what_appeared_before_the_target_changed_does_not_count() -> None:
    watch = Watch(0.0)
    watch.took(config(B, A), Memory(), 0.5, 10.0, 10_000)
    watch.contacted(50.0)
    watch.took(config(B, A), Memory(), 0.5, 60.0, 60_000)
    assert watch.contacts == 1
    watch.took(config(C, A), Memory(), 0.5, 70.0, 70_000)
    assert watch.contacts == 0


def test_nothing_moves_until_a_document_a_contact_or_a_wish_does() -> None:
    watch, desired = Watch(0.0), Desired(generation=1)
    watch.took(config(B, A), Memory(), 0.5, 10.0, 10_000)
    assert watch.still_s(desired, 10.0) == 0.0
    watch.took(config(B, A), Memory(), 0.5, 20.0, 20_000)
    assert watch.still_s(desired, 25.0) == 15.0
    watch.contacted(80.0)
    assert watch.still_s(desired, 80.0) == 0.0
    assert watch.still_s(Desired(generation=2), 90.0) == 0.0
    watch.took(config(B, B), Memory(), 0.5, 95.0, 95_000)
    assert watch.still_s(Desired(generation=2), 95.0) == 0.0


def test_readings_of_many_trackers_drift_apart() -> None:
    early, late = Watch(0.0), Watch(0.0)
    early.took(config(A, A), Memory(), 0.0, 100.0, 0)
    late.took(config(A, A), Memory(), 1.0, 100.0, 0)
    assert [early.is_read_due(60.0, at_s) for at_s in (153.9, 154.1)] == [False, True]
    assert [late.is_read_due(60.0, at_s) for at_s in (165.9, 166.1)] == [False, True]

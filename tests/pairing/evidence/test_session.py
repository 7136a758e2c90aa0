"""The session lock."""

import pytest

from gateway.pairing.evidence.session import LISTEN_S, LOCK_S, SessionLock


def test_nobody_has_run_so_nobody_trains() -> None:
    assert SessionLock(0.0).until_s(LISTEN_S) is None


def test_at_the_start_nobody_knows_whether_somebody_runs() -> None:
    """A gateway that is started in the middle of a session must not write before it has looked."""
    assert SessionLock(100.0).until_s(101.0) == 100.0 + LISTEN_S


def test_who_runs_locks_for_ten_minutes_from_the_last_step() -> None:
    lock = SessionLock(0.0)
    lock.moved(100.0)
    assert lock.until_s(100.0) == 100.0 + LOCK_S == 700.0
    lock.moved(400.0)
    assert lock.until_s(699.0) == 1000.0, "it does not end while somebody has run since"


@pytest.mark.parametrize(("now_s", "until_s"), [(699.9, 700.0), (700.0, None), (90_000.0, None)])
def test_ten_minutes_after_the_last_step_it_ends(now_s: float, until_s: float | None) -> None:
    lock = SessionLock(0.0)
    lock.moved(100.0)
    assert lock.until_s(now_s) == until_s


def test_the_next_session_locks_again() -> None:
    lock = SessionLock(0.0)
    lock.moved(100.0)
    assert lock.until_s(10_000.0) is None
    lock.moved(10_000.0)
    assert lock.until_s(10_000.0) == 10_000.0 + LOCK_S

"""What is told of a body on its way."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.uploads.sending.progress import WINDOW_S, Progress


def test_nothing_is_claimed_of_a_rate_before_a_second_is_over() -> None:
    progress = Progress(1000, 5.0)
    progress.moved(100, 5.5)
    report = progress.report(5.9)
    assert (report.sent_bytes, report.bytes_per_s, report.left_s) == (100, None, None)


def test_the_rate_is_that_of_the_last_seconds_and_falls_when_nothing_leaves() -> None:
    progress = Progress(100_000, 0.0)
    for second in range(1, 21):
        progress.moved(second * 100, float(second))
    for second in range(21, 31):
        progress.moved(2000 + (second - 20) * 1000, float(second))
    assert progress.report(30.0).bytes_per_s == 1000
    assert progress.report(30.0).left_s == 88
    stalled = progress.report(30.0 + WINDOW_S)
    assert (stalled.bytes_per_s, stalled.left_s) == (0, None)
    half = progress.report(30.0 + WINDOW_S / 2).bytes_per_s
    assert half is not None
    assert 400 < half < 600


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 10**8)), max_size=30),
    st.floats(0, 100),
)
def test_whatever_happens_it_is_within_bounds(size: int, steps: list[tuple[float, int]], later_s: float) -> None:
    progress, now_s, sent = Progress(size, 0.0), 0.0, 0
    for step_s, more in steps:
        now_s, sent = now_s + step_s, sent + more
        progress.moved(sent, now_s)
    report = progress.report(now_s + later_s)
    assert report.sent_bytes == min(sent, size)
    assert report.bytes_per_s is None or report.bytes_per_s >= 0
    assert report.left_s is None or report.left_s >= 0

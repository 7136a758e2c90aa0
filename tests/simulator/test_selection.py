"""Rows chosen by time, against the plain way of doing it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.selection import Selection, select

FIRST_MS = 1597
SOME = st.lists(st.integers(0, 40), unique=True, max_size=20).map(sorted)
SPANS = st.lists(st.integers(0, 45_000), unique=True, min_size=0, max_size=6).map(
    lambda edges: list(zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False))
)


def chosen(batches: list[int], spans: list[tuple[int, int]]) -> tuple[Selection, list[int]]:
    """The selection, and its rows' times worked out one by one."""
    numbers = np.array(batches, dtype=np.int64)
    rows = [FIRST_MS + batch * 1000 + row * 100 for batch in batches for row in range(10)]
    kept = [t for t in rows if any(first <= t <= last for first, last in spans)]
    return select(numbers, FIRST_MS + numbers * 1000, spans), kept


def times(selection: Selection) -> list[int]:
    columns = zip(selection.times.tolist(), selection.low.tolist(), selection.high.tolist(), strict=True)
    return [t + row * 100 for t, low, high in columns for row in range(low, high)]


@given(SOME, SPANS)
def test_rows_are_those_inside_the_spans(batches: list[int], spans: list[tuple[int, int]]) -> None:
    selection, rows = chosen(batches, spans)
    assert times(selection) == rows
    assert selection.size == len(rows)
    assert not rows or selection.last_ms == rows[-1]


@given(SOME, SPANS, st.integers(0, 250), st.integers(0, 250))
def test_pages_are_slices(batches: list[int], spans: list[tuple[int, int]], start: int, length: int) -> None:
    selection, rows = chosen(batches, spans)
    assert times(selection.rows(start, start + length)) == rows[start : start + length]
    assert times(selection.newest(length)) == rows[max(0, len(rows) - length) :]


@given(SOME, st.sampled_from([101, 1099, 1100, 1101, 2100, 5100]))
def test_ranges_break_at_holes_only(batches: list[int], apart_ms: int) -> None:
    selection, rows = chosen(batches, [(0, 100_000)])
    runs: list[list[int]] = []
    for t in rows:
        if not runs or t - runs[-1][-1] >= apart_ms:
            runs.append([])
        runs[-1].append(t)
    assert selection.ranges(apart_ms) == [(run[0], run[-1], len(run)) for run in runs]

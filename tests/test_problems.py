"""Problems: reported once, kept with their beginning, gone when their cause is."""

import logging
from dataclasses import FrozenInstanceError
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import Problem, Problems


class Clock:
    """Epoch milliseconds that move by hand."""

    def __init__(self) -> None:
        self.now_ms = 1000

    def __call__(self) -> int:
        return self.now_ms


def test_a_report_is_kept_with_its_beginning() -> None:
    clock = Clock()
    problems = Problems(clock)
    problems.report("offline", "The cloud does not answer.", "Check the internet connection.")
    clock.now_ms = 9000
    problems.report("offline", "The cloud does not answer.", "Check the internet connection.")
    assert list(problems) == [
        Problem("offline", "", "The cloud does not answer.", "Check the internet connection.", since_ms=1000)
    ]


def test_revision_grows_with_changes_only() -> None:
    problems = Problems(Clock())
    seen = [problems.revision]
    changes = [
        partial(problems.report, "a", "t", "x"),
        partial(problems.report, "a", "t", "x"),
        partial(problems.report, "a", "other", "x"),
        partial(problems.report, "a", "t", "x", subject="s"),
        partial(problems.resolve, "unknown"),
        partial(problems.resolve, "a"),
        partial(problems.resolve, "a"),
    ]
    for change in changes:
        change()
        seen.append(problems.revision)
    assert seen == [0, 1, 1, 2, 3, 3, 4, 4]


def test_new_words_keep_the_beginning() -> None:
    clock = Clock()
    problems = Problems(clock)
    problems.report("a", "before", "x")
    clock.now_ms = 9000
    problems.report("a", "after", "y")
    assert list(problems) == [Problem("a", "", "after", "y", since_ms=1000)]


def test_subjects_are_apart() -> None:
    problems = Problems(Clock())
    problems.report("foreign", "t", "x", subject="1")
    problems.report("foreign", "t", "x", subject="2")
    problems.resolve("foreign", subject="1")
    assert [problem.subject for problem in problems] == ["2"]


def test_a_problem_that_returns_begins_anew() -> None:
    clock = Clock()
    problems = Problems(clock)
    problems.report("a", "t", "x")
    problems.resolve("a")
    clock.now_ms = 9000
    problems.report("a", "t", "x")
    assert [problem.since_ms for problem in problems] == [9000]


def test_oldest_comes_first_even_if_the_clock_is_set_back() -> None:
    clock = Clock()
    problems = Problems(clock)
    problems.report("b", "t", "x")
    clock.now_ms = 0
    problems.report("a", "t", "x")
    problems.report("b", "new words", "x")
    assert [problem.code for problem in problems] == ["b", "a"]


def test_problems_may_change_while_someone_reads() -> None:
    problems = Problems(Clock())
    problems.report("a", "t", "x")
    problems.report("b", "t", "x")
    for problem in problems:
        problems.resolve(problem.code)
    assert len(problems) == 0


def test_a_problem_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Problem("a", "", "t", "x", 0).code = "b"  # type: ignore[misc]


def test_the_first_report_warns_then_only_other_words_and_the_end_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    problems = Problems(Clock())
    for text in ("Something is wrong", "Something is wrong", "It is still wrong", "It is still wrong"):
        problems.report("a", text, "x", subject="s")
    problems.resolve("a", subject="s")
    problems.resolve("a", subject="s")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "a [s]: Something is wrong: x"),
        (logging.DEBUG, "a [s]: It is still wrong: x"),
        (logging.INFO, "a [s]: resolved"),
    ]


_CHANGES = st.tuples(st.sampled_from("abc"), st.sampled_from(["", "s"]), st.sampled_from(["t", "u", None]))


@given(st.lists(_CHANGES))
def test_revision_tells_exactly_when_the_picture_changed(changes: list[tuple[str, str, str | None]]) -> None:
    problems = Problems(lambda: 0)
    for code, subject, text in changes:
        before = (problems.revision, list(problems))
        if text is None:
            problems.resolve(code, subject)
        else:
            problems.report(code, text, "x", subject)
        assert problems.revision - before[0] == int(list(problems) != before[1])

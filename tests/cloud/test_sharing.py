"""A budget too small for all: whose picture ages, by the rule of the queue and by going round. Time is a number."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import pytest

from gateway.cloud.pacing import Priority, turn

WINDOW_S = 30.0
"""Rows older than this can only come from history."""

MOVING_S, SLEEPING_S = 1.0, 15.0


@dataclass
class Tracker:
    """One of a fleet, as its tail sees it."""

    name: int
    interval_s: float
    read_s: float

    @property
    def is_moving(self) -> bool:
        return self.interval_s == MOVING_S

    def overdue_s(self, now_s: float) -> float:
        return now_s - self.read_s - self.interval_s


Rule = Callable[[list[Tracker], float], Tracker]
"""Picks who is served now among those that are due."""


def by_turn(due: list[Tracker], now_s: float) -> Tracker:
    return min(due, key=lambda tracker: turn(Priority.LIVE, now_s, tracker.overdue_s(now_s)))


def going_round() -> Rule:
    last = -1

    def pick(due: list[Tracker], _now_s: float) -> Tracker:
        nonlocal last
        chosen = min(due, key=lambda tracker: (tracker.name <= last, tracker.name))
        last = chosen.name
        return chosen

    return pick


@dataclass
class Session:
    """What a session looked like."""

    oldest_moving_s: float = 0.0
    window_passes: int = 0
    unfair: int = 0


def session(
    rule: Rule, moving: int, sleeping: int, per_s: float, *, failing: float = 0.0, first_ages: bool = False
) -> Session:
    """Five minutes of polls at a fixed rate; a part of them fails and leaves its tracker unread."""
    dice = random.Random(11)
    fleet = [
        Tracker(name, MOVING_S if name % (moving + sleeping) < moving else SLEEPING_S, 0.0)
        for name in range(moving + sleeping)
    ]
    dice.shuffle(fleet)
    for tracker in fleet:
        tracker.read_s = -dice.uniform(0, 20) if first_ages else -tracker.interval_s
    result = Session()
    for step in range(round(300 * per_s)):
        now_s = step / per_s
        due = [tracker for tracker in fleet if tracker.overdue_s(now_s) >= 0]
        if not due:
            continue
        chosen = rule(due, now_s)
        age_s = now_s - chosen.read_s
        result.unfair += any(one.is_moving and now_s - one.read_s > age_s for one in fleet)
        if dice.random() < failing:
            continue
        if chosen.is_moving:
            result.window_passes += age_s > WINDOW_S
            if now_s > 60 or not first_ages:
                result.oldest_moving_s = max(result.oldest_moving_s, age_s)
        chosen.read_s = now_s
    for tracker in fleet:
        result.window_passes += tracker.is_moving and 300 - tracker.read_s > WINDOW_S
    return result


SMALL_BUDGETS = pytest.mark.parametrize(
    ("moving", "sleeping", "per_s"), [(60, 60, 5.0), (30, 90, 4.0), (20, 100, 3.8), (100, 20, 5.0)]
)
"""A tenth to a third of what the fleet would like, and just enough for the window."""


@SMALL_BUDGETS
def test_where_polls_fail_the_oldest_picture_stays_within_the_window_and_going_round_loses_rows(
    moving: int, sleeping: int, per_s: float
) -> None:
    fair = session(by_turn, moving, sleeping, per_s, failing=0.1, first_ages=True)
    round_robin = session(going_round(), moving, sleeping, per_s, failing=0.1, first_ages=True)
    assert fair.oldest_moving_s < WINDOW_S < 2 * fair.oldest_moving_s < round_robin.oldest_moving_s
    assert fair.window_passes == 0
    assert round_robin.window_passes > 10


@SMALL_BUDGETS
def test_where_none_fails_it_is_at_least_as_young_as_by_going_round(moving: int, sleeping: int, per_s: float) -> None:
    fair = session(by_turn, moving, sleeping, per_s, first_ages=True)
    assert fair.oldest_moving_s <= session(going_round(), moving, sleeping, per_s, first_ages=True).oldest_moving_s
    assert fair.window_passes == 0


@pytest.mark.parametrize("failing", [0.0, 0.3])
@pytest.mark.parametrize(("moving", "sleeping", "per_s"), [(60, 60, 4.0), (30, 30, 1.0), (5, 200, 3.0), (10, 0, 9.0)])
def test_nobody_is_served_while_a_moving_tracker_has_an_older_picture(
    moving: int, sleeping: int, per_s: float, failing: float
) -> None:
    assert session(by_turn, moving, sleeping, per_s, failing=failing, first_ages=True).unfair == 0


def test_the_greatest_lateness_is_the_least_any_order_could_have() -> None:
    """With one server and requests of one length, compared with every order there is."""
    dice = random.Random(5)
    for _ in range(50):
        overdue_s = [dice.uniform(-10, 30) for _ in range(6)]

        def greatest(order: tuple[float, ...]) -> float:
            return max(late_s + place for place, late_s in enumerate(order))

        by_rule = sorted(overdue_s, key=lambda late_s: turn(Priority.LIVE, 100.0, late_s))
        assert greatest(tuple(by_rule)) == min(greatest(order) for order in permutations(overdue_s))


def test_a_tracker_that_was_never_read_comes_first_and_history_after_everything_live() -> None:
    never, overdue = turn(Priority.LIVE, 100.0, math.inf), turn(Priority.LIVE, 100.0, 1000.0)
    assert never < overdue < turn(Priority.HISTORY, 0.0, math.inf)

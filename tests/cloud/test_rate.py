"""The rate that is learned, against servers that limit in the ways servers do. No event loop: time is a number."""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.rate import FASTEST_PER_S, SLOWEST_PER_S, START_PER_S, LearnedRate, TokenBucket

IN_FLIGHT = 12
LATENCY_S = 0.15

Server = Callable[[float], float | None]
"""Asked at a time; None is an answer, seconds a Retry-After."""


def token_bucket(per_s: float, burst: int) -> Server:
    tokens, filled_s = float(burst), 0.0

    def ask(now_s: float) -> float | None:
        nonlocal tokens, filled_s
        tokens, filled_s = min(burst, tokens + (now_s - filled_s) * per_s), now_s
        if tokens >= 1:
            tokens -= 1
            return None
        return math.ceil((1 - tokens) / per_s)

    return ask


def sliding_window(requests: int, window_s: float) -> Server:
    """As Django REST framework throttles."""
    history: deque[float] = deque()

    def ask(now_s: float) -> float | None:
        while history and history[0] <= now_s - window_s:
            history.popleft()
        if len(history) < requests:
            history.append(now_s)
            return None
        return math.ceil(window_s - (now_s - history[0]))

    return ask


def calendar_minute(requests: int) -> Server:
    minute, used = -1.0, 0

    def ask(now_s: float) -> float | None:
        nonlocal minute, used
        if now_s // 60 != minute:
            minute, used = now_s // 60, 0
        used += 1
        return None if used <= requests else math.ceil((minute + 1) * 60 - now_s)

    return ask


def saying(server: Server, retry_after_s: float) -> Server:
    """A server that refuses alike but tells another pause, or none: five seconds are assumed then."""
    return lambda now_s: None if server(now_s) is None else retry_after_s


@dataclass
class Run:
    """Requests as fast as the learned rate lets them out, or as `demand_per_s` wants them."""

    server: Server
    demand_per_s: float = math.inf
    now_s: float = 0.0
    rate: LearnedRate = field(default_factory=lambda: LearnedRate(0.0))
    accepted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    _bucket: TokenBucket = field(default_factory=lambda: TokenBucket(0.0))
    _under_way: list[tuple[float, float, float | None, bool]] = field(default_factory=list)
    _opens_s: float = 0.0
    _wanted_s: float = 0.0
    _dice: random.Random = field(default_factory=lambda: random.Random(3))

    def until(self, end_s: float) -> "Run":
        while self.now_s < end_s:
            free_s = self.now_s + self._bucket.wait_s(self.now_s)
            next_s = max(free_s, self._opens_s, self._wanted_s)
            if self._under_way and (self._under_way[0][0] <= next_s or len(self._under_way) == IN_FLIGHT):
                self._answer(*heapq.heappop(self._under_way))
            else:
                self._send(next_s, was_limited=free_s > max(self._wanted_s, self.now_s))
        return self

    def bursts(self, from_s: float = 0.0) -> list[float]:
        """When refusals began that belong together."""
        refused_s = [-math.inf, *self.refused_s]
        return [at for before, at in pairwise(refused_s) if at > before + 1 and at >= from_s]

    def carried_per_s(self, from_s: float) -> float:
        return sum(at >= from_s for at in self.accepted_s) / (self.now_s - from_s)

    def _send(self, at_s: float, *, was_limited: bool) -> None:
        self.now_s = at_s
        self._wanted_s = max(self._wanted_s, at_s - 1) + 1 / self.demand_per_s
        self._bucket.take(at_s, self.rate.per_s)
        self.rate.sent(at_s)
        verdict = self.server(at_s + LATENCY_S / 2)
        done_s = at_s + LATENCY_S * self._dice.uniform(0.8, 1.2)
        heapq.heappush(self._under_way, (done_s, at_s, verdict, was_limited))

    def _answer(self, done_s: float, sent_s: float, verdict: float | None, was_limited: bool) -> None:
        self.now_s = max(self.now_s, done_s)
        if verdict is None:
            self.rate.accepted(was_limited=was_limited)
            self.accepted_s.append(self.now_s)
            return
        pause_s = min(max(verdict, 1.0), 900.0)
        self.rate.refused(self.now_s, sent_s, pause_s)
        self.refused_s.append(self.now_s)
        self._opens_s = max(self._opens_s, self.now_s + pause_s)
        self._bucket.pause_until(self._opens_s)


LIMITS: dict[str, tuple[Callable[[], Server], float]] = {
    **{
        f"{per_s} per s, {burst} at once": (partial(token_bucket, per_s, burst), per_s)
        for per_s in (1.0, 5.0, 20.0, 60.0)
        for burst in (1, 10, 100)
    },
    "60 in any minute": (partial(sliding_window, 60, 60), 1.0),
    "600 in any minute": (partial(sliding_window, 600, 60), 10.0),
    "5 in any second": (partial(sliding_window, 5, 1), 5.0),
    "60 a calendar minute": (partial(calendar_minute, 60), 1.0),
    "600 a calendar minute": (partial(calendar_minute, 600), 10.0),
    "no Retry-After": (lambda: saying(token_bucket(5, 10), 5.0), 5.0),
    "a negative Retry-After": (lambda: saying(token_bucket(5, 10), -1.0), 5.0),
}


@pytest.mark.parametrize(("server", "limit_per_s"), LIMITS.values(), ids=LIMITS)
def test_a_steady_limit_is_used_almost_whole_and_met_less_than_once_in_30_s(
    server: Callable[[], Server], limit_per_s: float
) -> None:
    run = Run(server()).until(2400)
    assert len(run.bursts(from_s=600)) < 1800 / 30
    assert run.carried_per_s(from_s=600) >= 0.85 * limit_per_s


@pytest.mark.parametrize(("server", "limit_per_s"), LIMITS.values(), ids=LIMITS)
def test_a_limit_is_found_with_a_dozen_refusals(server: Callable[[], Server], limit_per_s: float) -> None:
    run = Run(server()).until(300)
    assert len(run.bursts()) <= 15
    assert run.rate.per_s <= 1.6 * limit_per_s


def test_demand_below_the_limit_is_never_refused_nor_held_back() -> None:
    run = Run(token_bucket(60, 20), demand_per_s=25).until(600)
    assert run.refused_s == []
    assert run.carried_per_s(from_s=0) == pytest.approx(25, rel=0.01)
    assert run.rate.per_s == START_PER_S


def test_a_limit_that_falls_is_followed_down_and_one_that_rises_up() -> None:
    run = Run(token_bucket(20, 20)).until(600)
    run.server = token_bucket(4, 4)
    run.until(1200)
    assert len(run.bursts(from_s=600)) < 600 / 30
    assert run.carried_per_s(from_s=700) >= 3.4
    run.server = token_bucket(40, 40)
    run.until(1500)
    assert run.carried_per_s(from_s=1320) >= 34


def test_an_absurd_pause_costs_its_time_and_little_more() -> None:
    run = Run(saying(token_bucket(5, 10), 1e9)).until(5)
    assert len(run.bursts()) == 1
    run.server = token_bucket(5, 10)
    run.until(900 + 120)
    assert run.carried_per_s(from_s=960) >= 3


def test_an_outage_before_a_refusal_says_nothing_about_the_limit() -> None:
    run = Run(token_bucket(8, 10), demand_per_s=3).until(120)
    run.rate.per_s = run.rate._refused_per_s = 10.0  # learned when the limit was higher
    for _ in range(15):  # a minute in which only probes go out
        run.now_s += 4.0
        run.rate.sent(run.now_s)
    run.demand_per_s = 12.0
    rates = [run.until(run.now_s + 1).rate.per_s for _ in range(30)]
    assert run.bursts(180), "there has to be a refusal"
    assert min(rates) >= 8 * 0.6


def test_what_was_under_way_at_a_refusal_says_nothing_new() -> None:
    rate = LearnedRate(0.0)
    for number in range(60):
        rate.sent(number / 30)
    rate.refused(2.1, 1.9, 3.0)
    once_per_s = rate.per_s
    for number in range(11):
        rate.refused(2.1 + number / 100, 1.9 + number / 100, 3.0)
    assert rate.per_s == once_per_s < START_PER_S
    rate.refused(8.0, 6.0, 1.0)
    assert rate.per_s < once_per_s


def test_a_refusal_is_measured_by_what_was_really_sent() -> None:
    """Thirty a second were allowed, four were wanted, and those were too many."""
    run = Run(token_bucket(2, 2), demand_per_s=4).until(30)
    assert run.rate.per_s < 4


Event = tuple[float, bool, bool, float]


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans(), st.booleans(), st.floats(1, 900)), max_size=200))
def test_whatever_happens_the_rate_stays_within_its_bounds_and_only_a_refusal_lowers_it(events: list[Event]) -> None:
    rate, now_s = LearnedRate(0.0), 0.0
    for pause_s, is_refused, was_limited, retry_after_s in events:
        now_s += pause_s
        before_per_s = rate.per_s
        rate.sent(now_s)
        if is_refused:
            rate.refused(now_s + 0.1, now_s, retry_after_s)
            assert before_per_s * 0.19 < rate.per_s or rate.per_s == SLOWEST_PER_S
            assert rate.per_s <= before_per_s
        else:
            rate.accepted(was_limited=was_limited)
            assert rate.per_s >= before_per_s
        assert SLOWEST_PER_S <= rate.per_s <= FASTEST_PER_S


@given(st.floats(0.1, 200), st.lists(st.floats(0, 2), max_size=50))
def test_a_bucket_never_lets_out_more_than_its_rate_and_a_short_advance(per_s: float, pauses_s: list[float]) -> None:
    bucket, now_s, sent = TokenBucket(0.0), 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        if bucket.wait_s(now_s) == 0:
            bucket.take(now_s, per_s)
            sent += 1
        assert sent <= (now_s + 0.25) * per_s + 1

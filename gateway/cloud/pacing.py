"""The one budget for the cloud: every request of every part passes this gate, retries and logins too.

Requests go out at the rate that the cloud has been found to take, so many at a time, in the order of `turn`. Two things
close the gate for everybody: a 429, until the time the server named, and failures in a row, after which single requests
probe whether the cloud is back.
"""

import asyncio
import heapq
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.cloud.rate import LearnedRate, TokenBucket
from gateway.cloud.retry import backoff_s

MAX_IN_FLIGHT = 12
"""Enough for thirty trackers once a second at 0.4 s an answer, and few enough not to look like an attack."""

MAX_BACKGROUND = 2
"""Slots that history and uploads may hold: their requests last long, and live data must never wait for all of them."""

FAILURES_TO_CLOSE = 5
PROBE_CAP_S = 4.0
"""Longest pause between two probes of a failing cloud. A probe that a dead network swallowed lasts 8 s at most, so 12 s
after the network is back the next one goes out."""

_TICK_S = 0.001
"""A timer may fire a clock tick early, and what it was set for counts as reached."""


class Priority(IntEnum):
    """What is served first. Control (token, account, ownership) is rare, and everything else depends on it."""

    CONTROL = 0
    LIVE = 1
    PAIRING = 2
    HISTORY = 3
    UPLOAD = 4

    @property
    def is_background(self) -> bool:
        """Whether nobody is watching the result arrive."""
        return self >= Priority.HISTORY


def turn(priority: Priority, now_s: float, overdue_s: float) -> tuple[Priority, float]:
    """The place of a request in the queue: the least is served next.

    Strictly by priority, so that history never delays live data. Within a priority whoever was due first: for one
    server and requests of one length this order minimises the greatest lateness (Jackson's rule, "earliest due date
    first"), and lateness is how much older a picture is than it should be. A tracker that moves is due one second after
    its last reading, one that sleeps after fifteen; a poll that failed was no reading. So when the budget is too small
    for all, all are late alike instead of some blind: of two that move the older picture comes first, and one that
    moves gives way only to a sleeper whose picture is older still. Nobody is served while a tracker that moves and
    waits has an older picture: none passes the 30 s of the cloud's window for the sake of a younger one.

    Args:
        priority: What the request is for.
        now_s: Monotonic time at which it joins the queue, seconds.
        overdue_s: How long past its due time it is then; infinite for what was never read. The due time does not
            change while it waits, nor does its place.
    """
    return priority, now_s - overdue_s


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to one request.

    Attributes:
        since_s: When it was granted.
        was_limited: Whether nothing but the rate had held the request back.
        is_probe: Whether it goes out to see if the cloud is back.
    """

    since_s: float
    was_limited: bool
    is_probe: bool


@dataclass(order=True, slots=True)
class _Waiter:
    turn: tuple[Priority, float]
    order: int
    granted: asyncio.Future[Slot] = field(compare=False)


class Pacer:
    """Grants slots to requests, and is told how they ended.

    Args:
        jitter: Uniform in [0, 1); spreads the probes of a failing cloud.
    """

    def __init__(
        self,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_background: int = MAX_BACKGROUND,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._max_in_flight = max_in_flight
        self._max_background = max_background
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._rate = LearnedRate(self._loop.time())
        self._bucket = TokenBucket(self._loop.time())
        self._queue: list[_Waiter] = []
        self._order = 0
        self._in_flight = 0
        self._background = 0
        self._probes = 0
        self._is_limited = False
        self._failures = 0
        self._probe_at_s = 0.0
        self._paused_until_s = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """Slots held now."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Requests in the queue now."""
        return sum(not waiter.granted.done() for waiter in self._queue)

    @property
    def closed_for_s(self) -> float:
        """Seconds until the gate opens again; 0 if it is open."""
        return max(0.0, self._paused_until_s - self._loop.time(), self._probe_at_s - self._loop.time())

    @property
    def rate_per_s(self) -> float:
        """Requests per second that the cloud is believed to take."""
        return self._rate.per_s

    @asynccontextmanager
    async def slot(self, priority: Priority, overdue_s: float = 0.0) -> AsyncIterator[Slot]:
        """Hold one slot for the duration of one request.

        Args:
            priority: What the request is for.
            overdue_s: How long past its due time it is, seconds.
        """
        self._order += 1
        waiter = _Waiter(turn(priority, self._loop.time(), overdue_s), self._order, self._loop.create_future())
        heapq.heappush(self._queue, waiter)
        self._grant()
        try:
            slot = await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self._leave(priority, waiter.granted.result())  # granted and cancelled in the same turn of the loop
            raise
        try:
            yield slot
        finally:
            self._leave(priority, slot)

    def succeeded(self, slot: Slot) -> None:
        """The cloud answered."""
        self._rate.accepted(was_limited=slot.was_limited)
        self._answered()

    def throttled(self, slot: Slot, retry_after_s: float) -> None:
        """The server asked for a pause: nobody gets a slot before it is over."""
        now_s = self._loop.time()
        self._rate.refused(now_s, slot.since_s, retry_after_s)
        self._paused_until_s = max(self._paused_until_s, now_s + retry_after_s)
        self._bucket.pause_until(self._paused_until_s)
        self._answered()

    def failed(self, slot: Slot) -> None:
        """A request failed although nothing was wrong with it."""
        if self._is_probing and not slot.is_probe:
            return  # it was under way when the gate closed, and says nothing about the time after
        self._failures += 1
        if self._is_probing:
            pause_s = backoff_s(self._failures - FAILURES_TO_CLOSE + 1, self._jitter(), 1.0, PROBE_CAP_S)
            self._probe_at_s = self._loop.time() + pause_s

    @property
    def _is_probing(self) -> bool:
        return self._failures >= FAILURES_TO_CLOSE

    def _answered(self) -> None:
        self._failures = 0
        self._probe_at_s = 0.0
        self._grant()

    def _leave(self, priority: Priority, slot: Slot) -> None:
        self._in_flight -= 1
        self._background -= priority.is_background
        self._probes -= slot.is_probe and not priority.is_background
        self._grant()

    def _grant(self) -> None:
        now_s = self._loop.time()
        while self._queue:
            waiter = self._queue[0]
            priority, _ = waiter.turn
            if waiter.granted.done():  # cancelled while waiting
                heapq.heappop(self._queue)
                continue
            # Background comes last in the queue: if the first may not enter, nobody behind it may.
            if not self._has_room(priority):
                break
            if self.closed_for_s > _TICK_S:
                self._look_again_in(self.closed_for_s)
                break
            if (wait_s := self._bucket.wait_s(now_s)) > _TICK_S:
                self._is_limited = True
                self._look_again_in(wait_s)
                return
            heapq.heappop(self._queue)
            slot = Slot(now_s, self._is_limited, self._is_probing)
            self._in_flight += 1
            self._background += priority.is_background
            self._probes += slot.is_probe and not priority.is_background
            self._rate.sent(now_s)
            self._bucket.take(now_s, self._rate.per_s)
            waiter.granted.set_result(slot)
        self._is_limited = False

    def _has_room(self, priority: Priority) -> bool:
        if self._in_flight >= self._max_in_flight:
            return False
        if priority.is_background:
            # It lasts too long to probe with, unless nobody else asks.
            return self._background < (1 if self._is_probing else self._max_background)
        # What else is under way then may be lost in a dead network for long, and must not keep a probe from going out.
        return not (self._is_probing and self._probes)

    def _look_again_in(self, wait_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(wait_s, self._grant)

"""The one budget for the cloud: every request of every part passes this gate.

Who waits is served by priority, and within a priority whoever is overdue longest. Two things close the gate for
everybody: a 429, until the time the server named, and failures in a row, after which single requests probe whether
the cloud is back.
"""

import asyncio
import heapq
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.cloud.retry import backoff_s

MAX_IN_FLIGHT = 12
"""Enough for thirty trackers once a second at 0.4 s an answer, and few enough not to look like an attack."""

MAX_BACKGROUND = 2
"""Slots that history and uploads may hold: their requests last long, and live data must never wait for all of them."""

FAILURES_TO_CLOSE = 5
PROBE_CAP_S = 15.0
"""Longest pause between two probes of a failing cloud: half of the 30 s window after which live rows are missed."""


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


@dataclass(order=True, slots=True)
class _Waiter:
    priority: Priority
    due_s: float
    order: int
    granted: asyncio.Future[None] = field(compare=False)


class Pacer:
    """Grants slots to requests.

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
        self._queue: list[_Waiter] = []
        self._order = 0
        self._in_flight = 0
        self._background = 0
        self._closed_until = 0.0
        self._failures = 0
        self._reopening: asyncio.TimerHandle | None = None

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
        return max(0.0, self._closed_until - self._loop.time())

    @asynccontextmanager
    async def slot(self, priority: Priority, overdue_s: float = 0.0) -> AsyncIterator[None]:
        """Hold one slot for the duration of one request.

        Args:
            priority: What the request is for.
            overdue_s: How long past its turn it is, seconds.
        """
        # The moment a request was due orders waiters as their lateness does, and does not change while they wait.
        self._order += 1
        waiter = _Waiter(priority, self._loop.time() - overdue_s, self._order, self._loop.create_future())
        heapq.heappush(self._queue, waiter)
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self._leave(priority)  # granted and cancelled in the same turn of the loop
            raise
        try:
            yield
        finally:
            self._leave(priority)

    def throttled(self, retry_after_s: float) -> None:
        """The server asked for a pause: nobody gets a slot before it is over."""
        self._close(retry_after_s)

    def failed(self) -> None:
        """A request failed although nothing was wrong with it."""
        if self.closed_for_s:
            return  # it was under way when the gate closed, and says nothing about the time after
        self._failures += 1
        if self._is_probing:
            self._close(backoff_s(self._failures - FAILURES_TO_CLOSE + 1, self._jitter(), 1.0, PROBE_CAP_S))

    def succeeded(self) -> None:
        """The cloud answered."""
        was_probing = self._is_probing
        self._failures = 0
        if was_probing:
            self._grant()

    @property
    def _is_probing(self) -> bool:
        return self._failures >= FAILURES_TO_CLOSE

    def _close(self, duration_s: float) -> None:
        until = self._loop.time() + duration_s
        if until <= self._closed_until:
            return
        self._closed_until = until
        if self._reopening is not None:
            self._reopening.cancel()
        self._reopening = self._loop.call_at(until, self._reopen)

    def _reopen(self) -> None:
        # A timer may fire a clock tick early, and nothing else would wake those who wait.
        self._closed_until = 0.0
        self._grant()

    def _leave(self, priority: Priority) -> None:
        self._in_flight -= 1
        self._background -= priority.is_background
        self._grant()

    def _grant(self) -> None:
        if self._loop.time() < self._closed_until:
            return
        limit = 1 if self._is_probing else self._max_in_flight
        while self._queue and self._in_flight < limit:
            waiter = self._queue[0]
            # Background comes last in the queue: if the first may not enter, nobody behind it may.
            if not waiter.granted.done() and waiter.priority.is_background and self._background >= self._max_background:
                return
            heapq.heappop(self._queue)
            if waiter.granted.done():  # cancelled while waiting
                continue
            self._in_flight += 1
            self._background += waiter.priority.is_background
            waiter.granted.set_result(None)

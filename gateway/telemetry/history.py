"""Repairs gaps from the cloud's history: one request at a time for the whole fleet, at a bounded rate."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gateway.cloud.errors import CloudError, Forbidden, Throttled
from gateway.cloud.models import OPEN_END_MS, Ownership
from gateway.cloud.retry import backoff_s
from gateway.telemetry.channel import Channel
from gateway.telemetry.repairs import Ask, Asked, Repairs
from gateway.telemetry.spans import PAGE_ROWS, Range
from insiders_codecs.cloud import RowsPage

_LOG = logging.getLogger(__name__)

ROWS_PER_S = 3000
"""Rows read per second over the fleet: a page a second, so that sixty trackers get half an hour back in six minutes,
while a Pi spends a few percent of its time on it."""

REQUEST_ROWS = 600
"""What a request costs at least, in rows."""

RETRY_BASE_S, RETRY_CAP_S = 2.0, 60.0
TURN_S = 1.0
"""How often it is asked whether something is due."""

BEAT_S = 5.0


class Archive(Protocol):
    """Where rows of the past come from; every operation raises `CloudError`."""

    def ownerships(self, *, device_id: int | None = None) -> AsyncIterator[Ownership]:
        """When a tracker was ours."""

    def ranges(self, device_id: int, start_ms: int, stop_ms: int) -> AsyncIterator[Range]:
        """Stretches with rows."""

    def preprocessed(
        self, device_id: int, start_ms: int, stop_ms: int, limit: int = ...
    ) -> AsyncGenerator[RowsPage, None]:
        """Rows, page by page."""


@dataclass(slots=True)
class HistoryCounters:
    """What history has done since the start.

    Attributes:
        requests: Things asked for; long lists take several requests.
        failures: Those that failed.
        rows: Rows that were new.
        rows_known: Rows that came although they were known.
        rows_unasked: Rows that came although nobody had asked for their time.
    """

    requests: int = 0
    failures: int = 0
    rows: int = 0
    rows_known: int = 0
    rows_unasked: int = 0


class History:
    """Fills the gaps of all channels.

    Attributes:
        counters: What it has done.
        repairs: What it knows of the gaps.
    """

    def __init__(
        self,
        channels: Mapping[int, Channel],
        archive: Archive,
        span_ms: int,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make it idle.

        Args:
            channels: The channels, which may come to be ours and cease to be.
            archive: The cloud.
            span_ms: How far back from a tracker's newest row its past is wanted.
            jitter: Uniform in [0, 1); spreads retries.
        """
        self.counters = HistoryCounters()
        self.repairs = Repairs(channels, span_ms)
        self._channels = channels
        self._archive = archive
        self._jitter = jitter
        self._now = asyncio.get_running_loop().time
        self._next_s = self._now()
        self._failures = 0

    async def run(self, beat: Callable[[], None]) -> None:
        """Repair until cancelled.

        Args:
            beat: Called every five seconds as proof of life, also behind a request: it comes last at the cloud, and may
                have to wait for hours where there is no more room than live data need.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work(), name="history requests")
            while True:
                beat()
                await asyncio.sleep(BEAT_S)

    async def _work(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._next_s - self._now()))
            ask = None
            try:
                ask = self.repairs.next(self._now())
                if ask is None:
                    await asyncio.sleep(TURN_S)
                else:
                    await self._attend(ask)
            except Exception:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the session
                _LOG.exception("Unexpected failure in history, it goes on")
                self.counters.failures += 1
                self._next_s = self._now() + RETRY_CAP_S
                if ask is not None:
                    self.repairs.failed(ask, self._now(), is_transient=False)

    async def _attend(self, ask: Ask) -> None:
        """Ask, take in what comes, and wait as long as that cost."""
        self.counters.requests += 1
        rows = 0
        try:
            rows = await self._perform(ask)
            self._failures = 0
        except CloudError as error:
            self._failed(ask, error)
        self._next_s = max(self._next_s, self._now()) + max(rows, REQUEST_ROWS) / ROWS_PER_S

    async def _perform(self, ask: Ask) -> int:
        """Returns how many rows came."""
        archive = self._archive
        match ask.what:
            case Asked.OWNERSHIPS:
                owned = [
                    (ownership.start_ms, (ownership.end_ms or OPEN_END_MS) - 1)
                    async for ownership in archive.ownerships(device_id=ask.device_id)
                    if ownership.device in {None, ask.device_id}
                ]
                self.repairs.ownerships_came(ask, owned)
            case Asked.RANGES:
                ranges = [found async for found in archive.ranges(ask.device_id, ask.from_ms, ask.to_ms)]
                self.repairs.ranges_came(ask, ranges, self._now())
            case Asked.TRACES:
                ranges = [found async for found in archive.ranges(ask.device_id, ask.from_ms, ask.to_ms)]
                self.repairs.traces_came(ask, ranges)
            case Asked.ROWS:
                return await self._read(ask)
        return 0

    async def _read(self, ask: Ask) -> int:
        counted, rows = 0, 0
        given = np.empty(0, np.int64)
        async with aclosing(
            self._archive.preprocessed(ask.device_id, ask.from_ms, ask.to_ms, limit=PAGE_ROWS)
        ) as pages:
            async for page in pages:
                if not self.repairs.is_wanted(ask):
                    return rows
                block = page.rows.block
                start, stop = np.searchsorted(block.t_ms, (ask.from_ms, ask.to_ms + 1)).tolist()
                asked = block.take(slice(start, stop))
                new = self._channels[ask.ch].history_came(asked)
                self.counters.rows += new
                self.counters.rows_known += len(asked) - new
                self.counters.rows_unasked += len(block) - len(asked)
                counted = max(counted, page.count)
                given = np.union1d(given, asked.t_ms)
                rows += len(block)
                await asyncio.sleep(0)
        self.repairs.rows_came(ask, counted, len(given), self._now())
        return rows

    def _failed(self, ask: Ask, error: CloudError) -> None:
        serial_number = self._channels[ask.ch].wearer.serial_number
        _LOG.debug("Tracker %(tracker)s: no history. %(text)s", {"tracker": serial_number, "text": error.text})
        self.counters.failures += 1
        if isinstance(error, Forbidden):
            if self.repairs.refused(ask):
                _LOG.warning(
                    "Tracker %(tracker)s: the cloud refuses samples of a time in which, by its own list, the tracker "
                    "was ours; they stay missing",
                    {"tracker": serial_number},
                )
            return
        self.repairs.failed(ask, self._now(), is_transient=error.is_transient)
        if error.is_transient:
            self._failures += 1
            pause_s = TURN_S + backoff_s(self._failures, self._jitter(), RETRY_BASE_S, RETRY_CAP_S)
            if isinstance(error, Throttled):
                pause_s = max(pause_s, error.retry_after_s)
            self._next_s = max(self._next_s, self._now() + pause_s)

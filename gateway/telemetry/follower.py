"""Follows the rows of one tracker that the cloud sends by itself, over a websocket."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.cloud.errors import Broken, CloudError, Forbidden, NotFound, Throttled, Unauthorized, Unreachable
from gateway.cloud.retry import backoff_s
from gateway.telemetry.channel import Channel
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.schedule import MOST_ROWS
from gateway.telemetry.tail import FAILURES_TO_WARN, LatestData, Tail, gap_reason, is_refusal
from insiders_codecs.cloud import DecodedRows

_LOG = logging.getLogger(__name__)

STABLE_AFTER_S = 30.0
"""A connection that lasted so long had nothing wrong with it, whatever ends it."""

_FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 15.0
"""Longest pause before the next try where the trouble passes by itself and nothing else brings the rows."""

LONGEST_POLLED_PAUSE_S = 60.0
"""The same where the tracker is polled meanwhile: each try costs requests that its tail could use."""

LONGEST_REFUSED_PAUSE_S = 300.0
"""The same where somebody has to do something, such as let websockets through."""

IDLE_S = 15.0
"""How long an open stream may bring nothing before somebody asks whether there is nothing, as often as of a sleeper."""


class LiveRows(LatestData, Protocol):
    """Where rows are sent from; raises `CloudError`."""

    def live(self, device_id: int) -> AbstractAsyncContextManager[AsyncIterator[DecodedRows]]:
        """The tracker's rows as they come.

        The iteration ends by itself when another connection is to be made at once, because the access token was
        renewed.
        """


class Follower:
    """Keeps a stream of one tracker open, and puts off its tail for as long as it brings newer rows."""

    def __init__(
        self,
        channel: Channel,
        device_id: int,
        cloud: LiveRows,
        reachability: Reachability,
        on_refused: Callable[[], None],
        tail: Tail | None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make a follower.

        Args:
            channel: Takes the rows.
            device_id: The tracker in the cloud.
            cloud: The cloud.
            reachability: Told of every message and failure.
            on_refused: Called when the cloud says that the tracker is not ours (any longer).
            tail: Polls the same tracker; None if nobody does.
            jitter: Uniform in [0, 1); spreads the tries of followers that failed together.
        """
        self._channel = channel
        self._device_id = device_id
        self._cloud = cloud
        self._reachability = reachability
        self._on_refused = on_refused
        self._tail = tail
        self._jitter = jitter
        self._now = asyncio.get_running_loop().time
        self._failures = 0
        self._opened_s: float | None = None
        self._heard_s = self._read_s = self._now()
        self._patience: asyncio.Timeout | None = None  # while a stream is open
        self._looked: tuple[float, int] | None = None  # when it had brought its last rows, and the cloud's newest then

    async def run(self) -> None:
        """Stream until cancelled, or until the tracker is not ours any longer."""
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch(), name=f"watch over stream of device {self._device_id}")
            await self._follow()
            watching.cancel()

    async def _follow(self) -> None:
        while self._channel.device_id == self._device_id:
            error: CloudError | None = None
            try:
                error = await self._ended_by()
                if error is None and self._lasted_s() > _FIRST_PAUSE_S:
                    continue  # another connection is wanted, and at once
                if self._lasted_s() >= STABLE_AFTER_S:
                    self._failures = 0
                if error is not None and await self._is_lost_by(error):
                    return
            except Exception:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the others' session
                _LOG.exception(
                    "Tracker %(tracker)s: unexpected failure of its stream",
                    {"tracker": self._channel.wearer.serial_number},
                )
            self._failures += 1
            self._channel.counters.streams_failed += 1
            await asyncio.sleep(self._pause_s(error))

    async def _ended_by(self) -> CloudError | None:
        """Stream once; returns what ended it, None if another connection is wanted."""
        try:
            await self._stream()
        except CloudError as error:
            return error
        return None

    async def _stream(self) -> None:
        """One connection, from its first to its last message."""
        channel = self._channel
        self._opened_s = None
        self._reachability.asked(self._now())
        async with self._cloud.live(self._device_id) as updates:
            channel.counters.streams += 1
            self._opened_s = self._heard_s = self._now()
            self._reachability.answered()
            if self._failures >= FAILURES_TO_WARN:
                _LOG.info("Tracker %(tracker)s: its stream is open again", {"tracker": channel.wearer.serial_number})
            try:
                async with asyncio.timeout(None) as self._patience:
                    async for rows in updates:
                        if channel.device_id != self._device_id:
                            return
                        self._came(rows)
            except TimeoutError:
                raise Unreachable("live_data", Broken.TIMEOUT) from None
            finally:
                self._patience = None
                self._read_s = self._now()
                if self._tail is not None:
                    self._tail.stream_ended(self._read_s)

    def _came(self, rows: DecodedRows) -> None:
        channel, counters = self._channel, self._channel.counters
        now_s = self._heard_s = self._now()
        self._reachability.answered()
        counters.updates += 1
        counters.rows_rejected += rows.rows_rejected
        counters.fields_rejected += rows.fields_rejected
        channel.rows_came(rows.block, now_s)
        # Rows of a backlog do not put off the tail: what is missing then is the present.
        if self._tail is not None and channel.moved_s == now_s:
            self._tail.streamed(now_s)

    async def _watch(self) -> None:
        """End a connection that is open, answers pings, and brings nothing of what the cloud has."""
        while True:
            await asyncio.sleep(IDLE_S)
            heard_s, patience = self._heard_s, self._patience
            if patience is None or self._now() - heard_s < IDLE_S:
                continue
            try:
                is_stuck = await self._is_stuck(heard_s)
            except Exception:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the others' session
                _LOG.exception(
                    "Tracker %(tracker)s: unexpected failure of its stream",
                    {"tracker": self._channel.wearer.serial_number},
                )
                continue
            if is_stuck and patience is self._patience and heard_s == self._heard_s:
                patience.reschedule(self._now())

    async def _is_stuck(self, heard_s: float) -> bool:
        """Whether newer rows have come into the cloud since the stream brought its last: its tail or two looks tell."""
        if self._tail is not None:
            return self._channel.moved_s is not None and self._channel.moved_s - heard_s >= IDLE_S / 2
        before = self._looked
        try:
            t_ms = (await self._cloud.latest_timestamp(self._device_id)).t_ms
            if t_ms is None:
                return False
            if before is None or t_ms != before[1]:
                await self._catch_up(t_ms)
        except CloudError:
            return False
        self._looked = (heard_s, t_ms)
        return before is not None and before[0] == heard_s and t_ms > before[1]

    async def _catch_up(self, t_ms: int) -> None:
        """Read the last rows of a tracker that fell silent while nobody listened: no stream will ever bring them."""
        channel = self._channel
        if channel.ring.newest_ms is not None and t_ms <= channel.ring.newest_ms:
            return
        rows = await self._cloud.latest_data(self._device_id, lambda: MOST_ROWS)
        if channel.device_id == self._device_id:
            counters = channel.counters
            counters.rows_rejected += rows.rows_rejected
            counters.fields_rejected += rows.fields_rejected
            channel.rows_came(rows.block, self._now())

    async def _is_lost_by(self, error: CloudError) -> bool:
        """Tell who has to know of a failure; True if it turns out that the tracker is not ours."""
        channel, now_s = self._channel, self._now()
        level = logging.WARNING if self._failures + 1 == FAILURES_TO_WARN else logging.DEBUG
        _LOG.log(
            level,
            "Tracker %(tracker)s: its stream failed. %(text)s",
            {"tracker": channel.wearer.serial_number, "text": error.text},
        )
        if is_refusal(error):
            self._reachability.answered()  # it said no, but it answered
        else:
            # A stream that had been open was an answer, and its end is none of the cloud's silence.
            if self._opened_s is None:
                self._reachability.failed(error, now_s)
            if self._tail is None:
                channel.gaps.poll_failed(gap_reason(error), now_s - self._read_s)
        # A websocket may be refused for other reasons than whose tracker it is; requests tell, and the tail makes them.
        if self._tail is None and isinstance(error, Forbidden | NotFound | Unauthorized) and await self._is_foreign():
            self._reachability.answered()
            if channel.device_id == self._device_id:
                self._on_refused()
            return True
        return False

    async def _is_foreign(self) -> bool:
        try:
            await self._cloud.latest_timestamp(self._device_id)
        except CloudError as error:
            return is_refusal(error)
        return False

    def _lasted_s(self) -> float:
        """How long the connection was open."""
        return 0.0 if self._opened_s is None else self._now() - self._opened_s

    def _pause_s(self, error: CloudError | None) -> float:
        # What cannot reach the cloud at all costs it nothing, and is to be open again soon after the way is.
        is_cheap = self._tail is None or isinstance(error, Unreachable)
        longest_s = LONGEST_PAUSE_S if is_cheap else LONGEST_POLLED_PAUSE_S
        if error is not None and not error.is_transient:
            longest_s = LONGEST_REFUSED_PAUSE_S
        pause_s = backoff_s(self._failures, self._jitter(), _FIRST_PAUSE_S, longest_s)
        return max(pause_s, error.retry_after_s) if isinstance(error, Throttled) else pause_s

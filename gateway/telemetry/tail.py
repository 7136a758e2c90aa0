"""Follows the cloud's latest rows of one tracker by asking for them."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from gateway.cloud.errors import BadAnswer, CloudError, Forbidden, NotFound, Rejected, Throttled
from gateway.cloud.models import TimestampAnswer
from gateway.telemetry.channel import Channel
from gateway.telemetry.gaps import OUTAGE_AFTER_S
from gateway.telemetry.holes import GapReason
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.ring import LIVE_WINDOW_MS
from gateway.telemetry.schedule import Known, PollSchedule
from insiders_codecs.cloud import DecodedRows, RowsFollower, decode_rows
from insiders_codecs.samples import empty_block

_LOG = logging.getLogger(__name__)

FAILURES_TO_WARN = 3
"""One failure is a hiccup; more than a few are told once, and as a problem if they are everybody's."""


class LatestData(Protocol):
    """Where the newest rows are asked for; both raise `CloudError`."""

    async def latest_data(
        self,
        device_id: int,
        size: Callable[[], int],
        *,
        overdue_s: float = 0.0,
        decode: Callable[[bytes], DecodedRows] = decode_rows,
    ) -> DecodedRows:
        """Up to `size` of a tracker's newest rows; `size` is called when the request goes out."""

    async def latest_timestamp(self, device_id: int, *, overdue_s: float = 0.0) -> TimestampAnswer:
        """When the tracker measured last."""


class Tail:
    """Polls one tracker: one request at a time, turns skipped rather than queued when the cloud is slow."""

    def __init__(
        self,
        channel: Channel,
        device_id: int,
        cloud: LatestData,
        reachability: Reachability,
        on_refused: Callable[[], None],
    ) -> None:
        """Make a tail.

        Args:
            channel: Takes the rows.
            device_id: The tracker in the cloud.
            cloud: The cloud.
            reachability: Told how every poll ended.
            on_refused: Called when the cloud says that the tracker is not ours (any longer).
        """
        self._channel = channel
        self._device_id = device_id
        self._cloud = cloud
        self._reachability = reachability
        self._on_refused = on_refused
        self._now = asyncio.get_running_loop().time
        self._schedule = PollSchedule(self._now())
        self._is_brought_forward = asyncio.Event()
        self._sent_s = self._now()
        self._asked_s: float | None = None
        self._is_sent = False
        self._rows, self._generation = RowsFollower(), channel.gaps.generation
        self._is_peeking_refused = False

    async def run(self) -> None:
        """Poll until cancelled, or until the cloud refuses the tracker."""
        is_ours = True
        while is_ours:
            await self._turn()
            try:
                is_ours = await self.poll()
            except Exception:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the others' session
                _LOG.exception(
                    "Tracker %(tracker)s: unexpected failure, polling goes on",
                    {"tracker": self._channel.wearer.serial_number},
                )
                self._channel.counters.polls_failed += 1
                now_s = self._now()
                self._schedule.failed(now_s, now_s)

    def streamed(self, now_s: float) -> None:
        """The tracker's stream brought newer rows: it is not polled for a while."""
        planned_s = self._schedule.next_s
        self._schedule.streamed(now_s, has_hole=self._known().hole_ms is not None)
        if self._schedule.next_s < planned_s:
            self._is_brought_forward.set()

    def stream_ended(self, now_s: float) -> None:
        """The tracker's stream is over: it is polled again."""
        self._schedule.resume(now_s)
        self._is_brought_forward.set()

    def is_unanswered(self, now_s: float, *, is_streamed: bool) -> bool:
        """Whether polls are of no use now; one that fails is a hiccup, but for a tracker that has a stream instead.

        One that waits for its turn is none: where the budget is short, a handshake would only be one request more.
        """
        if self._is_sent and now_s - self._sent_s >= OUTAGE_AFTER_S:
            return True
        return self._schedule.failures >= (1 if is_streamed else 2)

    def look(self, now_s: float) -> None:
        """Take note if a poll waits in vain, or has waited for its turn so long that rows are out of its reach."""
        if self._asked_s is None or now_s - self._asked_s < OUTAGE_AFTER_S:
            return
        unread_s = self._schedule.unread_s(now_s)
        if (error := self._reachability.error) is not None:
            self._channel.gaps.poll_failed(gap_reason(error), unread_s)
        elif unread_s * 1000 > LIVE_WINDOW_MS:
            # Nothing fails, so it is the request budget that keeps it waiting.
            self._channel.gaps.poll_failed(GapReason.UPSTREAM_RATE_LIMITED, unread_s)

    async def poll(self) -> bool:
        """Ask once and take in what comes; False when the cloud says that the tracker is not ours."""
        self._asked_s = self._now()
        try:
            return await self._poll(self._asked_s)
        finally:
            self._asked_s, self._is_sent = None, False

    async def _poll(self, asked_s: float) -> bool:
        channel, counters = self._channel, self._channel.counters
        self._sent_s = asked_s
        counters.polls += 1
        self._reachability.asked(asked_s)
        try:
            rows = await self._latest()
        except CloudError as error:
            if channel.device_id != self._device_id:
                return False  # the news was faster than the answer
            counters.polls_failed += 1
            now_s = self._now()
            counters.turns_skipped += self._schedule.failed(asked_s, now_s)
            level = logging.WARNING if self._schedule.failures == FAILURES_TO_WARN else logging.DEBUG
            _LOG.log(
                level,
                "Tracker %(tracker)s: no rows. %(text)s",
                {"tracker": channel.wearer.serial_number, "text": error.text},
            )
            if is_refusal(error):
                self._reachability.answered()  # it said no, but it answered
                self._on_refused()
                return False
            self._reachability.failed(error, now_s)
            channel.gaps.poll_failed(gap_reason(error), self._schedule.unread_s(now_s))
            return True
        self._reachability.answered()
        if channel.device_id != self._device_id:
            return False
        self.look(self._sent_s)
        now_s = self._now()
        if self._schedule.failures >= FAILURES_TO_WARN:
            _LOG.info("Tracker %(tracker)s: rows come again", {"tracker": channel.wearer.serial_number})
        counters.rows_rejected += rows.rows_rejected
        counters.fields_rejected += rows.fields_rejected
        new = channel.rows_came(rows.block, now_s)
        counters.turns_skipped += self._schedule.answered(asked_s, self._sent_s, now_s, new)
        return True

    async def _turn(self) -> None:
        """Wait until it is time to ask: the time may move while waiting, either way."""
        while True:
            due_s = self._schedule.next_s
            try:
                async with asyncio.timeout_at(due_s):
                    await self._is_brought_forward.wait()
                self._is_brought_forward.clear()
            except TimeoutError:
                # Compared with the plan and not with the clock, which may be a rounding error short of it.
                if self._schedule.next_s <= due_s:
                    return

    async def _latest(self) -> DecodedRows:
        overdue_s = self._schedule.overdue_s(self._sent_s)
        if self._generation != self._channel.gaps.generation:
            # The rows of the answer before were forgotten, and count as new wherever they stand in the next.
            self._rows, self._generation = RowsFollower(), self._channel.gaps.generation
        if not await self._is_newer(overdue_s):
            return DecodedRows(empty_block())
        return await self._cloud.latest_data(self._device_id, self._size, overdue_s=overdue_s, decode=self._rows.decode)

    async def _is_newer(self, overdue_s: float) -> bool:
        """Whether there may be rows that are newer than those known; looked up where that is worth its request."""
        known = self._known()
        if self._is_peeking_refused or not self._schedule.peeks(self._sent_s, known):
            return True
        try:
            answer = await self._cloud.latest_timestamp(self._device_id, overdue_s=overdue_s)
        except (BadAnswer, NotFound, Rejected) as error:
            if is_refusal(error):
                raise
            self._is_peeking_refused = not error.is_transient
            return True
        return answer.t_ms is not None and known.newest_ms is not None and answer.t_ms > known.newest_ms

    def _size(self) -> int:
        self._sent_s, self._is_sent = self._now(), True
        return self._schedule.rows(self._sent_s, self._known())

    def _known(self) -> Known:
        newest_ms = self._channel.ring.newest_ms
        rows_on_top = self._channel.rows_on_top()
        if newest_ms is None:
            return Known(None, None, rows_on_top)
        return Known(newest_ms, self._channel.gaps.oldest_hole_ms(newest_ms - LIVE_WINDOW_MS), rows_on_top)


def is_refusal(error: CloudError) -> bool:
    """Whether it says that the tracker is not ours; a path that is unknown as a whole says nothing about a tracker."""
    return isinstance(error, Forbidden) or (isinstance(error, NotFound) and not error.is_path_unknown)


def gap_reason(error: CloudError) -> GapReason:
    """Why rows are missing that were not to be had."""
    return GapReason.UPSTREAM_RATE_LIMITED if isinstance(error, Throttled) else GapReason.UPSTREAM_OUTAGE

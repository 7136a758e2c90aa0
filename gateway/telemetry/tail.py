"""Follows the cloud's latest rows of one tracker."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from gateway.cloud.errors import CloudError, Forbidden, NotFound, Throttled
from gateway.telemetry.channel import Channel
from gateway.telemetry.holes import GapReason
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.ring import LIVE_WINDOW_MS
from gateway.telemetry.schedule import Known, PollSchedule
from insiders_codecs.cloud import DecodedRows, decode_rows

_LOG = logging.getLogger(__name__)

_FAILURES_TO_WARN = 3


class LatestData(Protocol):
    """Where the newest rows come from."""

    async def latest_data(
        self,
        device_id: int,
        size: Callable[[], int],
        *,
        overdue_s: float = 0.0,
        decode: Callable[[bytes], DecodedRows] = decode_rows,
    ) -> DecodedRows:
        """Up to `size` of a tracker's newest rows, asked for when the request goes out; raises `CloudError`."""


class Tail:
    """Polls one tracker: one request at a time, turns skipped rather than queued when the cloud is slow."""

    def __init__(
        self,
        channel: Channel,
        device_id: int,
        source: LatestData,
        reachability: Reachability,
        on_refused: Callable[[], None],
    ) -> None:
        """Make a tail.

        Args:
            channel: Takes the rows.
            device_id: The tracker in the cloud.
            source: The cloud.
            reachability: Told how every poll ended.
            on_refused: Called when the cloud says that the tracker is not ours (any longer).
        """
        self._channel = channel
        self._device_id = device_id
        self._source = source
        self._reachability = reachability
        self._on_refused = on_refused
        self._now = asyncio.get_running_loop().time
        self._schedule = PollSchedule(self._now())

    async def run(self) -> None:
        """Poll until cancelled, or until the cloud refuses the tracker."""
        is_ours = True
        while is_ours:
            await asyncio.sleep(max(0.0, self._schedule.next_s - self._now()))
            try:
                is_ours = await self.poll()
            except Exception:  # noqa: BLE001 - the edge of a task: one tracker's surprise must not end the others' session
                _LOG.exception("Tracker %s: unexpected failure, polling goes on", self._channel.wearer.serial_number)
                self._channel.counters.polls_failed += 1
                now_s = self._now()
                self._schedule.failed(now_s, now_s)

    async def poll(self) -> bool:
        """Ask once and take in what comes; False when the cloud says that the tracker is not ours."""
        channel, counters = self._channel, self._channel.counters
        asked_s = self._now()
        overdue_s = self._schedule.overdue_s(asked_s)
        counters.polls += 1
        try:
            rows = await self._source.latest_data(self._device_id, self._size, overdue_s=overdue_s)
        except CloudError as error:
            if channel.device_id != self._device_id:
                return False  # the news was faster than the answer
            counters.polls_failed += 1
            now_s = self._now()
            counters.turns_skipped += self._schedule.failed(asked_s, now_s)
            # One failure is a hiccup; more than a few are told once, and as a problem if they are everybody's.
            level = logging.WARNING if self._schedule.failures == _FAILURES_TO_WARN else logging.DEBUG
            _LOG.log(level, "Tracker %s: no rows. %s", channel.wearer.serial_number, error.text)
            # A 404 for the path as a whole says something about the configuration, and nothing about this tracker.
            if isinstance(error, Forbidden) or (isinstance(error, NotFound) and not error.is_path_unknown):
                self._reachability.answered()  # it said no, but it answered
                self._on_refused()
                return False
            self._reachability.failed(error, now_s)
            is_throttled = isinstance(error, Throttled)
            reason = GapReason.UPSTREAM_RATE_LIMITED if is_throttled else GapReason.UPSTREAM_OUTAGE
            channel.gaps.poll_failed(reason, self._schedule.unread_s(now_s))
            return True
        self._reachability.answered()
        if channel.device_id != self._device_id:
            return False
        now_s = self._now()
        if self._schedule.failures >= _FAILURES_TO_WARN:
            _LOG.info("Tracker %s: rows come again", channel.wearer.serial_number)
        counters.rows_rejected += rows.rows_rejected
        counters.fields_rejected += rows.fields_rejected
        new = channel.rows_came(rows.block, now_s)
        counters.turns_skipped += self._schedule.answered(asked_s, now_s, new)
        return True

    def _size(self) -> int:
        return self._schedule.rows(self._now(), self._known())

    def _known(self) -> Known:
        newest_ms = self._channel.ring.newest_ms
        if newest_ms is None:
            return Known(None, None)
        return Known(newest_ms, self._channel.gaps.oldest_hole_ms(newest_ms - LIVE_WINDOW_MS))

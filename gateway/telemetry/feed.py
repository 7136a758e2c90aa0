"""All channels of the gateway: keeps the sources of each tracker that is ours running, and tells of changes."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Protocol

from gateway.cloud.errors import CloudError
from gateway.problems import Problems
from gateway.telemetry.channel import Channel, Presence, Wearer
from gateway.telemetry.follower import Follower, LiveRows
from gateway.telemetry.gap import Gap
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.schedule import MOST_ROWS
from gateway.telemetry.snapshot import SavedChannel
from gateway.telemetry.sources import Candidate, Source, streamed
from gateway.telemetry.tail import Tail
from gateway.telemetry.timekeeping import diagnosis

_LOG = logging.getLogger(__name__)

_TURN_S = 0.5
"""How often presence and gaps are looked at: a tracker that falls silent is shown as stale at most this much late."""

_CLOCK_PROBLEM = "tracker_clock"
_CLOCK_ACTION = (
    "switch it off and on under the open sky and leave it there for some minutes; if that does not help, ask the vendor"
)


class Audience(Protocol):
    """Who wants to know what changes about a channel, beside its rows."""

    def channel_changed(self, channel: Channel) -> None:
        """Its description changed."""

    def presence_changed(self, channel: Channel, presence: Presence) -> None:
        """It became more or less alive."""

    def gap_changed(self, channel: Channel, gap: Gap) -> None:
        """A gap was found, bounded or repaired."""


@dataclass(slots=True)
class _Attendance:
    """The tasks that fill one channel."""

    device_id: int
    tail: Tail | None = None
    polling: asyncio.Task[None] | None = None
    streaming: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether a task ended by itself, as it does when the cloud refuses the tracker."""
        polling, streaming = self.polling, self.streaming
        return (polling is not None and polling.done()) or (streaming is not None and streaming.done())

    def end(self) -> None:
        for task in (self.polling, self.streaming):
            if task is not None:
                task.cancel()


class Feed:
    """The channels, one per tracker of the roster, and the tasks that fill them."""

    def __init__(
        self,
        wearers: Sequence[Wearer],
        ring_rows: int,
        cloud: LiveRows,
        audience: Audience,
        problems: Problems,
        on_refused: Callable[[str], None],
        *,
        source: Source = Source.AUTO,
        refill_ms: int = 0,
        reference_ms: Callable[[], int | None] = lambda: None,
        saved: Sequence[SavedChannel] = (),
        released: Mapping[str, int],
    ) -> None:
        """Make the channels.

        Args:
            wearers: The roster; channels are numbered in its order, unless they have a number already.
            ring_rows: Rows that each ring holds.
            cloud: The cloud.
            audience: Told of every change.
            problems: Told when the cloud answers nobody.
            on_refused: Called with the serial number of a tracker that the cloud says is not ours.
            source: Which way live rows come.
            refill_ms: How much of the past before a start is wanted, milliseconds.
            reference_ms: Epoch ms by a clock that is right, or None while it is not known.
            saved: What a planned restart takes over; of a tracker whose wearer is not released, its number only.
            released: As for `assign`.
        """
        # Within an epoch a number stands for one tracker, whatever has become of the roster meanwhile.
        known = {channel.serial_number: channel for channel in saved}
        numbers = count(1 + max((channel.ch for channel in saved), default=0))
        self.channels: dict[int, Channel] = {}
        for wearer in wearers:
            before = known.get(wearer.serial_number)
            ch = next(numbers) if before is None else before.ch
            channel = self.channels[ch] = Channel(ch, wearer, ring_rows, refill_ms, reference_ms)
            channel.since_ms = released.get(wearer.serial_number)
            if before is not None:
                channel.restore(before)
        serial_numbers = {wearer.serial_number for wearer in wearers}
        self._absent = [_without_rows(channel) for channel in saved if channel.serial_number not in serial_numbers]
        self._cloud = cloud
        self._source = source
        self._reference_ms = reference_ms
        self._audience = audience
        self._problems = problems
        self._reachability = Reachability()
        self._trouble: str | None = None
        self._on_refused = on_refused
        self._told: dict[int, tuple[Presence, bool]] = {}  # presence, and whether the clock is wrong
        self._attended: dict[int, _Attendance] = {}
        self._wrong_clocks: set[str] = set()
        self._is_dirty = asyncio.Event()

    def assign(self, devices: Mapping[str, int], released: Mapping[str, int]) -> None:
        """Say which trackers are ours, and whose wearers may be shown.

        Args:
            devices: Id in the cloud by serial number; a tracker that is absent is not ours and is forgotten.
            released: From when on rows may be kept, epoch ms by serial number; a tracker that is absent is not
                followed, and what is known of it is forgotten.
        """
        for channel in self.channels.values():
            serial_number = channel.wearer.serial_number
            since_ms = released.get(serial_number)
            device_id = None if since_ms is None else devices.get(serial_number)
            if (device_id, since_ms) == (channel.device_id, channel.since_ms):
                continue
            if channel.device_id is not None:
                channel.lose()
            channel.device_id, channel.since_ms = device_id, since_ms
            if since_ms is None:
                _LOG.info("Tracker %(tracker)s is not followed: no release", {"tracker": serial_number})
            elif device_id is None:
                _LOG.info("Tracker %(tracker)s is not ours", {"tracker": serial_number})
            else:
                _LOG.info("Tracker %(tracker)s is ours", {"tracker": serial_number})
            self._audience.channel_changed(channel)
        self._is_dirty.set()

    @property
    def devices(self) -> dict[str, int]:
        """Id in the cloud of the trackers that are followed, by serial number."""
        channels = self.channels.values()
        return {it.wearer.serial_number: it.device_id for it in channels if it.device_id is not None}

    def saved(self) -> Iterator[SavedChannel]:
        """What a planned restart takes over: also the numbers of trackers that have left the roster."""
        yield from self._absent
        for channel in self.channels.values():
            yield channel.saved()

    async def run(self, beat: Callable[[], None]) -> None:
        """Keep sources and news going until cancelled.

        Args:
            beat: Called on every turn, as proof of life.
        """
        for channel in self.channels.values():
            self._audience.channel_changed(channel)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._is_dirty.clear()
                self._attend(tasks)
                self._tell()
                beat()
                try:
                    async with asyncio.timeout(_TURN_S):
                        await self._is_dirty.wait()
                except TimeoutError:
                    pass

    def _attend(self, tasks: asyncio.TaskGroup) -> None:
        """Start what is missing, and end what is wanted no longer."""
        for ch, attendance in tuple(self._attended.items()):
            if attendance.is_over or attendance.device_id != self.channels[ch].device_id:
                attendance.end()
                del self._attended[ch]
        for channel in self.channels.values():
            if channel.device_id is not None and channel.ch not in self._attended:
                self._attended[channel.ch] = self._attendance(tasks, channel, channel.device_id)
        if not self._attended:
            self._reachability.idle()
        now_s = asyncio.get_running_loop().time()
        wanted = streamed(self._source, (self._candidate(ch, now_s) for ch in self._attended))
        for ch, attendance in self._attended.items():
            if ch in wanted and attendance.streaming is None:
                attendance.streaming = self._stream(tasks, self.channels[ch], attendance)
            elif ch not in wanted and attendance.streaming is not None:
                attendance.streaming.cancel()
                attendance.streaming = None

    def _attendance(self, tasks: asyncio.TaskGroup, channel: Channel, device_id: int) -> _Attendance:
        if not self._source.polls:
            return _Attendance(device_id)
        tail = Tail(channel, device_id, self._cloud, self._reachability, partial(self._refused, channel))
        polling = tasks.create_task(tail.run(), name=f"tail of channel {channel.ch}, device {device_id}")
        return _Attendance(device_id, tail, polling)

    def _stream(self, tasks: asyncio.TaskGroup, channel: Channel, attendance: _Attendance) -> asyncio.Task[None]:
        device_id, refused = attendance.device_id, partial(self._refused, channel)
        follower = Follower(channel, device_id, self._cloud, self._reachability, refused, attendance.tail)
        return tasks.create_task(follower.run(), name=f"stream of channel {channel.ch}, device {device_id}")

    def _candidate(self, ch: int, now_s: float) -> Candidate:
        channel = self.channels[ch]
        silent_s = None if channel.moved_s is None else now_s - channel.moved_s
        attendance = self._attended[ch]
        is_streamed, tail = attendance.streaming is not None, attendance.tail
        is_unanswered = tail is not None and tail.is_unanswered(now_s, is_streamed=is_streamed)
        return Candidate(ch, silent_s, is_streamed, is_unanswered or channel.rows_on_top() >= MOST_ROWS)

    def _refused(self, channel: Channel) -> None:
        serial_number = channel.wearer.serial_number
        _LOG.warning(
            "Tracker %(tracker)s: the cloud says that it is not ours; its samples are forgotten",
            {"tracker": serial_number},
        )
        channel.lose()
        self._audience.channel_changed(channel)
        self._on_refused(serial_number)
        self._is_dirty.set()

    def _tell(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for attendance in self._attended.values():
            if attendance.tail is not None:
                attendance.tail.look(now_s)
        for channel in self.channels.values():
            presence = channel.presence(now_s)
            told = (presence, channel.clock_error_ms is not None)
            if told != self._told.get(channel.ch):
                self._told[channel.ch] = told
                self._audience.presence_changed(channel, presence)
            for gap in channel.gaps.changes():
                self._audience.gap_changed(channel, gap)
        self._tell_trouble(now_s)
        self._tell_clocks()

    def trouble(self, now_s: float) -> CloudError | None:
        """Why nobody has an answer of the cloud at a time of the monotonic clock; None while somebody has."""
        return self._reachability.trouble(now_s)

    def _tell_trouble(self, now_s: float) -> None:
        trouble = self.trouble(now_s)
        if self._trouble is not None and (trouble is None or trouble.code != self._trouble):
            self._problems.resolve(self._trouble)
        self._trouble = None if trouble is None else trouble.code
        if trouble is not None:
            self._problems.report(trouble.code, trouble.text, trouble.action)

    def _tell_clocks(self) -> None:
        reference_ms = self._reference_ms()
        wrong = set()
        for channel in self.channels.values():
            if channel.clock_error_ms is not None and reference_ms is not None:
                serial_number = channel.wearer.serial_number
                wrong.add(serial_number)
                text = f"The clock of tracker {serial_number} {diagnosis(channel.clock_error_ms, reference_ms)}"
                self._problems.report(_CLOCK_PROBLEM, text, _CLOCK_ACTION, serial_number)
        for serial_number in self._wrong_clocks - wrong:
            self._problems.resolve(_CLOCK_PROBLEM, serial_number)
        self._wrong_clocks = wrong


def _without_rows(saved: SavedChannel) -> SavedChannel:
    """What is kept of a tracker that has left the roster: its number, and how far its arrival numbers have come."""
    channel = Channel(saved.ch, Wearer(saved.serial_number), ring_rows=1)
    channel.restore(saved)
    channel.lose()
    return channel.saved()

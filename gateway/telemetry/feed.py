"""All channels of the gateway: keeps a tail running for each tracker that is ours, and tells who listens of changes."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from gateway.problems import Problems
from gateway.telemetry.channel import Channel, Presence, Wearer
from gateway.telemetry.gaps import Gap
from gateway.telemetry.reachability import Reachability
from gateway.telemetry.sources import Source
from gateway.telemetry.tail import LatestData, Tail

_LOG = logging.getLogger(__name__)

_TURN_S = 0.5
"""How often presence and gaps are looked at: a tracker that falls silent is shown as stale at most this much late."""


class Audience(Protocol):
    """Who wants to know what changes about a channel, beside its rows."""

    def channel_changed(self, channel: Channel) -> None:
        """Its description changed."""

    def presence_changed(self, channel: Channel, presence: Presence) -> None:
        """It became more or less alive."""

    def gap_changed(self, channel: Channel, gap: Gap) -> None:
        """A gap was found, bounded or repaired."""


class Feed:
    """The channels, one per tracker of the roster, and the tails that fill them."""

    def __init__(
        self,
        wearers: Sequence[Wearer],
        ring_rows: int,
        cloud: LatestData,
        audience: Audience,
        problems: Problems,
        on_refused: Callable[[str], None],
        *,
        source: Source = Source.AUTO,
        refill_ms: int = 0,
        reference_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        """Make the channels.

        Args:
            wearers: The roster; channels are numbered in its order.
            ring_rows: Rows that each ring holds.
            cloud: The cloud.
            audience: Told of every change.
            problems: Told when the cloud answers nobody.
            on_refused: Called with the serial number of a tracker that the cloud says is not ours.
            source: Which way live rows come.
            refill_ms: How much of the past before a start is wanted, milliseconds.
            reference_ms: Epoch ms by a clock that is right, or None while it is not known.
        """
        self.channels = {
            ch: Channel(ch, wearer, ring_rows, refill_ms, reference_ms) for ch, wearer in enumerate(wearers, start=1)
        }
        self._cloud = cloud
        self._source = source
        self._audience = audience
        self._problems = problems
        self._reachability = Reachability()
        self._trouble: str | None = None
        self._on_refused = on_refused
        self._presences: dict[int, Presence] = {}
        self._tails: dict[int, asyncio.Task[None]] = {}
        self._is_dirty = asyncio.Event()

    def assign(self, devices: Mapping[str, int]) -> None:
        """Say which trackers are ours.

        Args:
            devices: Id in the cloud by serial number; a tracker that is absent is not ours and is forgotten.
        """
        for channel in self.channels.values():
            device_id = devices.get(channel.wearer.serial_number)
            if device_id == channel.device_id:
                continue
            if channel.device_id is not None:
                channel.lose()
            channel.device_id = device_id
            is_ours = "is not ours" if device_id is None else "is ours"
            _LOG.info("Tracker %s %s", channel.wearer.serial_number, is_ours)
            self._audience.channel_changed(channel)
        self._is_dirty.set()

    async def run(self, beat: Callable[[], None]) -> None:
        """Keep tails and news going until cancelled.

        Args:
            beat: Called on every turn, as proof of life.
        """
        for channel in self.channels.values():
            self._audience.channel_changed(channel)
        async with asyncio.TaskGroup() as tails:
            while True:
                self._is_dirty.clear()
                self._attend(tails)
                self._tell()
                beat()
                try:
                    async with asyncio.timeout(_TURN_S):
                        await self._is_dirty.wait()
                except TimeoutError:
                    pass

    def _attend(self, tails: asyncio.TaskGroup) -> None:
        """Start the tails that are missing and end those whose tracker is ours no longer."""
        for channel in self.channels.values():
            tail = self._tails.get(channel.ch)
            if tail is not None and (tail.done() or tail.get_name() != _task_name(channel)):
                tail.cancel()
                del self._tails[channel.ch]
                tail = None
            if tail is None and channel.device_id is not None:
                refused = partial(self._refused, channel)
                new = Tail(channel, channel.device_id, self._cloud, self._reachability, refused)
                self._tails[channel.ch] = tails.create_task(new.run(), name=_task_name(channel))

    def _refused(self, channel: Channel) -> None:
        serial_number = channel.wearer.serial_number
        _LOG.warning("Tracker %s: the cloud says that it is not ours; its samples are forgotten", serial_number)
        channel.lose()
        self._audience.channel_changed(channel)
        self._on_refused(serial_number)
        self._is_dirty.set()

    def _tell(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for channel in self.channels.values():
            presence = channel.presence(now_s)
            if presence is not self._presences.get(channel.ch):
                self._presences[channel.ch] = presence
                self._audience.presence_changed(channel, presence)
            for gap in channel.gaps.changes():
                self._audience.gap_changed(channel, gap)
        trouble = self._reachability.trouble(now_s)
        if self._trouble is not None and (trouble is None or trouble.code != self._trouble):
            self._problems.resolve(self._trouble)
        self._trouble = None if trouble is None else trouble.code
        if trouble is not None:
            self._problems.report(trouble.code, trouble.text, trouble.action)


def _task_name(channel: Channel) -> str:
    return f"tail of channel {channel.ch}, device {channel.device_id}"

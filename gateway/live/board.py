"""The present truth that every client must know, beside the samples: channels, states, gaps.

Each item has a key, and a new message under a key replaces the old one. A client holds the number of the last change it
has seen and is told all that changed since: there is no queue that could overflow, and who was away a minute gets the
newest word only. Items are dropped when there is nothing more to say about them.
"""

from collections import OrderedDict
from typing import Any

import msgspec

from gateway.live.gaps import GapState, record
from gateway.live.source import ChannelView, GapView
from insiders_codecs.live import Codec, Message, encode
from insiders_codecs.samples import SAMPLE_PERIOD_MS

_KEPT_GAPS, _KEPT_GAPS_PER_CHANNEL = 500, 4
"""Gap records kept for clients that connect later, whichever is more; all that are remembered can be asked for."""

_FIRST_TO_GO = (GapState.REPAIRED, GapState.CLOSED)
"""States of gaps that give way, in this order. An open one never does: a channel has one at most."""


class Item:
    """Something that is said of one thing, until something else is said of it.

    Attributes:
        revision: Number of the change that it is.
        message: What is said.
    """

    __slots__ = ("_encoded", "message", "revision")

    def __init__(self, revision: int, message: Message) -> None:
        self.revision = revision
        self.message = message
        self._encoded: dict[Codec, bytes] = {}

    def encoded(self, codec: Codec) -> bytes:
        """The message, encoded once for all who are told."""
        payload = self._encoded.get(codec)
        if payload is None:
            payload = self._encoded[codec] = encode(self.message, codec)
        return payload


class Board:
    """Keyed messages with the number of their last change."""

    def __init__(self) -> None:
        self.revision = 0
        self._items: dict[str, Item] = {}
        self._withdrawn: dict[int, int] = {}  # up to which arrival number rows of each channel were taken back
        # Keys by state, in the order of their last change: one change costs the same however many gaps there are.
        self._gaps = {state: OrderedDict[str, None]() for state in GapState}

    def put(self, key: str, message: Message) -> None:
        """Say something; saying the same again changes nothing."""
        known = self._items.get(key)
        if known is not None and known.message == message:
            return
        self.revision += 1
        # Taken out first, so that the items stay in the order of their last change.
        self._items.pop(key, None)
        self._items[key] = Item(self.revision, message)

    def since(self, revision: int) -> list[Message]:
        """All that is said since a revision, oldest change first."""
        return [item.message for item in self.news(revision)]

    def news(self, revision: int) -> list[Item]:
        """All that changed after a revision, oldest change first."""
        changed: list[Item] = []
        for item in reversed(self._items.values()):
            if item.revision <= revision:
                break
            changed.append(item)
        return changed[::-1]

    def channel_changed(self, channel: ChannelView) -> None:
        """Describe a channel; what was missing of a tracker is forgotten when its samples are."""
        if channel.device_id is None or channel.ring.withdrawn != self._withdrawn.get(channel.ch, 0):
            self._forget_gaps(channel.ch)
        self._withdrawn[channel.ch] = channel.ring.withdrawn
        self.put(
            f"channel/{channel.ch}",
            {
                "op": "channels",
                "ch": channel.ch,
                "device_id": channel.device_id,
                "withdrawn": channel.ring.withdrawn,
                "serial_number": channel.wearer.serial_number,
                "name": channel.wearer.athlete if channel.is_released else None,
                "released": channel.is_released,
                "number": channel.wearer.number,
                "rate_hz": 1000 // SAMPLE_PERIOD_MS,
                "stale_after_ms": channel.stale_after_ms,
            },
        )

    def presence_changed(self, channel: ChannelView, presence: str) -> None:
        """Tell how alive a channel is."""
        self.put(
            f"presence/{channel.ch}",
            {
                "op": "state",
                "key": f"channel/{channel.ch}",
                "ch": channel.ch,
                "value": str(presence),
                "newest_ms": channel.ring.newest_ms,
                "clock_error_ms": channel.clock_error_ms,
            },
        )

    def gap_changed(self, channel: ChannelView, gap: GapView) -> None:
        """Tell how a gap stands."""
        key = f"gap/{channel.ch}/{gap.id}"
        told = record(gap)
        self.put(key, {"op": "gap", "ch": channel.ch, **msgspec.to_builtins(told)})
        for keys in self._gaps.values():
            keys.pop(key, None)
        self._gaps[told.state][key] = None
        self._drop_gap()

    def _forget_gaps(self, ch: int) -> None:
        for keys in self._gaps.values():
            for key in [key for key in keys if key.startswith(f"gap/{ch}/")]:
                del keys[key], self._items[key]

    def _drop_gap(self) -> None:
        """Forget the gap that is most finished and oldest, if there is one too many."""
        kept = max(_KEPT_GAPS, _KEPT_GAPS_PER_CHANNEL * len(self._withdrawn))
        if sum(map(len, self._gaps.values())) <= kept:
            return
        for state in _FIRST_TO_GO:
            if self._gaps[state]:
                key, _ = self._gaps[state].popitem(last=False)
                del self._items[key]
                return

    def state_changed(self, key: str, value: str, **details: Any) -> None:
        """Tell a state that belongs to no channel, such as the cloud's."""
        self.put(f"state/{key}", {"op": "state", "key": key, "value": value, **details})

    def forget_state(self, key: str, value: str = "gone") -> None:
        """Tell that a state is over, by a last value."""
        if f"state/{key}" in self._items:
            self.put(f"state/{key}", {"op": "state", "key": key, "value": value})

    def drop_state(self, key: str) -> None:
        """Say no more of a state, once everybody has had the time to hear that it is over.

        Who comes later never hears of it; so keys that come and go without end do not pile up here.
        """
        self._items.pop(f"state/{key}", None)

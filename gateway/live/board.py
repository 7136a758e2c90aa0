"""The present truth that every client must know, beside the samples: channels, states, gaps.

Each item has a key, and a new message under a key replaces the old one. A client holds the number of the last change it
has seen and is told all that changed since: there is no queue that could overflow, and who was away a minute gets the
newest word only. Items are dropped when there is nothing more to say about them.
"""

from typing import Any, Protocol

from gateway.live.source import ChannelView
from insiders_codecs.live import Message
from insiders_codecs.samples import SAMPLE_PERIOD_MS

_KEPT_GAPS = 500
"""Gap records kept for clients that connect later."""

_FINISHED = ("repaired", "closed", "open")


class GapView(Protocol):
    """A span of one tracker's time without rows."""

    @property
    def id(self) -> int:
        """Number, unique for the tracker."""

    @property
    def from_ms(self) -> int:
        """Time of the last row before it."""

    @property
    def to_ms(self) -> int | None:
        """Time of the first row after it."""

    @property
    def rows(self) -> int | None:
        """Rows missing."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def state(self) -> str:
        """How it stands: open, closed, repaired."""


class Board:
    """Keyed messages with the number of their last change."""

    def __init__(self) -> None:
        self.revision = 0
        self._items: dict[str, tuple[int, Message]] = {}

    def put(self, key: str, message: Message) -> None:
        """Say something; saying the same again changes nothing."""
        known = self._items.get(key)
        if known is not None and known[1] == message:
            return
        self.revision += 1
        # Taken out first, so that the items stay in the order of their last change.
        self._items.pop(key, None)
        self._items[key] = (self.revision, message)

    def since(self, revision: int) -> list[Message]:
        """All that changed after a revision, oldest change first."""
        changed: list[Message] = []
        for changed_at, message in reversed(self._items.values()):
            if changed_at <= revision:
                break
            changed.append(message)
        return changed[::-1]

    def channel_changed(self, channel: ChannelView) -> None:
        """Describe a channel."""
        self.put(
            f"channel/{channel.ch}",
            {
                "op": "channels",
                "ch": channel.ch,
                "device_id": channel.device_id,
                "serial_number": channel.wearer.serial_number,
                "name": channel.wearer.athlete,
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
            },
        )

    def gap_changed(self, channel: ChannelView, gap: GapView) -> None:
        """Tell how a gap stands."""
        self.put(
            f"gap/{channel.ch}/{gap.id}",
            {
                "op": "gap",
                "ch": channel.ch,
                "id": gap.id,
                "from_ms": gap.from_ms,
                "to_ms": gap.to_ms,
                "rows": gap.rows,
                "reason": str(gap.reason),
                "state": str(gap.state),
            },
        )
        self._drop_gaps()

    def _drop_gaps(self) -> None:
        """Forget the gaps that are most finished and oldest, where there are too many."""
        gaps = [key for key in self._items if key.startswith("gap/")]
        gaps.sort(key=lambda key: _FINISHED.index(self._items[key][1]["state"]))
        for key in gaps[: max(0, len(gaps) - _KEPT_GAPS)]:
            del self._items[key]

    def state_changed(self, key: str, value: str, **details: Any) -> None:
        """Tell a state that belongs to no channel, such as the cloud's."""
        self.put(f"state/{key}", {"op": "state", "key": key, "value": value, **details})

    def forget_state(self, key: str) -> None:
        """Tell that a state is over."""
        if f"state/{key}" in self._items:
            self.put(f"state/{key}", {"op": "state", "key": key, "value": "gone"})

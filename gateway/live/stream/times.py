"""The message that tells the time, and what the gateway has: the same for all who follow the same, encoded once."""

from collections.abc import Collection

from gateway.live.hub import Hub
from insiders_codecs.live import Codec, Message, encode

INTERVAL_S = 2.0


class Times:
    """Makes them."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._at_s = 0.0
        self._encoded: dict[tuple[Codec, frozenset[int]], bytes] = {}

    def clock(self, now_s: float) -> Message:
        """The fields that tell the time; `now_s` is monotonic."""
        utc_ms, source = self._hub.time()
        return {
            "utc_ms": utc_ms,
            "mono_ms": round(now_s * 1000),
            "clock": {"source": source, "synced": self._hub.is_clock_synced()},
        }

    def message(self, codec: Codec, followed: frozenset[int], now_s: float) -> bytes:
        """The message for those who follow some channels."""
        if now_s != self._at_s:
            self._at_s = now_s
            self._encoded.clear()
        payload = self._encoded.get((codec, followed))
        if payload is None:
            payload = self._encoded[codec, followed] = encode(self._time(sorted(followed), now_s), codec)
        return payload

    def _time(self, followed: Collection[int], now_s: float) -> Message:
        channels = [self._hub.channels[ch] for ch in followed if ch in self._hub.channels]
        ages = [(channel.ch, channel.ages.median_ms(now_s)) for channel in channels]
        return {
            "op": "time",
            **self.clock(now_s),
            "newest": [[channel.ch, channel.ring.newest] for channel in channels],
            "ages": [[ch, age_ms] for ch, age_ms in ages if age_ms is not None],
        }


def next_s(now_s: float) -> float:
    """When the next one is due: for all at the same time, so that it is encoded once."""
    return (now_s // INTERVAL_S + 1) * INTERVAL_S

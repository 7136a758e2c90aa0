"""What a client has been told of the board, and what it has not.

It keeps the number of the last change and no message: who cannot take any now gets, later, what is true then.
"""

from collections.abc import Iterator

from gateway.live.board import Board, Item
from gateway.live.source import Channels
from gateway.live.visibility import Sight
from insiders_codecs.live import Codec, encode, schema

CHANNELS_PER_MESSAGE = 32
"""A few kB; a client may bound its messages by the announced limit here too, unless names are absurdly long."""


class News:
    """One client's way through the board."""

    def __init__(self, board: Board, codec: Codec) -> None:
        self._board = board
        self._codec = codec
        self._revision = 0
        self._channels_revision = 0

    def messages(self, sight: Sight, channels: Channels) -> Iterator[bytes]:
        """All that there is to tell, channels first; who stops in between goes on there the next time."""
        upto = self._board.revision
        if upto == self._revision:
            return
        items = [item for item in self._board.news(self._revision) if sight.hears(item.message, channels)]
        described = [item for item in items if item.message["op"] == "channels"]
        described = [item for item in described if item.revision > self._channels_revision]
        for start in range(0, len(described), CHANNELS_PER_MESSAGE):
            portion = described[start : start + CHANNELS_PER_MESSAGE]
            self._channels_revision = portion[-1].revision
            yield self._describe(portion, sight)
        for item in items:
            if item.message["op"] != "channels":
                self._revision = item.revision
                yield item.encoded(self._codec)
        self._revision = upto

    def _describe(self, items: list[Item], sight: Sight) -> bytes:
        entries = [{name: value for name, value in item.message.items() if name != "op"} for item in items]
        return encode({"op": "channels", "columns": schema(sight.columns), "channels": entries}, self._codec)

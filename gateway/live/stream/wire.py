"""The one writer of a websocket: messages, pings, pongs and the closing frame, and no path around it.

It keeps nothing back. Who has something to say asks first whether all that was said before has left for the kernel, and
else says it later, when it may not be worth saying any more.
"""

import asyncio
from typing import Protocol

from aiohttp import WSMsgType

from insiders_codecs.live import Codec

_FIN = 0x80
_KINDS = {Codec.JSON: WSMsgType.TEXT, Codec.MSGPACK: WSMsgType.BINARY}


PORTION_BYTES = 16 * 1024
"""What is written at once of many messages: as much as the kernel takes that is not on its way."""


class Outlet(Protocol):
    """Where messages of one client go."""

    @property
    def is_ready(self) -> bool:
        """Whether it has taken all that went before."""

    def send(self, now_s: float, *parts: bytes) -> None:
        """Send a message, which may come in parts."""


class Ear(Protocol):
    """What of a connection reads."""

    heard_s: float
    """When its last byte came."""


class Wire:
    """Writes frames to one connection.

    Attributes:
        is_held: Whether nothing may be written yet.
    """

    def __init__(
        self, transport: asyncio.WriteTransport, below: asyncio.WriteTransport, ear: Ear, codec: Codec
    ) -> None:
        """Make one.

        Args:
            transport: Of the connection.
            below: What carries TLS, or the same one: bytes that wait show here.
            ear: What of the connection reads.
            codec: Whose messages are sent.
        """
        self._transport = transport
        self._below = below
        self._ear = ear
        self._kind = _KINDS[codec]
        self._wrote_s = 0.0
        self._pong: bytes | None = None
        self._code: int | None = None
        self._is_over = False
        self.is_held = False
        self._gathered: list[bytes] | None = None
        self._gathered_bytes = 0

    @property
    def is_ready(self) -> bool:
        """Whether the kernel has all that was written, so that more would not pile up here."""
        if self.is_held or self._is_over or self._gathered_bytes >= PORTION_BYTES:
            return False
        # TLS knows only of its own end, and not that the connection below is gone.
        is_closing = self._below.is_closing() or self._transport.is_closing()
        return not is_closing and not self._below.get_write_buffer_size()

    @property
    def is_over(self) -> bool:
        """Whether the closing frame has been written: nothing more goes."""
        return self._is_over

    @property
    def heard_s(self) -> float:
        """When the last byte came: whatever it is, it is a sign of life."""
        return self._ear.heard_s

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits in it."""
        return not self._below.get_write_buffer_size()

    def blocked_s(self, now_s: float) -> float:
        """For how long there have been bytes that the kernel does not take; 0.0 if there are none.

        Nothing is written while there are some, so they have been there since the last writing.
        """
        return now_s - self._wrote_s if self._below.get_write_buffer_size() else 0.0

    def send(self, now_s: float, *parts: bytes) -> None:
        """Write a message."""
        self._write(now_s, self._kind, *parts)

    def gather(self) -> None:
        """Keep what is sent, to be written as one by `release`: the kernel's price is per call."""
        self._gathered = []

    def release(self) -> None:
        """Write what was gathered."""
        frames, self._gathered, self._gathered_bytes = self._gathered, None, 0
        if frames:
            self._transport.write(b"".join(frames))

    def ping(self, now_s: float) -> None:
        """Ask for a sign of life; who has bytes waiting is asked by them."""
        if self.is_ready:
            self._write(now_s, WSMsgType.PING)

    def pong(self, payload: bytes, now_s: float) -> None:
        """Answer a ping, as soon as that can be: of several that wait, the last one."""
        self._pong = payload
        self.flush(now_s)

    def close(self, code: int, now_s: float) -> None:
        """Say that this is the end, as soon as that can be."""
        self.is_held = False  # nothing else is to be said that would have to come first
        if self._code is None:
            self._code = code
        self.flush(now_s)

    def flush(self, now_s: float) -> None:
        """Write the pong and the closing frame that wait."""
        if self._pong is not None and self.is_ready:
            payload, self._pong = self._pong, None
            self._write(now_s, WSMsgType.PONG, payload)
        if self._code is not None and self.is_ready:
            self._write(now_s, WSMsgType.CLOSE, self._code.to_bytes(2, "big"))
            self._is_over = True

    def abort(self) -> None:
        """Cut the connection, whatever waits."""
        self._is_over = True
        self._transport.abort()

    def _write(self, now_s: float, kind: int, *parts: bytes) -> None:
        self._wrote_s = now_s
        length = sum(map(len, parts))
        if length < 126:
            head = bytes((_FIN | kind, length))
        elif length < 65_536:
            head = bytes((_FIN | kind, 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((_FIN | kind, 127)) + length.to_bytes(8, "big")
        frame = b"".join((head, *parts))
        if self._gathered is None:
            self._transport.write(frame)
        else:
            self._gathered.append(frame)
            self._gathered_bytes += len(frame)

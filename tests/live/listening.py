"""A client without socket and event loop: the pump is turned by hand, and what goes into its transport is decoded."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from gateway.access.caller import Caller
from gateway.access.roles import Role
from gateway.live.hub import Hub
from gateway.live.stream.pump import Pump
from gateway.live.stream.shared import Shared
from gateway.live.stream.wire import Wire
from insiders_codecs.live import Codec, Message, decode, encode

CLOSE, PING, PONG = 8, 9, 10
THIS_MACHINE = Caller("this machine", "this machine", Role.ADMIN)


class Kernel(asyncio.Transport):
    """A connection of which the other end takes bytes, all at once, at some speed, or none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes_per_s: float | None = None  # None: all at once
        self.taken = bytearray()
        self.waiting = bytearray()
        self.most_waiting = 0
        self.is_cut = False
        self._at_s = 0.0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_cut
        (self.taken if self.bytes_per_s is None else self.waiting).extend(data)
        self.most_waiting = max(self.most_waiting, len(self.waiting))

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def is_closing(self) -> bool:
        return self.is_cut

    def abort(self) -> None:
        self.is_cut = True

    def flow(self, now_s: float) -> None:
        """What goes until now."""
        if self.bytes_per_s is None:
            self.taken += self.waiting
            self.waiting.clear()
        else:
            count = int((now_s - self._at_s) * self.bytes_per_s)
            if count or not self.waiting:
                self.taken += self.waiting[:count]
                del self.waiting[:count]
                self._at_s = now_s
            return
        self._at_s = now_s


@dataclass
class Ear:
    """When the client was last heard."""

    heard_s: float


@dataclass
class Client:
    """Says things, and collects what it is told.

    Attributes:
        frames: Kind and payload of every frame that reached it.
        is_hasty: Whether it speaks before it listens.
        is_silent: Whether it gives no sign of life.
    """

    hub: Hub
    codec: Codec = Codec.JSON
    now_s: float = 1000.0
    pump: Pump | None = None
    caller: Caller | None = THIS_MACHINE
    heard: list[Message] = field(default_factory=list)
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    is_hasty: bool = False
    is_silent: bool = False
    kernel: Kernel = field(default_factory=Kernel)

    def __post_init__(self) -> None:
        self.room = Pump(Shared(self.hub)) if self.pump is None else self.pump
        self.ear = Ear(self.now_s)
        self.wire = Wire(self.kernel, self.kernel, self.ear, self.codec)
        self.session = self.room.join(self.wire, self.codec, self.now_s, self.caller, "192.0.2.7")
        self.due_s = self.now_s
        if not self.is_hasty:
            self.listen()

    def say(self, **message: Any) -> list[Message]:
        return self.tell(encode(message, self.codec))

    def tell(self, payload: bytes) -> list[Message]:
        if self.session.receive(payload, self.now_s):
            self.room.wake(self.session)
        return self.listen()

    def listen(self) -> list[Message]:
        """What there is to hear now."""
        for _ in range(100):
            self.kernel.flow(self.now_s)
            self.due_s = self.room.turn(self.now_s)
            if self.due_s > self.now_s:
                break
        else:
            raise AssertionError("the pump would spin")
        return self.take()

    def take(self) -> list[Message]:
        """What has reached it since the last time."""
        self.kernel.flow(self.now_s)
        if not self.is_silent:
            self.ear.heard_s = self.now_s
        frames = list(_frames(self.kernel.taken))
        self.frames += frames
        new = [decode(payload, self.codec) for kind, payload in frames if kind in {1, 2}]
        self.heard += new
        return new

    def wait(self, duration_s: float) -> list[Message]:
        """Let time pass as the server would: waking whenever something is due."""
        end_s = self.now_s + duration_s
        new: list[Message] = []
        while self.due_s <= end_s:
            self.now_s = max(self.now_s, self.due_s)
            new += self.listen()
        self.now_s = end_s
        return new + self.take()

    def leave(self) -> None:
        self.room.leave(self.session)


def _frames(taken: bytearray) -> list[tuple[int, bytes]]:
    """Cut whole frames off: kind and payload."""
    frames = []
    while len(taken) >= 2:
        length, start = taken[1], 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(taken) < 2 + size:
                break
            length, start = int.from_bytes(taken[2 : 2 + size], "big"), 2 + size
        if len(taken) < start + length:
            break
        assert taken[0] & 0xF0 == 0x80
        frames.append((taken[0] & 0x0F, bytes(taken[start : start + length])))
        del taken[: start + length]
    return frames

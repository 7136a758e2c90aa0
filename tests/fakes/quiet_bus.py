"""Virtual time with a real dbus-daemon in the loop: the clock may jump only when the bus has nothing left to deliver.

What one part of a test writes to the bus is read by another a moment later, when the daemon has passed it on. Meanwhile
the event loop is idle, and looptime would take that for a reason to jump to the next timer.
"""

import asyncio
import contextlib
import fcntl
import os
import selectors
import socket
import struct
import termios
from collections.abc import Iterator
from typing import Any, cast

from dbus_fast import Message
from looptime import LoopTimeEventLoop

_TIMEOUT_S = 10.0
_IDLE_TURNS = 3
_SIOCOUTQ = termios.TIOCOUTQ  # bytes written to a socket that its peer has not read


def _call(member: str, interface: str, serial: int) -> bytes:
    message = Message("org.freedesktop.DBus", "/org/freedesktop/DBus", interface, member, serial=serial)
    return bytes(message._marshall(False))


_HELLO = _call("Hello", "org.freedesktop.DBus", 1)
_PING = _call("Ping", "org.freedesktop.DBus.Peer", 2)
_METHOD_RETURN = 2


class Barrier:
    """A connection of its own to the daemon, for nothing but round trips."""

    def __init__(self, bus_path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_S)
        self._reader = self._socket.makefile("rb")
        try:
            self._socket.connect(bus_path)
            self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
            if not self._reader.readline().startswith(b"OK"):
                raise ConnectionResetError("the dbus-daemon is about to go")
            self._socket.sendall(b"BEGIN\r\n" + _HELLO)
            self._await_return()
        except OSError:
            self.close()
            raise

    def round_trip(self) -> None:
        """The daemon goes once around its loop: when this returns, whatever it had read before is delivered."""
        self._socket.sendall(_PING)
        self._await_return()

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def _await_return(self) -> None:
        """Read messages up to the answer of a call, signals to us left aside."""
        while True:
            header = self._reader.read(16)
            if len(header) < 16:
                raise ConnectionResetError("the dbus-daemon is gone")
            _, kind, _, _, body_size, _, fields_size = struct.unpack("<BBBBIII", header)
            self._reader.read(fields_size + -fields_size % 8 + body_size)
            if kind == _METHOD_RETURN:
                return


class _QuietSelect:
    """What asks the selector for events, and the daemon whether there will be any."""

    def __init__(self, loop: LoopTimeEventLoop, bus_address: str) -> None:
        self._loop = cast("Any", loop)
        self._select = self._loop._LoopTimeEventLoop__original_select
        self._path = bus_address.removeprefix("unix:path=")
        self._barrier: Barrier | None = None
        self._quiet_at_s: float | None = None

    def __call__(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = self._select(timeout)
        if ready or timeout != 0 or self._loop._ready or not self._loop.looptime_on:
            self._quiet_at_s = None
            return ready
        # Nothing has run since the bus was last quiet if the time is still the same.
        if self._loop.time() != self._quiet_at_s:
            # Waiting for the daemon replaces most of the idle turns that looptime takes before it jumps.
            self._loop._LoopTimeEventLoop__noop_cycles = _IDLE_TURNS
            self._settle()
            ready = self._select(0)
            self._quiet_at_s = None if ready else self._loop.time()
        return ready

    def close(self) -> None:
        if self._barrier is not None:
            self._barrier.close()
            self._barrier = None

    def _settle(self) -> None:
        """Wait until the daemon has read and passed on everything that this process has written."""
        try:
            if self._barrier is None:
                self._barrier = Barrier(self._path)
            # What the daemon reads in one turn of its loop it delivers in the same turn, but the answer to a ping of
            # that turn may come first. So a round trip has to begin when everything was read; and one more, since
            # nothing tells us whether it has seen that a connection was closed.
            while self._is_anything_unread():
                self._barrier.round_trip()
            self._barrier.round_trip()
            self._barrier.round_trip()
        except OSError:
            self.close()  # the daemon is gone, and everybody's connection with it

    def _is_anything_unread(self) -> bool:
        return any(_is_unread(fd, self._path) for fd in list(self._loop._selector.get_map()))


def _is_unread(fd: int, bus_path: str) -> bool:
    """Whether the daemon has yet to read something of ours from this connection; not if it leads elsewhere."""
    try:
        # Asked first: it is almost always nothing, and where a descriptor leads takes ten times as long to find out.
        written = cast("int", struct.unpack("i", fcntl.ioctl(fd, _SIOCOUTQ, bytes(4)))[0])
        if not written:
            return False
        connection = socket.socket(fileno=fd)
    except OSError:
        return False  # no socket
    try:
        return connection.family == socket.AF_UNIX and bool(connection.getpeername() == bus_path)
    except OSError:
        return False
    finally:
        connection.detach()


@contextlib.contextmanager
def quiet_bus(bus_address: str) -> Iterator[None]:
    """For the length of the block, the running loop's virtual clock waits for the bus. Real time is left alone."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LoopTimeEventLoop)
    untyped = cast("Any", loop)
    quiet = _QuietSelect(loop, bus_address)
    before = untyped._LoopTimeEventLoop__original_select
    untyped._LoopTimeEventLoop__original_select = quiet
    try:
        yield
    finally:
        untyped._LoopTimeEventLoop__original_select = before
        quiet.close()

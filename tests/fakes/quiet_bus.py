"""Virtual time with a real dbus-daemon in the loop: the clock may jump only when the bus has nothing left to deliver.

What one part of a test writes to the bus is read by another a moment later, when the daemon has passed it on. Meanwhile
the event loop is idle, and looptime would take that for a reason to jump to the next timer.

The daemon is asked nothing: the kernel knows. What we write wakes it before the call returns, and it sleeps again when
it has delivered all of it. That takes a twentieth of a round trip, and there are thousands of jumps in a test.
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

from looptime import LoopTimeEventLoop

_IDLE_TURNS = 3
_SIOCOUTQ = termios.TIOCOUTQ  # bytes written to a socket that its peer has not read
_PEER_CREDENTIALS = struct.Struct("3i")  # process, user, group


class Daemon:
    """The dbus-daemon that listens at an address, as the kernel sees it."""

    def __init__(self, bus_path: str) -> None:
        """Raises `OSError` if there is none."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(bus_path)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
        pid, _, _ = _PEER_CREDENTIALS.unpack(credentials)
        self._status = os.open(f"/proc/{pid}/stat", os.O_RDONLY)  # of this process, whoever gets its number later

    def is_asleep(self) -> bool:
        """Whether it waits for something to do; raises `OSError` if it has ended."""
        state = os.pread(self._status, 256, 0).rpartition(b") ")[2][:1]  # proc(5); its name may hold anything
        if state in {b"Z", b"X"}:
            raise ProcessLookupError("the dbus-daemon is dead")
        return state == b"S"

    def close(self) -> None:
        os.close(self._status)


class _QuietSelect:
    """What asks the selector for events, and the daemon whether there will be any."""

    def __init__(self, loop: LoopTimeEventLoop, bus_address: str) -> None:
        self._loop = cast("Any", loop)
        self._select = self._loop._LoopTimeEventLoop__original_select
        self._path = bus_address.removeprefix("unix:path=")
        self._daemon: Daemon | None = None
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
        if self._daemon is not None:
            self._daemon.close()
            self._daemon = None

    def _settle(self) -> None:
        """Wait until the daemon has read and passed on everything that this process has written."""
        try:
            if self._daemon is None:
                self._daemon = Daemon(self._path)
            # In this order: when it has read everything, it is awake until it has passed it on.
            while self._is_anything_unread() or not self._daemon.is_asleep():
                os.sched_yield()
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

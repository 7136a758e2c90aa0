"""A private D-Bus: a real `dbus-daemon` of our own, apart from the system's, that lives as long as it is used."""

import asyncio
import contextlib
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

_PROGRAM = "dbus-daemon"
_START_TIMEOUT_S = 10.0

# Nobody but the user that started it may connect: without a rule for other users, dbus-daemon turns them away.
_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
{denial}</busconfig>
"""
_DENIAL = """  <policy context="mandatory">
    <deny send_destination="org.bluez"/>
  </policy>
"""
# Ends the daemon when the pipe to it is closed: on request, and when this process is killed.
_GUARD = '"$@" & exec >&-; read -r _; kill -9 $!; wait'


class BusError(Exception):
    """There is no private D-Bus; the text says why, and what to do."""


def is_available() -> bool:
    """Whether this machine has a dbus-daemon."""
    return shutil.which(_PROGRAM) is not None


class Bus:
    """A private D-Bus. Its address stays the same when its daemon is started anew."""

    def __init__(self, folder: Path, *, deny: bool) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        self._config = folder / "bus.conf"
        self._config.write_text(_CONFIG.format(address=self.address, denial=_DENIAL if deny else ""), encoding="utf-8")
        self.pid: int | None = None  # of the daemon; None while there is none
        self._guard: subprocess.Popen[bytes] | None = None
        self._leash: int | None = None  # the guard ends the daemon when this is closed

    async def start(self) -> None:
        """Start the daemon; it takes connections when this returns.

        Raises:
            BusError: it does not start.
        """
        await asyncio.to_thread(self._spawn)

    async def kill(self) -> None:
        """The daemon dies, and with it every connection."""
        await asyncio.to_thread(self._end)

    async def restart(self) -> None:
        """The daemon dies and another takes its place, at the same address."""
        await self.kill()
        await self.start()

    def _spawn(self) -> None:
        program = shutil.which(_PROGRAM)
        if program is None:
            raise BusError("There is no dbus-daemon on this machine: install the package dbus.")
        daemon = [program, f"--config-file={self._config}", "--nofork", "--nopidfile", "--nosyslog"]
        leash, self._leash = os.pipe()
        reader, writer = os.pipe()
        with os.fdopen(reader) as told:
            try:
                # Nothing here comes from outside.
                self._guard = subprocess.Popen(  # noqa: S603
                    ["/bin/sh", "-c", _GUARD, "guard", *daemon, "--print-address=1", "--print-pid=1"],
                    stdin=leash,
                    stdout=writer,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for us, who end it in good order
                )
            finally:
                os.close(leash)
                os.close(writer)
            # It says this when it listens; the pipe is closed when it ends.
            is_told, _, _ = select.select([told], [], [], _START_TIMEOUT_S)
            address_and_pid = [told.readline(), told.readline()] if is_told else ["", ""]
        if not address_and_pid[1]:
            self._end()
            raise BusError("The dbus-daemon of this machine did not start: run `dbus-daemon --session` to see why.")
        self.pid = int(address_and_pid[1])

    def _end(self) -> None:
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None
        if self._guard is not None:
            self._guard.wait()
            self._guard = None
        self.pid = None


@contextlib.asynccontextmanager
async def private_bus(*, deny: bool = False) -> AsyncIterator[Bus]:
    """A private D-Bus for the length of the block; no process and no file is left behind.

    Args:
        deny: its policy lets nobody talk to `org.bluez` (AccessDenied).

    Raises:
        BusError: there is no dbus-daemon, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="bluez-") as folder:
        bus = Bus(Path(folder), deny=deny)
        try:
            await bus.start()
            yield bus
        finally:
            await bus.kill()

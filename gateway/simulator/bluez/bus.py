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
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The daemon's process; None while there is none."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the daemon; it takes connections when this returns.

        Raises:
            BusError: it does not start.
        """
        self._process = await asyncio.to_thread(self._spawn)

    async def kill(self) -> None:
        """The daemon dies, and with it every connection."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def restart(self) -> None:
        """The daemon dies and another takes its place, at the same address."""
        await self.kill()
        await self.start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = shutil.which(_PROGRAM)
        if program is None:
            raise BusError("There is no dbus-daemon on this machine: install the package dbus.")
        reader, writer = os.pipe()
        arguments = [f"--config-file={self._config}", "--nofork", "--nopidfile", "--nosyslog"]
        with os.fdopen(reader, "rb") as told:
            try:
                # Nothing here comes from outside.
                process = subprocess.Popen(  # noqa: S603
                    [program, *arguments, f"--print-address={writer}"],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[writer],
                )
            finally:
                os.close(writer)
            # It tells its address when it listens; the pipe is closed when it ends.
            is_told, _, _ = select.select([told], [], [], _START_TIMEOUT_S)
            if is_told and told.readline():
                return process
        process.kill()
        process.wait()
        raise BusError("The dbus-daemon of this machine did not start: run `dbus-daemon --session` to see why.")


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

"""A well-behaved systemd service: readiness, a watchdog fed by progress, an orderly stop on signals.

Where to beat: a part beats where its own loop turns, whatever that turn brought, and never behind an answer from
somebody else. A request that waits 30 s for a slow cloud must not hold up the loop that beats; then a slow cloud is a
problem on the screen, while a part that no longer turns is a restart.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

ALLOWANCE_S = 10.0
"""How long a part may go without a beat: ten turns of a loop that turns every second."""

UNWATCHED_INTERVAL_S = 30.0
"""Without a watchdog of systemd the beats are still looked at, as for WatchdogSec=30, so that a stall is in the log."""

_log = logging.getLogger(__name__)


class Notifier:
    """Tells systemd how we are (sd_notify(3)); says nothing where no one listens."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Start-up is over."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """The orderly stop has begun."""
        self._send("STOPPING=1")

    def feed(self) -> None:
        """Push the watchdog's deadline away."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            # The event loop must not hang on a manager that does not read.
            sock.setblocking(False)
            try:
                sock.sendto(state.encode(), self._address)
            except OSError as error:
                _log.warning(
                    "systemd did not take %(state)s: %(error)s", {"state": state.partition("=")[0], "error": error}
                )


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of a part.

    Attributes:
        at_s: When, on the monotonic clock, seconds.
        allowance_s: How long after it the next may come, seconds.
    """

    at_s: float
    allowance_s: float


def late_parts(beats: Mapping[str, Beat], now_s: float) -> tuple[str, ...]:
    """Names of the parts whose last beat is older than their allowance; the watchdog is fed only if there is none."""
    return tuple(name for name, beat in beats.items() if now_s - beat.at_s > beat.allowance_s)


class Watchdog:
    """Feeds systemd's watchdog while every part makes progress."""

    def __init__(
        self, notifier: Notifier, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._beats: dict[str, Beat] = {}
        self._late: tuple[str, ...] = ()
        # Half of what systemd allows (sd_watchdog_enabled(3)), so that one turn may be late.
        self.interval_s = (_watchdog_s(environ) or UNWATCHED_INTERVAL_S) / 2

    def register(self, name: str, allowance_s: float = ALLOWANCE_S) -> Callable[[], None]:
        """Expect `name` to beat from now on; returns the function that it calls to do so."""
        self._beats[name] = Beat(self._clock(), allowance_s)
        return lambda: self.beat(name)

    def beat(self, name: str) -> None:
        """Say that the registered part `name` has made progress."""
        self._beats[name] = Beat(self._clock(), self._beats[name].allowance_s)

    def check(self) -> None:
        """Feed once if no part is late; what changes about that is logged."""
        late = late_parts(self._beats, self._clock())
        if late != self._late:
            self._late = late
            level = logging.ERROR if late else logging.INFO
            _log.log(level, "parts without progress: %(parts)s", {"parts": ", ".join(late) or "none"})
        if not late:
            self._notifier.feed()

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self.check()
            await asyncio.sleep(self.interval_s)


@contextmanager
def stop_on_signal() -> Iterator[asyncio.Event]:
    """An event that SIGTERM, SIGINT or a closed terminal sets; a second one ends the process at once, quietly.

    To be entered in the main thread, with the event loop running.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it to go on
        signals.append(signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """The watchdog's deadline in seconds, if systemd expects this process to keep it."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        deadline_s = int(environ["WATCHDOG_USEC"]) / 1e6
    except (KeyError, ValueError):
        return None
    return deadline_s if deadline_s > 0 else None


def _line(text: str) -> str:
    """One line: a newline would begin the next assignment."""
    return " ".join(text.split())

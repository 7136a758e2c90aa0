"""The service: what systemd is told over a real socket, when the watchdog is fed, how a signal ends the process."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service import ALLOWANCE_S, Beat, Notifier, Watchdog, late_parts, stop_on_signal

ROOT = Path(__file__).parent.parent


class Manager:
    """systemd's end of the notification socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address}

    def heard(self) -> list[str]:
        """What was said since the last time."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@insiders-gateway-test-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.close()


class Clock:
    """Monotonic seconds that move by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_systemd_is_told_in_its_own_words(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.ready("12\ntrackers")
    notifier.feed()
    notifier.stopping()
    assert manager.heard() == ["READY=1\nSTATUS=12 trackers", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready("")
    assert caplog.records == []


def test_a_manager_that_is_gone_is_logged_and_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("a")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_manager_that_does_not_read_never_blocks(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    for _ in range(5000):
        notifier.feed()
    assert 0 < len(manager.heard()) < 5000


def test_the_watchdog_is_fed_while_every_part_beats(manager: Manager) -> None:
    clock = Clock()
    watchdog = Watchdog(Notifier(manager.environ), {}, clock)
    beats = [watchdog.register("tail"), watchdog.register("live")]
    for _ in range(3):
        clock.now_s += ALLOWANCE_S
        for beat in beats:
            beat()
        watchdog.check()
    assert manager.heard() == ["WATCHDOG=1"] * 3


def test_one_part_without_progress_is_enough_to_starve_it(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    watchdog = Watchdog(Notifier(manager.environ), {}, clock)
    beat = watchdog.register("tail")
    watchdog.register("live")
    clock.now_s += ALLOWANCE_S + 0.1
    beat()
    watchdog.check()
    watchdog.check()
    assert manager.heard() == []
    assert [record.getMessage() for record in caplog.records] == ["parts without progress: live"]


def test_a_part_that_goes_on_is_fed_again(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    watchdog = Watchdog(Notifier(manager.environ), {}, clock)
    beat = watchdog.register("tail", allowance_s=1)
    clock.now_s += 2
    watchdog.check()
    beat()
    watchdog.check()
    assert manager.heard() == ["WATCHDOG=1"]
    assert caplog.records[-1].getMessage() == "parts without progress: none"


def test_a_beat_of_a_part_that_nobody_expects_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Watchdog(Notifier({}), {}).beat("typo")


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 1.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, 15.0),
        ({"WATCHDOG_USEC": "soon"}, 15.0),
        ({"WATCHDOG_USEC": "-4"}, 15.0),
        ({"WATCHDOG_USEC": "0"}, 15.0),
        ({}, 15.0),
    ],
)
def test_the_watchdog_is_looked_after_at_half_its_deadline(environ: dict[str, str], interval_s: float) -> None:
    assert Watchdog(Notifier({}), environ).interval_s == interval_s


@pytest.mark.looptime
async def test_run_feeds_every_interval_until_cancelled(manager: Manager) -> None:
    watchdog = Watchdog(Notifier(manager.environ), {"WATCHDOG_USEC": "4000000"})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(9):
            await watchdog.run()
    assert manager.heard() == ["WATCHDOG=1"] * 5


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(st.floats(0, 100), st.floats(0, 100))), st.floats(0, 200))
def test_a_part_is_late_exactly_if_its_allowance_is_over(parts: dict[str, tuple[float, float]], now_s: float) -> None:
    beats = {name: Beat(at_s, allowance_s) for name, (at_s, allowance_s) in parts.items()}
    assert set(late_parts(beats, now_s)) == {
        n for n, (at_s, allowance_s) in parts.items() if now_s - at_s > allowance_s
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    with stop_on_signal() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        await stop.wait()


async def test_nohup_is_respected() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signal() as stop:
            signal.raise_signal(signal.SIGHUP)
            await asyncio.sleep(0)
            assert not stop.is_set()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


STOPPING = """
import asyncio
from gateway.service import stop_on_signal

async def main():
    with stop_on_signal() as stop:
        print("ready", flush=True)
        await stop.wait()
        print("stopping", flush=True)
        {after}

asyncio.run(main())
"""


@contextmanager
def started(after: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", STOPPING.format(after=after)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_process_quietly(number: signal.Signals) -> None:
    with started(after="") as process:
        process.send_signal(number)
        assert process.communicate(timeout=30) == ("stopping\n", "")
        assert process.returncode == 0


def test_a_second_signal_ends_a_stop_that_hangs_without_a_traceback() -> None:
    with started(after="await asyncio.sleep(3600)") as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == -signal.SIGINT

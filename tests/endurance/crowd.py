"""Five hundred who connect at once to a whole daemon: from many addresses, then from one.

    python -m tests.endurance.crowd

As many as `hello` announces are served and get rows; the others are told when to come back; and what the gateway is
there for, the rows of the trackers, waits for none of them: no work of its own keeps its event loop for 200 ms. It
prints what it measured; the exit status is 1 if anything of that is not so. Simulator and crowd are other processes.
They want the same processors, which makes the loop later than it would be by itself: both are printed.
"""

import argparse
import asyncio
import logging
import multiprocessing
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import app
from gateway.config import Settings
from gateway.credentials import Credentials
from gateway.live.limits import LIMITS
from gateway.secret import Secret
from gateway.simulator.server import CLIENT_SECRET, PASSWORD
from tests.endurance.crowd_guests import Answers, come

COUNT = 500
TRACKERS = 30
MANY = [f"127.0.0.{number}" for number in range(2, 27)]
ONE = ["127.0.0.100"]
ANOTHER = ["127.0.0.101"]

STAY_S = 6.0
CALM_S = 6.0
LATEST_S = 0.2
_TICK_S = 0.01
_START_S = 60.0


@dataclass
class Lateness:
    """How late things were, measured in the daemon's own event loop.

    Attributes:
        ticks_s: How much later than it should a timer of the loop came, each time.
        own_s: Of each of these, what the daemon itself worked meanwhile: CPU time of the loop's thread.
        pauses_s: Between two answers or messages of one tracker, which comes once a second.
        waited_s: For how long the process was ready and other programs had the processors.
    """

    ticks_s: list[float] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)
    pauses_s: list[float] = field(default_factory=list)
    waited_s: float = 0.0

    def line(self, name: str) -> str:
        ticks, pauses = sorted(self.ticks_s), sorted(self.pauses_s)
        late = (ticks[len(ticks) // 2], ticks[len(ticks) * 99 // 100], ticks[-1], max(self.own_s))
        apart = (pauses[len(pauses) // 2], pauses[-1], self.waited_s)
        return f"{name:28}" + "".join(f"{_ms(s):10.1f}" for s in late) + "".join(f"{_ms(s):12.0f}" for s in apart)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args()
    logging.getLogger("gateway").addHandler(logging.NullHandler())  # what it warns of is what is done to it here
    with tempfile.TemporaryDirectory() as folder, _simulator() as cloud:
        failures = asyncio.run(_play(_settings(cloud, Path(folder)), options.count))
    for failure in failures:
        print(f"NOT SO: {failure}")
    return int(bool(failures))


async def _play(settings: Settings, count: int) -> list[str]:
    failures: list[str] = []
    async with app.running(settings, Credentials(Secret(PASSWORD), Secret(CLIENT_SECRET)), {}) as gateway:
        async with asyncio.timeout(_START_S):
            while not all(channel.moved_s for channel in gateway.feed.channels.values()):
                await asyncio.sleep(0.1)
        async with _watched(gateway) as calm:
            await asyncio.sleep(CALM_S)
        async with _watched(gateway) as at_many:
            many = await _crowd(gateway.port, MANY, count, STAY_S)
        async with _watched(gateway) as at_one, asyncio.TaskGroup() as tasks:
            crowd = tasks.create_task(_crowd(gateway.port, ONE, count, STAY_S))
            await asyncio.sleep(STAY_S / 2)
            another = await _crowd(gateway.port, ANOTHER, 1, 1.0)
        one = crowd.result()
    failures += _wrong(f"{count} from {len(MANY)} addresses", many, count, LIMITS.max_clients)
    failures += _wrong(f"{count} from one address", one, count, LIMITS.max_clients_per_address)
    failures += _wrong("one from another address meanwhile", another, 1, 1)
    print(f"{'ms':28}{'the loop is late by':>30}{'by itself':>10}{'rows come after':>24}{'waits for':>12}")
    print(
        f"{'':28}{'median':>10}{'99 in 100':>10}{'most':>10}{'most':>10}{'median':>12}{'most':>12}{'a processor':>12}"
    )
    for name, lateness in (("nobody", calm), ("many addresses", at_many), ("one address", at_one)):
        print(lateness.line(name))
        if max(lateness.own_s) >= LATEST_S:
            failures.append(f"{name}: the event loop was kept for {_ms(max(lateness.own_s)):.0f} ms")
    return failures


def _wrong(name: str, answers: Answers, count: int, most: int) -> Iterator[str]:
    """Print what became of a crowd; what ought to have been otherwise."""
    served, refused = answers.served.total(), answers.refused.total()
    print(
        f"{name}: {served} served, {answers.following} of them got rows, {dict(answers.refused)} refused,"
        f" to come back after {dict(answers.retry_after)} s; the last answer after {answers.came_s:.1f} s"
    )
    expected = min(most, count)
    if (served, answers.following) != (expected, expected):
        yield f"{name}: {expected} are to be served and to get rows"
    if answers.refused.keys() - {503} or refused != count - expected:
        yield f"{name}: the others are to be refused with 503; {answers.unanswered} had no answer"
    if any(not value.isdigit() for value in answers.retry_after):
        yield f"{name}: who is refused is to be told when to come back"
    if answers.came_s >= STAY_S:
        yield f"{name}: somebody waited for an answer until others had left"


async def _crowd(port: int, addresses: Sequence[str], count: int, stay_s: float) -> Answers:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=come, args=(port, addresses, count, stay_s, theirs))
    await asyncio.to_thread(process.start)
    theirs.close()
    try:
        answers: Answers = await asyncio.to_thread(ours.recv)
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
    return answers


@asynccontextmanager
async def _watched(gateway: app.Gateway) -> AsyncIterator[Lateness]:
    """Measure for as long as the context is open."""
    lateness, waited_s = Lateness(), _waited_s()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch(gateway, lateness))
        try:
            yield lateness
        finally:
            watching.cancel()
    lateness.waited_s = _waited_s() - waited_s


async def _watch(gateway: app.Gateway, lateness: Lateness) -> None:
    loop, channels = asyncio.get_running_loop(), gateway.feed.channels.values()
    moved = {channel.ch: channel.moved_s for channel in channels}
    due_s = loop.time() + _TICK_S
    while True:
        before_s = time.thread_time()
        await asyncio.sleep(due_s - loop.time())
        now_s, worked_s = loop.time(), time.thread_time() - before_s
        lateness.ticks_s.append(now_s - due_s)
        lateness.own_s.append(min(now_s - due_s, worked_s))
        due_s = now_s + _TICK_S
        for channel in channels:
            last_s, moved[channel.ch] = moved[channel.ch], channel.moved_s
            if last_s is not None and channel.moved_s is not None and channel.moved_s != last_s:
                lateness.pauses_s.append(channel.moved_s - last_s)


def _waited_s() -> float:
    """For how long this process has been ready to run without running, by the kernel's account."""
    tasks = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


@contextmanager
def _simulator() -> Iterator[dict[str, Any]]:
    """A simulated cloud in a process of its own; its part of the configuration."""
    command = [sys.executable, "-m", "gateway", "simulate", "--port", "0", "--trackers", str(TRACKERS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield tomllib.loads("".join(iter(process.stdout.readline, "# That is all; stop with Ctrl-C.\n")))
        finally:
            process.terminate()


def _settings(cloud: dict[str, Any], folder: Path) -> Settings:
    own = {
        "gateway": {"site": "Test", "state_dir": folder},
        "live": {"port": 0},
        "access": {"open_on_loopback": True, "require_release": False},
        "bluetooth": {"enabled": False},
    }
    return Settings.model_validate(cloud | own)


def _ms(seconds: float) -> float:
    return seconds * 1000


if __name__ == "__main__":
    sys.exit(main())

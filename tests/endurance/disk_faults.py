"""Every call that a taking over makes of its disk fails once, or from then on, or is its last.

    python -m tests.endurance.disk_faults

For each thread that waits for the disk, and each kind of call, the n-th one fails, for every n until one life runs
clean. After each of them, and a restart, the recording is in the inbox, or in the spool and written down; what was
acknowledged is in the spool and written down; and with a disk that works the rest comes in. It prints what it did and
what survived.
"""

import argparse
import asyncio
import logging
import multiprocessing
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.endurance.takeover import LONGEST_S, TAKEN, content, deliver, house, kept, live, take_rest, waiting

THREADS = ("intake", "ledger", "store")
KILLED = "killed"

SIZE = 2_500_000
"""Some blocks."""

_FLUSHES = ("fsync", "fdatasync")
_WRITES = ("write", "pwrite64", "ftruncate", "fallocate")
_NAMES = ("openat", "rename", "unlink", "unlinkat", "mkdir")
_LOOKS = ("read", "pread64", "newfstatat", "statfs", "fstatfs", "getdents64", "fcntl")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the n-th of the calls of one kind.

    Attributes:
        call: Which, as strace names it.
        effect: What becomes of it, as strace names it: an error, or "KILL" of the whole process.
        is_lasting: Whether all that follow have the same fate.
    """

    call: str
    effect: str
    is_lasting: bool = False

    def options(self, number: int) -> list[str]:
        """What lets strace do it to the n-th of them."""
        effect = "signal=KILL" if self.effect == "KILL" else f"error={self.effect}"
        when = f"{number}{'+' if self.is_lasting else ''}"
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:{effect}:when={when}"]

    def __str__(self) -> str:
        return f"{self.call} {self.effect}{' from then on' if self.is_lasting else ''}"


FAULTS = (
    *(Fault(call, "EIO") for call in (*_FLUSHES, *_WRITES, *_NAMES, *_LOOKS)),
    *(Fault(call, "ENOSPC") for call in (*_WRITES, *_NAMES)),
    *(Fault(call, "EIO", is_lasting=True) for call in (*_FLUSHES, *_WRITES, *_NAMES, *_LOOKS)),
    *(Fault(call, "ENOSPC", is_lasting=True) for call in (*_WRITES, *_NAMES)),
    *(Fault(call, "KILL") for call in (*_FLUSHES, *_WRITES, *_NAMES, "close")),
)


def why_not() -> str:
    """Why this cannot be done here; "" if it can."""
    with suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=True)
        return ""
    return "needs strace, and the right to trace"


class Trials:
    """One life after the other, each with another fault.

    Attributes:
        met: How those ended to which something happened.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.met: Counter[str] = Counter()
        self._folder = folder
        self._draw = random.Random(seed)
        self._earlier = ""
        self._number = 0

    async def prepare(self) -> None:
        """Let there be one recording already, as on most days."""
        inbox = self._folder / "inbox"
        inbox.mkdir()
        async with house(self._folder / "state") as it:
            await it.ledger.load()
            self._earlier = deliver(inbox, content(self._draw, 1000))
            await it.take(inbox, self._earlier)

    async def try_all(self, fault: Fault, thread: str, most: int) -> int:
        """Let the first call fail, then the second, as long as there are as many; how many there were."""
        for number in range(1, most + 1):
            if not await self.try_one(fault, thread, number):
                return number - 1
        return most

    async def try_one(self, fault: Fault, thread: str, number: int) -> bool:
        """One life; whether anything happened to it."""
        self._number += 1
        folder = self._folder / str(self._number)
        state, inbox = folder / "state", folder / "inbox"
        inbox.mkdir(parents=True)
        shutil.copytree(self._folder / "state", state)
        sha256 = deliver(inbox, content(self._draw, SIZE))
        said, is_hit = await asyncio.to_thread(self._life, fault, thread, number, folder)
        where = f"{fault}, call {number} of {thread}: {said}"
        left, there = waiting(inbox), set(await kept(state))
        assert self._earlier in there, f"what was there before is gone: {where}"
        assert sha256 in left | there, f"lost: {where}"
        assert said not in TAKEN or sha256 in there, f"acknowledged and not there: {where}"
        assert said != KILLED or fault.effect == "KILL", f"it has ended: {where}"
        assert said in {*TAKEN, KILLED} or fault.is_lasting, f"one fault is for ever: {where}"
        await take_rest(state, inbox, {sha256, self._earlier})
        shutil.rmtree(folder)
        if is_hit:
            place = "in both" if sha256 in left & there else "in the inbox" if sha256 in left else "in the spool"
            self.met[f"{said}; after a restart it is {place}"] += 1
        return is_hit

    def _life(self, fault: Fault, thread: str, number: int, folder: Path) -> tuple[str, bool]:
        log = folder / "strace"
        with alive(folder) as (life, up):
            victim = up.recv()[thread]
            with traced([*fault.options(number), "-p", str(victim)], f"{life.pid}/task/{victim}", log):
                up.send(None)
                said = _said(up)
                life.kill()
        return said, said == KILLED or "(INJECTED)" in log.read_text(encoding="utf-8")


async def flushes(folder: Path, draw: random.Random, recordings: int) -> int:
    """How often a life that is well waits for the card while it takes so many recordings over, one by one."""
    (folder / "inbox").mkdir()
    for _ in range(recordings + 1):
        deliver(folder / "inbox", content(draw, SIZE))
    return await asyncio.to_thread(_flushes, folder, recordings)


def _flushes(folder: Path, recordings: int) -> int:
    log = folder / "strace"
    with alive(folder) as (life, up):
        up.recv()
        up.send(None)
        assert _said(up) in TAKEN, "the first, which finds nothing there"
        options = ["-f", "-e", f"trace={','.join(_FLUSHES)}", "-p", str(life.pid)]
        with traced(options, f"{life.pid}/task/*", log):
            said = {_said(up) for _ in range(recordings)}
            life.kill()
    assert said <= set(TAKEN)
    return sum("sync(" in line for line in log.read_text(encoding="utf-8").splitlines())


@contextmanager
def alive(folder: Path) -> Iterator[tuple[BaseProcess, Connection]]:
    """A life in a process of its own, and the line to it."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.endurance.takeover"])
    here, there = processes.Pipe()
    life = processes.Process(target=live, args=(folder, there))
    life.start()
    there.close()
    try:
        yield life, here
    finally:
        life.kill()
        life.join()
        here.close()


def _said(up: Connection) -> str:
    """What becomes of the next one."""
    try:
        up.send(None)
        if not up.poll(2 * LONGEST_S):
            return "nothing, it hangs"
        _, said = up.recv()
    except (EOFError, ConnectionError):
        return KILLED
    return str(said)


@contextmanager
def traced(options: Iterable[str], tasks: str, log: Path) -> Iterator[None]:
    """Have strace look at a process that will have ended by the end of this.

    Args:
        options: What to look at and what to do.
        tasks: Where in /proc its threads are.
        log: What it writes.
    """
    with subprocess.Popen(["strace", "-qq", "-o", str(log), *options]) as strace:
        try:
            while not all(_is_traced(task) for task in Path("/proc").glob(tasks)):
                assert strace.poll() is None, "strace has ended"
                time.sleep(0.001)
            yield
            strace.wait(2 * LONGEST_S)
        finally:
            strace.terminate()


def _is_traced(task: Path) -> bool:
    return "\nTracerPid:\t0\n" not in (task / "status").read_text(encoding="ascii")


async def tried(folder: Path, seed: int, faults: Iterable[Fault], most: int) -> Counter[str]:
    """All of these, in every thread; how the lives ended, to which something happened."""
    trials = Trials(folder, seed)
    await trials.prepare()
    for fault in faults:
        for thread in THREADS:
            lives = await trials.try_all(fault, thread, most)
            if lives:
                print(f"{lives:4d} lives: {fault} in the thread of the {thread}", flush=True)
    return trials.met


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1000, help="calls of each kind in each thread")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if reason := why_not():
        parser.exit(2, f"{reason}\n")
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        met = asyncio.run(tried(Path(folder), arguments.seed, FAULTS, arguments.most))
    print()
    for end, lives in met.most_common():
        print(f"{lives:4d} {end}")
    print(f"{met.total():4d} lives with a fault, 0 recordings lost")


if __name__ == "__main__":
    _main()

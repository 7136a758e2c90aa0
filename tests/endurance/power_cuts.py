"""Real power cuts, as far as a file system in a file can have them: recordings are taken over until the disk is gone.

    python -m tests.endurance.power_cuts --times 50 --seed 3

The inbox and the state folder lie on an ext4 of their own, which is shut down at any moment, with or without what its
log has. After it is mounted again, and a start, every recording that was acknowledged is in the spool, whole, and
written down; each other one is there, or still in the inbox; and nothing is told to be damaged. The next life goes on
from there. It prints where the cuts have met the recordings, and what survived.
"""

import argparse
import asyncio
import logging
import multiprocessing
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gateway.uploads.keeping.spool import FOLDER
from gateway.uploads.recording import Recording, Way
from tests.endurance.disks import Cut, Ext4, why_no_ext4
from tests.endurance.takeover import TAKEN, TRACKER, content, deliver, kept, live, waiting

DISK_MB = 160

DELIVERED = 16
"""Recordings in the inbox when a life begins; it is cut off among them."""

SIZES = (20, 5_000, 200_000, 3_000_000)

SHORTEST_S, LONGEST_S = 0.05, 0.4
"""Until the power goes; the first few hundredths of a second are the start."""

KEPT_BYTES = 60_000_000
"""With more than that on it, a new disk is taken."""


@dataclass(slots=True)
class Survival:
    """What became of everything.

    Attributes:
        met: Where the cuts have met a recording.
        acknowledged: How many were, before the power went.
        taken: How many came in all the same.
        stayed: How often one was still in the inbox, and waited for the next life.
    """

    met: Counter[str]
    acknowledged: int = 0
    taken: int = 0
    stayed: int = 0


class Mains:
    """Where the power goes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.survival = Survival(Counter())
        self._draw = random.Random(seed)
        self._folder = folder / "disk"
        self._disk = Ext4(self._folder, DISK_MB)
        self._there: set[str] = set()
        self._bytes = 0
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.endurance.takeover"])

    async def cut(self) -> None:
        """One life, and the start after it; raises AssertionError if anything is lost."""
        if self._bytes > KEPT_BYTES:
            shutil.rmtree(self._folder)
            self._disk = Ext4(self._folder, DISK_MB)
            self._there, self._bytes = set(), 0
        draw = self._draw
        how, is_frozen = draw.choice(list(Cut)), draw.random() < 0.25
        with self._disk.mounted() as top:
            inbox = top / "inbox"
            inbox.mkdir(exist_ok=True)
            for _ in range(DELIVERED - len(waiting(inbox))):
                self._bytes += (size := draw.choice(SIZES))
                deliver(inbox, content(draw, size))
            self._disk.settle()
            delivered = waiting(inbox)
            acknowledged = await asyncio.to_thread(self._life, top, how, is_frozen=is_frozen)
        with self._disk.mounted() as top:
            left = waiting(top / "inbox")
            is_copying = any((top / "state" / FOLDER).glob(".*.part"))
            recordings = await kept(top / "state")
        there = set(recordings)
        new = {sha256: it for sha256, it in recordings.items() if sha256 not in self._there}
        where = _met(new, left, is_copying=is_copying)
        what = f"a cut ({how.name}{', frozen' if is_frozen else ''}) {where}"
        assert acknowledged | self._there <= there, f"acknowledged and lost: {what}"
        forgotten = [it for it in recordings.values() if it.sha256 in acknowledged and it.serial_number != TRACKER]
        assert not forgotten, f"acknowledged, and what was written down of it is lost: {what}"
        assert delivered <= there | left, f"lost: {what}"
        self.survival.met[where] += 1
        self.survival.acknowledged += len(acknowledged)
        self.survival.taken += len(there - self._there - acknowledged)
        self.survival.stayed += len(left - there)
        self._there = there

    def _life(self, top: Path, how: Cut, *, is_frozen: bool) -> set[str]:
        """What it has acknowledged before the power went."""
        here, there = self._processes.Pipe()
        life = self._processes.Process(target=live, args=(top, there))
        life.start()
        there.close()
        try:
            for _ in range(1 + DELIVERED):
                here.send(None)
            time.sleep(self._draw.uniform(SHORTEST_S, LONGEST_S))
            self._disk.cut(how, is_frozen=is_frozen)
        finally:
            life.kill()
            life.join()
            life.close()
        with here:
            return _acknowledged(here)


def _acknowledged(up: Connection) -> set[str]:
    names = set()
    with suppress(EOFError, ConnectionResetError):
        up.recv()
        while True:
            name, said = up.recv()
            if said in TAKEN:
                names.add(name)
    return names


def _met(new: Mapping[str, Recording], left: AbstractSet[str], *, is_copying: bool) -> str:
    """Where a cut has met what was just being taken over, as the disk tells."""
    if is_copying:
        return "in the copy"
    if any(recording.sources[0].way is Way.SPOOL for recording in new.values()):
        return "after the rename, before the row"
    if left & set(new):
        return "after the row, before the source went"
    return "before a copy" if left else "when all were taken over"


async def cut_off(times: int, seed: int, folder: Path) -> Survival:
    """So many lives and cuts, one after the other."""
    mains = Mains(folder, seed)
    for _ in range(times):
        await mains.cut()
    return mains.survival


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if reason := why_no_ext4():
        parser.exit(2, f"{reason}\n")
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        survival = asyncio.run(cut_off(arguments.times, arguments.seed, Path(folder)))
    for where, times in survival.met.most_common():
        print(f"{times:6d} cuts {where}")
    print(f"{survival.acknowledged:6d} recordings acknowledged before a cut: all survived, 0 lost")
    print(f"{survival.taken:6d} not acknowledged and in the spool all the same")
    print(f"{survival.stayed:6d} times one was still in the inbox after a cut; 0 were in neither")


if __name__ == "__main__":
    _main()

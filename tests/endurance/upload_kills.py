"""Real processes, really killed, while they take recordings over and bring them into a cloud that loses answers.

    python -m tests.endurance.upload_kills --times 1000 --seed 3
    python -m tests.endurance.upload_kills --times 1000 --seed 3 --without-lookup

After each shot every recording lies in the inbox, or in the spool with its row; and none that the cloud has would
simply be sent again. At the end the cloud has each exactly once; where it cannot be asked at least once, and what it
has twice is marked. It prints in which state the shots have met the recordings.
"""

import argparse
import asyncio
import logging
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.server import running
from gateway.store import open_store
from gateway.uploads.keeping.journal import NAME, Journal
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.part import IS_PART
from gateway.uploads.keeping.spool import FOLDER
from gateway.uploads.recording import WITHOUT_FILE, Recording, State
from gateway.worker import Worker
from tests.endurance.haste import hasty_utc_ms
from tests.endurance.upload_drops import Dropping, digest
from tests.endurance.upload_life import AT_REST, Place, live, spool_of

SHORT_S, LONG_S = 0.6, 3.0
"""A life ends while it reads what it has, takes a file, or sends the first, second or third; or lasts until what is
unclear is looked up. Seconds of the machine, at most."""

LONG_FRACTION = 0.1

SETTLED_S = 120.0
RESEND_S = 120.0
"""Two seconds of the machine: of what an hour is about, this loop is not."""

TRACKERS = 2
MOST_AT_ONCE = 8
"""Recordings that are not at rest; no more are dropped then."""

IN_CLOUD = {State.AMBIGUOUS, State.ACCEPTED, State.DONE, State.QUARANTINED}
"""What a recording may be that the cloud has, unless it is marked."""


def bad_day(*, is_lookup: bool) -> Faults:
    """A cloud that does all to uploads that a gateway must live with."""
    return Faults(
        initially_owned=TRACKERS,
        latency_ms=2,
        latency_jitter_ms=2,
        error_fraction=0.02,
        upload_seconds_per_mb=0.5,
        upload_cut_fraction=0.05,
        upload_swallowed_fraction=0.04,
        upload_error_fraction=0.04,
        upload_error_accepted_fraction=0.5,
        upload_answer_lost_fraction=0.04,
        upload_html_fraction=0.03,
        job_delay_s=4,
        lookup_enabled=is_lookup,
        lookup_lag_s=45,
        lookup_error_fraction=0.05,
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it.

    Attributes:
        met: How often a shot has met a recording in which state.
        recordings: How many different ones were dropped.
        lost: Of these, how many the cloud has not, and nobody was told.
        duplicated: How many it has more than once.
        unmarked: How many of those are not marked so.
        waiting: How many were taken out of the queue for a person to decide.
        fates: How the cloud has ended uploads.
    """

    met: Counter[str]
    recordings: int
    lost: int
    duplicated: int
    unmarked: int
    waiting: int
    fates: Counter[str]


class Range:
    """Where lives begin and end."""

    def __init__(self, cloud: SimulatedCloud, place: Place, seed: int) -> None:
        self._cloud, self._place = cloud, place
        self._dice = random.Random(seed)
        self._utc_ms = hasty_utc_ms(place.since_ms)
        self._dropping = Dropping(Path(place.inbox), Path(place.folder), list(place.trackers), self._utc_ms, self._dice)
        self._rested: set[str] = set()
        self._met: Counter[str] = Counter()
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.endurance.upload_life"])

    async def shoot(self) -> None:
        """One life and its end; raises AssertionError if a recording is lost, or would be sent twice."""
        room = MOST_AT_ONCE - len(self._dropping.sizes.keys() - self._rested)
        async with self._life(self._place) as life, asyncio.TaskGroup() as tasks:
            for _ in range(self._dice.randint(0, min(2, max(0, room)))):
                tasks.create_task(self._dropping.drop(self._dice.uniform(0, SHORT_S / 3)))
            longest_s = LONG_S if self._dice.random() < LONG_FRACTION else SHORT_S
            await asyncio.sleep(self._dice.uniform(0, longest_s))
            assert life.is_alive(), "it has ended without being shot"
            life.kill()
        self._look()
        await self._judge()

    async def settle(self) -> Result:
        """Live in peace until nothing is left to do."""
        async with self._life(replace(self._place, is_last=True)) as life:
            await asyncio.to_thread(life.join, SETTLED_S)
            is_settled = life.exitcode == 0
        await self._judge()
        known, jobs = await self._recovered(), self._cloud.jobs
        left = Counter(str(recording.state) for recording in known.values() if recording.state not in AT_REST)
        assert is_settled, f"something is left to do: {dict(left)}"
        waiting = {sha256 for sha256, recording in known.items() if recording.state is State.QUARANTINED}
        twice = {sha256 for sha256 in self._dropping.sizes if jobs.accepted(sha256) > 1}
        return Result(
            +self._met,
            len(self._dropping.sizes),
            lost=sum(not jobs.accepted(sha256) for sha256 in self._dropping.sizes.keys() - waiting),
            duplicated=len(twice),
            unmarked=sum(not known[sha256].maybe_duplicate for sha256 in twice),
            waiting=len(waiting),
            fates=jobs.fates,
        )

    @asynccontextmanager
    async def _life(self, place: Place) -> AsyncIterator[ForkServerProcess]:
        """A process, from its first breath on."""
        up, told = self._processes.Pipe(duplex=False)
        life = self._processes.Process(target=live, args=(place, told))
        life.start()
        told.close()
        try:
            await asyncio.to_thread(up.recv)
            yield life
        finally:
            life.kill()
            await asyncio.to_thread(life.join)
            life.close()
            up.close()

    def _look(self) -> None:
        """Where the shot has met what was not at rest."""
        spool = Path(self._place.folder, FOLDER)
        written = Journal(spool / NAME).read().recordings
        self._met["half taken"] += sum(IS_PART(path.name) is not None for path in spool.glob("*"))
        for sha256 in self._dropping.sizes.keys() - self._rested:
            recording = written.get(sha256)
            if recording is not None:
                self._met[recording.state] += 1
            elif spool_of(self._place).path(sha256).exists():
                self._met["taken, not written down"] += 1
            else:
                self._met["in the inbox"] += 1

    async def _judge(self) -> None:
        known = await self._recovered()
        lying = self._dropping.lying()
        strangers = known.keys() - self._dropping.sizes.keys()
        assert not strangers, f"something was taken that nobody has dropped: {sorted(strangers)}"
        for sha256 in self._dropping.sizes.keys() - self._rested:
            recording = known.get(sha256)
            if recording is None:
                assert sha256 in lying, "a recording is neither in the inbox nor in the spool"
                continue
            assert recording.state not in WITHOUT_FILE | {State.CORRUPT}, f"a recording is {recording.state}"
            assert digest(spool_of(self._place).path(sha256)) == sha256, "a recording is not in the spool"
            if self._cloud.jobs.accepted(sha256):
                is_known = recording.state in IN_CLOUD or (recording.may_be_in_cloud and not self._place.is_lookup)
                assert is_known, f"the cloud has one that is {recording.state} and would be sent again, unmarked"
            else:
                assert recording.state not in {State.ACCEPTED, State.DONE}, "the cloud has not what it is said to have"
        self._rested = {sha256 for sha256, recording in known.items() if recording.state in AT_REST}

    async def _recovered(self) -> Mapping[str, Recording]:
        """What a gateway would know after a start."""
        worker = Worker("judge")
        try:
            async with open_store(Path(self._place.folder), [SCHEMA]) as store:
                ledger = Ledger(store, spool_of(self._place), worker, self._utc_ms)
                await ledger.load()
                assert ledger.trouble is None, str(ledger.trouble)
                assert ledger.damage is None, str(ledger.damage)
                return dict(ledger.recordings)
        finally:
            worker.close()


async def shot(times: int, seed: int, folder: Path, *, is_lookup: bool) -> Result:
    """So many lives, one after the other, in one world."""
    since_ms = time.time_ns() // 1_000_000
    cloud = SimulatedCloud(TRACKERS, seed, bad_day(is_lookup=is_lookup), hasty_utc_ms(since_ms))
    trackers = {device.serial_number: device.device_id for device in cloud.devices}
    inbox = folder / "inbox"
    for serial_number in trackers:
        (inbox / serial_number).mkdir(parents=True)
    async with running(cloud) as served:
        place = Place(
            str(folder / "state"),
            str(inbox),
            served.api_url,
            served.token_url,
            served.websocket_url,
            trackers,
            since_ms,
            RESEND_S,
            is_lookup,
        )
        Path(place.folder).mkdir()
        ground = Range(cloud, place, seed)
        for _ in range(times):
            await ground.shoot()
        return await ground.settle()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-lookup", action="store_true", help="the cloud cannot be asked what it has")
    arguments = parser.parse_args()
    logging.disable()  # a server has much to say about clients that are shot
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(
            shot(arguments.times, arguments.seed, Path(folder), is_lookup=not arguments.without_lookup)
        )
    print(f"{arguments.times} shots have met, of {result.recordings} recordings:")
    for state, times in result.met.most_common():
        print(f"{times:6d} {state}")
    print(f"The cloud has ended uploads so: {', '.join(f'{times} {fate}' for fate, times in result.fates.items())}.")
    print(f"{result.lost} lost, {result.duplicated} duplicated ({result.unmarked} of them not marked as such).")
    if result.waiting:
        print(f"{result.waiting} had too many unclear answers and wait for a person.")
    if result.lost or result.unmarked or (result.duplicated and not arguments.without_lookup):
        raise SystemExit(1)


if __name__ == "__main__":
    _main()

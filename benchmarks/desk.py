"""What it costs to tell of many recordings: the look that is taken at them once a second, and their list.

A part of `benchmarks.recordings`; for it alone: ``python -m benchmarks.recordings --part desk``. Ledger, uploader and
display are the gateway's own; nothing is sent. "at rest" is a gateway whose recordings are done: 30 are, and the others
were deleted since. "waiting" is one that has had no line for very long, so that all of them wait.
"""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from itertools import count
from pathlib import Path

import msgspec
from msgspec.structs import replace

from gateway.bridges.recordings import OurTrackers
from gateway.cloud.client import CloudClient, open_cloud
from gateway.fleet.ownership import Claims
from gateway.fleet.roster import Tracker
from gateway.live.board import Board
from gateway.problems import Problems
from gateway.secret import Secret
from gateway.store import open_store
from gateway.uploads import transitions
from gateway.uploads.display import Display
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.recording import Recording, Source, State, Way
from gateway.uploads.reporter import Reporter
from gateway.uploads.sending import uploader
from gateway.uploads.surroundings import Options
from gateway.worker import Worker

SIZES = (30, 1000, 10_000)
TRACKERS = 30
AT_REST = 30
ROUNDS = 9

NAMES = [f"{number:06}" for number in range(TRACKERS)]


@dataclass(frozen=True)
class Wearer:
    """Of a tracker."""

    serial_number: str
    athlete: str | None
    number: int | None


def print_costs() -> None:
    """Measure and print."""
    print(f"\n{'CPU ms':<20}{'tell':>8}{'tell, one':>11}{'list,':>9}{'list':>8}{'longest':>9}{'encode':>8}{'':>10}")
    print(f"{'recordings':<20}{'':>8}{'changed':>11}{'first':>9}{'':>8}{'stretch':>9}{'':>8}{'size':>10}")
    for kind, state in (("at rest", State.PURGED), ("waiting", State.QUEUED)):
        for size in SIZES:
            with tempfile.TemporaryDirectory() as folder:
                told = asyncio.run(_measured(Path(folder), size, state))
            row = "".join(
                f"{spent_ms:>{width}.2f}" for spent_ms, width in zip(told[:6], (8, 11, 9, 8, 9, 8), strict=True)
            )
            print(f"{f'{size:,} {kind}':<20}{row}{told[6]:>7.0f} kB")


async def _measured(folder: Path, size: int, state: State) -> tuple[float, ...]:
    async with (
        open_store(folder, [SCHEMA]) as store,
        open_cloud(
            api_url="http://127.0.0.1:9",
            token_url="http://127.0.0.1:9",
            websocket_url="ws://127.0.0.1:9",
            username="nobody",
            password=Secret(""),
            client_id="",
            client_secret=Secret(""),
        ) as cloud,
    ):
        with closing(Worker("spool")) as worker:
            spool = Spool(folder / FOLDER, 1 << 40)
            ledger = Ledger(store, spool, worker, _utc_ms)
            await ledger.load()
            await _fill(ledger, size, state)
            return await _costs(lambda: _display(cloud, ledger, spool, worker), ledger)


async def _fill(ledger: Ledger, size: int, state: State) -> None:
    for number in range(size):
        known = _recording(number, State.DONE if number < AT_REST and state is State.PURGED else state)
        await ledger.taken(known.sha256, partial(_as_it_is, known))


def _as_it_is(known: Recording, _before: Recording | None) -> Recording:
    return known


def _recording(number: int, state: State) -> Recording:
    now_ms = _utc_ms()
    source = Source(Way.INBOX, f"{NAMES[number % TRACKERS]}/monday {number}.asi", now_ms)
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    known = transitions.taken(sha256, 10_000_000, source, serial_number=NAMES[number % TRACKERS])
    if state is State.QUEUED:
        return known
    sent = transitions.accepted(transitions.closing(transitions.sending(known, now_ms), now_ms), "job", now_ms)
    done = transitions.done(sent, now_ms)
    return done if state is State.DONE else transitions.purged(done, now_ms)


def _display(cloud: CloudClient, ledger: Ledger, spool: Spool, worker: Worker) -> Display:
    problems = Problems(_utc_ms)
    claims = Claims(cloud, problems, [Tracker(name) for name in NAMES])
    sending = uploader.Uploader(
        cloud, ledger, spool, worker, OurTrackers(claims), uploader.Options(), _utc_ms, UTC, lambda: True
    )
    wearers = {name: Wearer(name, f"Athlete {name}", None) for name in NAMES}
    options = Options(7, 1 << 30, "", (), None, UTC)
    reporter = Reporter(sending, wearers, options.keep_days, _utc_ms)
    return Display(ledger, None, sending, reporter, spool, worker, wearers, problems, Board(), options, _utc_ms)


async def _costs(make: Callable[[], Display], ledger: Ledger) -> tuple[float, ...]:
    """Milliseconds to tell nothing, to tell one change, to list, to list again, at a stretch, to encode; and kB."""
    display = make()
    first_ms = await _spent_ms(display.report)
    tells, changes, lists, stretches, encodings = [], [], [], [], []
    versions = count()

    async def tell() -> None:
        display.tell()

    async def encode() -> None:
        msgspec.json.encode(report)

    await tell()
    for _ in range(ROUNDS):
        tells.append(await _spent_ms(tell))
        sha256 = next(iter(ledger.recordings))
        await ledger.change(sha256, lambda it: replace(it, error=f"{next(versions)}", version=it.version + 1))
        changes.append(await _spent_ms(tell))
        lists.append(await _spent_ms(display.report))
        stretches.append(await _stretch_ms(make()))
        report = await display.report()
        encodings.append(await _spent_ms(encode))
    size_kb = len(msgspec.json.encode(await display.report())) / 1000
    return min(tells), min(changes), first_ms, min(lists), min(stretches), min(encodings), size_kb


async def _spent_ms(work: Callable[[], Awaitable[object]]) -> float:
    start_s = time.thread_time()
    await work()
    return (time.thread_time() - start_s) * 1000


async def _stretch_ms(display: Display) -> float:
    """For how long the list holds up the event loop at most, when nothing of it is known yet."""
    longest_s = 0.0
    async with asyncio.TaskGroup() as tasks:
        listing = tasks.create_task(display.report())
        while not listing.done():
            start_s = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - start_s)
    return longest_s * 1000


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000

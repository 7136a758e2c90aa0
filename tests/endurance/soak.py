"""A week in virtual time: two training sessions a day, faults drawn by a seed, a planned restart every night.

    python -m tests.endurance.soak --days 7 --seed 3

A line for each day, and the verdict; the exit status is 1 if a row is not accounted for. The same seed plays the same
week. Every night the gateway gets its rows from another source.
"""

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import psutil

from tests.endurance import scenarios
from tests.endurance.oracle import accounts, assert_every_row_is_accounted_for, settle
from tests.endurance.scenarios import Script
from tests.endurance.world import VirtualLoop, World, world

HOUR_S = 3600.0
SESSIONS_AT_S = (9 * HOUR_S, 15 * HOUR_S)
SESSION_S = 1.5 * HOUR_S
RESTART_AT_S = 3 * HOUR_S
EVENTS_PER_SESSION = 4
SOURCES = ("auto", "poll", "websocket")

HEAD = "day  hours   polls  streamed      rows  repaired  missing  silent  unfetched  RSS MB  real s  gaps"


def drawn(dice: random.Random) -> Script:
    """Something that happens in a session."""
    form, order = dice.choice(scenarios.FORMS), dice.choice(scenarios.ORDERS)
    lasts_s = dice.choice((10, 29, 31, 60, 180, 600))
    events: list[Script] = [
        partial(scenarios.outage, form=form, lasts_s=lasts_s),
        partial(scenarios.throttle, retry_after=dice.choice(scenarios.RETRY_AFTER), lasts_s=lasts_s),
        partial(scenarios.backlog, order=order, lasts_s=lasts_s),
        partial(scenarios.late, late_s=dice.choice((8.0, 40.0, 200.0))),
        scenarios.renewals,
        scenarios.naps,
        scenarios.silent_websocket,
        scenarios.dropped_websockets,
        partial(scenarios.wrong_clock, error_s=dice.choice((60, 7200, -619_315_200))),
        scenarios.rare_errors,
    ]
    return dice.choice(events)


async def session(w: World, dice: random.Random, since_ms: int) -> None:
    """Trackers are switched on one after the other, things happen, and at the end everything is accounted for."""
    for ch in w.channels:
        w.power(ch, on=True)
        await asyncio.sleep(dice.uniform(1, 60))
    pauses = sorted(dice.uniform(0, SESSION_S / 2) for _ in range(EVENTS_PER_SESSION))
    for one_s, next_s in pairwise([0.0, *pauses]):
        await asyncio.sleep(next_s - one_s)
        await drawn(dice)(w)
    await settle(w, since_ms=since_ms)
    for ch in w.channels:
        w.power(ch, on=False)


async def soak(days: int, seed: int, trackers: int, folder: Path) -> None:
    """Play and print."""
    dice = random.Random(seed)
    async with world(folder, seed=seed, trackers=trackers) as w:
        for ch in w.channels:
            w.power(ch, on=False)
        print(HEAD)
        before = _Totals(w)
        for day in range(1, days + 1):
            began_s, midnight_s, since_ms = time.perf_counter(), asyncio.get_running_loop().time(), w.now_ms
            for at_s, what in sorted(
                [(RESTART_AT_S, None), *((at_s, session) for at_s in SESSIONS_AT_S)], key=lambda entry: entry[0]
            ):
                await asyncio.sleep(max(0.0, midnight_s + at_s - asyncio.get_running_loop().time()))
                if what is None:
                    await w.stop()
                    await asyncio.sleep(dice.choice((0, 5, 45, 600)))
                    w.take_source(SOURCES[day % len(SOURCES)])
                    await w.start()
                else:
                    await what(w, dice, since_ms)
            await asyncio.sleep(max(0.0, midnight_s + 24 * HOUR_S - asyncio.get_running_loop().time()))
            now = _Totals(w)
            print(now.line(before, day, time.perf_counter() - began_s, w, since_ms), flush=True)
            before = now
        for ch in w.channels:
            w.power(ch, on=True)
        await asyncio.sleep(60)
        assert_every_row_is_accounted_for(w)
        assert set(w.witness.verdicts) == {"fresh", "exact"}, w.witness.verdicts
        assert len(w.witness.epochs) == 1, w.witness.epochs
        rows = sum(account.rows for account in accounts(w))
        print(f"every row is accounted for: {rows} received once each, over {days} planned restarts under one epoch")


class _Totals:
    def __init__(self, w: World) -> None:
        self.polls = w.cloud.requests["latest_data"]
        self.streamed = w.streamed + w.gateway.cloud.traffic.messages

    def line(self, before: "_Totals", day: int, real_s: float, w: World, since_ms: int) -> str:
        books = accounts(w, since_ms)
        missing: Counter[str] = sum((account.missing for account in books), Counter())
        silent = missing.pop("device_silent", 0)
        gaps = Counter(
            (gap["reason"], gap["state"])
            for told in w.witness.told.values()
            for gap in told.gaps.values()
            if gap["from_ms"] >= since_ms
        )
        named = ", ".join(f"{count} {reason} {state}" for (reason, state), count in sorted(gaps.items()))
        rss_mb = psutil.Process().memory_info().rss / 1e6
        return (
            f"{day:3d} {24 * day:6d} {self.polls - before.polls:7d} {self.streamed - before.streamed:9d}"
            f" {sum(b.rows for b in books):9d} {sum(b.repaired for b in books):9d} {missing.total():8d} {silent:7d}"
            f" {sum(len(b.lacking) for b in books):10d} {rss_mb:7.0f} {real_s:7.1f}  {named or 'none'}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--trackers", type=int, default=2)
    options = parser.parse_args()
    logging.getLogger("gateway").addHandler(logging.NullHandler())  # what it warns of is what is done to it here
    failures: list[BaseException] = []
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        try:
            runner.run(soak(options.days, options.seed, options.trackers, Path(folder)))
        except* AssertionError as failed:
            failures += failed.exceptions
    for failure in failures:
        print(failure)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())

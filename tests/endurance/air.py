"""Weeks of a radio in virtual time, over a real D-Bus and the real bleak: disasters and sensors drawn by a seed.

    python -m tests.endurance.air --days 14 --seed 3

A line for each day, then how often what happened, how long the radio took to recover, and how often each promise was
checked; the exit status is 1 if one was broken. The same seed plays the same weeks.

A day has two sessions of an hour and a half, with something new every half minute or so. Thinned out against real life:
sensors advertise every 2.5 s instead of up to ten times a second, passers-by every 10 s; between sessions and at night
only a beacon is in the air, every 20 s, on every second day not even that, and nothing happens but one disaster each.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.bystanders import Bystander
from tests.bluetooth.listening import running
from tests.endurance.air_acts import RADIO, Act, drawn
from tests.endurance.air_oracle import Oracle, Records, holdings
from tests.endurance.air_world import TEAM, Air, air
from tests.endurance.world import VirtualLoop

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
SESSIONS_AT_S = (9 * HOUR_S, 15 * HOUR_S)
SESSION_S = 1.5 * HOUR_S
CALM_S = 180.0
"""How long nothing happens before what is held is counted: by then what was heard of others is forgotten."""

SPARE = {"objects": 500, "resident kB": 4096}
"""By how much two quiet times may differ for reasons of Python's own; in all else the later one has nothing more."""

BOUNDED = {"book": 2 * len(TEAM), "census": 2 * len(TEAM), "echoes": 64}
"""What is remembered of the team's sensors, and of devices with which there was a link, never more than so much."""

HEAD = "day  hours  acts  looks  advertisements  errors    fds  tasks  objects  RSS MB  real s  broken"


class Weeks:
    """A course of days.

    Attributes:
        held: What the process held at each quiet time, oldest first.
    """

    def __init__(self, world: Air) -> None:
        self.held: list[dict[str, int]] = []
        self._air = world
        self._busy: set[object] = set()
        self._beacon = Bystander(Peripheral("1B:77:0A:D3:4E:92", is_random=True, manufacturer_data={76: b"\x02"}), 20.0)

    async def session(self, length_s: float, pause_s: float = 30.0) -> None:
        """The team comes, things happen, the team goes."""
        world = self._air
        for tracker in world.team:
            world.near(tracker.sensor, world.dice.uniform(1, 8))
            tracker.is_on = True
            await asyncio.sleep(world.dice.uniform(0, 10))
        end_s = world.now_s() + length_s
        async with asyncio.TaskGroup() as tasks:
            while world.now_s() < end_s:
                await asyncio.sleep(world.dice.uniform(0, 2 * pause_s))
                act, things = drawn(world)
                if not things & self._busy:
                    tasks.create_task(self._play(act, things))
        for tracker in world.team:
            tracker.is_on = False
            world.airspace.released(tracker.sensor, tracker.serial_number)
            world.away(tracker.sensor)

    async def calm(self) -> None:
        """Nothing happens, and what is held is counted."""
        await asyncio.sleep(CALM_S)
        self.held.append(holdings(self._air))

    async def day(self, number: int) -> None:
        """From midnight to midnight."""
        midnight_s = self._air.now_s()
        if number % 2:
            self._air.near(self._beacon)
        for at_s in SESSIONS_AT_S:
            await asyncio.sleep(midnight_s + at_s - HOUR_S - self._air.now_s())
            await self._air.dice.choice(RADIO)[0](self._air)
            await asyncio.sleep(midnight_s + at_s - self._air.now_s())
            await self.session(SESSION_S)
        await asyncio.sleep(midnight_s + DAY_S - 2 * CALM_S - self._air.now_s())
        if number % 2:
            self._air.away(self._beacon)
        await asyncio.sleep(CALM_S)
        await self.calm()

    async def _play(self, act: Act, things: frozenset[object]) -> None:
        self._busy |= things
        try:
            await act(self._air)
        finally:
            self._busy -= things


def growth(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """What is held more than before, beyond what may be."""
    limits = {name: BOUNDED.get(name, count + SPARE.get(name, 0)) for name, count in before.items()}
    return {name: count - before[name] for name, count in after.items() if count > limits[name]}


async def weeks(days: int, seed: int, records: Records) -> list[str]:
    """Play and print; returns what was wrong."""
    async with air(seed) as world:
        course, oracle = Weeks(world), Oracle(world)
        print(HEAD, flush=True)
        async with running(oracle.watch()):
            for number in range(1, days + 1):
                began_s, acts, heard = time.perf_counter(), world.happened.total(), _heard(world)
                looks = world.looks.total()
                await course.day(number)
                held = course.held[-1]
                print(
                    f"{number:3d} {24 * number:6d} {world.happened.total() - acts:5d} {world.looks.total() - looks:6d}"
                    f" {_heard(world) - heard:15d} {len(records.wrong):7d} {held['file descriptors']:6d}"
                    f" {held['tasks']:6d} {held['objects']:8d} {held['resident kB'] / 1024:7.1f}"
                    f" {time.perf_counter() - began_s:7.1f} {len(oracle.violations):7d}",
                    flush=True,
                )
        _print_summary(world, oracle, records, course)
        grown = growth(course.held[min(1, days - 1)], course.held[-1])
        return [*oracle.violations, *records.wrong, *(f"grown: {name} by {count}" for name, count in grown.items())]


def _heard(world: Air) -> int:
    return world.sightings.counters.advertisements


def _print_summary(world: Air, oracle: Oracle, records: Records, course: Weeks) -> None:
    print(f"\n{datetime.now(UTC):%Y-%m-%d}\n\nwhat happened                                     times")
    for name, count in sorted(world.happened.items()):
        print(f"{name:48s}{count:7d}")
    print("\ncloser looks ended with                            times")
    for name, count in world.looks.most_common():
        print(f"{name:48s}{count:7d}")
    print("\nlistened again, counted from the end of            at most")
    for name, longest_s in sorted(world.recoveries.items()):
        print(f"{name:48s}{longest_s:8.2f} s")
    for name, longest_s in sorted(oracle.longest.items()):
        print(f"{name:48s}{longest_s:8.2f} s")
    print("\npromise                                           checked")
    for name, count in sorted(oracle.checks.items()):
        print(f"{name:48s}{count:9d}")
    print(f"\nlogged by the gateway: {dict(records.counts)}")
    first, last = course.held[min(1, len(course.held) - 1)], course.held[-1]
    print("\nheld at a quiet time                            day 2      last")
    for name, count in first.items():
        print(f"{name:44s}{count:9d} {last[name]:9d}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    with logged() as records, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        broken = runner.run(weeks(options.days, options.seed, records))
    for text in broken:
        print(f"\n{text}")
    print(f"\n{len(broken)} promises were broken" if broken else "\nevery promise was kept")
    return int(bool(broken))


@contextlib.contextmanager
def logged() -> Iterator[Records]:
    """What is logged during the block, which is printed nowhere."""
    records, names = Records(), ("gateway", "bleak", "asyncio", "dbus_fast")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(records)
        logger.setLevel(logging.DEBUG if logger.name == "gateway" else logging.ERROR)
        logger.propagate = False
    try:
        yield records
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(records)
            logger.setLevel(level)
            logger.propagate = propagate


if __name__ == "__main__":
    sys.exit(main())

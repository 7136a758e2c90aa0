"""What an advertisement costs from D-Bus to the book of sensors: CPU time of a process that listens, beside a bare one.

Run: ``python -m benchmarks.radio [--seconds 20]`` in the checkout. A fake bluetoothd in another process, which is not
counted, makes thirty straps audible ten times a second over a private D-Bus. Processes listen one after the other: a
bare scanner of bleak whose callback counts, the radio kept listening with the same callback, with the book of sensors,
and with the report that is made and told every second. Beside them what the book takes alone for the same
advertisements, and what resident memory `import bleak` adds.
"""

import argparse
import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.sensors import Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bluetooth.supervisor import Supervisor
from gateway.live.board import Board
from gateway.problems import Problems

STRAPS, PER_S = 30, 10
WARM_UP_S = 3.0
BARE, RADIO, RADIO_AND_BOOK, ALL, BOOK = (
    "bare bleak",
    "supervisor",
    "supervisor and book",
    "... told every second",
    "the book alone",
)
LISTENERS = (BARE, RADIO, RADIO_AND_BOOK, ALL, BOOK)


def main() -> None:
    """Measure each listener and print its line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2, help="of which the cheapest counts")
    parser.add_argument("--listen", choices=LISTENERS, help=argparse.SUPPRESS)
    parser.add_argument("--air", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.air:
        asyncio.run(_be_heard())
    elif options.listen:
        asyncio.run(_listen(options.listen, options.seconds))
    else:
        _compare(options.seconds, options.rounds)


def _compare(seconds: float, rounds: int) -> None:
    air = subprocess.Popen([sys.executable, "-m", "benchmarks.radio", "--air"], stdout=subprocess.PIPE, text=True)
    try:
        assert air.stdout is not None
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": air.stdout.readline().strip()}
        best: dict[str, tuple[float, ...]] = {}
        for _ in range(rounds):
            for listener in LISTENERS:
                command = [sys.executable, "-m", "benchmarks.radio", "--listen", listener, "--seconds", str(seconds)]
                printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
                measured = tuple(float(word) for word in printed.split())
                best[listener] = min(best.get(listener, measured), measured)
        print("listener              advertisements/s  CPU us/advertisement  of a core   to bare")
        for listener, (us, per_s) in best.items():
            print(f"{listener:22s}{per_s:16.1f}{us:22.1f}{us * per_s / 1e4:9.1f} %{us / best[BARE][0]:10.2f}")
        for module in ("bleak", "bleak.backends.bluezdbus.scanner", "gateway.bluetooth.supervisor"):
            for after in ("asyncio", "gateway.app"):
                print(f"import {module:34s}after {after:12s}adds {_added_mb(module, after):5.1f} MB resident")
    finally:
        air.terminate()
        air.wait()


async def _be_heard() -> None:
    """The fake bluetoothd: print where it is, and let straps advertise until terminated."""
    from gateway.simulator.bluez.bus import private_bus
    from gateway.simulator.bluez.service import FakeBluez
    from gateway.simulator.sensor_models import POLAR_H10, Unit
    from gateway.simulator.sensors import Sensor, Vitals

    loop, stop, chance = asyncio.get_running_loop(), asyncio.Event(), random.Random(1)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    straps = [Sensor(Unit(POLAR_H10, number)) for number in range(STRAPS)]
    async with private_bus() as bus, FakeBluez(bus.address).running() as bluez:
        print(bus.address, flush=True)
        began_s = loop.time()
        for number in itertools.count():
            if stop.is_set():
                return
            strap = straps[number % STRAPS]
            strap.advertise(Vitals(heart_rate_bpm=140 + number // 300 % 5), loop.time())
            bluez.hear(strap.peripheral, chance.randint(-80, -60))
            await asyncio.sleep(began_s + number / STRAPS / PER_S - loop.time())


async def _listen(listener: str, seconds: float) -> None:
    """Print CPU microseconds per advertisement, and advertisements per second."""
    heard: list[tuple[Advertisement, float]] = []
    book, count = Sightings(), itertools.count()

    def hear(_device: BLEDevice, _data: AdvertisementData) -> None:
        next(count)

    def take(advertisement: Advertisement, now_s: float) -> None:
        next(count)
        if listener == BOOK:
            heard.append((advertisement, now_s))
        elif listener != RADIO:
            book.heard(advertisement, now_s)

    async with AsyncExitStack() as stack:
        if listener == BARE:
            await stack.enter_async_context(BleakScanner(hear))
        else:
            radio = Supervisor(take)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            running = [tasks.create_task(radio.run())]
            stack.callback(lambda: [task.cancel() for task in running])
            if listener == ALL:
                sensors = Sensors(radio, book, _NoTrackers(), Problems(lambda: 0), Board(), lambda: 0)
                running.append(tasks.create_task(sensors.run(lambda: None)))
        await asyncio.sleep(WARM_UP_S)
        before, cpu_ns, began_s = next(count), time.process_time_ns(), time.monotonic()
        await asyncio.sleep(seconds)
        cpu_ns, lasted_s, events = time.process_time_ns() - cpu_ns, time.monotonic() - began_s, next(count) - before - 1
    if listener == BOOK:
        events, lasted_s = len(heard), lasted_s + WARM_UP_S
        cpu_ns = min(_entered_ns(heard) for _ in range(20))
    print(cpu_ns / 1000 / events, events / lasted_s)


def _entered_ns(heard: list[tuple[Advertisement, float]]) -> int:
    book, began_ns = Sightings(), time.process_time_ns()
    for advertisement, now_s in heard:
        book.heard(advertisement, now_s)
    return time.process_time_ns() - began_ns


class _NoTrackers:
    are_known = True

    def assignments(self) -> Sequence[Assignment]:
        return ()

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        del serial_number, kind
        return None

    def withheld(self) -> Sequence[tuple[str, str | None]]:
        return ()


def _added_mb(module: str, after: str) -> float:
    """Resident megabytes that an import adds in a process of its own that has imported something else before."""
    code = (
        f"import psutil, {after}; size = lambda: psutil.Process().memory_info().rss; before = size();"
        f"import {module}; print((size() - before) / 2**20)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()

"""What following the cloud costs, by source and number of trackers, beside a plain poller in the same run.

Run: ``python -m benchmarks.sources [--trackers 30 100 300 1000] [--seconds 30]`` in the checkout. The simulated cloud,
the gateway and the plain poller are processes of their own; what is printed is the CPU time of the follower alone. The
plain poller does what a script would: one aiohttp session, one request per tracker and second, spread evenly over the
second as the gateway's are, `json.loads`, and nothing kept. The gateway keeps rings of ten minutes, finds what is late,
missing or twice, and serves no client.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil

GATEWAY = [sys.executable, "-m", "gateway"]
PORT = 8798
WARM_UP_S = 30.0
WARM_UP_PER_TRACKER_S = 0.1
"""Claims, first full windows, handshakes, and the rate of requests that is still being learned: the steady state is
what is asked for."""

_UNTHROTTLED = {"throttle_rate_per_s": 100_000.0, "throttle_burst": 100_000}


def main() -> None:
    """Measure every size and print one line for each follower."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trackers", type=int, nargs="*", default=[30, 100, 300, 1000])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--plain", nargs=2, metavar=("CONFIG", "TRACKERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        asyncio.run(_poll_plainly(Path(options.plain[0]), int(options.plain[1])))
        return
    print("follower    trackers  events/s  CPU us/event  of a core  to plain  resident")
    for trackers in options.trackers:
        plain_us = None
        for follower in ("plain", "poll", "websocket"):
            events, cpu_us, memory_mb = _measure(follower, trackers, options.seconds)
            per_event_us = cpu_us / max(1, events)
            plain_us = plain_us or per_event_us
            print(
                f"{follower:10s}  {trackers:8d}  {events / options.seconds:8.1f}  {per_event_us:12.0f}"
                f"  {cpu_us / 1e4 / options.seconds:7.1f} %  {per_event_us / plain_us:8.2f}  {memory_mb:5.0f} MB",
                flush=True,
            )


def _measure(follower: str, trackers: int, seconds: float) -> tuple[float, float, float]:
    """Events (polls, or seconds of one tracker), CPU microseconds and resident MB of a follower in its steady state."""
    with tempfile.TemporaryDirectory() as folder, _simulator(trackers) as printed:
        secrets = dict(word.split("=", 1) for word in printed.split() if word.startswith("INSIDERS_"))
        config = Path(folder) / "config.toml"
        source = "auto" if follower == "plain" else follower
        config.write_text(
            f'{printed}\n[live]\nport = {PORT}\n[gateway]\nstate_dir = "{folder}"\n'
            f'[telemetry]\nring_minutes = 10\nrefill_minutes = 0\nsource = "{source}"\n'
        )
        command = [*GATEWAY, "run", "--config", str(config)]
        if follower == "plain":
            command = [sys.executable, "-m", "benchmarks.sources", "--plain", str(config), str(trackers)]
        process = subprocess.Popen(command, env={**os.environ, **secrets}, stderr=subprocess.DEVNULL)
        try:
            watched = psutil.Process(process.pid)
            time.sleep(WARM_UP_S + trackers * WARM_UP_PER_TRACKER_S)
            cpu_before, events_before = _cpu_us(watched), _events(follower)
            time.sleep(seconds)
            events, cpu_us = _events(follower) - events_before, _cpu_us(watched) - cpu_before
            if follower == "plain":
                events = trackers * seconds
            return events, cpu_us, watched.memory_info().rss / 2**20
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _simulator(trackers: int) -> Iterator[str]:
    """A simulated cloud that never throttles; what it prints is a configuration."""
    process = subprocess.Popen(
        [*GATEWAY, "simulate", "--port", "0", "--trackers", str(trackers)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        printed = "".join(iter(process.stdout.readline, "# That is all; stop with Ctrl-C.\n"))
        url = next(word for word in printed.split() if word.endswith("/simulator/faults"))
        body = json.dumps(_UNTHROTTLED).encode()
        urllib.request.urlopen(urllib.request.Request(url, body, method="PATCH")).close()
        yield printed
    finally:
        process.terminate()
        process.wait()


def _events(follower: str) -> float:
    """Polls answered, or websocket updates taken in, so far: a tenth of the rows, which come by tens."""
    if follower == "plain":
        return 0
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/v1/counters") as answer:
        counters = json.load(answer)
    if follower == "poll":
        return float(sum(channel["polls"] - channel["polls_failed"] for channel in counters["channels"]))
    return float(sum(channel["rows"] for channel in counters["channels"])) / 10


def _cpu_us(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system) * 1e6


async def _poll_plainly(config: Path, trackers: int) -> None:
    import tomllib

    settings = tomllib.loads(config.read_text())
    cloud = settings["cloud"]
    form = {
        "grant_type": "password",
        "username": cloud["username"],
        "password": os.environ["INSIDERS_PASSWORD"],
        "client_id": cloud["client_id"],
        "client_secret": os.environ["INSIDERS_CLIENT_SECRET"],
    }
    latest: dict[int, Any] = {}
    async with aiohttp.ClientSession() as session:
        async with session.post(cloud["token_url"] + "oauth2/token/", data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        devices = []
        async with session.get(cloud["api_url"] + "devices/", headers=headers, params={"limit": "3000"}) as answer:
            devices = [device["id"] for device in (await answer.json())["results"]]
        # What nobody has claimed yet is claimed, as the gateway does.
        url = cloud["api_url"] + "devices/take-ownership/"
        for entry in settings["trackers"][len(devices) : trackers]:
            async with session.post(url, headers=headers, json=entry) as answer:
                devices.append((await answer.json())["id"])

        async def follow(place: int, device: int) -> None:
            url = f"{cloud['api_url']}devices/{device}/latest-preprocessed-data/?size=20"
            await asyncio.sleep(place / len(devices))
            while True:
                began = time.monotonic()
                async with session.get(url, headers=headers) as answer:
                    latest[device] = json.loads(await answer.read())
                await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))

        async with asyncio.TaskGroup() as tasks:
            for place, device in enumerate(devices):
                tasks.create_task(follow(place, device))


if __name__ == "__main__":
    main()

"""What the whole daemon costs: CPU of one core and resident memory with 30 trackers at 1 Hz and one client.

Run: ``python -m benchmarks.daemon [--trackers 30] [--seconds 60]`` in the checkout. Simulator, gateway and client are
processes of their own; what is printed is the gateway's alone, its rings at full size from the start.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

GATEWAY = [sys.executable, "-m", "gateway"]


def main() -> None:
    """Start all three, watch the gateway, print its cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trackers", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        simulator = subprocess.Popen(
            [*GATEWAY, "simulate", "--port", "0", "--trackers", str(options.trackers)],
            stdout=subprocess.PIPE,
            text=True,
        )
        gateway = None
        try:
            assert simulator.stdout is not None
            printed = "".join(iter(simulator.stdout.readline, "# That is all; stop with Ctrl-C.\n"))
            secrets = dict(word.split("=", 1) for word in printed.split() if word.startswith("INSIDERS_"))
            config = Path(folder) / "config.toml"
            config.write_text(printed + "[live]\nport = 8799\n")
            started = time.monotonic()
            gateway = subprocess.Popen(
                [*GATEWAY, "run", "--config", str(config)], env={**os.environ, **secrets}, stderr=subprocess.DEVNULL
            )
            asyncio.run(_measure(psutil.Process(gateway.pid), started, options.trackers, options.seconds))
        finally:
            for process in (gateway, simulator):
                if process is not None:
                    process.terminate()
                    process.wait()


async def _measure(gateway: psutil.Process, started: float, trackers: int, seconds: float) -> None:
    url = "ws://127.0.0.1:8799/api/v1/stream"
    while True:
        try:
            ws = await connect(url, subprotocols=[Subprotocol("insiders.gw.v1+json")])
            break
        except OSError:
            await asyncio.sleep(0.02)
    await ws.send(json.dumps({"op": "sub", "sub": 1, "from": {"last_s": 10}}))
    rows, first_s, cpu_before, began = 0, None, 0.0, 0.0
    async for payload in ws:
        message = json.loads(payload)
        if message["op"] not in {"snap", "d"}:
            continue
        rows += sum(block["rows"] for block in message["blocks"])
        now = time.monotonic()
        if first_s is None and rows:
            first_s = now - started
        # The first seconds hold the claims and the first full windows; the steady state is what is asked for.
        if not began and now - started > 10:
            times = gateway.cpu_times()
            began, cpu_before, rows = now, times.user + times.system, 0
        elif began and now - began >= seconds:
            break
    times = gateway.cpu_times()
    elapsed = now - began
    memory = gateway.memory_info().rss / 2**20
    print(f"first value after start      {first_s:6.2f} s")
    print(f"rows to the client           {rows / elapsed:6.1f} per second ({trackers} trackers)")
    print(f"CPU of the gateway           {(times.user + times.system - cpu_before) / elapsed * 100:6.2f} % of one core")
    print(f"resident memory              {memory:6.1f} MB, rings of 30 min included")


if __name__ == "__main__":
    main()

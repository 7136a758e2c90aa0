"""What a recording costs on its way in and on its way into the cloud: CPU time, memory, and what is forced to the disk.

Run: ``python -m benchmarks.recordings [--mb 100]`` in the checkout. The simulated cloud is a process of its own and not
counted. Everything measured is one too, so that none finds the memory that another has left. "whole" is an upload as a
script would do it: the file is read, encoded and sent as one.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import msgspec
from yarl import URL

from benchmarks import desk
from gateway.cloud.auth import Authoriser, Login
from gateway.cloud.client import open_cloud
from gateway.cloud.endpoints import ENDPOINTS
from gateway.cloud.exchange import Exchange, Limits
from gateway.cloud.pacing import Pacer, Priority
from gateway.cloud.sessions import open_session
from gateway.cloud.transport import Transport
from gateway.secret import Secret
from gateway.store import open_store
from gateway.uploads.keeping.ledger import SCHEMA, Ledger
from gateway.uploads.keeping.spool import FOLDER, Spool
from gateway.uploads.sending.body import Body
from gateway.uploads.taking.intake import Intake
from gateway.uploads.taking.sources import OpenSource, look_of
from gateway.worker import Worker
from insiders_codecs.asi import BLOCK_BYTES, AsiBody

MB = 1_000_000
ROUNDS = 7
INGESTED, INGESTED_MB = 10, 10
ENCODED_MB = 32

Upload = Callable[[Path, str], Awaitable[None]]
"""Uploads a file with a SHA-256."""

Cloud = Mapping[str, str]


def main() -> None:
    """Measure everything, or one thing in a process that another has started for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mb", type=int, default=100, help="size of the recording that is uploaded")
    parser.add_argument(
        "--part",
        choices=["stream", "whole", "ingest", "desk"],
        help="only that; all but desk is meant for the benchmark itself",
    )
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    match options.part:
        case None:
            with tempfile.TemporaryDirectory() as folder:
                _print_encoding()
                _print_uploads(Path(folder), options.mb)
                _print_ingest(Path(folder))
            desk.print_costs()
        case "desk":
            desk.print_costs()
        case "ingest":
            print(json.dumps(asyncio.run(_ingest(options.folder, is_traced=options.traced))))
        case part:
            cloud = json.loads(os.environ["BENCHMARK_CLOUD"])
            print(json.dumps(asyncio.run(_uploaded(part, cloud, options.folder, is_traced=options.traced))))


# Encoding


def _print_encoding() -> None:
    content = os.urandom(ENCODED_MB * MB)
    ways: dict[str, Callable[[bytes], object]] = {
        "base64.b64encode of the whole": base64.b64encode,
        f"AsiBody, blocks of {BLOCK_BYTES // 1024} KiB": lambda asi: _encode(asi, BLOCK_BYTES),
        "AsiBody, blocks of 64 KiB": lambda asi: _encode(asi, 64 * 1024),
        "SHA-256, for comparison": lambda asi: hashlib.sha256(asi).digest(),
    }
    best_s = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start_s = time.process_time()
            way(content)
            best_s[name] = min(best_s[name], time.process_time() - start_s)
    reference_s = best_s["base64.b64encode of the whole"]
    print(f"{'encoding':<34}{'MB/s':>8}{'to the whole':>14}")
    for name, spent_s in best_s.items():
        print(f"{name:<34}{ENCODED_MB / spent_s:>8.0f}{spent_s / reference_s:>14.2f}")


def _encode(asi: bytes, block_bytes: int) -> None:
    body = AsiBody()
    view = memoryview(asi)
    for start in range(0, len(asi), block_bytes):
        body.feed(bytes(view[start : start + block_bytes]))  # a copy, as reading a file makes one
    body.end()


# Uploads


def _print_uploads(folder: Path, mb: int) -> None:
    recording = folder / "recording.asi"
    _make(recording, mb)
    print(f"\n{f'upload of {mb} MB':<24}{'CPU ms/MB':>11}{'to whole':>10}{'extra RSS':>12}{'tracemalloc':>13}")
    with _simulator(folder, mb) as cloud:
        found: dict[str, dict[str, float]] = {}
        for _ in range(3):
            for part in ("whole", "stream"):
                measured = _child(part, recording, cloud)
                best = found.setdefault(part, measured)
                found[part] = {name: min(value, measured[name]) for name, value in best.items()}
        for part, best in found.items():
            best.update(_child(part, recording, cloud, "--traced"))
    for part, measured in found.items():
        per_mb_ms, whole_s = measured["cpu_s"] / mb * 1000, found["whole"]["cpu_s"]
        extra, traced = measured["rss"] / MB, measured["traced"] / MB
        ratio = measured["cpu_s"] / whole_s
        print(f"{part:<24}{per_mb_ms:>11.2f}{ratio:>10.2f}{extra:>9.1f} MB{traced:>10.1f} MB")


@contextmanager
def _simulator(folder: Path, mb: int) -> Iterator[Cloud]:
    faults = folder / "faults.toml"
    faults.write_text(f"upload_limit_bytes = {2 * mb * MB}\n")
    command = [sys.executable, "-m", "gateway", "simulate", "--port", "0", "--trackers", "1", "--faults", str(faults)]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert simulator.stdout is not None
        printed = "".join(iter(simulator.stdout.readline, "# That is all; stop with Ctrl-C.\n"))
        secrets = dict(word.split("=", 1) for word in printed.split() if word.startswith("INSIDERS_"))
        config = tomllib.loads(printed)
        yield {**config["cloud"], **secrets, **config["trackers"][0]}
    finally:
        simulator.terminate()
        simulator.wait()


async def _uploaded(part: str, cloud: Cloud, recording: Path, *, is_traced: bool) -> dict[str, float]:
    """Upload a small recording, so that everything is loaded, and then measure the large one."""
    small = recording.with_suffix(".small.asi")
    _make(small, 1)
    async with (_streaming if part == "stream" else _sending_whole)(cloud) as upload:
        await upload(small, _sha256(small))
        sha256 = _sha256(recording)
        return await _measured(lambda: upload(recording, sha256), is_traced=is_traced)


@asynccontextmanager
async def _streaming(cloud: Cloud) -> AsyncGenerator[Upload, None]:
    """As the gateway does it: read in blocks by another thread, hashed, and held back before its end."""
    async with open_cloud(
        api_url=cloud["api_url"],
        token_url=cloud["token_url"],
        websocket_url=cloud["websocket_url"],
        username=cloud["username"],
        password=Secret(cloud["INSIDERS_PASSWORD"]),
        client_id=cloud["client_id"],
        client_secret=Secret(cloud["INSIDERS_CLIENT_SECRET"]),
    ) as client:
        device = await client.take_ownership(cloud["serial_number"], cloud["device_name"])
        with closing(Worker("reading")) as worker:

            async def nothing() -> None:
                pass

            async def upload(path: Path, sha256: str) -> None:
                body = Body(path, path.stat().st_size, sha256, worker, begin=nothing, close=nothing)
                await client.load_asi(device.id, body.stream)

            yield upload


@asynccontextmanager
async def _sending_whole(cloud: Cloud) -> AsyncGenerator[Upload, None]:
    """Read whole, encoded whole, sent whole; login and pacing as always."""
    async with open_session() as session:
        exchange = Exchange(session, Pacer(), Limits(total_s=600.0))
        login = Login(
            cloud["username"],
            Secret(cloud["INSIDERS_PASSWORD"]),
            cloud["client_id"],
            Secret(cloud["INSIDERS_CLIENT_SECRET"]),
        )
        path = ENDPOINTS["token"].path
        authoriser = Authoriser(exchange, URL(cloud["token_url"] + path), path, login)
        transport = Transport(exchange, authoriser, cloud["api_url"], ENDPOINTS)
        claim = {name: cloud[name] for name in ("serial_number", "device_name")}
        device = await transport.send(
            "take_ownership", msgspec.json.decode, priority=Priority.CONTROL, body=msgspec.json.encode(claim)
        )

        async def upload(path: Path, _sha256: str) -> None:
            text = base64.b64encode(path.read_bytes()).decode()
            body = msgspec.json.encode({"asi_b64": text})
            ids = {"device": device["id"]}
            await transport.send("load_asi", msgspec.json.decode, priority=Priority.UPLOAD, ids=ids, body=body)

        yield upload


# Ingest


def _print_ingest(folder: Path) -> None:
    measured = _child("ingest", _inbox(folder, "measured", INGESTED))
    traced = _child("ingest", _inbox(folder, "traced", INGESTED), None, "--traced")["traced"]
    cpu_ms = measured["cpu_s"] / INGESTED / INGESTED_MB * 1000
    print(f"\n{f'ingest of {INGESTED} x {INGESTED_MB} MB':<34}{'each':>12}")
    print(f"{'CPU':<34}{cpu_ms:>6.2f} ms/MB")
    print(f"{'extra RSS, peak':<34}{measured['rss'] / MB:>9.1f} MB")
    print(f"{'tracemalloc, peak':<34}{traced / MB:>9.1f} MB")
    if shutil.which("strace") is None:
        print("fsyncs: not counted, strace is not installed")
        return
    without = _flushes(_inbox(folder, "empty", 0))
    flushes = (_flushes(_inbox(folder, "flushed", INGESTED)) - without) / INGESTED
    print(f"{'fsync + fdatasync':<34}{flushes:>12.1f}")


def _inbox(folder: Path, name: str, files: int) -> Path:
    state = folder / name
    inbox = state / "inbox"
    inbox.mkdir(parents=True)
    for number in range(files):
        _make(inbox / f"{number}.asi", INGESTED_MB)
    return state


def _flushes(state: Path) -> int:
    """How often a whole run of an ingest forces something to the disk."""
    log = state / "strace"
    _child("ingest", state, None, tracer=["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(log)])
    return sum("fsync(" in line or "fdatasync(" in line for line in log.read_text().splitlines())


async def _ingest(state: Path, *, is_traced: bool) -> dict[str, float]:
    def utc_ms() -> int:
        return time.time_ns() // 1_000_000

    inbox = state / "inbox"
    with closing(Worker("spool")) as worker, closing(Worker("taking")) as taking:
        async with open_store(state, [SCHEMA]) as store:
            spool = Spool(state / FOLDER, 1 << 40)
            ledger = Ledger(store, spool, worker, utc_ms)
            await ledger.load()
            intake = Intake(spool, ledger, taking, 1 << 30, utc_ms)

            async def take_all() -> None:
                for path in sorted(inbox.iterdir()):
                    source = OpenSource(inbox, look_of(path.name, path.lstat()))
                    await intake.take_file(source, name=path.name, serial_number=None, span=None)

            return await _measured(take_all, is_traced=is_traced)


# Measuring


async def _measured(work: Callable[[], Awaitable[None]], *, is_traced: bool) -> dict[str, float]:
    if is_traced:
        tracemalloc.start()
        await work()
        return {"traced": tracemalloc.get_traced_memory()[1]}
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, start_s = _memory("VmRSS"), time.process_time()
    await work()
    return {"cpu_s": time.process_time() - start_s, "rss": _memory("VmHWM") - before}


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _child(
    part: str, folder: Path, cloud: Cloud | None = None, *options: str, tracer: list[str] | None = None
) -> dict[str, float]:
    command = [*(tracer or []), sys.executable, "-m", "benchmarks.recordings", "--part", part, "--folder", str(folder)]
    environment = {**os.environ, "BENCHMARK_CLOUD": json.dumps(cloud)}
    done = subprocess.run([*command, *options], env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _make(path: Path, mb: int) -> None:
    with path.open("wb") as file:
        file.write(b"ASI" + bytes(7) + b"ASI V2")
        for _ in range(mb):
            file.write(os.urandom(MB))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()

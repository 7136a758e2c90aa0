"""One run: a server, its clients, and what both showed in a window of time."""

import json
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from insiders_codecs.live import Codec

ROW_MS = 100
STAMP = b"\xa2t0\xcf"
"""What stands before the time of a message's first block."""

_NOTES = np.dtype([("client", "<u4"), ("size", "<u4"), ("stamp", "<u8"), ("came_ns", "<u8")])
_SLACK_NS = 10_000_000
"""Of a run's window at its end: what was sent in it has been read by then."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent to how many.

    Attributes:
        clients: Who read.
        trackers: In each frame.
        batch_ms: Between two frames.
        hz: Rows of each tracker a second.
        stuck: Clients more, who never read.
        ack_ms: Between two acknowledgements of a client, in the gateway's protocol; 0 for none.
    """

    clients: int
    trackers: int = 30
    batch_ms: int = 200
    hz: int = 10
    stuck: int = 0
    ack_ms: int = 1000

    @property
    def serving(self) -> list[str]:
        """The command of the gateway's server."""
        feed_ms = min(ROW_MS, self.batch_ms)
        arguments = (self.trackers, feed_ms, self.hz * feed_ms // 1000)
        return [sys.executable, "-m", "benchmarks.fanout.serving", *map(str, arguments)]

    @property
    def subscription(self) -> bytes:
        """The client's request."""
        packed: bytes = msgpack.packb({"op": "sub", "sub": 1, "batch_ms": self.batch_ms})
        return packed


@dataclass(frozen=True, slots=True)
class Run:
    """What one run has shown.

    Attributes:
        cpu_us: Of the server, user and system, for each frame that a client has got.
        fed_us: Of that, what bringing rows into the rings takes, which is there without any client.
        p50_ms: Latency: from when a frame begins to be made until a client has it.
        p99_ms: The same, of 99 in 100.
        rss_mb: Resident memory of the server at the end.
        grown_kb: By how much that has grown.
        frame_bytes: Of a frame, on average.
        per_s: Frames that each client got a second.
    """

    cpu_us: float
    fed_us: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    grown_kb: float
    frame_bytes: float
    per_s: float


def captured(case: Case) -> bytes:
    """A message of the gateway's with samples, as it goes to each client."""
    with _process(case.serving) as server:
        port = int(_line(server))
        with connect(
            f"ws://127.0.0.1:{port}/api/v1/stream", subprotocols=[Subprotocol(Codec.MSGPACK)], compression=None
        ) as ws:
            ws.send(case.subscription)
            payloads: list[bytes] = []
            while len(payloads) < 5:
                payload = ws.recv()
                assert isinstance(payload, bytes)
                message = msgpack.unpackb(payload)
                if message["op"] == "d" and message["blocks"]:
                    payloads.append(payload)
        return sorted(payloads, key=len)[len(payloads) // 2]


def run(
    command: Sequence[str],
    clients: Path,
    case: Case,
    *,
    is_gateway: bool,
    settle_s: float,
    window_s: float,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Let a server serve its clients, and watch them for a while.

    Args:
        command: Of the server, which prints its port.
        clients: The program of the clients.
        case: What is asked for.
        is_gateway: Whether it speaks the gateway's protocol, and tells when it read what at the end.
        settle_s: Until the window begins.
        window_s: How long it is.
        environment: Of the server.
    """
    with _process(command, environment) as server:
        port = _line(server)
        asked = case.subscription.hex() if is_gateway else "-"
        ack_ms = case.ack_ms if is_gateway else 0
        numbers = (port, case.clients + case.stuck, case.stuck, ack_ms)
        with _process([str(clients), *map(str, numbers), asked]) as crowd:
            if _line(crowd) != "ready":
                raise RuntimeError("The clients could not connect; what they said stands above.")
            time.sleep(settle_s)
            began_ns, cpu_ns, rss = time.monotonic_ns(), _cpu_ns(server.pid), _rss(server.pid)
            time.sleep(window_s)
            ended_ns, cpu_ns, grown = time.monotonic_ns(), _cpu_ns(server.pid) - cpu_ns, _rss(server.pid) - rss
            time.sleep(_SLACK_NS / 1e9)
            notes = np.frombuffer(_rest(crowd), _NOTES)
        told = json.loads(_rest(server)) if is_gateway else {}
    notes = notes[(notes["came_ns"] >= began_ns) & (notes["came_ns"] < ended_ns)]
    if not len(notes):
        raise RuntimeError("Nothing came to the clients.")
    latency_ms = (notes["came_ns"].astype(np.int64) - _begun_ns(notes, told)) / 1e6
    return Run(
        cpu_us=cpu_ns / len(notes) / 1000,
        fed_us=_fed_ns(told, began_ns, ended_ns) / len(notes) / 1000,
        p50_ms=float(np.percentile(latency_ms, 50)),
        p99_ms=float(np.percentile(latency_ms, 99)),
        rss_mb=(rss + grown) / 2**20,
        grown_kb=grown / 2**10,
        frame_bytes=float(notes["size"].mean()),
        per_s=len(notes) / case.clients / window_s,
    )


def _begun_ns(notes: NDArray[Any], told: Mapping[str, Any]) -> NDArray[np.int64]:
    """When each frame began to be made: what it says itself, or when the gateway read its first rows."""
    if not told:
        return notes["stamp"].astype(np.int64)
    reads: dict[int, list[int]] = {}
    for stamp, at_ns in told["reads"]:
        reads.setdefault(stamp, []).append(at_ns)
    every = sorted(at_ns for _, at_ns in told["reads"])
    # Somebody out of step has rows read for them alone: it was the last time before the frame came. A message that has
    # no room for the first tracker's rows, because the machine has kept us waiting, goes with the one before it.
    begun = [
        max((at_ns for at_ns in reads.get(stamp, ()) if at_ns <= came_ns), default=every[bisect(every, came_ns) - 1])
        for stamp, came_ns in zip(notes["stamp"].tolist(), notes["came_ns"].tolist(), strict=True)
    ]
    return np.array(begun, np.int64)


def _fed_ns(told: Mapping[str, Any], began_ns: int, ended_ns: int) -> int:
    fed = [spent_ns for at_ns, spent_ns in told.get("fed", ()) if began_ns <= at_ns < ended_ns]
    return int(fed[-1] - fed[0]) if fed else 0


@contextmanager
def _process(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program with pipes, ended with the context."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def _rest(process: subprocess.Popen[bytes]) -> bytes:
    """What it prints when it is told to end."""
    printed, _ = process.communicate(timeout=20)
    return printed


def _cpu_ns(pid: int) -> int:
    """All that its threads have run, user and system, to the nanosecond: what psutil says is counted in 10 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads)


def _rss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024

"""The gateway's own server in a process of its own, fed by nobody but a clock.

Run by `benchmarks.fanout`: ``python -m benchmarks.fanout.serving TRACKERS FEED_MS ROWS``. It prints its port, feeds
`ROWS` rows to each tracker every `FEED_MS`, and when its standard input ends prints what happened when, as JSON.
"""

import asyncio
import json
import sys
import time

import numpy as np

from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.limits import Limits
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.ring import Ring
from insiders_codecs.live import Arrivals
from insiders_codecs.samples import QUANTITIES, SAMPLE_PERIOD_MS, Column, SampleBlock

RING_ROWS = 600
"""A minute: full from the start, so that memory does not grow by what is fed."""

T0_MS = 1_795_300_000_000
MANY = 1000


class WatchedRing(Ring):
    """Takes note of when its rows were read, which is when a message with them begins to be made."""

    def __init__(self, ch: int, capacity: int) -> None:
        super().__init__(ch, capacity)
        self.reads: list[tuple[int, int]] = []

    def read(self, after: int, limit: int) -> Arrivals | None:
        """As any ring, and the time of the first row is noted with the monotonic time in nanoseconds."""
        run = super().read(after, limit)
        if run is not None:
            self.reads.append((int(run.block.t_ms[0]), time.monotonic_ns()))
        return run


def rows(start: int, count: int) -> SampleBlock:
    """Rows of somebody who runs, each with all its values."""
    values = np.full((len(QUANTITIES), count), 1.0)
    for column, value in (
        (Column.LATITUDE, 46.5196535),
        (Column.LONGITUDE, 6.6322734),
        (Column.ALTITUDE, 495.213),
        (Column.SPEED, 3.417),
        (Column.HEART_RATE, 151),
        (Column.POWER, 243),
        (Column.CADENCE, 92),
        (Column.BATTERY, 90),
    ):
        values[column] = value + 1e-6 * (start % 1000)
    return SampleBlock(T0_MS + SAMPLE_PERIOD_MS * np.arange(start, start + count), values)


async def serve(trackers: int, feed_ms: int, count: int) -> dict[str, object]:
    """Serve until the standard input ends.

    Returns:
        `reads`: when which first row of the first tracker was read; `fed`: at which times how many nanoseconds of CPU
        the feeding had taken so far. Times are monotonic, nanoseconds.
    """
    channels = {
        ch: Channel(ch, Wearer(f"SN-{ch:04d}", f"Athlete {ch}", ch), RING_ROWS) for ch in range(1, trackers + 1)
    }
    watched = channels[1].ring = WatchedRing(1, RING_ROWS)
    board, loop = Board(), asyncio.get_running_loop()
    for channel in channels.values():
        channel.device_id = 4000 + channel.ch
        channel.rows_came(rows(0, 2 * RING_ROWS), loop.time())
        board.channel_changed(channel)
    hub = Hub(channels, board, "bench", "Bench", "0.0", 60.0, lambda: T0_MS, lambda: True)
    limits = Limits(max_clients=MANY, max_clients_per_address=MANY)
    ended, fed, fed_ns = asyncio.Event(), list[tuple[int, int]](), 0
    loop.add_reader(sys.stdin, ended.set)
    async with LiveServer(hub, dict, limits=limits, is_open_on_loopback=True).listening("127.0.0.1", 0) as port:
        print(port, flush=True)
        start, due_s = 2 * RING_ROWS, loop.time()
        while not ended.is_set():
            before_ns, now_s = time.thread_time_ns(), loop.time()
            for channel in channels.values():
                channel.rows_came(rows(start, count), now_s)
            fed_ns += time.thread_time_ns() - before_ns
            fed.append((time.monotonic_ns(), fed_ns))
            start, due_s = start + count, due_s + feed_ms / 1000
            await asyncio.sleep(due_s - loop.time())
        return {"reads": watched.reads, "fed": fed}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(serve(*map(int, sys.argv[1:])))), flush=True)

"""What a sample costs on its way: decoding, appending, reading, encoding. CPU time, the smallest of many rounds.

Run: ``python -m benchmarks.codecs_and_ring`` in the checkout. Rounds of the things compared take turns, so that a noisy
machine disturbs all of them alike; the smallest round is the one that was disturbed least.
"""

import json
import time
import tracemalloc
from collections.abc import Callable

import msgspec
import numpy as np

from gateway.telemetry.ring import Ring
from insiders_codecs.cloud import decode_rows
from insiders_codecs.live import Arrivals, Codec, encode_rows
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

ROUNDS = 60
KEYS = (
    "gnss.timestamp", "gnss.latitude", "gnss.longitude", "gnss.altitude", "gnss.speed",
    "ecg.hr", "pwr.pwr_instantpower", "pwr.pwr_cadence", "device.Bat_lvl", "device.standstill",
)  # fmt: skip
T0 = 1_700_000_000_597


def body(rows: int) -> bytes:
    """An answer of the latest-data endpoint, newest first, heart rate and the like on each tenth row."""
    document = []
    for row in range(rows):
        fields = {
            "gnss.timestamp": T0 - 100 * row,
            "gnss.latitude": 46.5196535 + row * 1e-6,
            "gnss.longitude": 6.6322734 - row * 1e-6,
            "gnss.altitude": 495.213,
            "gnss.speed": 3.417,
        }
        if row % 10 == 0:
            fields |= {"ecg.hr": 151, "pwr.pwr_instantpower": 243, "pwr.pwr_cadence": 92, "device.Bat_lvl": 90}
        document.append(fields)
    return json.dumps(document, separators=(",", ":")).encode()


def block(start: int, rows: int) -> SampleBlock:
    """Rows as a decoded answer holds them."""
    decoded = decode_rows(body(rows)).block
    return SampleBlock(T0 + 100 * np.arange(start, start + rows), decoded.values)


def smallest_us(**works: Callable[[], object]) -> dict[str, float]:
    """CPU microseconds per call of each, the smallest of `ROUNDS` rounds that take turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.process_time_ns()
            for _ in range(200):
                work()
            best[name] = min(best[name], (time.process_time_ns() - began) / 200 / 1000)
    return best


def decoding() -> None:
    """Bytes of the cloud to columns, beside the plain way through the standard library."""
    for rows in (10, 20, 300):
        payload = body(rows)

        def plainly(payload: bytes = payload) -> object:
            parsed = json.loads(payload)
            return [np.array([row.get(key) for row in parsed], np.float64) for key in KEYS]

        cost = smallest_us(decode=lambda payload=payload: decode_rows(payload), plain=plainly)  # type: ignore[misc]
        print(
            f"decode, {rows:3} rows          {cost['decode'] / rows:6.3f} us/row"
            f"   ({cost['plain'] / cost['decode']:.1f} x cheaper than json + one array per column)"
        )


def appending() -> None:
    """Columns into the ring."""
    for rows, overlap, capacity in (
        (10, 0, 18_000),
        (20, 10, 18_000),
        (20, 10, 600),
        (300, 0, 180_000),
        (3000, 0, 36_000),
    ):
        blocks = [block(turn * (rows - overlap), rows) for turn in range(max(12, min(300, 36_000 // rows)))]
        held = [part for part in blocks if capacity == 600][:100]
        best = float("inf")
        for _ in range(ROUNDS if rows < 3000 else 10):
            ring = Ring(1, capacity)
            for part in held:
                ring.append(part)
            began = time.process_time_ns()
            for part in blocks[len(held) :]:
                ring.append(part)
            best = min(best, (time.process_time_ns() - began) / (len(blocks) - len(held)) / 1000)
        known = f", {overlap} of them known" if overlap else ""
        full = ", ring full" if held else ""
        print(f"append, {rows:4} rows        {best:7.2f} us, {best / (rows - overlap):.3f} us/new row{known}{full}")
    tracemalloc.start()
    rings = [Ring(ch, 18_000) for ch in range(10)]
    print(f"ring                      {tracemalloc.get_traced_memory()[0] / len(rings) / 18_000:7.2f} bytes/row")
    tracemalloc.stop()


def encoding() -> None:
    """One frame of 30 trackers x 10 rows, out of their rings."""
    rng = np.random.default_rng(1)
    rings = []
    for ch in range(1, 31):
        part = block(0, 10)
        part.values[Column.LATITUDE] += np.round(rng.random(10) / 1000, 7)
        rings.append(Ring(ch, 100))
        rings[-1].append(part)
    columns = range(len(QUANTITIES))
    head = {"op": "d", "sub": 1, "seq": 1}

    def read() -> list[Arrivals]:
        return [run for ring in rings if (run := ring.read(0, 470)) is not None]

    runs = read()
    rows = [
        {"ch": run.ch, "t": int(t), **dict(zip("abcdefghi", run.block.values[:, i].tolist(), strict=True))}
        for run in runs
        for i, t in enumerate(run.block.t_ms)
    ]
    cost = smallest_us(
        read=read,
        msgpack=lambda: encode_rows(head, runs, columns, Codec.MSGPACK),
        json=lambda: encode_rows(head, runs, columns, Codec.JSON),
        objects=lambda: msgspec.json.encode(rows),
    )
    print(f"read   30 x 10            {cost['read']:7.1f} us")
    for codec in Codec:
        size = len(encode_rows(head, runs, columns, codec))
        print(
            f"encode 30 x 10, {codec.name.lower():7}  {cost[codec.name.lower()]:7.1f} us, {size / 300:5.1f} bytes/row"
        )
    size = len(msgspec.json.encode(rows))
    print(
        f"  (JSON object per row     {cost['objects']:7.1f} us, {size / 300:5.1f} bytes/row, from ready-made objects)"
    )


if __name__ == "__main__":
    decoding()
    appending()
    encoding()

"""What the pairings' evidence costs each second. CPU time of a turn, mean of some.

Run: ``python -m benchmarks.pairing_evidence`` in the checkout. Every tracker sends ten rows a second, and of all straps
that there may be each broadcasts its heart rate.
"""

import asyncio
import time

import numpy as np

from gateway.bluetooth.radio import RadioState
from gateway.bluetooth.receiver import NoReceiver
from gateway.bluetooth.sensors import Sensors
from gateway.bluetooth.sightings import Sightings
from gateway.bridges.evidence import PairingEvidence
from gateway.bridges.sensors import SensorUsers
from gateway.live.board import Board
from gateway.pairing.evidence.broadcasts import MOST_STRAPS
from gateway.pairing.evidence.proof import SPAN_S
from gateway.problems import Problems
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

FLEETS = (30, 1000)
TURNS = 20
RING_ROWS = 3000
NOW_MS = 1_795_000_000_000


class Broadcasting(Sensors):
    """Straps that all broadcast another heart, which no radio has to hear."""

    count, second = 0, 0

    def heart_rates(self) -> dict[str, int]:
        """What is in the air."""
        return {f"strap {number}": heart_bpm(number, self.second) for number in range(self.count)}


def heart_bpm(number: int, second: int) -> int:
    """Of one athlete, who is like no other."""
    return int(120 + number % 50 + 30 * np.sin((second + 7 * number) / 20))


def rows(number: int, second: int) -> SampleBlock:
    """One second of one tracker."""
    values = np.full((len(QUANTITIES), 10), np.nan)
    values[Column.SPEED] = 3.0
    values[Column.HEART_RATE, 0] = heart_bpm(number, second)
    return SampleBlock(NOW_MS + 1000 * second + 100 * np.arange(10, dtype=np.int64), values)


async def turn_ms(trackers: int) -> float:
    """A turn's cost when all series are full."""
    channels = {number: Channel(number, Wearer(f"SIM-{number:04}"), RING_ROWS) for number in range(trackers)}
    board, problems = Board(), Problems(lambda: NOW_MS)
    receiver, users = NoReceiver(RadioState.DISABLED), SensorUsers(channels)
    sensors = Broadcasting(receiver, Sightings(), users, problems, board, lambda: NOW_MS)
    sensors.count = min(trackers, MOST_STRAPS)
    evidence = PairingEvidence(channels, sensors, lambda: NOW_MS + 1000 * sensors.second)
    spent_s = 0.0
    for second in range(SPAN_S + TURNS):
        sensors.second = second
        for number, channel in channels.items():
            channel.device_id = number
            channel.rows_came(rows(number, second), float(second))
        start_s = time.process_time()
        evidence.take(float(second))
        spent_s += time.process_time() - start_s if second >= SPAN_S else 0.0
    if not any(match.seconds > SPAN_S // 2 for match in evidence.matches().values()):
        raise SystemExit("Nothing was compared, so the numbers mean nothing.")
    return spent_s / TURNS * 1000


for fleet in FLEETS:
    print(f"{fleet} trackers: {asyncio.run(turn_ms(fleet)):.1f} ms a second")

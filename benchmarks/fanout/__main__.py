"""What it costs to send every client its frames: the gateway beside a bare writer in C, and beside Node with `ws`.

Run: ``python -m benchmarks.fanout [--rounds 3] [--window 2.5] [--quick]`` in the checkout. Clients are one process of
their own, and each server is another one, made anew for each run. The servers take turns, round after round; what is
printed are medians. All send frames of the same size at the same pace.

*to C* is CPU per frame beside the bare writer's; *fed*, which rows take that come into the rings whether anybody
listens or not, is left out of it. *p99* is the median of the rounds, and *least* that of the round which the machine's
other users disturbed least. *grown* is by how much resident memory grew in the window.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.fanout.running import STAMP, Case, Run, captured, run
from benchmarks.fanout.tools import SOURCES, MissingError, compiled, node_with_ws
from gateway.live.door.doors import SEND_BUFFER_BYTES

FLOOR, GATEWAY, SILENT, PEER = "C, epoll", "gateway", "gateway, no acks", "Node ws"

HUNDRED, THREE_HUNDRED, FOUR_KB = "100 clients", "300 clients", "100 clients, 4 kB"
_FLOOD = Case(99, trackers=50, batch_ms=50, hz=80)
CASES = {
    "1 client": Case(1),
    "10 clients": Case(10),
    HUNDRED: Case(100),
    THREE_HUNDRED: Case(300),
    FOUR_KB: Case(100, trackers=50),
    "99 clients, 6 kB, 20/s": _FLOOD,
    "and one that never reads": replace(_FLOOD, stuck=1),
}
QUICK = ("10 clients", FOUR_KB)
SETTLE_S, PEER_SETTLE_S = 1.2, 3.0
"""Until the window begins. Node compiles what it does often, for which it is given time."""

_Found = Mapping[str, Sequence[Run]]


@dataclass(frozen=True, slots=True)
class Rivals:
    """Those that take turns.

    Attributes:
        clients: The program of the clients.
        floor: The bare writer.
        node: The environment in which Node finds `ws`; None if it is left out.
    """

    clients: Path
    floor: Path
    node: Mapping[str, str] | None

    def runs(self, case: Case, payload: Path, window_s: float) -> dict[str, Run]:
        """One run of each.

        Args:
            case: What is asked for.
            payload: A message that the gateway has sent there.
            window_s: Seconds that count.
        """
        stamp_at = payload.read_bytes().index(STAMP) + len(STAMP)
        frame = [str(payload), str(stamp_at), str(case.batch_ms)]
        go = partial(run, clients=self.clients, window_s=window_s, settle_s=SETTLE_S)
        made = {
            FLOOR: go([str(self.floor), *frame, str(SEND_BUFFER_BYTES)], case=case, is_gateway=False),
            GATEWAY: go(case.serving, case=case, is_gateway=True),
        }
        if case == CASES[FOUR_KB]:
            made[SILENT] = go(case.serving, case=replace(case, ack_ms=0), is_gateway=True)
        if self.node is not None:
            peer = ["node", str(SOURCES / "fanout_peer.cjs"), *frame]
            made[PEER] = go(peer, case=case, is_gateway=False, settle_s=PEER_SETTLE_S, environment=self.node)
        return made


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=float, default=2.5, help="seconds of each run that count")
    parser.add_argument("--quick", action="store_true", help=f"only {' and '.join(QUICK)}")
    options = parser.parse_args()
    names = QUICK if options.quick else tuple(CASES)
    with tempfile.TemporaryDirectory() as folder:
        try:
            rivals = _rivals(Path(folder))
        except MissingError as missing:
            print(f"Nothing was measured: {missing}.")
            return 1
        found = _compared(rivals, names, Path(folder), options.rounds, options.window)
    print(f"{'':27}{'':16}  bytes   /s  CPU us  to C  of it fed  p50 ms  p99 ms   least  RSS MB  grown kB")
    for name, servers in found.items():
        _print(name, servers)
    if HUNDRED in found and THREE_HUNDRED in found:
        _print_slope(found[HUNDRED], found[THREE_HUNDRED])
    return 0


def _rivals(folder: Path) -> Rivals:
    clients, floor = compiled("fanout_clients", folder), compiled("fanout_floor", folder)
    try:
        return Rivals(clients, floor, node_with_ws(folder))
    except MissingError as missing:
        print(f"Without Node: {missing}.")
        return Rivals(clients, floor, None)


def _compared(
    rivals: Rivals, names: Sequence[str], folder: Path, rounds: int, window_s: float
) -> dict[str, dict[str, list[Run]]]:
    payloads = {name: folder / f"payload-{number}" for number, name in enumerate(names)}
    for name, payload in payloads.items():
        payload.write_bytes(captured(CASES[name]))
    found: dict[str, dict[str, list[Run]]] = {name: {} for name in names}
    for turn in range(rounds):
        for name, payload in payloads.items():
            print(f"\rround {turn + 1} of {rounds}: {name:30}", end="", file=sys.stderr, flush=True)
            for server, one in rivals.runs(CASES[name], payload, window_s).items():
                found[name].setdefault(server, []).append(one)
    print(file=sys.stderr)
    return found


def _print(name: str, servers: _Found) -> None:
    floor_us = _mid(servers[FLOOR], "cpu_us")
    for server, runs in servers.items():
        cpu_us, fed_us = _mid(runs, "cpu_us"), _mid(runs, "fed_us")
        print(
            f"{name if server == FLOOR else '':27}{server:16}{_mid(runs, 'frame_bytes'):7.0f}{_mid(runs, 'per_s'):5.1f}"
            f"{cpu_us:8.1f}{(cpu_us - fed_us) / floor_us:6.2f}{fed_us:11.1f}{_mid(runs, 'p50_ms'):8.2f}"
            f"{_mid(runs, 'p99_ms'):8.2f}{min(one.p99_ms for one in runs):8.2f}"
            f"{_mid(runs, 'rss_mb'):8.1f}{_mid(runs, 'grown_kb'):10.0f}"
        )


def _print_slope(few: _Found, many: _Found) -> None:
    """What one more client costs: what is done once for all of them falls out."""
    slopes = {}
    for server in few:
        per_s = [clients * _mid(found[server], "per_s") for clients, found in ((100, few), (300, many))]
        us_per_s = [_mid(found[server], "cpu_us") * rate for found, rate in zip((few, many), per_s, strict=True)]
        slopes[server] = (us_per_s[1] - us_per_s[0]) / (per_s[1] - per_s[0])
    print("each frame of each client more, from 100 to 300 of them, CPU us:")
    for server, slope in slopes.items():
        print(f"{'':27}{server:16}{slope:20.1f}{slope / slopes[FLOOR]:6.2f}")


def _mid(runs: Sequence[Run], field: str) -> float:
    return float(median(getattr(one, field) for one in runs))


if __name__ == "__main__":
    sys.exit(main())

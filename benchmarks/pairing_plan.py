"""What the plan of a large fleet costs. CPU time, smallest of some rounds.

Run: ``python -m benchmarks.pairing_plan`` in the checkout. A club has thirty trackers; a thousand show what grows
faster than the fleet does. Every tracker has both sensors managed, and all the evidence there can be.
"""

import time
from collections import Counter
from dataclasses import replace

from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Documents, Sensor, Slot
from gateway.pairing.observation import Air, Delivery, Ears, Fleet, Match, Observation
from gateway.pairing.planning.changes import approval_of, change_sets
from gateway.pairing.planning.plan import plan

TRACKERS = 1000
AIM_MS = 200
ROUNDS = 7
NOW_MS = 1_700_000_000_000
NOTHING = Document()


def strap(number: int) -> Sensor:
    number %= TRACKERS
    return Sensor(f"a0:9e:1a:00:{number >> 8:02x}:{number & 255:02x}", f"Polar H10 {number:08X}")


def meter(number: int) -> Sensor:
    return Sensor(f"e0:9e:1a:00:{number >> 8:02x}:{number & 255:02x}", f"ASSIOMA{number:05d}L")


def sensors(number: int) -> Document:
    """Those of one tracker."""
    return Document(strap(number), meter(number))


def tracker(number: int, target: Document, current: Document) -> Observation:
    """One that shall have the sensors of its number."""
    serial_number = f"SIM-{number:04d}"
    return Observation(
        serial_number,
        Desired(strap(number), meter(number), generation=1),
        documents=Documents(target, current),
        read_ago_s=3.0,
        contact_ago_s=1.0,
        waiting_s=None if target == current else 400.0,
        delivery=dict.fromkeys(Slot, Delivery.FLOWING),
        air=dict.fromkeys(Slot, Air("seen", silent_s=1.0, rssi_dbm=-60)),
        match=Match(serial_number, 0.9, 120),
    )


def fleet(trackers: list[Observation]) -> Fleet:
    return Fleet(tuple(trackers), ears=Ears("listening", 600.0), now_ms=NOW_MS)


def shifted(number: int) -> Document:
    """What a tracker has of which every one shall have the strap of the one before."""
    return sensors(number).with_(Slot.HEART_RATE, strap(number + 1))


def fleets() -> dict[str, Fleet]:
    """By what is the matter with them."""
    numbers = range(TRACKERS)
    in_sync = fleet([tracker(number, sensors(number), sensors(number)) for number in numbers])
    circle = fleet([tracker(number, shifted(number), shifted(number)) for number in numbers])
    (group,) = change_sets(circle)
    approval = approval_of(group.changes, circle, "Kim")
    return {
        "in sync": in_sync,
        "all to be written": fleet([tracker(number, NOTHING, NOTHING) for number in numbers]),
        "all waiting for their trackers": fleet([tracker(number, sensors(number), NOTHING) for number in numbers]),
        "one circle of all": circle,
        "one circle of all, approved": replace(circle, approvals=(approval,)),
        "nothing read yet": replace(
            in_sync, trackers=tuple(replace(it, documents=None, read_ago_s=None) for it in in_sync.trackers)
        ),
    }


def main() -> None:
    """Measure and print."""
    print(f"plan of {TRACKERS} trackers, ms of CPU (aim: < {AIM_MS})")
    for name, one in fleets().items():
        best_ms = float("inf")
        for _ in range(ROUNDS):
            began_ns = time.process_time_ns()
            made = plan(one)
            best_ms = min(best_ms, (time.process_time_ns() - began_ns) / 1e6)
        states = Counter(str(it.state) for it in made.trackers.values())
        writes = sum(it.write is not None for it in made.trackers.values())
        told = ", ".join(f"{count} {state}" for state, count in states.items())
        print(f"{name:32s}{best_ms:7.1f}   {told}, {writes} writes")


if __name__ == "__main__":
    main()

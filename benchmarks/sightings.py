"""What an advertisement costs: from what bleak hands over to the book of sensors. CPU time, smallest of many rounds.

Run: ``python -m benchmarks.sightings`` in the checkout. Thirty straps of which each is heard ten times a second, with
frame counters and signals that move, beside what a script would do with the same: one entry of a dict. What BlueZ,
D-Bus and bleak cost before is not in it.
"""

import asyncio
import random
import time
from collections.abc import Callable

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from gateway.bluetooth.advertisement import Advertisement
from gateway.bluetooth.scanner import Scanner
from gateway.bluetooth.sightings import Sightings
from insiders_codecs.address import AddressKind
from insiders_codecs.gatt import HEART_RATE_SERVICE, uuid16
from insiders_codecs.polar import POLAR_COMPANY

ROUNDS = 40
STRAPS, PER_S = 30, 10
SECONDS = 5
"""Of the air in one round."""

Heard = tuple[float, BLEDevice, AdvertisementData]


def air() -> list[Heard]:
    """Some seconds of thirty straps, in the order of time."""
    chance = random.Random(1)
    heard = []
    for event in range(SECONDS * PER_S):
        for strap in range(STRAPS):
            address = f"A0:9E:1A:00:00:{strap:02X}"
            properties = {"AddressType": "public", "Connected": False, "ServicesResolved": False}
            flags = 0x22 | (event // PER_S % 8) << 2
            data = AdvertisementData(
                local_name=f"Polar H10 {strap:08X}",
                manufacturer_data={POLAR_COMPANY: bytes([flags, 0, 140 + event % 5, 140 + event % 5])},
                service_data={},
                service_uuids=[HEART_RATE_SERVICE, uuid16(0x180F)],
                tx_power=None,
                rssi=chance.randint(-80, -60),
                platform_data=(f"/org/bluez/hci0/dev_{address.replace(':', '_')}", properties),
            )
            device = BLEDevice(address, data.local_name, {})
            heard.append((event / PER_S + strap / STRAPS / PER_S, device, data))
    return heard


def smallest_us(per_round: int, works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU microseconds per advertisement of each, the smallest of `ROUNDS` rounds that take turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            began = time.process_time_ns()
            work()
            best[name] = min(best[name], (time.process_time_ns() - began) / per_round / 1000)
    return best


async def main() -> None:
    """Measure and print."""
    heard = air()
    converted: list[tuple[float, Advertisement]] = []
    taking = Scanner(lambda advertisement, _: converted.append((0.0, advertisement)), _let_go)
    for _, device, data in heard:
        taking._take(device, data)
    converted = [(now_s, advertisement) for (now_s, _, _), (_, advertisement) in zip(heard, converted, strict=True)]
    strangers = [
        Advertisement(f"4{number:01x}:00:00:00:00:00", AddressKind.RESOLVABLE, None, -80, frozenset(), {76: b""}, None)
        for number in range(16)
    ]

    def plainly() -> object:
        latest = {}
        for now_s, device, data in heard:
            latest[device.address] = (now_s, data.rssi, data.local_name, data.service_uuids)
        return latest

    def convert() -> object:
        scanner = Scanner(lambda _, __: None, _let_go)
        for _, device, data in heard:
            scanner._take(device, data)
        return scanner

    def enter() -> Sightings:
        book = Sightings()
        for now_s, advertisement in converted:
            book.heard(advertisement, now_s)
        return book

    def convert_and_enter() -> object:
        book = Sightings()
        times_s = iter([now_s for now_s, _, _ in heard])
        scanner = Scanner(lambda advertisement, _: book.heard(advertisement, next(times_s)), _let_go)
        for _, device, data in heard:
            scanner._take(device, data)
        return book

    def count_strangers() -> object:
        book = Sightings()
        for number in range(len(heard)):
            book.heard(strangers[number % 16], number / 300)
        return book

    cost = smallest_us(
        len(heard),
        {
            "one entry of a dict": plainly,
            "bleak's data to an advertisement": convert,
            "an advertisement into the book": enter,
            "both": convert_and_enter,
            "a stranger's, only counted": count_strangers,
        },
    )
    for name, us in cost.items():
        print(f"{name:34s}{us:7.2f} us")
    book = enter()
    assert len(book.sensors) == STRAPS
    assert not book.counters.over_rate
    upkeep = smallest_us(1, {"upkeep": lambda: book.forget(SECONDS)})["upkeep"]
    print(f"{'forgetting, once a second':34s}{upkeep:7.2f} us")
    print(f"of a core, {STRAPS} straps x {PER_S}/s       {(cost['both'] * STRAPS * PER_S + upkeep) / 1e4:7.2f} %")


async def _let_go(path: str) -> None:
    """No link is ever made here."""
    del path


if __name__ == "__main__":
    asyncio.run(main())

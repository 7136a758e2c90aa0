"""A heart rate strap to put in the air, and what a scanner made of it."""

from typing import Self

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from gateway.simulator.bluez.peripheral import Characteristic, Peripheral, Service

BATTERY = "0000180f-0000-1000-8000-00805f9b34fb"
BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"
HEART_RATE = "0000180d-0000-1000-8000-00805f9b34fb"
HEART_RATE_CONTROL = "00002a39-0000-1000-8000-00805f9b34fb"
HEART_RATE_MEASUREMENT = "00002a37-0000-1000-8000-00805f9b34fb"
POLAR = 0x006B


def strap(number: int = 1) -> Peripheral:
    return Peripheral(
        address=f"A0:9E:1A:00:00:{number:02X}",
        name=f"Polar H10 {number:08X}",
        services=(HEART_RATE,),
        manufacturer_data={POLAR: bytes.fromhex("33 00 00 38")},
        gatt=(
            Service(
                HEART_RATE,
                (
                    Characteristic(HEART_RATE_MEASUREMENT, ("notify",)),
                    Characteristic(HEART_RATE_CONTROL, ("write",), is_acquirable=False),
                ),
            ),
            Service(BATTERY, (Characteristic(BATTERY_LEVEL, ("read", "notify"), b"\x50", is_acquirable=False),)),
        ),
    )


class Listener:
    """A scanner, and everything it was told."""

    def __init__(self, adapter: str | None = None) -> None:
        self.heard: list[tuple[BLEDevice, AdvertisementData]] = []
        self.scanner = BleakScanner(
            lambda device, advertisement: self.heard.append((device, advertisement)),
            bluez={"adapter": adapter} if adapter else {},
        )

    async def __aenter__(self) -> Self:
        await self.scanner.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.scanner.stop()

    @property
    def last(self) -> tuple[BLEDevice, AdvertisementData]:
        return self.heard[-1]

    @property
    def rssi(self) -> list[int]:
        return [advertisement.rssi for _, advertisement in self.heard]

    @property
    def known(self) -> list[str]:
        return sorted(device.address for device in self.scanner.discovered_devices)

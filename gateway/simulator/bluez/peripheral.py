"""A Bluetooth LE device as the radio meets it: what it advertises, and what it offers over a link."""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Characteristic:
    """A GATT characteristic. The value is what a read finds now.

    Flags are BlueZ's words: "read", "notify", "write", "write-without-response", "indicate", "broadcast".
    """

    uuid: str  # 128 bits, lower case
    flags: tuple[str, ...] = ("read",)
    value: bytes = b""
    is_acquirable: bool = True  # notifications may also be had over a socket (AcquireNotify)

    @property
    def notifies(self) -> bool:
        """Whether it can notify or indicate."""
        return "notify" in self.flags or "indicate" in self.flags


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A primary GATT service."""

    uuid: str  # 128 bits, lower case
    characteristics: tuple[Characteristic, ...]


@dataclass(slots=True, eq=False)
class Peripheral:
    """One device. Every field may change at any time; the next advertisement, read or connection shows it."""

    address: str  # "A0:9E:1A:00:00:01"
    name: str | None = None
    is_random: bool = False
    services: tuple[str, ...] = ()  # advertised UUIDs, 128 bits, lower case
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)  # by company
    service_data: dict[str, bytes] = field(default_factory=dict)  # by UUID
    appearance: int | None = None
    tx_power: int | None = None  # dBm
    gatt: tuple[Service, ...] = ()
    accepts_link: bool = True  # False: out of reach or taken; who connects waits until they give up

    def characteristic(self, uuid: str) -> Characteristic:
        """The characteristic with this UUID; KeyError if it has none."""
        for service in self.gatt:
            for characteristic in service.characteristics:
                if characteristic.uuid == uuid:
                    return characteristic
        raise KeyError(uuid)

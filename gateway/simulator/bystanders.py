"""Other people's devices near the gateway: phones that change their address, earphones, a beacon."""

import random

from gateway.simulator.bluez.peripheral import Peripheral
from gateway.simulator.sensors import Vitals

ROTATION_S = 900.0
"""How long a phone keeps a private address. Source: Bluetooth Core, TGAP(private_addr_int)."""

_APPLE, _SAMSUNG = 0x004C, 0x0075


class Bystander:
    """A device that is no sensor.

    Attributes:
        peripheral: How the radio sees it now; another one after each change of address.
        interval_s: How often it advertises.
    """

    def __init__(self, peripheral: Peripheral, interval_s: float, *, dice: random.Random | None = None) -> None:
        """Make it; with dice its address is a resolvable private one, and changes."""
        self.peripheral = peripheral
        self.interval_s = interval_s
        self._dice = dice
        self._rotates_s: float | None = None

    def advertise(self, _vitals: Vitals | None, now_s: float) -> None:
        """Change the address when it is time."""
        if self._dice is None:
            return
        if self._rotates_s is None:
            self._rotates_s = now_s + self._dice.uniform(0, ROTATION_S)
        elif now_s >= self._rotates_s:
            self._rotates_s = now_s + ROTATION_S
            self.peripheral = _phone(self._dice)


def bystanders(seed: int) -> list[Bystander]:
    """A few of each kind."""
    dice = random.Random(seed)
    phones = [Bystander(_phone(dice), dice.uniform(0.2, 0.9), dice=dice) for _ in range(5)]
    earphones = Peripheral("38:18:4C:22:51:7E", name="LE-WH-1000XM4", manufacturer_data={0x012D: b"\x04\x00\x01"})
    beacon = Peripheral("1B:77:0A:D3:4E:92", is_random=True, manufacturer_data={_APPLE: bytes.fromhex("021500")})
    return [*phones, Bystander(earphones, 0.5), Bystander(beacon, 1.0)]


def _phone(dice: random.Random) -> Peripheral:
    """A phone with a new resolvable private address: its two highest bits are 01."""
    octets = bytearray(dice.randbytes(6))
    octets[0] = 0x40 | octets[0] & 0x3F
    company = dice.choice((_APPLE, _SAMSUNG))
    data = b"\x10\x05" + dice.randbytes(5)
    return Peripheral(octets.hex(":").upper(), is_random=True, manufacturer_data={company: data})

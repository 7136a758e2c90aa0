"""The fake bluetoothd is tried with what its users use: bleak, and their own fixtures."""

from tests.bluetooth.conftest import bluez, bus

__all__ = ["bluez", "bus"]

"""What is made of bleak's errors: which state of the radio, and words that name nobody."""

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from gateway.bluetooth.radio import RadioState
from gateway.bluetooth.scanner import _radio_error, _words

ADDRESS = "A0:9E:1A:00:00:01"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (BleakBluetoothNotAvailableError("", BleakBluetoothNotAvailableReason.NO_BLUETOOTH), RadioState.NO_ADAPTER),
        (
            BleakBluetoothNotAvailableError("", BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE),
            RadioState.NO_CENTRAL,
        ),
        (BleakBluetoothNotAvailableError("", BleakBluetoothNotAvailableReason.POWERED_OFF), RadioState.POWERED_OFF),
        (BleakBluetoothNotAvailableError("", BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM), RadioState.DENIED),
        (BleakBluetoothNotAvailableError("", BleakBluetoothNotAvailableReason.UNKNOWN), RadioState.FAILED),
        (BleakDBusError("org.bluez.Error.NotReady", []), RadioState.POWERED_OFF),
        (BleakDBusError("org.bluez.Error.InProgress", []), RadioState.BUSY),
        (BleakDBusError("org.bluez.Error.OfALaterVersion", []), RadioState.FAILED),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", []), RadioState.NO_SERVICE),
        (BleakDBusError("org.freedesktop.DBus.Error.Spawn.ChildExited", []), RadioState.NO_SERVICE),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", []), RadioState.DENIED),
        (BleakError("adapter 'hci7' not found"), RadioState.NO_ADAPTER),
        (TimeoutError(), RadioState.FAILED),
        (PermissionError(), RadioState.DENIED),
        (FileNotFoundError(), RadioState.NO_BUS),
        (ConnectionRefusedError(), RadioState.NO_BUS),
        (EOFError(), RadioState.NO_BUS),
        (ZeroDivisionError(), RadioState.FAILED),
    ],
)
def test_an_error_is_a_state_of_the_radio(error: Exception, state: RadioState) -> None:
    assert _radio_error(error).state is state


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BleakError(f"device 'dev_{ADDRESS.replace(':', '_')}' not found"), "BleakError"),
        (BleakDeviceNotFoundError(ADDRESS, f"Device with address {ADDRESS} was not found"), "BleakDeviceNotFoundError"),
        (BleakDBusError("org.bluez.Error.Failed", [f"{ADDRESS} refused"]), "org.bluez.Error.Failed"),
        (BleakGATTProtocolError(0x05), "INSUFFICIENT_AUTHENTICATION"),
        (TimeoutError(ADDRESS), "no answer in time"),
        (KeyError(ADDRESS), "KeyError"),
    ],
)
def test_what_went_wrong_is_said_in_words_that_name_no_device(error: Exception, words: str) -> None:
    assert _words(error) == words

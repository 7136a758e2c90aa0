"""UUIDs as the Bluetooth libraries write them."""

import uuid

import pytest

from insiders_codecs import gatt

NUMBERS = {
    "HEART_RATE_SERVICE": 0x180D,
    "HEART_RATE_MEASUREMENT": 0x2A37,
    "BODY_SENSOR_LOCATION": 0x2A38,
    "CYCLING_POWER_SERVICE": 0x1818,
    "CYCLING_POWER_MEASUREMENT": 0x2A63,
    "CYCLING_POWER_FEATURE": 0x2A65,
    "SENSOR_LOCATION": 0x2A5D,
    "BATTERY_SERVICE": 0x180F,
    "BATTERY_LEVEL": 0x2A19,
    "DEVICE_INFORMATION_SERVICE": 0x180A,
    "MANUFACTURER_NAME": 0x2A29,
    "MODEL_NUMBER": 0x2A24,
    "SERIAL_NUMBER": 0x2A25,
    "FIRMWARE_REVISION": 0x2A26,
    "HARDWARE_REVISION": 0x2A27,
    "SOFTWARE_REVISION": 0x2A28,
    "SYSTEM_ID": 0x2A23,
    "PNP_ID": 0x2A50,
}
"""From the Bluetooth SIG's Assigned Numbers."""

BASE = uuid.UUID("00000000-0000-1000-8000-00805f9b34fb")


@pytest.mark.parametrize(("name", "number"), NUMBERS.items())
def test_a_uuid_is_its_assigned_number_on_the_base(name: str, number: int) -> None:
    assert getattr(gatt, name) == str(uuid.UUID(int=BASE.int | number << 96)) == gatt.uuid16(number)


def test_a_uuid_is_what_bleak_makes_of_the_number() -> None:
    from bleak.uuids import normalize_uuid_16

    assert gatt.HEART_RATE_SERVICE == normalize_uuid_16(0x180D) == "0000180d-0000-1000-8000-00805f9b34fb"

"""The GATT services and characteristics that are used here, as bleak and BlueZ write them: lower-case 128-bit UUIDs.

Numbers: Bluetooth SIG, Assigned Numbers.
"""


def uuid16(number: int) -> str:
    """The 128-bit form of a number that the Bluetooth SIG assigned, for example 0x180D."""
    return f"{number:08x}-0000-1000-8000-00805f9b34fb"


HEART_RATE_SERVICE = uuid16(0x180D)
HEART_RATE_MEASUREMENT = uuid16(0x2A37)
BODY_SENSOR_LOCATION = uuid16(0x2A38)

CYCLING_POWER_SERVICE = uuid16(0x1818)
CYCLING_POWER_MEASUREMENT = uuid16(0x2A63)
CYCLING_POWER_FEATURE = uuid16(0x2A65)
SENSOR_LOCATION = uuid16(0x2A5D)

BATTERY_SERVICE = uuid16(0x180F)
BATTERY_LEVEL = uuid16(0x2A19)

DEVICE_INFORMATION_SERVICE = uuid16(0x180A)
MANUFACTURER_NAME = uuid16(0x2A29)
MODEL_NUMBER = uuid16(0x2A24)
SERIAL_NUMBER = uuid16(0x2A25)
FIRMWARE_REVISION = uuid16(0x2A26)
HARDWARE_REVISION = uuid16(0x2A27)
SOFTWARE_REVISION = uuid16(0x2A28)
SYSTEM_ID = uuid16(0x2A23)
PNP_ID = uuid16(0x2A50)

"""The trackers as things: identifiers as they stand on the label and in the cloud's catalogue."""

from dataclasses import dataclass

FIRST_DEVICE_ID = 4101


@dataclass(slots=True)
class Device:
    """One tracker of the catalogue; `activation_ms` is None until somebody first claims it."""

    device_id: int
    device_name: str
    serial_number: str
    device_type: str
    firmware_version: str | None
    custom_name: str | None
    activation_ms: int | None

    def as_json(self) -> dict[str, object]:
        """The device object of the API."""
        return {
            "id": self.device_id,
            "device_name": self.device_name,
            "serial_number": self.serial_number,
            "device_type": self.device_type,
            "firmware_version": self.firmware_version,
            "custom_name": self.custom_name,
        }


def catalogue(trackers: int) -> tuple[Device, ...]:
    """That many trackers, numbered from 1; none is activated."""
    return tuple(
        Device(
            device_id=FIRST_DEVICE_ID + place,
            device_name=_imei(place + 1),
            serial_number=_serial(place + 1),
            device_type="Intense",
            firmware_version="2.4.1" if place % 4 else None,
            custom_name=None,
            activation_ms=None,
        )
        for place in range(trackers)
    )


def _serial(number: int) -> str:
    # Every third tracker has the serial number of its successor and a letter more, and stands before it in every list:
    # who takes the first answer to a "contains" filter takes the wrong one.
    return f"SIM-{number + 1:04d}B" if number % 3 == 2 else f"SIM-{number:04d}"


def _imei(number: int) -> str:
    """Fifteen digits with a valid check digit, in the range kept for test equipment."""
    body = f"00499901{number * 37 % 1_000_000:06d}"
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[1::2])
    return f"{body}{-(doubled + sum(int(digit) for digit in body[::2])) % 10}"

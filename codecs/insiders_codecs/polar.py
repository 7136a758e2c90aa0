"""The heart rate that Polar's sensors put into their advertisements, for everybody to read without a connection.

Format: what Polar's own BLE SDK reads (its classes BleAdvertisementContent and BlePolarHrAdvertisement).
"""

from dataclasses import dataclass

from insiders_codecs.errors import DecodeError

POLAR_COMPANY = 0x006B
"""The key of Polar's manufacturer data."""

_BATTERY_STATUS, _CONTACT, _OTHER_TYPE = 0x01, 0x02, 0x40
_SHORT_BYTES, _FULL_BYTES = 3, 4


@dataclass(frozen=True, slots=True)
class PolarHeartRate:
    """One advertised heart rate.

    A sensor goes on to advertise the last one it knew: it is worth something only while `frame_counter` moves.

    Attributes:
        heart_rate_bpm: The value for display (the slow average); 0 while there is none.
        is_contact: Whether the sensor touches the skin.
        frame_counter: 0 to 7, moves with every new value.
        battery_status: As sent. What it says of the battery is not documented.
        has_counter: Whether the counter can be trusted to move. In the three-byte form, that of the old H6 and H7, it
            may be dead: there another heart rate shows as well that the value is new.
    """

    heart_rate_bpm: int
    is_contact: bool
    frame_counter: int
    battery_status: bool
    has_counter: bool


def decode_polar_heart_rate(payload: bytes) -> PolarHeartRate | None:
    """What Polar's manufacturer data says of a heart.

    It is a row of blocks: any number of other types, which give their length and are skipped, then the heart rate,
    which does not. Where four bytes are left for that, the fourth is the value for display, otherwise the third is;
    more than four, which no known sensor sends, are ignored.

    Args:
        payload: Without the company.

    Returns:
        None if there is no heart rate in it.

    Raises:
        DecodeError: If a block is cut off.
    """
    offset = 0
    while offset < len(payload) and payload[offset] & _OTHER_TYPE:
        if offset + 1 == len(payload):
            raise DecodeError("Polar's manufacturer data is cut off")
        offset += 2 + payload[offset + 1]
    block = payload[offset:]
    if offset > len(payload) or 0 < len(block) < _SHORT_BYTES:
        raise DecodeError("Polar's manufacturer data is cut off")
    if not block:
        return None
    flags = block[0]
    return PolarHeartRate(
        heart_rate_bpm=block[3] if len(block) == _FULL_BYTES else block[2],
        is_contact=bool(flags & _CONTACT),
        frame_counter=flags >> 2 & 0b111,
        battery_status=bool(flags & _BATTERY_STATUS),
        has_counter=len(block) != _SHORT_BYTES,
    )

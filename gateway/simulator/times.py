"""Times as the cloud writes and reads them."""

from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import lru_cache

from gateway.simulator.errors import invalid

# The open end of an ownership.
SENTINEL_MS = 32_503_679_999_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(at_ms: int) -> str:
    """ISO time in UTC with microseconds and a final Z."""
    return _moment(at_ms).isoformat(timespec="microseconds").replace("+00:00", "Z")


def iso_offset(at_ms: int) -> str:
    """ISO time in UTC with microseconds and a numeric offset, as the latest timestamp has it."""
    return _moment(at_ms).isoformat(timespec="microseconds")


@lru_cache(maxsize=16)
def http_date(at_s: int) -> str:
    """A second of the epoch as HTTP headers have it."""
    return formatdate(at_s, usegmt=True)


def parse(field: str, text: str) -> int:
    """Epoch milliseconds from an integer of milliseconds or from ISO with an offset or Z.

    Raises:
        Refusal: 400 for anything else, such as an offset whose plus sign was not percent-encoded.
    """
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal():
        if len(digits) > 15:
            raise invalid(field, "Out of range.")
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(field, "Enter a valid date/time, ISO with offset or milliseconds.") from None
    if moment.tzinfo is None or "T" not in text:
        raise invalid(field, "Enter a date/time with an offset.")
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)

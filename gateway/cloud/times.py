"""Times as the API writes them: ISO 8601 in several shapes, or epoch milliseconds."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class TimeMs(int):
    """An instant, epoch milliseconds."""

    __slots__ = ()


def parse_time(value: object) -> TimeMs:
    """Read a time: ISO with ``Z`` or an offset, with or without seconds and fraction, or epoch milliseconds.

    A time without an offset is taken as UTC, and what is finer than a millisecond is cut off.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return TimeMs(value)
    if not isinstance(value, str):
        raise ValueError("no time")  # noqa: TRY004 - a decoder's hook may raise only this
    try:
        time = datetime.fromisoformat(value.strip())
        return TimeMs(((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND)
    except (ValueError, OverflowError):
        raise ValueError("no time") from None

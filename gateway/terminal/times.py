"""Times as a person reads them."""

from datetime import datetime


def clock(time_ms: int, now: datetime) -> str:
    """When something was, in the zone of `now`, with the date where that is not today's."""
    time = datetime.fromtimestamp(time_ms / 1000, now.tzinfo)
    return f"{time:%H:%M}" if time.date() == now.date() else f"{time:%d %b %H:%M}"

"""Whether a sensor is in the air, from when it was heard and since when anybody has listened."""

from enum import StrEnum


class Presence(StrEnum):
    """Whether a sensor is in the air."""

    SEEN = "seen"
    QUIET = "quiet"
    GONE = "gone"
    UNKNOWN = "unknown"
    """The radio does not listen, or has only just begun to."""


def presence(
    last_seen_s: float | None, interval_s: float | None, listening_since_s: float | None, now_s: float
) -> Presence:
    """Whether a sensor is in the air. Its silence counts only while the radio listens.

    Args:
        last_seen_s: When it was heard last; None if never.
        interval_s: How often it is usually heard; None if that is not known.
        listening_since_s: Since when the radio has been listening; None if it does not.
        now_s: The monotonic time.
    """
    if listening_since_s is None:
        return Presence.UNKNOWN
    interval_s = _USUAL_INTERVAL_S if interval_s is None else interval_s
    quiet_after_s = min(max(_QUIET_INTERVALS * interval_s, _QUIET_AT_LEAST_S), _QUIET_AT_MOST_S)
    if last_seen_s is not None and now_s - last_seen_s < quiet_after_s:
        return Presence.SEEN
    gone_after_s = min(max(_GONE_INTERVALS * interval_s, _GONE_AT_LEAST_S), _GONE_AT_MOST_S)
    heard_since_s = listening_since_s if last_seen_s is None else max(last_seen_s, listening_since_s)
    if now_s - heard_since_s >= gone_after_s:
        return Presence.GONE
    return Presence.QUIET if heard_since_s == last_seen_s else Presence.UNKNOWN


# Until its own is known, that of most straps.
_USUAL_INTERVAL_S = 1.0

# In intervals, because single advertisements are missed all the time. What was learned may be wrong, so there are
# bounds: the upper ones leave two and four advertisements to the slowest sensor there may be, with one in 10.24 s.
_QUIET_INTERVALS, _QUIET_AT_LEAST_S, _QUIET_AT_MOST_S = 4, 3.0, 25.0
_GONE_INTERVALS, _GONE_AT_LEAST_S, _GONE_AT_MOST_S = 10, 10.0, 45.0

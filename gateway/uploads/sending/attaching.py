"""Whether a recording can be from its tracker: its time against what the cloud knows of that. Pure.

A file from last week in the wrong folder would fill somebody else's Tuesday. What cannot be known speaks for nothing: a
question is asked only where the cloud says when the tracker was ours or in use, and that was another time.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gateway.uploads.recording import Span

TOLERANCE_MS = 3 * 3_600_000
"""The clock of a tracker or a computer may be wrong by a time zone or two, and a file is written after its session."""

NEAR_MS = 3 * 24 * 3_600_000
"""Use that is farther away than this says nothing: nobody knows what was recorded and never sent."""

_WHOLE_DAY_MS = 23 * 3_600_000
"""The shortest, when the clocks are turned forward."""

_LAST_MS = 253_370_764_800_000
"""A calendar ends with the year 9999."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time, epoch ms, its end excluded or not: nothing here depends on a millisecond."""

    start_ms: int
    stop_ms: int


def asked_for(span: Span, owned: Collection[Stretch]) -> Iterator[Stretch]:
    """When the cloud is to be asked for use: around the recording, and only while the tracker was ours.

    Args:
        span: When the recording was probably made.
        owned: When its tracker was ours; nothing is known of that if there is none.
    """
    near = Stretch(span.start_ms - NEAR_MS, span.stop_ms + NEAR_MS)
    for start_ms, stop_ms in _joined(owned) if owned else [(near.start_ms, near.stop_ms)]:
        clipped = Stretch(max(start_ms, near.start_ms), min(stop_ms, near.stop_ms))
        if clipped.start_ms < clipped.stop_ms:
            yield clipped


def ownership_question(span: Span, owned: Collection[Stretch], zone: tzinfo) -> str | None:
    """What to ask because the tracker was not ours then, a clause; None if it was, or that is not known.

    Args:
        span: When the recording was probably made.
        owned: When its tracker was ours.
        zone: In which people read days.
    """
    if not owned or any(_touches(span, stretch) for stretch in owned):
        return None
    nearest = min(owned, key=lambda stretch: _distance_ms(span, stretch))
    if nearest.start_ms > span.stop_ms:
        made, other = _told_apart(span, nearest.start_ms, zone)
        return f"this file is from {made}, and the tracker became ours only on {other}"
    made, other = _told_apart(span, nearest.stop_ms, zone)
    return f"this file is from {made}, and the tracker was ours until {other}"


def use_question(span: Span, used: Collection[Stretch], zone: tzinfo) -> str | None:
    """What to ask because the tracker was in use at other times near it, a clause; None if nothing speaks against it.

    Args:
        span: When the recording was probably made.
        used: When the tracker was in use around that.
        zone: In which people read days.
    """
    near = [stretch for stretch in used if _distance_ms(span, stretch) <= NEAR_MS]
    if not near or any(_touches(span, stretch) for stretch in near):
        return None
    nearest = min(near, key=lambda stretch: _distance_ms(span, stretch))
    is_before = nearest.stop_ms < span.start_ms
    made, other = _told_apart(span, nearest.stop_ms if is_before else nearest.start_ms, zone)
    if all(stretch.stop_ms < span.start_ms for stretch in near):
        return f"this file is from {made}, and the tracker was last used on {other}"
    return f"this file is from {made}, and the tracker was not used then, but on {other}"


def _touches(span: Span, stretch: Stretch) -> bool:
    return _distance_ms(span, stretch) <= TOLERANCE_MS


def _distance_ms(span: Span, stretch: Stretch) -> int:
    return max(stretch.start_ms - span.stop_ms, span.start_ms - stretch.stop_ms, 0)


def _joined(owned: Collection[Stretch]) -> list[tuple[int, int]]:
    """The same without what is there twice: a tracker that was claimed again has one ownership after the other."""
    joined: list[tuple[int, int]] = []
    for stretch in sorted(owned, key=lambda it: (it.start_ms, it.stop_ms)):
        if joined and stretch.start_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stretch.stop_ms))
        else:
            joined.append((stretch.start_ms, stretch.stop_ms))
    return joined


def _told_apart(span: Span, other_ms: int, zone: tzinfo) -> tuple[str, str]:
    """When a recording was made, and another time, in words that differ."""
    made, other = _local(span.start_ms, zone), _local(other_ms, zone)
    if made.date() != other.date():
        return _day(made), _day(other)
    is_whole_day = span.stop_ms - span.start_ms >= _WHOLE_DAY_MS
    return _day(made) if is_whole_day else f"{_day(made)} at {made:%H:%M}", f"{_day(other)} at {other:%H:%M}"


def _day(local: datetime) -> str:
    return f"{local:%A} {local.day} {local:%B} {local.year}"


def _local(at_ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(min(max(at_ms, 0), _LAST_MS) / 1000, zone)

"""Stretches of time to ask history for: joined where that saves a request, cut where a page is full."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from insiders_codecs.samples import SAMPLE_PERIOD_MS

PAGE_ROWS = 3000
"""Rows per page: decoding them holds the loop for a few milliseconds on a Pi."""

PART_MS = (PAGE_ROWS - 1) * SAMPLE_PERIOD_MS
"""What one page holds."""

_RANGE_SLACK_MS = 1000  # the cloud writes some times without their fraction

Span = tuple[int, int]
"""First and last instant, both inclusive, epoch ms."""


class Range(Protocol):
    """A stretch of rows, as the cloud lists it."""

    @property
    def start_ms(self) -> int:
        """First row."""

    @property
    def stop_ms(self) -> int:
        """Last row."""

    @property
    def size(self) -> int | None:
        """Number of rows."""


def joined(spans: Iterable[Span], apart_ms: int) -> list[Span]:
    """The spans ascending, neighbours that lie no further apart than this made one."""
    result: list[Span] = []
    for start_ms, stop_ms in sorted(spans):
        if result and start_ms - result[-1][1] <= apart_ms:
            result[-1] = (result[-1][0], max(result[-1][1], stop_ms))
        else:
            result.append((start_ms, stop_ms))
    return result


def claimed(asked: Span, ranges: Sequence[Range]) -> int | None:
    """Rows that the cloud says it has in a span; None where its ranges do not tell.

    A range that begins before what was asked for, or ends after it, counts rows that were not asked for.
    """
    total = 0
    for found in ranges:
        if found.size is None or found.start_ms < asked[0] or found.stop_ms > asked[1]:
            return None
        total += found.size
    return total


def parts(wanted: Sequence[Span], asked: Span, ranges: Sequence[Range]) -> list[Span]:
    """What is wanted of a span and holds rows by the cloud's ranges, in parts of one page, ascending.

    Parts are cut from the newest end and share their borders: whether the cloud includes the end of a span is unknown.
    """
    result: set[Span] = set()
    for start_ms, stop_ms in wanted:
        for found in ranges:
            first_ms = max(start_ms, asked[0], found.start_ms - _RANGE_SLACK_MS)
            last_ms = min(stop_ms, asked[1], found.stop_ms + _RANGE_SLACK_MS)
            while first_ms < last_ms - PART_MS:
                result.add((last_ms - PART_MS, last_ms))
                last_ms -= PART_MS
            if first_ms <= last_ms:
                result.add((first_ms, last_ms))
    return sorted(result)

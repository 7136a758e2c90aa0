"""What becomes of holes whose rows nobody will read, because they left memory: did they hold any? Pure.

A tracker that was off for a night leaves a hole that is silence and no loss; one that hands in an hour's rows after the
fact leaves holes that look the same and are none. The cloud's list of ranges tells the two apart for one request.
"""

import math
from collections.abc import Iterable

from gateway.telemetry.gap import Hole
from gateway.telemetry.gaps import GapTracker
from gateway.telemetry.spans import Range, joined
from insiders_codecs.samples import SAMPLE_PERIOD_MS


class Traces:
    """The holes of one tracker that are to be traced."""

    def __init__(self) -> None:
        self._gaps: set[int] = set()
        self._holes: list[Hole] = []

    @property
    def gaps(self) -> frozenset[int]:
        """The gaps that they belong to."""
        return frozenset(self._gaps)

    def add(self, gap_id: int) -> None:
        """Trace what is missing of a gap when the time comes."""
        self._gaps.add(gap_id)

    def clear(self) -> None:
        """Trace nothing of it."""
        self._gaps, self._holes = set(), []

    def next(self, gaps: GapTracker) -> Hole | None:
        """The hole to ask about now, newest first; None if there is none, and then nothing is left to be traced."""
        if self._gaps and not self._holes:
            self._holes = [hole for hole in gaps.holes(-math.inf) if hole.gap in self._gaps]
            if not self._holes:
                self._settle(gaps)
        return self._holes[-1] if self._holes else None

    def came(self, gaps: GapTracker, ranges: Iterable[Range]) -> None:
        """Take in the ranges of the hole that was asked about."""
        hole = self._holes.pop()
        inside = [(max(found.start_ms, hole.after_ms + 1), min(found.stop_ms, hole.before_ms - 1)) for found in ranges]
        gaps.traced(hole, joined([span for span in inside if span[0] <= span[1]], SAMPLE_PERIOD_MS))
        self._settle(gaps)

    def failed(self, gaps: GapTracker) -> None:
        """Take in that nothing can be found out about the hole that was asked about."""
        self._holes.pop()
        self._settle(gaps)

    def _settle(self, gaps: GapTracker) -> None:
        if not self._holes:
            for gap_id in self._gaps:
                gaps.settle(gap_id)
            self._gaps = set()

"""Tells of recordings one by one, and remembers what it has told: what stands as before costs next to nothing."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from gateway.uploads.recording import Recording
from gateway.uploads.report import ProgressReport, RecordingReport
from gateway.uploads.reporting import Following, Wearer, report_one
from gateway.uploads.standing import LONG_MS, Standing, is_overdue

MAX_REMEMBERED = 5000
"""More than are ever listed at once."""


class Reporter:
    """Of all recordings."""

    def __init__(
        self, following: Following, wearers: Mapping[str, Wearer], keep_days: int, utc_ms: Callable[[], int]
    ) -> None:
        """Make it.

        Args:
            following: What is under way with them.
            wearers: Of all trackers, by serial number.
            keep_days: How long one that is done is kept.
            utc_ms: The wall clock, epoch ms.
        """
        self._following = following
        self._wearers = wearers
        self._keep_days = keep_days
        self._utc_ms = utc_ms
        self._told: dict[str, tuple[_Grounds, RecordingReport]] = {}

    def report(self, recording: Recording) -> RecordingReport:
        """How one stands."""
        report, next_s = self.lasting(recording), self._following.next_s(recording.sha256)
        return report if next_s is None else replace(report, next_s=next_s)

    def lasting(self, recording: Recording) -> RecordingReport:
        """The same without when something is tried next: the same object as long as nothing else changes."""
        grounds = self._grounds(recording)
        known = self._told.get(recording.sha256)
        if known is not None and known[0] == grounds:
            return known[1]
        wearer = self._wearers.get(recording.serial_number or "")
        athlete = None if wearer is None else wearer.athlete
        made = report_one(recording, self._following, athlete, self._utc_ms(), self._keep_days)
        report = replace(made, next_s=None)
        if len(self._told) >= MAX_REMEMBERED:
            self._told.clear()
        self._told[recording.sha256] = grounds, report
        return report

    def _grounds(self, recording: Recording) -> "_Grounds":
        following, sha256, now_ms = self._following, recording.sha256, self._utc_ms()
        return _Grounds(
            recording,
            is_overdue(recording, now_ms),
            (now_ms - recording.changed_ms) // LONG_MS,
            following.hindrance(sha256),
            following.job_state(sha256),
            following.progress(sha256),
        )


class _Grounds(NamedTuple):
    """All that decides what is told of one."""

    recording: Recording
    is_overdue: bool
    days: int
    hindrance: Standing | None
    job_state: str | None
    progress: ProgressReport | None

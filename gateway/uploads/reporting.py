"""Tells of the recordings what the reports hold: from what is known of each, and of the way that it is on."""

from collections.abc import Iterable
from typing import Protocol

from gateway.store import StoreError
from gateway.uploads.keeping.room import Room
from gateway.uploads.recording import WITHOUT_FILE, Recording
from gateway.uploads.report import (
    CountReport,
    ProgressReport,
    RecordingReport,
    SourceReport,
    SpoolReport,
    StepReport,
    TrackerReport,
)
from gateway.uploads.standing import Standing, deeds, deletes_ms, is_only_copy, standing, warnings
from gateway.uploads.transitions import waits_for_a_person

_SCARCE = 20
"""When less than this part of the room is left, that is told."""


class Wearer(Protocol):
    """A tracker and who wears it."""

    @property
    def serial_number(self) -> str:
        """Printed on the tracker."""

    @property
    def athlete(self) -> str | None:
        """Display name; None if nobody in particular wears it."""

    @property
    def number(self) -> int | None:
        """Jersey number."""


class Following(Protocol):
    """What is under way with the recordings, each by its SHA-256."""

    @property
    def is_lookup(self) -> bool:
        """Whether the cloud can be asked which recordings it has."""

    def progress(self, sha256: str) -> ProgressReport | None:
        """How far its body has left; None if it is not under way."""

    def next_s(self, sha256: str) -> float | None:
        """Seconds until something is tried next for it; None if that is not a matter of time."""

    def job_state(self, sha256: str) -> str | None:
        """The cloud's last word on its work on it; None if there was none."""

    def hindrance(self, sha256: str) -> Standing | None:
        """What keeps it now from being sent, looked up or followed, as clauses; None if nothing is known to."""


def report_one(
    recording: Recording, following: Following, athlete: str | None, now_ms: int, keep_days: int
) -> RecordingReport:
    """One recording.

    Args:
        recording: Which.
        following: What is under way with it.
        athlete: Who wears its tracker; None if nobody in particular.
        now_ms: The wall clock, epoch ms.
        keep_days: How long one that is done is kept.
    """
    sha256, span = recording.sha256, recording.span
    hindrance = following.hindrance(sha256)
    text, action = standing(recording, now_ms, is_lookup=following.is_lookup, hindrance=hindrance)
    return RecordingReport(
        id=recording.id,
        sha256=sha256,
        name=recording.name,
        size=recording.size,
        state=recording.state,
        since_ms=recording.changed_ms,
        taken_ms=recording.taken_ms,
        serial_number=recording.serial_number,
        athlete=athlete,
        basis=recording.basis,
        text=text,
        action=action,
        needs_person=waits_for_a_person(recording),
        deeds=deeds(recording),
        is_only_copy=is_only_copy(recording),
        code=recording.error_code,
        maybe_duplicate=recording.maybe_duplicate,
        tries=recording.tries,
        next_s=following.next_s(sha256),
        job_id=recording.job_id,
        job_state=following.job_state(sha256),
        progress=following.progress(sha256),
        made_ms=None if span is None else span.start_ms,
        made_until_ms=None if span is None else span.stop_ms,
        deletes_ms=deletes_ms(recording, keep_days),
        sources=tuple(SourceReport(way=it.way, name=it.name, at_ms=it.at_ms) for it in recording.sources),
        trail=tuple(StepReport(state=it.state, at_ms=it.at_ms, author=it.author) for it in recording.trail),
        warnings=warnings(recording),
    )


def report_tracker(wearer: Wearer) -> TrackerReport:
    """A tracker to choose."""
    return TrackerReport(serial_number=wearer.serial_number, name=wearer.athlete, number=wearer.number)


def report_spool(room: Room | None, trouble: StoreError | None, counts: Iterable[CountReport]) -> SpoolReport:
    """The room that there is.

    Args:
        room: As it was seen last; None before that, and where it cannot be seen.
        trouble: Why nothing can be taken over or written down.
        counts: Of all recordings: what they ought to take.
    """
    kept_bytes = sum(count.bytes for count in counts if count.state not in WITHOUT_FILE)
    wrong = trouble or scarcity(room)
    return SpoolReport(
        used_bytes=kept_bytes if room is None else room.used_bytes,
        limit_bytes=None if room is None else room.limit_bytes,
        free_bytes=None if room is None else room.free_bytes,
        text="" if wrong is None else wrong.text,
        action="" if wrong is None else wrong.action,
    )


def scarcity(room: Room | None) -> StoreError | None:
    """That there is hardly any room; None if there is."""
    if room is None or (shortage := room.shortage(room.limit_bytes // _SCARCE + 1)) is None:
        return None
    why, action = shortage
    left = "hardly any" if room.limit_bytes > room.used_bytes else "no"
    return StoreError(f"There is {left} room for more recordings: {why}", action)

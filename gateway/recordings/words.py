"""What people call recordings, and how they stand, in a word or two."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from rich.filesize import decimal

from gateway.terminal.layout import NOT_KNOWN, plain
from gateway.terminal.times import clock
from gateway.terminal.wearers import called
from gateway.uploads.report import RecordingReport, TrackerReport

STATES: Mapping[str, str] = {
    "unassigned": "no tracker yet",
    "questioned": "in doubt",
    "queued": "waits",
    "sending": "being sent",
    "closing": "sent, no answer yet",
    "ambiguous": "answer lost",
    "accepted": "cloud works on it",
    "done": "in the cloud",
    "purged": "in the cloud only",
    "failed": "cloud has failed",
    "quarantined": "not taken by cloud",
    "corrupt": "damaged here",
    "missing": "file gone",
    "discarded": "discarded",
}
"""How a recording stands, in a word or two."""

COUNTED: Mapping[str, str] = {
    **STATES,
    "unassigned": "without a tracker",
    "queued": "waiting",
    "closing": "waiting for the cloud's answer",
    "ambiguous": "with the answer lost",
    "accepted": "worked on by the cloud",
    "failed": "failed",
    "quarantined": "not taken by the cloud",
    "missing": "with the file gone",
    "purged": "deleted after they were in the cloud",
}
"""The same of several."""

_HALF_A_DAY_MS = 12 * 3_600_000
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


class Names:
    """What to call trackers."""

    def __init__(self, trackers: Iterable[TrackerReport]) -> None:
        """Make it from all that there are."""
        self._names = {tracker.serial_number: called(tracker) for tracker in trackers}

    def whose(self, recording: RecordingReport) -> str:
        """Who wears its tracker, or the tracker; empty if nobody has said which."""
        serial = recording.serial_number
        if serial is None:
            return ""
        return self._names.get(serial) or plain(recording.athlete or "").strip() or plain(serial)

    def of(self, serial_number: str) -> str:
        """Who wears a tracker, or the tracker."""
        return self._names.get(serial_number) or plain(serial_number)

    def titled(self, recording: RecordingReport) -> str:
        """A recording in one line: "3fa9c1d2, 7 Ada, 12.3 MB, monday.asi"."""
        whose = self.whose(recording)
        return ", ".join([recording.id, *([whose] if whose else []), sized(recording.size), named(recording)])


def named(recording: RecordingReport) -> str:
    """What its file was called; without the folder."""
    return plain(recording.name).rpartition("/")[2] or NOT_KNOWN


def in_short(recording: RecordingReport) -> str:
    """How it stands, and what is known of what happens next, in a few words."""
    state = STATES.get(recording.state, plain(recording.state))
    twice = "maybe twice" if recording.maybe_duplicate else ""
    return ", ".join(filter(None, (state, progressed(recording) or outlook(recording), twice)))


def outlook(recording: RecordingReport) -> str:
    """What is known of what happens next: what the cloud says of its work, or when something is tried; or nothing."""
    if recording.state == "accepted" and recording.job_state:
        return plain(recording.job_state)
    is_due = recording.state in {"queued", "ambiguous"} and recording.next_s is not None
    return f"next try in {lasting(recording.next_s or 0.0)}" if is_due else ""


def progressed(recording: RecordingReport) -> str:
    """How far its body has left: "43 %, 4:12 left"; empty if it does not leave."""
    progress = recording.progress
    if progress is None:
        return ""
    share = percent(progress.sent_bytes, recording.size)
    return share if progress.left_s is None else f"{share}, {lasting(progress.left_s)} left"


def percent(part: int, whole: int) -> str:
    """How much of something, never more than is there: "43 %"."""
    return f"{100 * part // whole if whole else 100} %"


def sized(count: float) -> str:
    """Bytes in a unit that people read: "12.3 MB"."""
    return decimal(round(count)).replace("bytes", "B")


def lasting(duration_s: float) -> str:
    """How long: "0:12", "4:12", "1:02:03"."""
    minutes, seconds = divmod(round(duration_s), _MINUTE_S)
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def rounded(duration_s: float) -> str:
    """How long something has been so, roughly: "12 s", "59 min", "3 hours", "4 days"."""
    for unit_s, unit in ((_DAY_S, "days"), (_HOUR_S, "hours")):
        if duration_s >= 2 * unit_s:
            return f"{int(duration_s // unit_s)} {unit}"
    return f"{int(duration_s // _MINUTE_S)} min" if duration_s >= 2 * _MINUTE_S else f"{max(0, int(duration_s))} s"


def dated(time_ms: int | None, now: datetime) -> str:
    """When something was: today's as a time, this year's with its day, older ones as a day with its year."""
    if time_ms is None:
        return NOT_KNOWN
    time = datetime.fromtimestamp(time_ms / 1000, now.tzinfo)
    return clock(time_ms, now) if time.year == now.year else f"{time:%d %b %Y}"


def made(recording: RecordingReport, now: datetime) -> str:
    """When it was probably recorded; the day alone where no more is known."""
    start_ms, stop_ms = recording.made_ms, recording.made_until_ms
    if start_ms is None or stop_ms is None or stop_ms - start_ms < _HALF_A_DAY_MS:
        return dated(start_ms, now)
    # Its middle is on the same day in other zones, too.
    time = datetime.fromtimestamp((start_ms + stop_ms) / 2000, now.tzinfo)
    return f"{time:%d %b}" if time.year == now.year else f"{time:%d %b %Y}"

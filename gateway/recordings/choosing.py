"""Which recording a person means, who types the beginning of its id."""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.recordings.source import Source
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain
from gateway.uploads.report import RecordingReport, RecordingsReport

FEWEST_DIGITS = 4

_DIGITS = set("0123456789abcdef")
_MOST_NAMED = 4


async def find_recordings(source: Source, report: RecordingsReport, typed: Iterable[str]) -> list[RecordingReport]:
    """Those that a person means, each once.

    Args:
        source: The gateway, which is asked for what is too old for its list.
        report: Its list.
        typed: As that of `find_recording`, which says what is raised.
    """
    found = {}
    is_cut = any(msgspec.to_builtins(report.left_out).values())
    for one in typed:
        sought = _digits(one)
        is_old = is_cut and not any(recording.sha256.startswith(sought) for recording in report.recordings)
        recording = await source.recording(sought) if is_old else find_recording(report.recordings, one)
        found[recording.sha256] = recording
    return list(found.values())


def find_recording(recordings: Sequence[RecordingReport], typed: str) -> RecordingReport:
    """The recording that a person means.

    Args:
        recordings: All there are.
        typed: The first digits of its id, or of the SHA-256 of its bytes, in any case.

    Raises:
        CommandError: If it is none, or one of several.
    """
    sought = _digits(typed)
    matches = [recording for recording in recordings if recording.sha256.startswith(sought)]
    if not matches:
        raise CommandError(
            f"No recording has an id that begins with {sought!r}: `insiders-gateway recordings list --all` shows all "
            "of them."
        )
    if len(matches) > 1:
        others = ["others"] if len(matches) > _MOST_NAMED else []
        # One digit more than the short id, where two are the same in all of that.
        *told, last = [*(_distinct(one, matches) for one in matches[:_MOST_NAMED]), *others]
        raise CommandError(f"{sought!r} may be {', '.join(told)} or {last}: give more digits.")
    return matches[0]


def _digits(typed: str) -> str:
    sought = typed.strip().lower()
    if len(sought) < FEWEST_DIGITS or not _DIGITS.issuperset(sought):
        raise CommandError(
            f"{plain(typed)!r} is no id of a recording: give its first {FEWEST_DIGITS} digits or more; "
            "`insiders-gateway recordings list` shows them."
        )
    return sought


def _distinct(recording: RecordingReport, others: Sequence[RecordingReport]) -> str:
    """As many digits as tell it from others, and not fewer than its id has."""
    length = len(recording.id)
    while sum(other.sha256.startswith(recording.sha256[:length]) for other in others) > 1:
        length += 1
    return recording.sha256[:length]

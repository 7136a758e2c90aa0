"""All recordings in groups, each under how it stands and what to type next: those that need somebody first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from gateway.terminal.addressing import command
from gateway.terminal.layout import plain, sentences
from gateway.uploads.report import InboxReport, RecordingReport, RecordingsReport


class Rank(IntEnum):
    """Whom a group is for, in the order of the list."""

    NEEDS_YOU = 0
    NOT_TAKEN = 1
    ADVISED = 2
    LEAVES = 3
    AT_WORK = 4
    WAITS = 5
    BEING_WRITTEN = 6
    DONE = 7
    DELETED = 8


FOR_SOMEBODY = frozenset({Rank.NEEDS_YOU, Rank.NOT_TAKEN, Rank.ADVISED})
"""Groups with which somebody has something to do."""


class Group(NamedTuple):
    """Recordings that stand the same.

    Attributes:
        rank: Whom it is for.
        title: How they stand, and what to do next.
        commands: What to type for that.
        recordings: Which, newest first.
        files: Or which files of the inbox.
    """

    rank: Rank
    title: str
    commands: tuple[str, ...]
    recordings: Sequence[RecordingReport] = ()
    files: Sequence[InboxReport] = ()


_RANKS: Mapping[str, Rank] = {
    "sending": Rank.LEAVES,
    "closing": Rank.LEAVES,
    "accepted": Rank.AT_WORK,
    "done": Rank.DONE,
    "purged": Rank.DELETED,
    "discarded": Rank.DELETED,
}
"""Of those that need nobody; the others wait."""

_OPERANDS: Mapping[str, str] = {"assign": "{} TRACKER", "retry": "{}", "discard": "{}"}
"""What is typed after a verb."""

_ANY = "ID…"
"""Stands in a command for any recordings of a group."""

_MOST_NAMED = 3
"""So many are named in a command of a list: it has to stay on a line."""


class _Heading(NamedTuple):
    rank: Rank
    text: str
    action: str
    verbs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def grouped(report: RecordingsReport, url: str) -> list[Group]:
    """All recordings and what lies in the inbox, what needs somebody first.

    Args:
        report: What is told.
        url: Of the gateway, for what to type.
    """
    groups = grouped_recordings(report.recordings, url)
    files: dict[tuple[str, str], list[InboxReport]] = {}
    for file in report.inbox:
        files.setdefault((file.text, file.action), []).append(file)
    groups += [
        Group(
            Rank.NOT_TAKEN if action else Rank.BEING_WRITTEN, f"In the inbox. {sentences(text, action)}", (), files=some
        )
        for (text, action), some in files.items()
    ]
    return sorted(groups, key=lambda group: group.rank)


def grouped_recordings(recordings: Iterable[RecordingReport], url: str, most_named: int = _MOST_NAMED) -> list[Group]:
    """Recordings by how they stand, what needs somebody first.

    Args:
        recordings: Which, newest first.
        url: Of the gateway, for what to type.
        most_named: How many of them a command names; else one stands there that has to be completed.
    """
    found: dict[_Heading, list[RecordingReport]] = {}
    for recording in recordings:
        found.setdefault(_heading(recording), []).append(recording)
    groups = [_group(heading, recordings, url, most_named) for heading, recordings in found.items()]
    return sorted(groups, key=lambda group: group.rank)


def commands_for(recordings: Sequence[RecordingReport], url: str, most_named: int = _MOST_NAMED) -> tuple[str, ...]:
    """What to type for what is to be done with recordings that stand the same, as far as it is done by typing."""
    ids = " ".join(recording.id for recording in recordings) if len(recordings) <= most_named else _ANY
    return tuple(command(f"recordings {verb} {_OPERANDS[verb].format(ids)}", url) for verb in _verbs(recordings[0]))


def is_waited_for(recording: RecordingReport) -> bool:
    """Whether something becomes of it by itself."""
    return not recording.needs_person and _RANKS.get(recording.state, Rank.WAITS) < Rank.DONE


def count(groups: Iterable[Group], *ranks: Rank) -> int:
    """How many recordings and files are in groups of certain ranks; of all if none is named."""
    return sum(len(group.recordings) + len(group.files) for group in groups if not ranks or group.rank in ranks)


def _heading(recording: RecordingReport) -> _Heading:
    rank = _RANKS.get(recording.state, Rank.WAITS)
    if recording.needs_person:
        rank = Rank.NEEDS_YOU
    elif recording.action and recording.state in {"queued", "accepted", "done"}:
        rank = Rank.ADVISED
    warnings = tuple(map(plain, recording.warnings))
    return _Heading(rank, plain(recording.text), plain(recording.action), _verbs(recording), warnings)


def _group(heading: _Heading, recordings: Sequence[RecordingReport], url: str, most_named: int) -> Group:
    is_typed = heading.rank in {Rank.NEEDS_YOU, Rank.ADVISED}
    commands = commands_for(recordings, url, most_named) if is_typed else ()
    # What is to be done stands last, beside what is to be typed.
    title = sentences(". ".join([heading.text, *heading.warnings]), heading.action)
    return Group(heading.rank, title, commands, recordings)


def _verbs(recording: RecordingReport) -> tuple[str, ...]:
    """What of that which the gateway would do is spoken of in what is to be done."""
    words = set(re.findall(r"[a-z]+", recording.action.lower()))
    return tuple(verb for verb in _OPERANDS if verb in words and verb in recording.deeds)

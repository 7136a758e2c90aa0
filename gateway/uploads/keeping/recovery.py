"""What the recordings are after a start: told from the rows of the store, the journal and the files, whatever is left.

Never more is believed than is written somewhere unharmed. Where that leaves open whether the cloud has a recording, it
may have it; and a file is deleted only if its own row says so, and nothing speaks against that.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.uploads import transitions
from gateway.uploads.keeping.journal import Read
from gateway.uploads.keeping.spool import STRAYS
from gateway.uploads.recording import DELETED, SHORT_ID, WITHOUT_FILE, Recording, Source, State, Way
from gateway.uploads.transitions import UNDER_WAY, WITH_FILE


class Finding(StrEnum):
    """What an orderly stop does not leave of a recording; its value follows a number of them, be it one or more."""

    BEHIND = "told again from the journal"
    UNKNOWN = "of which nothing was written down"
    BACK = "whose file is there again"
    DAMAGED = "with a damaged entry in the database"
    MISSING = "without a file"
    CORRUPT = "with other bytes than before"


_BY_DAMAGE = frozenset({Finding.DAMAGED, Finding.MISSING, Finding.CORRUPT})
"""What a crash never leaves."""

_SYNCED = frozenset({State.CLOSING, State.ACCEPTED, State.DONE, State.DISCARDED})


@dataclass(frozen=True, slots=True)
class Recovery:
    """How it goes on.

    Attributes:
        recordings: All of them.
        to_write: Those whose row is to be written.
        to_log: Those whose line is to be written after that, unless the journal is begun anew.
        to_remove: Those whose file is to be deleted after that.
        findings: How many of what was found.
        is_database_lost: Whether the database was, or has forgotten what came last.
        is_journal_lost: Whether the journal was, all of it or in part.
        is_damage: Whether that is more than a crash can leave.
    """

    recordings: Mapping[str, Recording]
    to_write: tuple[Recording, ...]
    to_log: tuple[Recording, ...]
    to_remove: tuple[str, ...]
    findings: Mapping[Finding, int]
    is_database_lost: bool
    is_journal_lost: bool
    is_damage: bool


def is_synced(before: Recording | None, after: Recording) -> bool:
    """Whether a change must not be missing in the journal, should the store be lost.

    So is what the cloud may have by now, what is not to be sent or deleted any more, and what was deleted and is back.
    The lines after it may get lost in a power cut: they lead to nothing that is worse than to begin again from it.
    """
    return after.state in _SYNCED or (before is not None and before.state in WITHOUT_FILE)


def recover(
    rows: Mapping[str, Recording], damaged: AbstractSet[str], journal: Read, files: Mapping[str, int], now_ms: int
) -> Recovery:
    """Tell what there is.

    Args:
        rows: Of the store, by SHA-256, as far as their checksum is right.
        damaged: What stands for the SHA-256 in the other rows.
        journal: What it says.
        files: SHA-256 that a file in the spool is named by -> bytes.
        now_ms: Epoch ms.
    """
    findings: Counter[Finding] = Counter({Finding.DAMAGED: len(damaged)} if damaged else {})
    recordings: dict[str, Recording] = {}
    lag = _lag(rows, journal)
    # A line that is missing may be of any recording; so may be a row that is older than it, if that can be at all.
    is_row_doubtful = not journal.is_whole and (bool(damaged) or lag + len({*files} - {*rows, *journal.recordings}) > 1)
    for sha256 in sorted({*rows, *journal.recordings, *files}):
        row, line = rows.get(sha256), journal.recordings.get(sha256)
        if row is not None and (line is None or line.version <= row.version):
            known = transitions.doubted(row, now_ms) if is_row_doubtful else row
        elif line is not None:
            known = line if journal.is_whole else transitions.doubted(line, now_ms)
            findings[Finding.BEHIND] += sha256 not in damaged
        else:
            known = _unknown(sha256, files[sha256], now_ms)
            findings[Finding.UNKNOWN] += sha256 not in damaged
            # A whole journal has a line of all that was ever sent.
            if sha256 in damaged or not journal.is_whole:
                known = transitions.doubted(known, now_ms)
        known = transitions.recovered(known, now_ms)
        is_said = known is row and journal.is_whole
        recordings[sha256], finding = _compared(known, files.get(sha256), now_ms, is_said=is_said)
        if finding is not None:
            findings[finding] += 1
    findings = +findings
    is_journal_lost = bool(recordings) and not journal.is_whole
    # A crash comes between a line and its row, or between a file and its line.
    is_database_lost = lag > 1
    return Recovery(
        recordings,
        to_write=_not_in(rows, recordings),
        to_log=_not_in(journal.recordings, recordings),
        to_remove=tuple(sha256 for sha256 in files if recordings[sha256].state in DELETED),
        findings=findings,
        is_database_lost=is_database_lost,
        is_journal_lost=is_journal_lost,
        is_damage=is_database_lost or is_journal_lost or not _BY_DAMAGE.isdisjoint(findings),
    )


def inspected(
    known: Recording | None, sha256: str, size: int | None, now_ms: int, *, is_right: bool
) -> tuple[Recording, Finding | None]:
    """A recording after its file was read.

    Args:
        known: What it was thought to be; None if there is only the file.
        sha256: By which the file is named.
        size: Of the file, bytes; None if there is none.
        now_ms: Epoch ms.
        is_right: Whether it has the bytes by which it is named.

    Returns:
        What it is, and what was found.
    """
    if known is not None and (known.state in UNDER_WAY or known.state in DELETED):
        return known, None
    if known is not None:
        return _compared(known, size, now_ms, is_said=True, is_right=is_right)
    known, finding = _compared(_unknown(sha256, size or 0, now_ms), size, now_ms, is_said=True, is_right=is_right)
    return known, finding or Finding.UNKNOWN


def told(recovery: Recovery, strays: int, folder: Path) -> tuple[str, str]:
    """What people may want to know of it.

    Args:
        recovery: How it goes on.
        strays: Things that were moved aside.
        folder: Of the spool.

    Returns:
        A sentence without full stop, "" if nothing was found; and what to do, "" if it is what a crash leaves.
    """
    clauses = [clause] if (clause := sentence(recovery.findings)) else []
    if recovery.is_database_lost:
        clauses.insert(0, "their database was gone, damaged or not the newest")
    if recovery.is_journal_lost:
        clauses.append("their journal was gone or damaged")
    if strays:
        clauses.append(f"{strays} that {'is' if strays == 1 else 'are'} none, now in {folder / STRAYS}")
    text = f"Found among the recordings: {'; '.join(clauses)}" if clauses else ""
    if recovery.is_damage:
        return text, "look through `insiders-gateway recordings list`, then type `insiders-gateway recordings rebuild`"
    return text, "look there whether somebody needs that, and delete it if not" if strays else ""


def sentence(findings: Mapping[Finding, int]) -> str:
    """What was found, as a clause; "" if nothing was."""
    return ", ".join(f"{findings[finding]} {finding}" for finding in Finding if findings.get(finding))


def _lag(rows: Mapping[str, Recording], journal: Read) -> int:
    """How many changes the rows are behind the journal; a crash leaves no more than one."""
    lines = journal.recordings.values()
    return sum(max(0, line.version - (rows[line.sha256].version if line.sha256 in rows else 0)) for line in lines)


def _not_in(book: Mapping[str, Recording], recordings: Mapping[str, Recording]) -> tuple[Recording, ...]:
    return tuple(recording for sha256, recording in recordings.items() if book.get(sha256) != recording)


def _unknown(sha256: str, size: int, now_ms: int) -> Recording:
    return transitions.taken(sha256, size, Source(Way.SPOOL, f"{sha256[:SHORT_ID]}.asi", now_ms))


def _compared(
    known: Recording, size: int | None, now_ms: int, *, is_said: bool, is_right: bool | None = None
) -> tuple[Recording, Finding | None]:
    """A recording after a look at its file: whether its deletion is beyond doubt, and whether its bytes were right."""
    if size is None:
        if known.state is State.DONE:
            return transitions.purged(known, now_ms), None
        if known.state in WITH_FILE:
            return transitions.found_missing(known, now_ms), Finding.MISSING
        return known, None
    finding = None
    if (
        known.state is State.MISSING
        or (known.state in DELETED and not is_said)
        or (known.state is State.CORRUPT and is_right)
    ):
        known, finding = transitions.found_again(known, now_ms), Finding.BACK
    if known.state in WITH_FILE and known.state is not State.CORRUPT:
        if is_right is False:
            error = "the bytes of its file are not those that were taken over"
            return transitions.found_corrupt(known, error, now_ms), Finding.CORRUPT
        if size != known.size:
            error = f"its file has {size} bytes and had {known.size}"
            return transitions.found_corrupt(known, error, now_ms), Finding.CORRUPT
    return known, finding

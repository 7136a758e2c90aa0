"""All recordings as a table: what needs somebody stands first, under what is to be done and typed."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace
from rich.cells import cell_len
from rich.text import Text

from gateway.recordings.bars import under_way
from gateway.recordings.grouping import Group, Rank, count, grouped
from gateway.recordings.words import Names, dated, named, outlook, sized
from gateway.terminal.addressing import command
from gateway.terminal.layout import (
    NOT_KNOWN,
    columns,
    counted,
    fitted,
    plain,
    sentences,
    shortened,
    wrapped,
)
from gateway.uploads.report import InboxReport, RecordingReport, RecordingsReport

_HEADS = ("Recording", "Athlete", "Size", "Made", "File")
_ARE_NUMBERS = (False, False, True, False, False)
_ATHLETE = 1
_WIDEST_ATHLETE, _NARROWEST_LAST = 20, 28
_NARROWEST_FILE = 12

_STYLES = {
    Rank.NEEDS_YOU: ("bold yellow", "bold"),
    Rank.NOT_TAKEN: ("yellow", "bold"),
    Rank.ADVISED: ("yellow", ""),
    Rank.DONE: ("green", ""),
    Rank.DELETED: ("dim", "dim"),
}
_CALM = ("dim", "")
"""How the title of a group and its recordings look."""


def table(report: RecordingsReport, url: str, now: datetime, width: int, height: int = sys.maxsize) -> Text:
    """The recordings as they are to be printed.

    Args:
        report: What is told.
        url: Of the gateway's live stream, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
        height: Lines: recordings that have no room are counted, those that need nobody first.
    """
    leaving = [recording for recording in report.recordings if recording.progress is not None]
    others = [recording for recording in report.recordings if recording.progress is None]
    groups = grouped(replace(report, recordings=tuple(others)), url)
    names = Names(report.trackers)
    above = [*_above(report, groups, url, width), *under_way(leaving, names, width, height), Text()]
    below = wrapped(_room(report), width, "dim")
    widths = _widths(groups, names, now, width)
    head = [columns(_HEADS, widths, _ARE_NUMBERS, "bold")] if groups else []
    blocks: list[list[Text]] = []
    for group in groups:
        of_title, of_rows = _STYLES.get(group.rank, _CALM)
        lines = _title(group, width, of_title)
        for cells in _rows(group, names, now, widths[-1]):
            blocks.append([*lines, columns(cells, widths, _ARE_NUMBERS, of_rows)])
            lines = []
    room = height - len(above) - len(head) - len(below)
    rows = fitted(blocks, room, lambda hidden: wrapped(_left_out(groups, hidden), width, "dim"))
    return Text("\n").join([*above, *head, *rows, *below])


def _above(report: RecordingsReport, groups: Sequence[Group], url: str, width: int) -> list[Text]:
    need = sum(recording.needs_person for recording in report.recordings)
    told = f"{counted(len(report.recordings), 'recording')}, "
    told += f"{need} need{'s' if need == 1 else ''} you" if need else "nothing to do"
    refused = count(groups, Rank.NOT_TAKEN)
    told += f"; {counted(refused, 'file')} in the inbox cannot be taken" if refused else ""
    lines = wrapped(f"{told}.", width)
    if not groups and not report.recordings:
        lines += wrapped(f"Copy files into {plain(report.inbox_folder)}, or type:", width)
        lines.append(Text(f"  → {command('recordings add FILE…', url)}"))
    if report.spool.text:
        lines += wrapped(sentences(report.spool.text, report.spool.action), width, "bold red")
    return lines


def _title(group: Group, width: int, style: str) -> list[Text]:
    lines = wrapped(f"{group.title.rstrip('.')}:", width, style)
    return [*lines, *(Text(f"  → {typed}") for typed in group.commands)]


def _rows(group: Group, names: Names, now: datetime, room: int) -> Iterable[tuple[str, ...]]:
    for recording in group.recordings:
        yield _cells(recording, names, now, room)
    for file in group.files:
        yield _inbox_cells(file, now, room)


def _cells(recording: RecordingReport, names: Names, now: datetime, room: int) -> tuple[str, ...]:
    whose = names.whose(recording) or NOT_KNOWN
    return recording.id, whose, sized(recording.size), dated(recording.made_ms, now), _file_or_outlook(recording, room)


def _file_or_outlook(recording: RecordingReport, room: int) -> str:
    """What its title does not say, and its file's name where that has room."""
    told = outlook(recording)
    rest = room - len(told) - 2 if told else room
    if rest < _NARROWEST_FILE and told:
        return told
    return f"{told}  {shortened(named(recording), rest)}".strip()


def _inbox_cells(file: InboxReport, now: datetime, room: int) -> tuple[str, ...]:
    size = NOT_KNOWN if file.size is None else sized(file.size)
    return "(inbox)", "", size, dated(file.since_ms, now), shortened(plain(file.name), room)


def _widths(groups: Sequence[Group], names: Names, now: datetime, width: int) -> list[int]:
    """Each column as wide as what is in it; the last one has what is left, and the athletes give way to it."""
    rows = [_HEADS, *(cells for group in groups for cells in _rows(group, names, now, width))]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    widths[_ATHLETE] = min(widths[_ATHLETE], _WIDEST_ATHLETE)
    left = width - sum(widths[:-1]) - len(widths) + 1
    if left < _NARROWEST_LAST:
        widths[_ATHLETE] = max(len(_HEADS[_ATHLETE]), widths[_ATHLETE] - (_NARROWEST_LAST - left))
        left = width - sum(widths[:-1]) - len(widths) + 1
    widths[-1] = max(1, left)
    return widths


def _room(report: RecordingsReport) -> str:
    spool = report.spool
    free = "" if spool.free_bytes is None else f", {sized(spool.free_bytes)} free on its disk"
    kept = f"Kept: {sized(spool.used_bytes)} of {sized(spool.limit_bytes)}{free}."
    return f"{kept} Inbox: {plain(report.inbox_folder)}"


def _left_out(groups: Sequence[Group], hidden: int) -> str:
    """What there was no room for: the last ones of the groups."""
    well = count(groups) - count(groups, Rank.NEEDS_YOU, Rank.NOT_TAKEN)
    need = hidden - well
    told = [f"{need} more need{'s' if need == 1 else ''} you"] if need > 0 else []
    others = min(hidden, well)
    told += [f"{others} more need{'s' if others == 1 else ''} nobody"] if others else []
    return f"{', '.join(told)}: --all lists them"

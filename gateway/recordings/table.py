"""All recordings as a table: what needs somebody stands first, under what is to be done and typed."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import astuple, replace
from rich.cells import cell_len
from rich.text import Text

from gateway.recordings.bars import NOT_STILL, is_moving, under_way
from gateway.recordings.grouping import FOR_SOMEBODY, Group, Rank, count, grouped
from gateway.recordings.words import COUNTED, Names, dated, made, named, outlook, rounded, sized
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
from gateway.uploads.report import InboxReport, LeftOutReport, RecordingReport, RecordingsReport

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
_AGING = frozenset(COUNTED) - {"done", "purged", "discarded"}
"""States of which it matters since when they are so."""

_CALM = ("dim", "")
"""How the title of a group and its recordings look."""


class _Blocks(NamedTuple):
    """Lines that stand or fall together."""

    for_somebody: list[list[Text]]
    others: list[list[Text]]


def table(report: RecordingsReport, url: str, now: datetime, width: int, height: int = sys.maxsize) -> Text:
    """The recordings as they are to be printed: what needs somebody always, and of the rest as much as has room.

    Args:
        report: What is told.
        url: Of the gateway, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
        height: Lines.
    """
    above, below, blocks = _parts(report, url, now, width, height, {})
    needed = [line for lines in blocks.for_somebody for line in lines]
    room = height - len(above) - len(needed) - len(below)
    rest = fitted(blocks.others, room, lambda hidden: wrapped(f"{_nobody(hidden)}: --all lists them", width, "dim"))
    return Text("\n").join([*above, *needed, *rest, *below])


def window(
    report: RecordingsReport, url: str, now: datetime, width: int, height: int, still: Mapping[str, float] = NOT_STILL
) -> Text:
    """The recordings as they are to be drawn again and again, what moves on top; never more than there is room for.

    Args:
        report: What is told.
        url: Of the gateway, for what to type.
        now: The present time in the zone in which times are to be told.
        width: Columns.
        height: Lines.
        still: How many seconds those have not moved that stand still, by SHA-256.
    """
    above, below, blocks = _parts(report, url, now, width, height, still, is_wrapped=True)

    def left_out(hidden: int) -> list[Text]:
        need = max(0, hidden - len(blocks.others))
        told = [f"{need} more for you"] if need else []
        told += [f"{hidden - need} that need nobody"] if hidden > need else []
        line = Text(f"{', '.join(told)}: no room here, leave --follow out", "bold" if need else "dim")
        line.truncate(width, overflow="ellipsis")
        return [line]

    room = height - len(above) - len(below)
    rows = fitted([*blocks.for_somebody, *blocks.others], room, left_out)
    return Text("\n").join([*above, *rows, *below])


def _parts(
    report: RecordingsReport,
    url: str,
    now: datetime,
    width: int,
    height: int,
    still: Mapping[str, float],
    *,
    is_wrapped: bool = False,
) -> tuple[list[Text], list[Text], _Blocks]:
    """What stands above and below, and what between them."""
    leaving = [recording for recording in report.recordings if is_moving(recording)]
    others = [recording for recording in report.recordings if not is_moving(recording)]
    groups = grouped(replace(report, recordings=tuple(others)), url)
    names = Names(report.trackers)
    above = [*_above(report, groups, url, width), *under_way(leaving, names, width, height, still), Text()]
    widths = _widths(groups, names, now, width)
    above += [columns(_HEADS, widths, _ARE_NUMBERS, "bold")] if groups else []
    blocks = _Blocks([], [])
    for group in groups:
        of_title, of_rows = _STYLES.get(group.rank, _CALM)
        lines = _title(group, width, of_title, is_wrapped=is_wrapped)
        some = []
        for cells in _rows(group, names, now, widths[-1]):
            some.append([*lines, columns(cells, widths, _ARE_NUMBERS, of_rows)])
            lines = []
        blocks[group.rank not in FOR_SOMEBODY].extend(some)
    return above, _below(report, width), blocks


def _above(report: RecordingsReport, groups: Sequence[Group], url: str, width: int) -> list[Text]:
    left_out = report.left_out
    need = sum(recording.needs_person for recording in report.recordings) + left_out.needs_person
    all_in_all = len(report.recordings) + sum(astuple(left_out))
    told = f"{counted(all_in_all, 'recording')}, "
    told += f"{need} need{'s' if need == 1 else ''} you" if need else "nothing to do"
    refused = count(groups, Rank.NOT_TAKEN)
    told += f"; {counted(refused, 'file')} in the inbox cannot be taken" if refused else ""
    lines = wrapped(f"{told}.", width)
    if not groups and not report.recordings:
        lines += wrapped(f"Copy files into {plain(report.inbox_folder)}, or type:", width)
        lines.append(Text(f"  → {command('recordings add FILE…', url)}"))
    for wrong in (report.spool, report.inbox_trouble):
        if wrong is not None and wrong.text:
            lines += wrapped(sentences(wrong.text, wrong.action), width, "bold red")
    return lines


def _title(group: Group, width: int, style: str, *, is_wrapped: bool) -> list[Text]:
    """How the recordings of a group stand; what is to be typed is one line, to be copied, unless lines are counted."""
    lines = wrapped(f"{group.title.rstrip('.')}:", width, style)
    for typed in group.commands:
        lines += wrapped(typed, width, "", "  → ") if is_wrapped else [Text(f"  → {typed}")]
    return lines


def _rows(group: Group, names: Names, now: datetime, room: int) -> Iterable[tuple[str, ...]]:
    for recording in group.recordings:
        yield _cells(recording, names, now, room)
    for file in group.files:
        yield _inbox_cells(file, now, room)


def _cells(recording: RecordingReport, names: Names, now: datetime, room: int) -> tuple[str, ...]:
    whose = names.whose(recording) or NOT_KNOWN
    return recording.id, whose, sized(recording.size), made(recording, now), _file_or_outlook(recording, room)


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


def _below(report: RecordingsReport, width: int) -> list[Text]:
    lines = wrapped(_not_listed(report.left_out), width, "bold") if report.left_out != LeftOutReport() else []
    lines += wrapped(_numbers(report), width, "dim") if report.counts else []
    return [*lines, *wrapped(_room(report), width, "dim")]


def _not_listed(left_out: LeftOutReport) -> str:
    """What the gateway has left out of the list."""
    parts = {
        "in need of somebody": left_out.needs_person,
        "under way": left_out.under_way,
        "done": left_out.done,
        "deleted": left_out.deleted,
    }
    return f"Older ones are not listed: {', '.join(f'{number} {how}' for how, number in parts.items() if number)}."


def _numbers(report: RecordingsReport) -> str:
    """How many there are of each state, and since when."""
    told = []
    for of in report.counts:
        since = f" (oldest {rounded((report.utc_ms - of.oldest_ms) / 1000)})" if of.state in _AGING else ""
        told.append(f"{of.recordings} {COUNTED.get(of.state, plain(of.state))}{since}, {sized(of.bytes)}")
    return f"{'; '.join(told)}."


def _room(report: RecordingsReport) -> str:
    spool = report.spool
    free = "" if spool.free_bytes is None else f", {sized(spool.free_bytes)} free on its disk"
    limit = "" if spool.limit_bytes is None else f" of {sized(spool.limit_bytes)}"
    kept = f"Kept: {sized(spool.used_bytes)}{limit}{free}."
    return f"{kept} Inbox: {plain(report.inbox_folder)}"


def _nobody(number: int) -> str:
    return f"{number} more need{'s' if number == 1 else ''} nobody"

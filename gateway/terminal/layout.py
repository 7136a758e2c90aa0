"""Lines of a terminal: how wide, what goes into a table, and what of a stranger's words may be shown."""

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.text import Text

NOT_KNOWN = "—"

UNLIMITED = 1 << 16
"""Columns of a pipe: whoever reads there wants each sentence whole."""

_LONGEST_LINE = 100
"""Beyond this the eye loses the line."""

_KEPT_ENDING = 9

_ANY_CONSOLE = Console()
"""Rich wants one to wrap a text; it plays no part in it."""


def width_of(console: Console) -> int:
    """How many columns of a console are used."""
    return min(console.width, _LONGEST_LINE)


def columns(cells: Iterable[str], widths: Iterable[int], are_numbers: Iterable[bool], style: str) -> Text:
    """One line of a table: numbers to the right, the rest to the left, and what is too wide for its column cut."""
    parts = []
    for cell, width, is_number in zip(cells, widths, are_numbers, strict=True):
        part = Text(cell)
        part.truncate(width, overflow="ellipsis")
        part.align("right" if is_number else "left", width)
        parts.append(part)
    line = Text(" ", style=style).join(parts)
    line.rstrip()
    return line


def fitted(blocks: Sequence[Sequence[Text]], room: int, left_out: Callable[[int], Sequence[Text]]) -> list[Text]:
    """The lines of as many blocks as there is room for.

    Args:
        blocks: Lines that stand or fall together.
        room: Lines there are.
        left_out: Says in one line how many blocks have no room.
    """
    rows: list[Text] = []
    for place, lines in enumerate(blocks):
        is_last = place == len(blocks) - 1
        if len(rows) + len(lines) > room - (0 if is_last else 1):
            return [*rows, *left_out(len(blocks) - place)]
        rows += lines
    return rows


def bar(part: float, whole: float, width: int) -> str:
    """How much of something, as a bar that is full only if it is all."""
    filled = int(width * min(1.0, part / whole)) if whole else width
    return "━" * filled + "╌" * (width - filled)


def wrapped(sentence: str, width: int, style: str = "", lead: str = "") -> list[Text]:
    """A sentence in as many lines as it takes.

    Args:
        sentence: Anybody's words.
        width: Of the lines, in cells of a terminal: some characters take two.
        style: Of the lines.
        lead: What stands before the first line, and leaves its room free before the others.
    """
    lines = Text(plain(sentence)).wrap(_ANY_CONSOLE, width - len(lead))
    leads = [lead, *[" " * len(lead)] * (len(lines) - 1)]
    return [Text(before + line.plain.rstrip(), style) for before, line in zip(leads, lines, strict=True)]


def sentences(text: str, action: str) -> str:
    """A clause that says how it is, and one that says what to do, as sentences."""
    told = plain(text) + "."
    return f"{told} {plain(action[:1].upper() + action[1:])}." if action else told


def counted(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def plain(text: str) -> str:
    """What a stranger wrote, without what would move the cursor, turn the line around or hide in it."""
    return "".join(character for character in text if character.isprintable())


def shortened(name: str, width: int) -> str:
    """A name that is too long, cut in its middle: it ends with what tells it from others, a number for example."""
    if len(name) <= width:
        return name
    return f"{name[: max(1, width - _KEPT_ENDING - 1)]}…{name[-_KEPT_ENDING:]}"

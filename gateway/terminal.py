"""How the tables of this program look in a terminal."""

from collections.abc import Iterable

from rich.text import Text


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

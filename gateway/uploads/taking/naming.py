"""What the path of a file says: which tracker it comes from, and when it was recorded. Nothing is guessed."""

import re
import string
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from gateway.uploads.recording import MAX_NAME, Clue, Span

SUFFIX = ".asi"

TRACKER = "{tracker}"
"""What stands for a serial number or device name in a pattern."""

_MIN_AGE_MS = 10 * 60_000
"""A file that is younger when it is found may be a copy, whose time says nothing."""

_MIN_YEAR = 2015
"""There were no such trackers before; 1970, 1980 and 2000 are what clocks show that nobody has set."""

_MOMENT = re.compile(
    r"(?<![0-9])(?P<year>20[0-9]{2})(?P<dash>[-_.]?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
    r"(?:[T _.-]?(?P<hour>[01][0-9]|2[0-3])(?P<colon>[-_.:]?)(?P<minute>[0-5][0-9])(?P=colon)(?P<second>[0-5][0-9])"
    r"(?P<utc>Z)?)?(?![0-9])"
)
"""The year first, as nothing else is clear; a time with seconds, because four digits are as often a number."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""Nothing but these: elsewhere letters that differ would become the same."""


@dataclass(frozen=True, slots=True)
class Known:
    """A tracker by what it may be called in a path.

    Attributes:
        serial_number: As configured.
        device_name: The other name on its label; None if that is not configured.
    """

    serial_number: str
    device_name: str | None = None


def trackers_in(path: str, known: Iterable[Known], pattern: str | None = None) -> frozenset[str]:
    """The trackers that a path names, by serial number; only if it is one is it known which.

    Args:
        path: Of a file, with "/"; or only its name.
        known: The configured trackers.
        pattern: What the path ends in, one folder or name after the other, where "{tracker}" is a serial number or
            device name and "*" anything but "/". Without it, that is a whole folder, or a word of the file's name that
            is not part of a date or time.
    """
    if pattern is None:
        return frozenset(it.serial_number for it in known if any(_is_named(path, name) for name in _names(it)))
    said, wanted = path.translate(_LOWER), pattern.translate(_LOWER)
    return frozenset(it.serial_number for it in known if any(_fits(said, wanted, name) for name in _names(it)))


def doubt(named: Collection[str]) -> str:
    """Why nobody knows which tracker it is, though a path names some, a clause; "" if it names one or none."""
    return f"its folder and name say more than one tracker: {', '.join(sorted(named))}" if len(named) > 1 else ""


def span_of(name: str, mtime_ms: int, found_ms: int, zone: tzinfo | None) -> Span | None:
    """When a file was probably recorded; None if nothing says that.

    Args:
        name: Of the file. One date in it is believed, with its time if there is one; several are not.
        mtime_ms: When it was written last, epoch ms: the end of the recording, unless it is a copy.
        found_ms: When it was found, epoch ms.
        zone: Of times in names that do not end in "Z"; None is that of this machine.
    """
    named = {span for span, _ in _moments(name, zone)}
    if len(named) == 1:
        return named.pop()
    if mtime_ms <= found_ms - _MIN_AGE_MS and mtime_ms >= datetime(_MIN_YEAR, 1, 1, tzinfo=UTC).timestamp() * 1000:
        return Span(mtime_ms, mtime_ms, Clue.MODIFIED)
    return None


def printable(path: str) -> str:
    """A path or name as it can be shown: one line, bounded, and nothing in it that a terminal or a page obeys.

    What is not printable, that is control characters, marks that turn the direction of writing, and bytes that are no
    UTF-8, stands there as its number.
    """
    text = "".join(char if char.isprintable() else _escaped(char) for char in path)
    half = MAX_NAME // 2
    return text if len(text) <= MAX_NAME else f"{text[: half - 1]}…{text[-half:]}"


def _names(tracker: Known) -> tuple[str, ...]:
    names = (tracker.serial_number, tracker.device_name)
    return tuple(name.translate(_LOWER) for name in names if name)


def _fits(path: str, pattern: str, name: str) -> bool:
    wanted = [[piece.replace(TRACKER, name) for piece in part.split("*")] for part in pattern.split("/")]
    parts = path.split("/")[-len(wanted) :]
    return len(parts) == len(wanted) and all(map(_has, parts, wanted))


def _has(text: str, pieces: Sequence[str]) -> bool:
    """Whether a text is these with anything between them. Each is looked for once: nothing is tried again and again."""
    first, *others = pieces
    if not others:
        return text == first
    *middle, last = others
    at, stop = len(first), len(text) - len(last)
    if at > stop or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in middle:
        found = text.find(piece, at, stop)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _is_named(path: str, name: str) -> bool:
    *folders, file = path.translate(_LOWER).split("/")
    if name in folders:
        return True
    stem = file.removesuffix(SUFFIX)
    taken = [stretch for _, stretch in _moments(path.rpartition("/")[2], UTC)]
    for start in _places(stem, name):
        stop = start + len(name)
        is_word = _is_edge(stem[start - 1 : start]) and _is_edge(stem[stop : stop + 1])
        if is_word and not any(start < last and first < stop for first, last in taken):
            return True
    return False


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _is_edge(char: str) -> bool:
    """Whether a word can end there: punctuation, a symbol or a blank, or nothing."""
    return not char or unicodedata.category(char)[0] in "PSZ"


def _moments(name: str, zone: tzinfo | None) -> Sequence[tuple[Span, tuple[int, int]]]:
    """The dates in a name, and where in it they are."""
    return [(span, match.span()) for match in _MOMENT.finditer(name) if (span := _span(match, zone)) is not None]


def _span(match: re.Match[str], zone: tzinfo | None) -> Span | None:
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    if year < _MIN_YEAR:
        return None
    try:
        midnight = datetime(year, month, day, tzinfo=zone)
        if match["hour"] is None:
            return Span(_ms(midnight), _ms(midnight + timedelta(days=1)), Clue.NAME)
        hour, minute, second = (int(match[part]) for part in ("hour", "minute", "second"))
        at_ms = _ms(midnight.replace(hour=hour, minute=minute, second=second, tzinfo=UTC if match["utc"] else zone))
    except (ValueError, OverflowError):
        return None
    return Span(at_ms, at_ms, Clue.NAME)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _escaped(char: str) -> str:
    number = ord(char)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that was no UTF-8, as Python keeps it
        return f"\\x{number - 0xDC00:02x}"
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{{{number:x}}}"

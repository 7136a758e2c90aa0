"""What people call things: sensors, kinds and athletes, and what of a stranger's words may be shown, line by line."""

from collections import Counter

from rich.console import Console
from rich.text import Text

from gateway.bluetooth.report import SensorReport

NOT_KNOWN = "—"
UNKNOWN_KIND = "unknown"
KINDS = {"heart_rate": "heart", "power": "power", "both": "both", UNKNOWN_KIND: "?"}

_LONGEST_LINE = 100
"""Beyond this the eye loses the line."""

_LONGEST_NAME = 64
_ANY_CONSOLE = Console()
"""Rich wants one to wrap a text; it plays no part in it."""


def width_of(console: Console) -> int:
    """How many columns of a console are used."""
    return min(console.width, _LONGEST_LINE)


def name_of(sensor: SensorReport) -> str:
    """What a person would call a sensor: its name, else its model, else its id."""
    names = (plain(name or "")[:_LONGEST_NAME].strip() for name in (sensor.name, sensor.model, sensor.id))
    return next(filter(None, names), NOT_KNOWN)


def name_among(sensor: SensorReport, names: Counter[str]) -> str:
    """A sensor's name, with the end of its address where others are called the same."""
    name = name_of(sensor)
    return f"{name} {plain(sensor.address[-5:])}" if names[name] > 1 else name


def athlete_of(sensor: SensorReport) -> str:
    """Whose sensor it is, with the shirt's number; empty if nobody's."""
    tracker = sensor.tracker
    if tracker is None:
        return ""
    name = plain(tracker.name or "").strip() or plain(tracker.serial_number)
    return name if tracker.number is None else f"{tracker.number} {name}"


def is_doubtful(sensor: SensorReport) -> bool:
    """Whether it may be no sensor at all."""
    return sensor.kind == UNKNOWN_KIND and sensor.tracker is None


def called(sensor: SensorReport) -> str:
    """A sensor in words: its name, and whose it is."""
    whose = "perhaps not a sensor" if is_doubtful(sensor) else athlete_of(sensor)
    return f"{name_of(sensor)} ({whose})" if whose else name_of(sensor)


def counted(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


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


def plain(text: str) -> str:
    """What a stranger wrote, without what would move the cursor, turn the line around or hide in it."""
    return "".join(character for character in text if character.isprintable())

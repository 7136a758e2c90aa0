"""What people call things: sensors, kinds and states, and what of a stranger's words may be shown."""

from textwrap import wrap

from rich.text import Text

from gateway.bluetooth.report import SensorReport

WIDTH = 80
NOT_KNOWN = "—"
KINDS = {"heart_rate": "heart", "power": "power", "both": "both", "unknown": "?"}

_LONGEST_NAME = 64


def name_of(sensor: SensorReport) -> str:
    """What a person would call a sensor: its name, else its model, else its id."""
    names = (plain(name or "")[:_LONGEST_NAME].strip() for name in (sensor.name, sensor.model, sensor.id))
    return next(filter(None, names), NOT_KNOWN)


def called(sensor: SensorReport) -> str:
    """A sensor in words: its name, what it is, and where."""
    return f"{name_of(sensor)} ({KINDS.get(sensor.kind, sensor.kind)}, {sensor.address})"


def counted(number: int, noun: str) -> str:
    """So many of something."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def wrapped(sentence: str, style: str) -> list[Text]:
    """A sentence in as many lines as it takes."""
    return [Text(line, style=style) for line in wrap(plain(sentence), WIDTH)]


def plain(text: str) -> str:
    """What a stranger wrote, without what would move the cursor, turn the line around or hide in it."""
    return "".join(character for character in text if character.isprintable())

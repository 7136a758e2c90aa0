"""A team's list as a file that people edit: CSV for spreadsheets, TOML in the form of the configuration.

An empty slot is unmanaged, "none" is none. What is wrong with a file is said all at once, by line and column, without
what stands there, but for names of columns and keys: it may be about a person.
"""

import csv
import io
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.mistakes import Mistake, nearest, shown
from gateway.pairing.documents import Sensor, Wanted, Wish
from gateway.pairing.report import TeamEntry
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError

COLUMNS = ("serial_number", "athlete", "heart_rate_address", "heart_rate_name", "power_address", "power_name")
"""Of the CSV. In a file that is read they stand in any order; all but the first may be missing, sensors in pairs."""

_PAIRS = (COLUMNS[2:4], COLUMNS[4:6])
_TOML_SLOTS = ("heart_rate_sensor", "power_meter")
_TOML_KEYS = ("serial_number", *_TOML_SLOTS, "athlete", "number", "device_name")

_ADDRESS = 'six octets such as a0:9e:1a:12:34:56, "none", or nothing'
_NAME = "the name that the sensor advertises, as `insiders-gateway scan` shows it"
_NO_NAME = "no name beside it"
_TOML_SENSOR = '"none", or { address = "a0:9e:1a:12:34:56", name = "Polar H10 1A2B3C4D" }'

_AS_IS = "'"
"""In front of a cell: what follows is text to the last space, and no formula."""


class TeamFileError(ValueError):
    """A list that cannot be used; `mistakes` holds everything that is wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


class TeamFile(NamedTuple):
    """What stands in a file.

    Attributes:
        trackers: What is wanted of each.
        athletes: Who wears them by the file, by serial number: for the reader, who may have a row in the wrong place.
    """

    trackers: tuple[TeamEntry, ...]
    athletes: Mapping[str, str]


def read_csv(content: bytes) -> TeamFile:
    """The content of a CSV file, as spreadsheets write them: with "," or ";" or tabs, with or without a mark in front.

    Raises:
        TeamFileError: With every mistake.
    """
    text = _text(content)
    team = _Team()
    header = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if columns:
                team.add(*_line(f"line {reader.line_num}", columns, cells, team.mistakes))
            else:
                columns = [cell.strip().lower() for cell in cells]
                team.mistakes += _header_mistakes(columns)
                if team.mistakes:
                    break
    except csv.Error:
        team.mistakes.append(Mistake(f"line {reader.line_num}", "quotes that do not match", "quotes in pairs, or none"))
    return team.checked()


def write_csv(team: Iterable[TeamEntry], athletes: Mapping[str, str]) -> bytes:
    """A list as CSV.

    Args:
        team: What is wanted of each tracker.
        athletes: Who wears them, by serial number: for the reader.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for entry in team:
        athlete = athletes.get(entry.serial_number, "")
        sensors = (*_cells(entry.heart_rate), *_cells(entry.power))
        writer.writerow(_guarded(cell) for cell in (entry.serial_number, athlete, *sensors))
    # Without the mark in front, spreadsheets take it for another encoding.
    return file.getvalue().encode("utf-8-sig")


def read_toml(content: bytes) -> TeamFile:
    """The content of a TOML file with `[[trackers]]` as in the configuration; its other sections do not matter.

    Raises:
        TeamFileError: With every mistake.
    """
    try:
        trackers = tomllib.loads(_text(content)).get("trackers", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        raise TeamFileError([Mistake("the file", "no TOML", 'lines such as serial_number = "012345"')]) from None
    if not isinstance(trackers, list) or not all(isinstance(tracker, dict) for tracker in trackers):
        raise TeamFileError([Mistake("trackers", "something else", "sections [[trackers]], with double brackets")])
    team = _Team()
    for number, tracker in enumerate(trackers, start=1):
        team.add(*_table(f"trackers[{number}]", tracker, team.mistakes))
    return team.checked()


def write_toml(team: Iterable[TeamEntry], athletes: Mapping[str, str]) -> bytes:
    """A list as TOML that can be put into the configuration; arguments as for `write_csv`."""
    blocks = []
    for entry in team:
        lines = ["[[trackers]]", f"serial_number = {_quoted(entry.serial_number)}"]
        if entry.serial_number in athletes:
            lines.append(f"athlete = {_quoted(athletes[entry.serial_number])}")
        for key, wanted in zip(_TOML_SLOTS, (entry.heart_rate, entry.power), strict=True):
            if isinstance(wanted, Sensor):
                lines.append(f"{key} = {{ address = {_quoted(wanted.address)}, name = {_quoted(wanted.name)} }}")
            elif wanted is Wish.NONE:
                lines.append(f'{key} = "none"')
        blocks.append("\n".join((*lines, "")))
    return "\n".join(blocks).encode()


class _Slot(NamedTuple):
    """A sensor as it was written, and where its two parts stand."""

    address: str = ""
    name: str = ""
    address_at: str = ""
    name_at: str = ""


class _Team:
    """Entries as they are read, and what is wrong with them."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._entries: list[TeamEntry] = []
        self._athletes: dict[str, str] = {}
        self._places: dict[str, str] = {}

    def add(self, at: str, serial_number: str, athlete: str, slots: Sequence[_Slot]) -> None:
        if not serial_number:
            self.mistakes.append(Mistake(at, "no serial_number", "the serial number on the tracker's label"))
        else:
            self._once(at, serial_number, "the tracker", "each tracker once")
            if athlete:
                self._athletes[serial_number] = athlete
        heart_rate, power = (self._wanted(slot) for slot in slots)
        self._entries.append(TeamEntry(serial_number=serial_number, heart_rate=heart_rate, power=power))

    def checked(self) -> TeamFile:
        if not self.mistakes and not self._entries:
            self.mistakes.append(Mistake("the file", "no tracker", "the serial number of one at least"))
        if self.mistakes:
            raise TeamFileError(self.mistakes)
        return TeamFile(tuple(self._entries), self._athletes)

    def _wanted(self, slot: _Slot) -> Wanted:
        address = slot.address.lower()
        if address in {"", Wish.NONE}:
            if slot.name:
                self.mistakes.append(Mistake(slot.name_at, "a name without an address", _NO_NAME))
            return Wish.NONE if address else Wish.UNMANAGED
        try:
            address = normal_form(address)
        except DecodeError:
            self.mistakes.append(Mistake(slot.address_at, "no Bluetooth address", _ADDRESS))
        else:
            self._once(slot.address_at, address, "the sensor", "each sensor once")
        if not slot.name:
            self.mistakes.append(Mistake(slot.name_at, "nothing", _NAME))
        return Sensor(address, slot.name)

    def _once(self, at: str, value: str, what: str, allowed: str) -> None:
        place = self._places.setdefault(f"{what} {value}", at)
        if place != at:
            self.mistakes.append(Mistake(at, f"{what} of {place}", allowed))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TeamFileError([Mistake("the file", "another encoding", 'UTF-8; save it as "CSV UTF-8"')]) from None


def _header_mistakes(columns: Sequence[str]) -> list[Mistake]:
    unknown = [name for name in columns if name and name not in COLUMNS]
    mistakes = [
        Mistake("the first line", f"an unknown column {shown(name)}", nearest(name, COLUMNS)) for name in unknown
    ]
    # A column under a wrong name is not missing as well.
    meant = {*columns, *(nearest(name, COLUMNS) for name in unknown)}
    if "serial_number" not in meant:
        mistakes.append(Mistake("the first line", "no column serial_number", ", ".join(COLUMNS)))
    mistakes += [
        Mistake("the first line", f"only one of {' and '.join(pair)}", "both or none")
        for pair in _PAIRS
        if len(meant.intersection(pair)) == 1
    ]
    if len(set(columns) - {""}) != len([column for column in columns if column]):
        mistakes.append(Mistake("the first line", "a column that stands twice", "each once"))
    return mistakes


def _line(
    at: str, columns: Sequence[str], cells: Sequence[str], mistakes: list[Mistake]
) -> tuple[str, str, str, list[_Slot]]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        mistakes.append(Mistake(at, "more cells than columns", "quotes around a cell that has the separator in it"))
    found = {column: _unguarded(cell) for column, cell in zip(columns, cells, strict=False)}
    slots = [
        _Slot(found.get(address, ""), found.get(name, ""), f"{at}, {address}", f"{at}, {name}")
        for address, name in _PAIRS
    ]
    return at, found.get("serial_number", ""), found.get("athlete", ""), slots


def _table(at: str, tracker: Mapping[str, Any], mistakes: list[Mistake]) -> tuple[str, str, str, list[_Slot]]:
    mistakes += [
        Mistake(at, f"an unknown key {shown(name)}", nearest(name, _TOML_KEYS))
        for name in tracker
        if name not in _TOML_KEYS
    ]
    serial_number = tracker.get("serial_number", "")
    if not isinstance(serial_number, str):
        mistakes.append(Mistake(f"{at}.serial_number", "no text", "the serial number in quotes"))
        serial_number = ""
    athlete = tracker.get("athlete", "")
    slots = [_toml_slot(f"{at}.{key}", tracker.get(key), mistakes) for key in _TOML_SLOTS]
    return at, serial_number, athlete if isinstance(athlete, str) else "", slots


def _toml_slot(at: str, value: object, mistakes: list[Mistake]) -> _Slot:
    if value is None:
        return _Slot()
    if value == Wish.NONE:
        return _Slot(Wish.NONE)
    if isinstance(value, dict) and value.keys() == {"address", "name"}:
        address, name = value["address"], value["name"]
        if isinstance(address, str) and isinstance(name, str) and address.lower() not in {"", Wish.NONE}:
            return _Slot(address, name, at, at)
    mistakes.append(Mistake(at, "something else", _TOML_SENSOR))
    return _Slot()


def _cells(wanted: Wanted) -> tuple[str, str]:
    if isinstance(wanted, Sensor):
        return wanted.address, wanted.name
    return ("none", "") if wanted is Wish.NONE else ("", "")


def _guarded(cell: str) -> str:
    return _AS_IS + cell if cell.startswith(("=", "+", "-", "@", _AS_IS)) or cell != cell.strip() else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith(_AS_IS) else cell.strip()


def _quoted(text: str) -> str:
    # A TOML string is written as in JSON but for one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""What can happen to what a gateway has written, while it is not there to see it."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.store import DATABASE
from gateway.uploads.keeping.journal import NAME
from gateway.uploads.keeping.spool import FOLDER


class Book(StrEnum):
    """Where recordings are written down."""

    FILES = "files"

    DATABASE = "database"
    LOG = "log"
    """What the database has not taken in yet. That it is missing nobody can see, but from the journal."""

    JOURNAL = "journal"
    TAIL = "tail"
    """The last line of the journal. That it is missing nobody can see, but from the database."""


LOST = frozenset({Book.DATABASE, Book.LOG}), frozenset({Book.JOURNAL, Book.TAIL})
"""With something of each, something may be known of nobody."""


@dataclass(frozen=True)
class Harm:
    """Something that happens to one of them.

    Attributes:
        act: Does it to a state folder, with dice; says whether there was anything to harm.
    """

    name: str
    book: Book
    act: Callable[[Path, random.Random], bool]


def _of_database(act: Callable[[Path, random.Random], bool]) -> Callable[[Path, random.Random], bool]:
    return lambda state, dice: (state / DATABASE).exists() and act(state / DATABASE, dice)


def _of_journal(act: Callable[[Path, random.Random], bool]) -> Callable[[Path, random.Random], bool]:
    return lambda state, dice: (state / FOLDER / NAME).exists() and act(state / FOLDER / NAME, dice)


def _delete(path: Path, _: random.Random) -> bool:
    path.unlink()
    return True


def _delete_all(path: Path, _: random.Random) -> bool:
    for found in path.parent.glob(f"{DATABASE}*"):
        if found.is_file():
            found.unlink()
    return True


def _delete_log(path: Path, _: random.Random) -> bool:
    log = path.with_name(f"{DATABASE}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    log.unlink(missing_ok=True)
    return has_log


def _empty(path: Path, _: random.Random) -> bool:
    os.truncate(path, 0)
    return True


def _overwrite(path: Path, dice: random.Random) -> bool:
    size = path.stat().st_size
    if not size:
        return False
    with path.open("r+b") as file:
        file.seek(dice.randrange(size))
        file.write(dice.randbytes(dice.choice([1, 40, 5000])))
    return True


def _spoil(path: Path, dice: random.Random) -> bool:
    """Some of its lines, but not the last one alone, which a crash could have cut off."""
    *lines, last = path.read_bytes().splitlines(keepends=True) or [b""]
    spoilt = [_flipped(line, dice) if dice.random() < 0.5 else line for line in lines]
    path.write_bytes(b"".join([*spoilt, last]))
    return spoilt != lines


def _flipped(line: bytes, dice: random.Random) -> bytes:
    flipped = bytearray(line)
    flipped[dice.randrange(len(line) - 1)] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def _tear(path: Path, dice: random.Random) -> bool:
    content = path.read_bytes()
    last = content.rfind(b"\n", 0, -1) + 1
    if not 0 < last < len(content):
        return False
    os.truncate(path, dice.randrange(last, len(content)))
    return True


HARMS = (
    Harm("the database: it is deleted", Book.DATABASE, _of_database(_delete)),
    Harm("the database: all of it is deleted", Book.DATABASE, _of_database(_delete_all)),
    Harm("the database: its log is deleted", Book.LOG, _of_database(_delete_log)),
    Harm("the database: it is empty", Book.DATABASE, _of_database(_empty)),
    Harm("the database: overwritten", Book.DATABASE, _of_database(_overwrite)),
    Harm("the journal: it is deleted", Book.JOURNAL, _of_journal(_delete)),
    Harm("the journal: it is empty", Book.JOURNAL, _of_journal(_empty)),
    Harm("the journal: lines are spoilt", Book.JOURNAL, _of_journal(_spoil)),
    Harm("the journal: torn", Book.TAIL, _of_journal(_tear)),
)

"""What must survive a restart: one SQLite database in the state folder, away from the event loop, for one process.

Nothing about a disk may stop the rest of the gateway. A store that cannot be read or written says so in `trouble` and
refuses; a damaged one is moved aside, says so in `damage`, and begins anew.
"""

import errno
import fcntl
import logging
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from gateway.worker import Worker

__all__ = ["DATABASE", "Connection", "Store", "StoreError", "StoreLockedError", "open_store"]

_LOG = logging.getLogger(__name__)

DATABASE = "store.sqlite"
"""In the state folder."""

_FORM = 4
"""Counts up when there is a table more, or one is different; kept as SQLite's user_version."""

_LOG_FILE, _MARKER = f"{DATABASE}-wal", f"{DATABASE}.exists"
_FILES = (DATABASE, _LOG_FILE, f"{DATABASE}-shm", _MARKER)  # the marker last: until it is gone the rest is looked for
_MARKER_TEXT = f"Where this file is, {DATABASE} has been: if that is missing or empty, it was lost.\n"

_DAMAGED = f"{DATABASE}.damaged-"
_KEPT_DAMAGES = 5
"""A card that damages everything must not be filled with that."""

_BUSY_S = 5.0
_TABLES = "SELECT name, sql FROM sqlite_schema"

_T = TypeVar("_T")


class StoreError(OSError):
    """Something about the disk.

    Attributes:
        text: What is wrong, one sentence without full stop.
        action: What to do next, one clause.
    """

    def __init__(self, text: str, action: str) -> None:
        super().__init__(f"{text}: {action}")
        self.text = text
        self.action = action


class StoreLockedError(StoreError):
    """Another gateway uses this folder."""


class Store:
    """One database; made by `open_store`. What is asked of it is done one after another, in a thread of its own."""

    def __init__(self, folder: Path, schemas: Sequence[str]) -> None:
        self._folder = folder
        self._database = _Database(folder, schemas)
        self._worker = Worker("store")

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be written; None if it can."""
        if self._worker.is_overdue:
            return StoreError(f"The disk with {self._folder} does not answer", "replace the card if that stays so")
        return self._database.failure

    @property
    def openings(self) -> int:
        """How often the database was opened: where that has grown, it may lack what was written before."""
        return self._database.openings

    @property
    def damage(self) -> str:
        """The folder into which a damaged database has gone, until a person removes it; "" if there is none."""
        return self._database.damage

    async def write(self, work: Callable[[Connection], _T], then: Callable[[_T], None] = lambda _: None) -> _T:
        """Do something in one transaction, which is on the disk when this returns.

        Args:
            work: What to do, in the store's thread; if it raises, nothing of it is kept.
            then: Called with its result, in the event loop, as soon as it is on the disk: even if the caller has been
                cancelled meanwhile, which does not stop the transaction.

        Raises:
            StoreError: If it could not be written; then nothing of it is kept, as far as a failing disk can promise.
        """
        if self.trouble is not None:
            raise _again(self.trouble)
        return await self._worker.run(lambda: self._database.transact("BEGIN IMMEDIATE", work), then)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Look something up, in the store's thread.

        Raises:
            StoreError: If it cannot be read. That it cannot be written is no reason.
        """
        if self._worker.is_overdue and self.trouble is not None:
            raise _again(self.trouble)
        return await self._worker.run(lambda: self._database.transact("BEGIN", work))

    async def beside(self, work: Callable[[Path], _T], then: Callable[[_T], None] = lambda _: None) -> _T:
        """Do something with the folder itself, in the store's thread; `then` is as in `write`.

        Raises:
            OSError: What that raises; also if the disk does not answer.
        """
        if self._worker.is_overdue and self.trouble is not None:
            raise _again(self.trouble)
        return await self._worker.run(lambda: work(self._folder), then)

    async def mend(self) -> bool:
        """Where there is trouble, try again; look whether what was damaged is still there.

        Returns:
            Whether there is no trouble now.
        """
        if not self._worker.is_overdue:
            await self._worker.run(self._database.look if self._database.failure is None else self._database.open)
        return self.trouble is None

    async def start(self) -> None:
        """Lock the folder and open the database; goes on in the background where the disk does not answer.

        Raises:
            StoreLockedError: If another process has locked it.
        """
        await self._worker.attempt(self._database.open)
        if isinstance(self._database.failure, StoreLockedError):
            raise self._database.failure

    async def close(self) -> None:
        """Close the database and give the folder free; not waited for where the disk does not answer."""
        await self._worker.attempt(self._database.close)
        self._worker.close()


@asynccontextmanager
async def open_store(folder: Path, schemas: Sequence[str]) -> AsyncIterator[Store]:
    """The database of a folder, made if it is not there.

    Args:
        folder: Where to; locked to this process as long as the context is open.
        schemas: SQL that makes the tables where they are not there; no ";" but between statements.

    Raises:
        StoreLockedError: If another process has it open. Nothing else: whatever is wrong, the store says in `trouble`.
    """
    store = Store(folder, schemas)
    try:
        await store.start()
        yield store
    finally:
        await store.close()


_NOT_OPENED = StoreError("The state folder is not open", "wait a minute")


class _DamagedError(Exception):
    """The database is not what was written."""


class _Database:
    """The side that touches the disk, in the store's thread; what has no underscore is looked at from outside."""

    def __init__(self, folder: Path, schemas: Iterable[str]) -> None:
        self.failure: StoreError | None = _NOT_OPENED
        self.damage = ""
        self.openings = 0
        self._folder = folder
        self._path = folder / DATABASE
        self._statements = [statement for schema in schemas for statement in schema.split(";") if statement.strip()]
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
            self._make_tables(empty)
            self._tables = set(empty.execute(_TABLES))
        self._lock: int | None = None
        self._connection: Connection | None = None

    def transact(self, begin: str, work: Callable[[Connection], _T]) -> _T:
        if self._connection is None:
            raise _again(self.failure or _NOT_OPENED)
        try:
            return _transact(self._connection, begin, work)
        except sqlite3.Error as error:
            if _code(error) not in _TROUBLES:
                _LOG.exception("What was asked of the store is a mistake of the program")
            raise _again(self._failed(_code(error), error)) from None

    def open(self) -> None:
        self._close_connection()
        self.openings += 1
        try:
            self._connection = self._opened()
            self.failure = None
        except StoreError as error:
            self.failure = error
        except sqlite3.Error as error:
            self._failed(_code(error), error)
        except OSError as error:
            self._failed(_CODES.get(error.errno or 0, sqlite3.SQLITE_CANTOPEN), error)
        if self.failure is not None and not isinstance(self.failure, StoreLockedError):
            self._connection = self._readable()
        self.look()

    def look(self) -> None:
        with suppress(OSError):
            self.damage = str(max(self._folder.glob(f"{_DAMAGED}*"), default=""))

    def close(self) -> None:
        self._close_connection()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _failed(self, code: int, error: Exception) -> StoreError:
        text, action = _TROUBLES.get(code, ("{} does not work", "restart the gateway"))
        before, self.failure = self.failure, StoreError(text.format(self._path), action)
        if before is None or before.text != self.failure.text:
            _LOG.warning("%(text)s (%(error)s)", {"text": str(self.failure), "error": error})
        return self.failure

    def _opened(self) -> Connection:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self._locked()
        marker = self._folder / _MARKER
        try:
            if not self._size() and marker.exists():
                raise _DamagedError
            connection = self._writable()
        except _DamagedError:
            self._move_aside()
            connection = self._writable()
        if not marker.exists():
            try:
                marker.write_text(_MARKER_TEXT, encoding="utf-8")
                os.fsync(lock)
            except OSError:
                connection.close()
                raise
        return connection

    def _size(self) -> int:
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return 0
        if not stat.S_ISREG(status.st_mode):  # to open a pipe, for one, would take for ever
            raise StoreError(f"{self._path} is no file", "move it away")
        return status.st_size

    def _locked(self) -> int:
        if self._lock is None:
            lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(lock)
                if isinstance(error, BlockingIOError):
                    text = f"Another gateway uses {self._folder}"
                    raise StoreLockedError(text, "stop it, or give this one a state_dir of its own") from None
                raise
            self._lock = lock
        return self._lock

    def _writable(self) -> Connection:
        # What SQLite puts beside it gets the mode that it has.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._path.chmod(0o600)
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            if self._checked_form(connection) > _FORM:
                text = f"{self._path} was written by a newer gateway"
                raise StoreError(text, "install that one again, or move the file away")
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            _transact(connection, "BEGIN IMMEDIATE", self._make_tables)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: Connection) -> None:
        for statement in self._statements:
            connection.execute(statement)
        # Written at every start, and so the proof that it can be.
        connection.execute(f"PRAGMA user_version = {_FORM}")

    def _checked_form(self, connection: Connection) -> int:
        try:
            form: int = connection.execute("PRAGMA user_version").fetchone()[0]
            verdict: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            tables = set(connection.execute(_TABLES))
        except sqlite3.DatabaseError as error:
            if _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise _DamagedError from None
            raise
        # A bit can flip in the name of a column, too.
        if verdict != "ok" or (form == _FORM and not self._tables <= tables):
            raise _DamagedError
        return form

    def _readable(self) -> Connection | None:
        """What can be read where nothing can be written; None where that is nothing."""
        with suppress(OSError, sqlite3.Error):
            # What an orderly stop leaves needs no log, so that SQLite has nothing to write.
            has_log = self._size() > 0 and (self._folder / _LOG_FILE).exists()
            uri = f"{self._path.as_uri()}?{'mode=ro' if has_log else 'immutable=1'}"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            with suppress(sqlite3.Error, _DamagedError):
                if self._checked_form(connection) == _FORM:
                    return connection
            connection.close()
        return None

    def _move_aside(self) -> None:
        aside = self._folder / f"{_DAMAGED}{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z"
        aside.mkdir(mode=0o700)
        for name in _FILES:
            with suppress(FileNotFoundError):
                (self._folder / name).rename(aside / name)
        for old in sorted(self._folder.glob(f"{_DAMAGED}*"))[:-_KEPT_DAMAGES]:
            shutil.rmtree(old, ignore_errors=True)
        _LOG.error(
            "%(state_path)s was damaged or lost and begins anew; what is left of it is in %(aside)s",
            {"state_path": self._path, "aside": aside},
        )

    def _close_connection(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _transact(connection: Connection, begin: str, work: Callable[[Connection], _T]) -> _T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    return result


_AGAIN = "it is tried again every minute"

_TROUBLES = {
    sqlite3.SQLITE_FULL: ("The disk is full, {} cannot be written", f"free some space; {_AGAIN}"),
    sqlite3.SQLITE_READONLY: ("{} cannot be written", f"check the card and the rights of this file; {_AGAIN}"),
    sqlite3.SQLITE_CANTOPEN: ("{} cannot be opened", f"check the card and the rights of this file; {_AGAIN}"),
    sqlite3.SQLITE_IOERR: ("The disk fails with {}", "replace the card"),
    sqlite3.SQLITE_CORRUPT: ("{} is damaged", "wait a minute, then it is moved aside and begun anew"),
    sqlite3.SQLITE_NOTADB: ("{} is damaged", "wait a minute, then it is moved aside and begun anew"),
    sqlite3.SQLITE_PROTOCOL: ("{} cannot be locked", f"check the card; {_AGAIN}"),
    sqlite3.SQLITE_BUSY: ("Another program has {} open", f"close it; {_AGAIN}"),
}
"""What is nobody's mistake in this program, by SQLite's code."""

_CODES = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EIO: sqlite3.SQLITE_IOERR,
    errno.EROFS: sqlite3.SQLITE_READONLY,
    errno.EACCES: sqlite3.SQLITE_READONLY,
}


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _again(error: StoreError) -> StoreError:
    """One to be raised: an exception that is raised twice would grow."""
    return StoreError(error.text, error.action)

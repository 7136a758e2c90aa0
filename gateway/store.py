"""What must survive a restart: one SQLite database in the state folder, away from the event loop, for one process.

Nothing about a disk may stop the rest of the gateway. A store that cannot be read or written says so in `trouble` and
refuses; a damaged one is moved aside, says so in `damage`, and begins anew.
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

__all__ = ["DATABASE", "Connection", "Store", "StoreError", "StoreLockedError", "open_store"]

_LOG = logging.getLogger(__name__)

DATABASE = "store.sqlite"
"""In the state folder."""

OVERDUE_S = 10.0
"""How long a card may take for one thing until it is called stuck; worn ones pause for seconds."""

_FORM = 1
"""Counts up when a table changes its meaning; kept as SQLite's user_version."""

_MARKER = f"{DATABASE}.exists"
_MARKER_TEXT = (
    f"{DATABASE} beside this file is where insiders-gateway keeps the pairings: if it is gone, it was lost.\n"
)
_KEPT_DAMAGES = 5

_BUSY_S = 5.0

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


class _DamagedError(Exception):
    """The database is not what was written."""


class Store:
    """One database; made by `open_store`.

    All of SQLite happens in one thread, in the order in which it is asked for.

    Attributes:
        damage: Where a damaged database of before has gone, until a person removes that file; "" if there is none.
    """

    def __init__(self, folder: Path, schemas: Sequence[str]) -> None:
        self.damage = ""
        self._folder = folder
        self._path = folder / DATABASE
        self._schemas = schemas
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._lock: int | None = None
        self._connection: Connection | None = None
        self._failure: StoreError | None = StoreError("The state folder was not looked at yet", "wait a moment")
        self._overdue = 0

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be written; None if it can."""
        if self._overdue:
            return StoreError(
                f"The disk of {self._folder} has not answered for {OVERDUE_S:g} s", "replace the card if it stays so"
            )
        return self._failure

    async def write(self, work: Callable[[Connection], _T], then: Callable[[_T], None] = lambda _: None) -> _T:
        """Do something in one transaction, which is on the disk when this returns.

        Args:
            work: What to do, in the store's thread; if it raises, nothing of it is kept.
            then: Called with its result, in the event loop, as soon as it is on the disk: even if the caller has been
                cancelled meanwhile, which does not stop the transaction.

        Raises:
            StoreError: If it could not be written; nothing of it is kept.
        """
        if self.trouble is not None:
            raise StoreError(self.trouble.text, self.trouble.action)
        return await self._run(lambda: self._transact("BEGIN IMMEDIATE", work), then)

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Look something up, in the store's thread.

        Raises:
            StoreError: If it cannot be read. That it cannot be written is no reason.
        """
        if self._overdue and self.trouble is not None:
            raise StoreError(self.trouble.text, self.trouble.action)
        return await self._run(lambda: self._transact("BEGIN", work))

    async def mend(self) -> bool:
        """Where there is trouble, try again; whether there is none now."""
        if not self._overdue and self._failure is not None:
            await self._run(self._open)
        return self.trouble is None

    async def start(self) -> None:
        """Lock the folder and open the database; goes on in the background where the disk does not answer.

        Raises:
            StoreLockedError: If another process has locked it.
        """
        opening = asyncio.get_running_loop().run_in_executor(self._worker, self._open)
        await asyncio.wait({opening}, timeout=OVERDUE_S)
        if isinstance(self._failure, StoreLockedError):
            await self.close()
            raise self._failure

    async def close(self) -> None:
        """Close the database and give the folder free, unless the disk does not answer."""
        closing = asyncio.get_running_loop().run_in_executor(self._worker, self._close)
        await asyncio.wait({closing}, timeout=OVERDUE_S)
        self._worker.shutdown(wait=False)

    async def _run(self, job: Callable[[], _T], then: Callable[[_T], None] = lambda _: None) -> _T:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._worker, job)
        is_overdue = False

        def overdue() -> None:
            nonlocal is_overdue
            is_overdue = True
            self._overdue += 1

        def done(future: asyncio.Future[_T]) -> None:
            timer.cancel()
            self._overdue -= is_overdue
            if future.exception() is None:
                then(future.result())

        timer = loop.call_later(OVERDUE_S, overdue)
        future.add_done_callback(done)
        return await asyncio.shield(future)

    # What follows runs in the store's thread.

    def _transact(self, begin: str, work: Callable[[Connection], _T]) -> _T:
        connection = self._connection
        if connection is None:
            failure = self._failure or _failure(sqlite3.OperationalError(), self._path)
            raise StoreError(failure.text, failure.action)
        try:
            connection.execute(begin)
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            if not _is_trouble(error):
                raise
            self._failure = _failure(error, self._path)
            raise self._failure from None
        return result

    def _open(self) -> None:
        try:
            self._close_database()
            self._failure = self._opened()
        except OSError as error:
            self._failure = error if isinstance(error, StoreError) else _os_failure(error, self._folder)
        except sqlite3.Error as error:
            self._failure = _failure(error, self._path)
        if self._failure is not None and self._connection is None:
            self._connection = self._read_only()

    def _opened(self) -> StoreError | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_folder()
        try:
            self._check_presence()
            self._connection = self._writable()
        except _DamagedError:
            self._move_aside()
            self._connection = self._writable()
        marker = self._folder / _MARKER
        if not marker.exists():
            marker.write_text(_MARKER_TEXT, encoding="utf-8")
        os.fsync(self._lock if self._lock is not None else -1)
        self.damage = self._damage()
        return None

    def _lock_folder(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise StoreLockedError(
                f"Another gateway uses {self._folder}", "stop it, or give this one a state_dir of its own"
            ) from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def _check_presence(self) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        if size == 0 and (self._folder / _MARKER).exists():
            raise _DamagedError

    def _writable(self) -> Connection:
        # What SQLite puts beside it gets the mode that it has.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        self._path.chmod(0o600)
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            form = _checked_form(connection)
            if form > _FORM:
                raise StoreError(
                    f"{self._path} was written by a newer gateway", "install that one again, or move the file away"
                )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE")
            for schema in self._schemas:
                for statement in filter(str.strip, schema.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_FORM}")  # a write at every start shows whether it can be done
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_only(self) -> Connection | None:
        """What can be read where nothing can be written; None where that is nothing."""
        if isinstance(self._failure, StoreLockedError):
            return None
        wal = self._path.with_name(f"{DATABASE}-wal")
        try:
            ways = ["mode=ro"] if wal.exists() and wal.stat().st_size else ["mode=ro", "immutable=1"]
        except OSError:
            return None
        for way in ways:
            with suppress(sqlite3.Error, _DamagedError):
                connection = sqlite3.connect(f"{self._path.as_uri()}?{way}", uri=True, isolation_level=None)
                try:
                    if _checked_form(connection) == _FORM:
                        return connection
                except BaseException:
                    connection.close()
                    raise
                connection.close()
        return None

    def _move_aside(self) -> None:
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", _MARKER):
            with suppress(FileNotFoundError):
                (self._folder / name).rename(self._folder / f"{DATABASE}.damaged-{stamp}{name.removeprefix(DATABASE)}")
        _LOG.error("%s was damaged or lost, what is left of it is beside it: it begins anew", self._path)

    def _damage(self) -> str:
        damages = sorted(self._folder.glob(f"{DATABASE}.damaged-*Z"))
        return str(damages[-1]) if damages else ""

    def _close_database(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _close(self) -> None:
        self._close_database()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


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
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def _checked_form(connection: Connection) -> int:
    try:
        form: int = connection.execute("PRAGMA user_version").fetchone()[0]
        verdict: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if _code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise _DamagedError from None
        raise
    if verdict != "ok":
        raise _DamagedError
    return form


_TROUBLES = {
    sqlite3.SQLITE_FULL: ("The disk of {} is full", "free some space; the gateway tries again every minute"),
    sqlite3.SQLITE_READONLY: ("{} cannot be written", "check the card and its rights, then restart this machine"),
    sqlite3.SQLITE_CANTOPEN: ("{} cannot be opened", "check the card and its rights, then restart this machine"),
    sqlite3.SQLITE_PERM: ("{} cannot be opened", "check the card and its rights, then restart this machine"),
    sqlite3.SQLITE_IOERR: ("The disk of {} fails", "replace the card"),
    sqlite3.SQLITE_CORRUPT: ("{} is damaged", "wait a minute, then it is moved aside and begun anew"),
    sqlite3.SQLITE_NOTADB: ("{} is damaged", "wait a minute, then it is moved aside and begun anew"),
    sqlite3.SQLITE_BUSY: ("Another program has {} open", "close it"),
}


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_trouble(error: sqlite3.Error) -> bool:
    return _code(error) in _TROUBLES


def _failure(error: sqlite3.Error, path: Path) -> StoreError:
    text, action = _TROUBLES.get(_code(error), ("{} does not work", "restart the gateway"))
    return StoreError(text.format(path), action)


def _os_failure(error: OSError, folder: Path) -> StoreError:
    return StoreError(f"{folder} cannot be used ({error.strerror})", "check the card and the rights of this folder")

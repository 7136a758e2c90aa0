"""How a recording is written down: a line of the journal, then its row. All of it happens in the store's thread.

So whatever is asked happens one after another, each with what is newest then, and each whole or not at all: a line
without its row is taken for what was meant, should the gateway end there.
"""

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.store import Connection, StoreError
from gateway.uploads.keeping import rows
from gateway.uploads.keeping.journal import NAME, Journal, Read
from gateway.uploads.keeping.recovery import is_synced
from gateway.uploads.keeping.room import FULL
from gateway.uploads.keeping.spool import Spool
from gateway.uploads.recording import DELETED, Recording, State

_AGAIN = "it is tried again every minute"


@dataclass(frozen=True, slots=True)
class Written:
    """What was found.

    Attributes:
        rows: By SHA-256, those that are unharmed.
        damaged: What stands for the SHA-256 in the others.
        journal: What it says.
    """

    rows: Mapping[str, Recording]
    damaged: frozenset[str]
    journal: Read


class Books:
    """The rows and the journal.

    Attributes:
        failure: Why the journal cannot be written or the spool cannot be used; None if nothing is known to be wrong.
    """

    def __init__(self, spool: Spool, known: Mapping[str, Recording]) -> None:
        """Touches nothing yet.

        Args:
            spool: Where the files and the journal are.
            known: The recordings in memory; what has happened to one last may not have come there yet.
        """
        self.failure: StoreError | None = None
        self._spool = spool
        self._known = known
        self._journal = Journal(spool.folder / NAME)

    def fail(self, error: OSError) -> StoreError:
        """Remember why it does not work, and say it again."""
        self.failure = _told(error, str(self._spool.folder))
        return StoreError(self.failure.text, self.failure.action)

    def read(self, connection: Connection) -> Written:
        """All that is written."""
        stored, damaged = rows.read(connection)
        return Written(stored, damaged, self._journal.read())

    def write(self, connection: Connection, sha256: str, change: Callable[[Recording | None], Recording]) -> Recording:
        """Change the newest of a recording.

        Returns:
            What it is now.

        Raises:
            StoreError: If the journal could not be written. And what `change` raises.
        """
        if self.failure is not None:
            raise StoreError(self.failure.text, self.failure.action)
        known = self._newest(connection, sha256)
        recording = change(known)
        if recording != known:
            try:
                self._journal.append(recording, is_synced=is_synced(known, recording))
            except OSError as error:
                raise self.fail(error) from None
            rows.put(connection, [recording])
        return recording

    def settle(self, connection: Connection, recordings: Iterable[Recording]) -> None:
        """Write down the rows of these besides what is there; `log` comes after it.

        Several lines without their rows would look as if the database were not the newest. Rows without their lines
        say nothing: all of this is told again from what it was told from.

        Raises:
            OSError: If they could not be written. As for those that follow.
        """
        rows.put(connection, recordings)

    def log(self, recordings: Sequence[Recording]) -> None:
        """Write down the lines of these, so that they survive a power cut."""
        for place, recording in enumerate(recordings, 1):
            self._journal.append(recording, is_synced=place == len(recordings))

    def begin_anew(self, connection: Connection) -> tuple[Recording, ...]:
        """Write down the newest of every recording, and nothing else.

        Which that is, is told here and now: by the time this is done, what memory was when it was asked for may be old.

        Returns:
            All of them; some may be later than in memory, where a disk has kept what it seemed to have failed with.
        """
        everything = self._newest_of_all(connection)
        self._journal.rewrite(everything)
        rows.clear(connection)
        rows.put(connection, everything)
        return everything

    def compact(self, connection: Connection) -> None:
        """Where the journal has become long, leave only the last line of each recording."""
        if self._journal.is_long:
            self._journal.rewrite(self._newest_of_all(connection))

    def delete_file(self, connection: Connection, sha256: str) -> None:
        """Delete a file, unless the same recording was taken again meanwhile."""
        known = self._newest(connection, sha256)
        if known is not None and known.state in DELETED:
            self._spool.remove(sha256)

    def let_go(self, connection: Connection, sha256: str) -> None:
        """Delete the file of what is done, if the disk is full."""
        known = self._newest(connection, sha256)
        if known is not None and known.state is State.DONE and self._spool.room().is_scarce:
            self._spool.remove(sha256)

    def _newest_of_all(self, connection: Connection) -> tuple[Recording, ...]:
        stored, _ = rows.read(connection)
        known = dict(self._known)
        newest = (_later(stored.get(sha256), known.get(sha256)) for sha256 in {*stored, *known})
        return tuple(recording for recording in newest if recording is not None)

    def _newest(self, connection: Connection, sha256: str) -> Recording | None:
        return _later(rows.get(connection, sha256), self._known.get(sha256))


def _later(row: Recording | None, known: Recording | None) -> Recording | None:
    if row is None or (known is not None and known.version >= row.version):
        return known
    return row


def _told(error: OSError, folder: str) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if error.errno in FULL:
        return StoreError(f"The disk with {folder} is full", f"free some space; {_AGAIN}")
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return StoreError(f"{folder} cannot be written", f"check the card and the rights of this folder; {_AGAIN}")
    if error.errno == errno.EIO:
        return StoreError(f"The disk fails with {folder}", "replace the card")
    return StoreError(f"{folder} cannot be used ({error.strerror})", f"put it right; {_AGAIN}")

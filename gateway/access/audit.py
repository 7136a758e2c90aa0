"""The audit log: who looked, let in, paired, released, and who was turned away. Who and what, never a measurement."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass, replace

from gateway.access.caller import Caller
from gateway.store import Connection, Store, StoreError

_LOG = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit_line (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,
    person TEXT NOT NULL,
    device TEXT NOT NULL,
    caller_grant TEXT NOT NULL,
    address TEXT NOT NULL,
    deed TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_line_of ON audit_line (deed, outcome, person, address);
"""

LOOKED = "looked"
"""The deed of following live data or their past: the same once more within `MERGED_MS` is counted in one line."""

ADMISSION = "admission"
"""The deed of showing a token or a code."""

DONE, DENIED = "done", "denied"
MERGED_MS = 600_000
KEPT_MS = 365 * 86_400_000
MAX_LINES, MAX_REFUSED = 100_000, 10_000
"""Of what was done, and of what was not: whoever is turned away for weeks must not push out what others did."""

MAX_REFUSED_PER_MINUTE = 30
"""Different ones; the rest of the minute is counted in one line of nobody's."""

MAX_PENDING = 1000
"""Lines that wait for a disk that does not work; then the oldest go, which is counted."""

FLUSH_S = 5.0
PRUNE_S = 3600.0
MAX_WORDS = 120

_TURN_S = 1.0
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Line:
    """One deed, or the same one several times.

    Attributes:
        first_ms, last_ms: When, epoch ms.
        count: How often.
        person, device, grant: Who; "" if nobody who was let in, and no grant on the gateway itself.
        address: From where; "" on the gateway itself.
        deed: What.
        subject: To whom or what: an athlete, a serial number, a person; "" if to nothing in particular.
        outcome: `DONE`, `DENIED`, or why it was not done.
        id: Of the line, growing; 0 until it is written down.
    """

    first_ms: int
    last_ms: int
    count: int
    person: str
    device: str
    grant: str
    address: str
    deed: str
    subject: str
    outcome: str
    id: int = 0


class Audit:
    """Takes note of what people do; written down within seconds.

    Attributes:
        lost: How many lines could not be written down, and are gone.
    """

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        is_clock_sure: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make it wait for the first deed.

        Args:
            store: With `SCHEMA`.
            now_ms: The wall clock, epoch ms.
            is_clock_sure: Whether that can be trusted; while it cannot, nothing is dropped for its age.
        """
        self.lost = 0
        self._store = store
        self._now_ms = now_ms
        self._is_clock_sure = is_clock_sure
        self._pending: deque[Line] = deque()
        self._minute = 0
        self._refused = 0  # in this minute
        self._told_lost = 0
        self._flushing = asyncio.Lock()

    def note(self, caller: Caller | None, deed: str, subject: str = "", outcome: str = DONE, address: str = "") -> None:
        """Somebody did something, or was not let.

        Args:
            caller: Who; None if nobody was let in.
            deed: What, a short word for programs: `LOOKED`, or the name of an action.
            subject: To whom or what; never a measurement.
            outcome: What came of it, a short word.
            address: From where.
        """
        now_ms = self._now_ms()
        person, device, grant = ("", "", "") if caller is None else (caller.person, caller.device, caller.grant or "")
        line = Line(
            now_ms, now_ms, 1, person, device, grant, _plain(address), _plain(deed), _plain(subject), _plain(outcome)
        )
        if outcome != DONE:
            line = self._bounded(line)
        for place, known in enumerate(self._pending):
            both = merged(known, line)
            if both is not None:
                del self._pending[place]
                self._pending.append(both)
                return
        self._pending.append(line)
        self._shorten()

    async def read(self, limit: int, before: int | None = None) -> list[Line]:
        """Lines, by when their deed was last done, newest first; those that could not be written down yet have no id.

        Args:
            limit: How many at most.
            before: Only those older than the line with this id.

        Raises:
            StoreError: If they cannot be read.
        """
        await self.flush()
        kept = await self._store.read(lambda connection: _read(connection, limit, before))
        waiting = reversed(self._pending) if before is None else ()
        return [*waiting, *kept][:limit]

    async def flush(self) -> None:
        """Write down what waits; where that fails it goes on waiting."""
        async with self._flushing:
            if not self._pending:
                return
            lines, self._pending, lost = self._pending, deque(), self.lost
            new = [*lines, *self._loss(lost - self._told_lost)]
            try:
                await self._store.write(lambda connection: _write(connection, new))
            except StoreError:
                self._pending.extendleft(reversed(lines))
                self._shorten()
            else:
                self._told_lost = lost

    async def run(self, beat: Callable[[], None]) -> None:
        """Write down what waits, and drop what is old, until cancelled.

        Args:
            beat: Called with every turn; none waits for the disk.
        """
        now = asyncio.get_running_loop().time
        flush_s, prune_s = now() + FLUSH_S, now()
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(asyncio.sleep(0))
                while True:
                    beat()
                    if working.done() and now() >= flush_s:
                        working = tasks.create_task(self.flush())
                        flush_s = now() + FLUSH_S
                    elif working.done() and now() >= prune_s:
                        working = tasks.create_task(self._prune())
                        prune_s = now() + PRUNE_S
                    await asyncio.sleep(_TURN_S)
        finally:
            await self.flush()

    def _loss(self, count: int) -> Iterable[Line]:
        now_ms = self._now_ms()
        return [Line(now_ms, now_ms, count, "", "", "", "", "lines_lost", "", DONE)] if count else []

    def _shorten(self) -> None:
        while len(self._pending) > MAX_PENDING:
            self.lost += self._pending.popleft().count

    def _bounded(self, line: Line) -> Line:
        minute = line.first_ms // _MINUTE_MS
        if minute != self._minute:
            self._minute, self._refused = minute, 0
        if any(merged(known, line) for known in self._pending):
            return line
        self._refused += 1
        if self._refused <= MAX_REFUSED_PER_MINUTE:
            return line
        return replace(
            line, person="", device="", grant="", address="", deed="more_attempts", subject="", outcome=DENIED
        )

    async def _prune(self) -> None:
        before_ms = self._now_ms() - KEPT_MS if self._is_clock_sure() else 0
        try:
            await self._store.write(lambda connection: _prune(connection, before_ms))
        except StoreError as error:
            _LOG.warning("Old lines of the audit log cannot be dropped: %(text)s", {"text": str(error)})


def merged(line: Line, later: Line) -> Line | None:
    """The two as one; None if each is a line of its own."""
    # Either way round: the wall clock may have been set back meanwhile.
    if not _is_counted(line) or _key(line) != _key(later) or abs(later.last_ms - line.first_ms) >= MERGED_MS:
        return None
    return replace(line, count=line.count + later.count, last_ms=max(line.last_ms, later.last_ms))


def _is_counted(line: Line) -> bool:
    return line.deed == LOOKED or line.outcome != DONE


def _key(line: Line) -> tuple[str, ...]:
    return line.person, line.device, line.grant, line.address, line.deed, line.subject, line.outcome


_COLUMNS = "first_ms, last_ms, count, person, device, caller_grant, address, deed, subject, outcome, id"
_OF = "person = ? AND device = ? AND caller_grant = ? AND address = ? AND deed = ? AND subject = ? AND outcome = ?"


def _write(connection: Connection, lines: Iterable[Line]) -> None:
    for line in lines:
        both = _merged_with_last(connection, line)
        if both is None:
            _insert(connection, line)
        else:
            # Under a new id: lines are read in the order of when their deed was last done.
            connection.execute("DELETE FROM audit_line WHERE id = ?", (both.id,))
            _insert(connection, both)


def _insert(connection: Connection, line: Line) -> None:
    connection.execute(
        f"INSERT INTO audit_line ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",  # noqa: S608 - constants
        astuple(line)[:-1],
    )


def _merged_with_last(connection: Connection, line: Line) -> Line | None:
    if not _is_counted(line):
        return None
    last = connection.execute(
        f"SELECT {_COLUMNS} FROM audit_line WHERE {_OF} ORDER BY id DESC LIMIT 1",  # noqa: S608 - constants
        _key(line),
    ).fetchone()
    return None if last is None else merged(Line(*last), line)


def _read(connection: Connection, limit: int, before: int | None) -> list[Line]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit_line WHERE id < ? ORDER BY id DESC LIMIT ?",  # noqa: S608 - constants
        (1 << 62 if before is None else before, limit),
    )
    return [Line(*row) for row in rows]


def _prune(connection: Connection, before_ms: int) -> None:
    connection.execute("DELETE FROM audit_line WHERE last_ms < ?", (before_ms,))
    for is_done, most in ((True, MAX_LINES), (False, MAX_REFUSED)):
        connection.execute(
            "DELETE FROM audit_line WHERE id IN (SELECT id FROM audit_line WHERE (outcome = ?) = ?"
            " ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (DONE, is_done, most),
        )


def _plain(text: str) -> str:
    return "".join(character for character in text[:MAX_WORDS] if character.isprintable())

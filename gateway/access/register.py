"""The grants there are: what is looked at stands in memory, and what must not be forgotten in the store.

A store that fails takes nothing away from those who were let in before. Who is thrown out is out at once, and that is
written down as soon as something can be.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace

from gateway.access import grants as keeping
from gateway.access.grants import Grant
from gateway.access.tombstones import Tombstones
from gateway.store import Connection, Store, StoreError

_LOG = logging.getLogger(__name__)

TURN_S = 1.0
USES_S = 600.0
"""How long a last use may wait in memory; a card is written to as rarely as can be."""

MEND_S = 60.0
PATIENCE_S = 3.0
"""How long the end of a grant waits for the disk until its answer comes without."""

TOMBSTONES = "access.ended"
KEPT_EXPIRED_MS = 30 * 86_400_000
"""What has expired is still listed for so long."""


class Register:
    """All grants, by id and by the hash of their token.

    Attributes:
        revision: Grows whenever somebody comes to have access, or ceases to.
        rejected: How many grants of the store were damaged; they let nobody in.
        is_loaded: Whether what the store has is known.
    """

    def __init__(self, store: Store, now_ms: Callable[[], int], is_clock_sure: Callable[[], bool]) -> None:
        """Make it know nothing; `load` reads the store.

        Args:
            store: With the tables of `gateway.access.grants`.
            now_ms: The wall clock, epoch ms.
            is_clock_sure: Whether that can be trusted; while it cannot, it is no earlier than it has been when it
                could, and nothing that has expired is dropped.
        """
        self.revision = 0
        self.rejected = 0
        self.is_loaded = False
        self._store = store
        self._wall_ms = now_ms
        self._is_clock_sure = is_clock_sure
        self._grants: dict[str, Grant] = {}
        self._digests: dict[str, bytes] = {}
        self._ids: dict[bytes, str] = {}
        self._expired: set[str] = set()
        self._ended: set[str] = set()  # never emptied: a database that comes back must not bring one of them back
        self._unwritten: set[str] = set()
        self._tombstones = Tombstones(store, TOMBSTONES)
        self._uses: dict[str, int] = {}
        self._sure_ms = 0  # the last that was sure; of this run, or of one before
        self._is_time_due = False  # by it, a grant has expired
        # The one of the store since which what is in memory is known to be on the disk; None while it is not.
        self._opening: int | None = None
        self._changed = asyncio.Event()

    @property
    def grants(self) -> Collection[Grant]:
        """All of them, oldest first."""
        return tuple(self._grants.values())

    @property
    def trouble(self) -> StoreError | None:
        """Why memory and disk are not the same now; None if they are."""
        if self._store.trouble is not None:
            return self._store.trouble
        if self._opening == self._store.openings and not self._unwritten:
            return None
        return StoreError("Who may come in was not read from the disk, or not written", "wait a minute")

    @property
    def is_forgetful(self) -> bool:
        """Whether a restart would let in somebody who was thrown out."""
        return any(grant_id not in self._tombstones for grant_id in self._unwritten)

    def now_ms(self) -> int:
        """The time by which grants expire, epoch ms: a machine without a battery starts with a clock of the past."""
        return max(self._wall_ms(), self._sure_ms)

    def get(self, grant_id: str) -> Grant | None:
        """The grant with an id, if there is one."""
        return self._grants.get(grant_id)

    def of(self, digest: bytes) -> Grant | None:
        """The grant whose token has a hash, if there is one."""
        return self._grants.get(self._ids.get(digest, ""))

    def has_had(self, grant_id: str) -> bool:
        """Whether an id is or was somebody's."""
        return grant_id in self._grants or grant_id in self._ended

    def used(self, grant: Grant) -> None:
        """Somebody came in with it just now."""
        now_ms = self.now_ms()
        self._grants[grant.id] = replace(grant, used_ms=now_ms)
        self._uses[grant.id] = now_ms

    async def load(self) -> None:
        """Read the store; where that fails nothing is known, and it is tried again every minute."""
        opening = self._store.openings
        await self._tombstones.load()
        try:
            kept, self.rejected = await self._store.read(keeping.read)
            self._sure_ms = await self._store.read(keeping.read_time)
        except StoreError as error:
            _LOG.warning("Who may come in cannot be read: %(text)s", {"text": str(error)})
            return
        for digest, grant in kept:
            if grant.id in self._tombstones:
                self._has_ended(grant.id)
            else:
                self._keep(digest, grant)
        self._look_at_clock()
        self.is_loaded = True
        self._opening = opening
        if self.rejected:
            _LOG.error("%(count)s grants are damaged and let nobody in", {"count": self.rejected})
        self._tell()

    async def add(self, digest: bytes, grant: Grant, is_wanted: Callable[[], bool]) -> bool:
        """Let somebody in.

        Args:
            digest: The hash of their token.
            grant: What they are given.
            is_wanted: Whether they still shall be, asked when it is written down: whoever says so may be out by then.

        Returns:
            Whether they are.

        Raises:
            StoreError: If that could not be written down; then they are not.
        """

        def kept(_: None) -> None:
            if is_wanted():
                self._keep(digest, grant)
                self._tell()
            else:
                self._has_ended(grant.id)

        await self._store.write(lambda connection: keeping.write(connection, [(digest, grant)]), kept)
        is_added = grant.id in self._grants
        if not is_added:
            await self._write_ends_patiently()
        return is_added

    async def end(self, grant: Grant) -> None:
        """Throw somebody out: at once, and for good as soon as that is written down; see `trouble`."""
        self._forget([grant])
        self._tell()
        await self._write_ends_patiently()

    async def changed(self, revision: int) -> int:
        """Wait until `revision` is another than this, and give it."""
        while self.revision == revision:
            await self._changed.wait()
        return self.revision

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what expires, write what waits and mend what is in trouble, until cancelled.

        Args:
            beat: Called with every turn; none waits for the disk.
        """
        now = asyncio.get_running_loop().time
        uses_s, tend_s = now() + USES_S, now()
        try:
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(asyncio.sleep(0))
                while True:
                    beat()
                    self._look_at_clock()
                    self._expire()
                    if working.done() and (now() >= tend_s or self._is_behind):
                        working = tasks.create_task(self._tend())
                        tend_s = now() + MEND_S
                    elif working.done() and (now() >= uses_s or (self._is_time_due and self._store.trouble is None)):
                        working = tasks.create_task(self._write_uses())
                        uses_s = now() + USES_S
                    await asyncio.sleep(TURN_S)
        finally:
            await self._write_uses()

    @property
    def _is_behind(self) -> bool:
        """Whether the disk works and yet is not what memory is."""
        return self._store.trouble is None and self.trouble is not None

    def _keep(self, digest: bytes, grant: Grant) -> None:
        self._grants[grant.id] = grant
        self._digests[grant.id] = digest
        self._ids[digest] = grant.id

    def _forget(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            del self._grants[grant.id]
            del self._ids[self._digests.pop(grant.id)]
            self._uses.pop(grant.id, None)
            self._expired.discard(grant.id)
            self._has_ended(grant.id)

    def _has_ended(self, grant_id: str) -> None:
        self._ended.add(grant_id)
        self._unwritten.add(grant_id)

    def _tell(self) -> None:
        self.revision += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _look_at_clock(self) -> None:
        if self._is_clock_sure():
            self._sure_ms = self._wall_ms()

    def _expire(self) -> None:
        now_ms = self.now_ms()
        expired = {grant.id for grant in self._grants.values() if grant.expires_ms <= now_ms}
        if expired != self._expired:  # also fewer, where the clock is set back
            self._is_time_due |= not expired <= self._expired and self._is_clock_sure()
            self._expired = expired
            self._tell()

    async def _tend(self) -> None:
        if not await self._store.mend():
            await self._tombstones.add(self._unwritten)
            return
        if not self.is_loaded:
            await self.load()
            return
        if self._is_clock_sure():
            before_ms = self.now_ms() - KEPT_EXPIRED_MS
            self._forget([grant for grant in self._grants.values() if grant.expires_ms <= before_ms])
        if self._opening != self._store.openings:
            await self._write_all()
        elif self._unwritten:
            await self._write_ends()

    async def _write_all(self) -> None:
        """The database may be a new one, or lack what was written last."""
        opening, ended = self._store.openings, tuple(self._ended)
        grants = [(self._digests[grant.id], grant) for grant in self._grants.values()]

        def work(connection: Connection) -> None:
            keeping.write(connection, grants)
            keeping.drop(connection, ended)

        try:
            await self._store.write(work)
        except StoreError as error:
            _LOG.warning("Who may come in cannot be written: %(text)s", {"text": str(error)})
            return
        self._opening = opening
        self._unwritten.difference_update(ended)
        await self._clear_tombstones()

    async def _write_ends(self) -> None:
        ended = tuple(self._unwritten)
        try:
            await self._store.write(
                lambda connection: keeping.drop(connection, ended), lambda _: self._unwritten.difference_update(ended)
            )
        except StoreError as error:
            _LOG.warning("Who was thrown out cannot be written down yet: %(text)s", {"text": str(error)})
            await self._tombstones.add(ended)
            return
        await self._clear_tombstones()

    async def _clear_tombstones(self) -> None:
        if not self._unwritten:
            await self._tombstones.clear()

    async def _write_ends_patiently(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._write_ends(), PATIENCE_S)

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses and not self._is_time_due:
            return
        self._look_at_clock()
        sure_ms, self._is_time_due = self._sure_ms, False

        def work(connection: Connection) -> None:
            keeping.write_uses(connection, uses.items())
            keeping.write_time(connection, sure_ms)

        try:
            await self._store.write(work)
        except StoreError:
            self._uses = {**uses, **self._uses}
            self._is_time_due = True

"""Who is let in: tokens against what was granted, in memory; what changes goes to the store.

A store that fails stops nobody who was let in before. Nobody new comes in then, and who is thrown out is out at once:
that is written down as soon as something can be.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from gateway.access import grants as keeping
from gateway.access.caller import Caller
from gateway.access.codes import Codes, Invitation
from gateway.access.errors import AccessCode, AccessError, NotAdmittedError, Reason
from gateway.access.grants import MAX_GRANTS, Grant, NewGrant, checked, digest_of, granted, new_token
from gateway.access.guessing import Guesses
from gateway.access.roles import Action, Role
from gateway.secret import Secret
from gateway.store import Connection, Store, StoreError

_LOG = logging.getLogger(__name__)

TURN_S = 1.0
USES_S = 600.0
"""How long a last use may wait in memory; a card is written to as rarely as can be."""

MEND_S = 60.0
KEPT_EXPIRED_MS = 30 * 86_400_000
"""What has expired is still listed for so long."""


class Doorkeeper:
    """Lets devices in, remembers who they are, and throws them out.

    Attributes:
        revision: Grows whenever somebody comes to have access, or ceases to.
        rejected: How many grants of the store were damaged; they let nobody in.
    """

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        is_clock_sure: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make it know nobody; `load` reads the store.

        Args:
            store: With `keeping.SCHEMA`.
            now_ms: The wall clock, epoch ms.
            is_clock_sure: Whether that can be trusted; while it cannot, nothing that has expired is dropped.
        """
        self.revision = 0
        self.rejected = 0
        self._store = store
        self._now_ms = now_ms
        self._is_clock_sure = is_clock_sure
        self._grants: dict[str, Grant] = {}
        self._digests: dict[str, bytes] = {}
        self._ids: dict[bytes, str] = {}
        self._expired: set[str] = set()
        self._ended: set[str] = set()  # kept: a database that is begun anew or put back must not bring one back
        self._unwritten: set[str] = set()
        self._uses: dict[str, int] = {}
        # The one of the store since which what is in memory is known to be on the disk; None while it is not.
        self._opening: int | None = None
        self._is_loaded = False
        self._guesses = Guesses()
        self._codes = Codes()
        self._changed = asyncio.Event()

    @property
    def grants(self) -> Collection[Grant]:
        """All that are kept, expired ones too, oldest first."""
        return tuple(self._grants.values())

    @property
    def trouble(self) -> StoreError | None:
        """Why nobody new can be let in, or who was thrown out may be back after a restart; None if all is well."""
        if self._store.trouble is not None:
            return self._store.trouble
        if self._opening == self._store.openings and not self._unwritten:
            return None
        return StoreError("Who may come in was not read from the disk or written to it", "try again in a minute")

    async def load(self) -> None:
        """Read the store; where that fails nobody is known, and it is tried again every minute."""
        opening = self._store.openings
        try:
            kept, self.rejected = await self._store.read(keeping.read)
        except StoreError as error:
            _LOG.warning("Who may come in cannot be read: %s", error)
            return
        for digest, grant in kept:
            self._keep(digest, grant)
        self._is_loaded = True
        self._opening = opening if self._store.trouble is None else None
        if self.rejected:
            _LOG.error("%d grants are damaged and let nobody in", self.rejected)
        self._tell()

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        """Who has a token.

        Args:
            token: What was shown.
            address: From where; who guesses there waits.
            now_s: Monotonic, in seconds.

        Raises:
            NotAdmittedError: If nobody comes in with it.
        """
        digest = self._looked_at(token, address, now_s)
        grant = self._grants.get(self._ids.get(digest, ""))
        if grant is None:
            if not self._is_loaded:
                raise NotAdmittedError(Reason.NOT_READ)
            self._guesses.wrong(address, digest, now_s)
            raise NotAdmittedError(Reason.UNKNOWN)
        now_ms = self._now_ms()
        if grant.expires_ms <= now_ms:
            raise NotAdmittedError(Reason.EXPIRED)
        self._grants[grant.id] = replace(grant, used_ms=now_ms)
        self._uses[grant.id] = now_ms
        return grant.caller

    def holds(self, caller: Caller) -> bool:
        """Whether who was let in still is: neither thrown out nor expired."""
        if caller.grant is None:
            return True
        grant = self._grants.get(caller.grant)
        return grant is not None and self._now_ms() < grant.expires_ms

    async def create(self, new: NewGrant, by: Caller) -> tuple[Grant, Secret]:
        """Let a device in.

        Args:
            new: Whose it is, and what they may do.
            by: Who says so.

        Returns:
            The grant, and its token, which nobody can be told again.

        Raises:
            AccessError: If that cannot be given, not by them, or not be written down.
        """
        if not self.holds(by) or not by.may(Action.MANAGE_ACCESS):
            raise AccessError(AccessCode.FORBIDDEN, "Only an admin lets somebody in: ask one.")
        new = checked(new)
        if not new.device:
            raise AccessError(AccessCode.BAD_REQUEST, "Name the device, for example its owner's laptop.")
        return await self._granted(new, by)

    async def revoke(self, grant_id: str, by: Caller) -> Grant:
        """Throw a device out: at once, whether or not it can be written down now; see `trouble`.

        Raises:
            AccessError: If there is no such grant, or it is not theirs to end.
        """
        if by.grant != grant_id and not (self.holds(by) and by.may(Action.MANAGE_ACCESS)):
            raise AccessError(AccessCode.FORBIDDEN, "Only an admin throws others out: ask one.")
        grant = self._grants.get(grant_id)
        if grant is None:
            if not self._is_loaded:
                raise NotAdmittedError(Reason.NOT_READ)
            raise AccessError(AccessCode.UNKNOWN_GRANT, "There is no such device, or no longer: look at the list.")
        self._forget(grant)
        self._ended.add(grant.id)
        self._unwritten.add(grant.id)
        self._tell()
        await self._write_ends()
        return grant

    def invite(self, new: NewGrant, by: Caller, now_s: float) -> Invitation:
        """Make a code that lets in whoever opens it.

        Args:
            new: Whose device that will be, and what they may do.
            by: Who says so; if they are thrown out meanwhile, the code is worth nothing.
            now_s: Monotonic, in seconds.

        Raises:
            AccessError: If that cannot be given, not by them, or too many codes are open.
        """
        action = Action.INVITE_VIEWERS if new.role is Role.VIEWER else Action.MANAGE_ACCESS
        if not self.holds(by) or not (by.may(action) or by.may(Action.MANAGE_ACCESS)):
            raise AccessError(AccessCode.FORBIDDEN, "Technicians invite viewers, admins everybody: ask an admin.")
        invitation = self._codes.make(checked(new), by, now_s)
        if invitation is None:
            raise AccessError(AccessCode.TOO_MANY_ATTEMPTS, "Too many codes are open: wait five minutes.")
        return invitation

    async def redeem(self, code: Secret, device: str, address: str, now_s: float) -> tuple[Grant, Secret]:
        """Let in the device that shows a code; not before its name is right is the code looked at.

        Args:
            code: What it shows.
            device: What it calls itself.
            address: From where; who guesses there waits.
            now_s: Monotonic, in seconds.

        Returns:
            The grant, and its token.

        Raises:
            NotAdmittedError: If the code is none, or was one.
            AccessError: If the device has no name, or it cannot be written down; then the code is still good.
        """
        device = keeping.named(device, "device")
        digest = self._looked_at(code, address, now_s)
        offer = self._codes.take(digest, now_s)
        if offer is None or not self.holds(offer.by):
            self._guesses.wrong(address, digest, now_s)
            raise NotAdmittedError(Reason.UNKNOWN_CODE)
        try:
            return await self._granted(replace(offer.new, device=device), offer.by)
        except AccessError:
            self._codes.put_back(digest, offer)
            raise

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
        uses_s, mend_s = now() + USES_S, now() + MEND_S
        try:
            async with asyncio.TaskGroup() as tasks:
                tending = tasks.create_task(asyncio.sleep(0))
                while True:
                    beat()
                    self._expire()
                    if tending.done() and (now() >= mend_s or (self._unwritten and self._store.trouble is None)):
                        tending = tasks.create_task(self._tend())
                        mend_s = now() + MEND_S
                    elif tending.done() and now() >= uses_s:
                        tending = tasks.create_task(self._write_uses())
                        uses_s = now() + USES_S
                    await asyncio.sleep(TURN_S)
        finally:
            await self._write_uses()

    def _looked_at(self, secret: Secret, address: str, now_s: float) -> bytes:
        wait_s = self._guesses.wait_s(address, now_s)
        if wait_s > 0:
            raise NotAdmittedError(Reason.TOO_MANY_ATTEMPTS, wait_s)
        return digest_of(secret)

    async def _granted(self, new: NewGrant, by: Caller) -> tuple[Grant, Secret]:
        if not self._is_loaded:
            raise NotAdmittedError(Reason.NOT_READ)
        if len(self._grants) >= MAX_GRANTS:
            raise AccessError(AccessCode.BAD_REQUEST, f"{MAX_GRANTS} devices are let in: throw some out first.")
        grant, token = granted(new, by.person, self._now_ms()), new_token()
        while grant.id in self._grants or grant.id in self._ended:
            grant = granted(new, by.person, self._now_ms())
        digest = digest_of(token)
        try:
            await self._store.write(
                lambda connection: keeping.write(connection, [(digest, grant)]), lambda _: self._add(digest, grant)
            )
        except StoreError as error:
            text = f"Nobody new can be let in: {error.text[:1].lower()}{error.text[1:]}; {error.action}."
            raise AccessError(AccessCode.STORE_FAILED, text) from None
        return grant, token

    def _add(self, digest: bytes, grant: Grant) -> None:
        self._keep(digest, grant)
        self._tell()

    def _keep(self, digest: bytes, grant: Grant) -> None:
        self._grants[grant.id] = grant
        self._digests[grant.id] = digest
        self._ids[digest] = grant.id

    def _forget(self, grant: Grant) -> None:
        del self._grants[grant.id]
        del self._ids[self._digests.pop(grant.id)]
        self._uses.pop(grant.id, None)
        self._expired.discard(grant.id)

    def _tell(self) -> None:
        self.revision += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _expire(self) -> None:
        now_ms = self._now_ms()
        expired = {grant.id for grant in self._grants.values() if grant.expires_ms <= now_ms}
        if expired != self._expired:  # also back, where the clock is set back
            self._expired = expired
            self._tell()

    async def _tend(self) -> None:
        if not await self._store.mend():
            return
        if not self._is_loaded:
            await self.load()
        elif self._opening != self._store.openings:
            await self._write_all()
        elif self._unwritten:
            await self._write_ends()
        else:
            await self._drop_expired()

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
            _LOG.warning("Who may come in cannot be written: %s", error)
            return
        self._opening = opening
        self._unwritten.difference_update(ended)

    async def _write_ends(self) -> None:
        ended = tuple(self._unwritten)
        try:
            await self._store.write(
                lambda connection: keeping.drop(connection, ended), lambda _: self._unwritten.difference_update(ended)
            )
        except StoreError as error:
            _LOG.warning("Who is thrown out cannot be written down yet: %s", error)

    async def _drop_expired(self) -> None:
        if not self._is_clock_sure():
            return
        before_ms = self._now_ms() - KEPT_EXPIRED_MS
        old = [grant for grant in self._grants.values() if grant.expires_ms <= before_ms]
        for grant in old:
            self._forget(grant)
            self._unwritten.add(grant.id)
        if old:
            await self._write_ends()

    async def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._store.write(lambda connection: keeping.write_uses(connection, uses.items()))
        except StoreError:
            self._uses = {**uses, **self._uses}

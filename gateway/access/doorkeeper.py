"""Who is let in: tokens and codes against what was granted, and who may grant what."""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from gateway.access.caller import Caller
from gateway.access.codes import MAX_OPEN, Codes, Invitation
from gateway.access.errors import AccessCode, AccessError, NotAdmittedError, Reason
from gateway.access.grants import MAX_GRANTS, Grant, NewGrant, checked, digest_of, granted, named, new_token
from gateway.access.guessing import Guesses
from gateway.access.register import MEND_S, Register
from gateway.access.roles import Action, Role
from gateway.secret import Secret
from gateway.store import Store, StoreError


class Doorkeeper:
    """Lets devices in, remembers who they are, and throws them out.

    Attributes:
        squads: Those to which viewers can be limited, in alphabetical order.
    """

    def __init__(
        self,
        store: Store,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        is_clock_sure: Callable[[], bool] = lambda: True,
        squads: Iterable[str] = (),
    ) -> None:
        """Make it know nobody; `load` reads the store.

        Args:
            store: With the tables of `gateway.access.grants`.
            now_ms: The wall clock, epoch ms.
            is_clock_sure: Whether that can be trusted; while it cannot, it is no earlier than it has been when it
                could, and nothing that has expired is dropped.
            squads: Those of the configuration.
        """
        self.squads = tuple(sorted(set(squads)))
        self._register = Register(store, now_ms, is_clock_sure)
        self._guesses = Guesses()
        self._codes = Codes()

    @property
    def revision(self) -> int:
        """Grows whenever somebody comes to have access, or ceases to."""
        return self._register.revision

    @property
    def grants(self) -> Collection[Grant]:
        """All that are kept, also what has expired lately, oldest first."""
        return self._register.grants

    @property
    def trouble(self) -> StoreError | None:
        """Why nobody new can be let in, or the end of a grant is not written down; None if all is well."""
        return self._register.trouble

    @property
    def is_forgetful(self) -> bool:
        """Whether a restart would let in somebody who was thrown out; only while there is `trouble`."""
        return self._register.is_forgetful

    @property
    def rejected(self) -> int:
        """How many grants of the store were damaged; they let nobody in."""
        return self._register.rejected

    async def load(self) -> None:
        """Read the store; where that fails nobody is known, and it is tried again every minute."""
        await self._register.load()

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        """Who has a token: the right one at any time, because behind one address there may be a whole club.

        Args:
            token: What was shown.
            address: From where; after wrong ones from there, wrong ones are not told from others for a while.
            now_s: Monotonic, in seconds.

        Raises:
            NotAdmittedError: If nobody comes in with it.
        """
        digest = digest_of(token)
        grant = self._register.of(digest)
        if grant is None:
            self._check_patience(address, now_s)
            self._check_loaded()
            self._guesses.wrong(address, digest, now_s)
            raise NotAdmittedError(Reason.UNKNOWN)
        if grant.expires_ms <= self._register.now_ms():
            raise NotAdmittedError(Reason.EXPIRED)
        self._register.used(grant)
        return grant.caller

    def recognised(self, token: Secret) -> Caller | None:
        """Who has a token, if it lets somebody in; a wrong one is no guess here, so that nothing may hang on this."""
        grant = self._register.of(digest_of(token))
        return grant.caller if grant is not None and self.holds(grant.caller) else None

    def holds(self, caller: Caller) -> bool:
        """Whether who was let in still is: neither thrown out nor expired."""
        if caller.grant is None:
            return True
        grant = self._register.get(caller.grant)
        return grant is not None and self._register.now_ms() < grant.expires_ms

    async def create(self, new: NewGrant, by: Caller) -> tuple[Grant, Secret]:
        """Let a device in.

        Args:
            new: Whose it is, and what they may do.
            by: Who says so.

        Returns:
            The grant, and its token, which nobody can be told again.

        Raises:
            AccessError: If that cannot be given, or not by them, or not be written down.
        """
        self._check_may(by, Action.MANAGE_ACCESS)
        new = checked(new, self.squads)
        return await self._granted(replace(new, device=named(new.device, "device")), by)

    async def revoke(self, grant_id: str, by: Caller) -> Grant:
        """Throw a device out: at once, whether or not it can be written down now; see `trouble`.

        Raises:
            AccessError: If there is no such grant, or it is not theirs to end.
        """
        if by.grant != grant_id:
            self._check_may(by, Action.MANAGE_ACCESS)
        grant = self._register.get(grant_id)
        if grant is None:
            self._check_loaded()
            raise AccessError(
                AccessCode.UNKNOWN_GRANT, "No device with this id is let in: look at the list, it may be out already."
            )
        await self._register.end(grant)
        return grant

    def invite(self, new: NewGrant, by: Caller, now_s: float) -> Invitation:
        """Make a code that lets in whoever opens it.

        Args:
            new: Whose device that will be, and what they may do.
            by: Who says so; if they are thrown out meanwhile, the code is worth nothing.
            now_s: Monotonic, in seconds.

        Raises:
            AccessError: If that cannot be given, or not by them, or too many codes of theirs are open.
        """
        self._check_may(by, Action.INVITE_VIEWERS if new.role is Role.VIEWER else Action.MANAGE_ACCESS)
        invitation = self._codes.make(checked(new, self.squads), by, now_s)
        if invitation is None:
            raise AccessError(
                AccessCode.BAD_REQUEST,
                f"{MAX_OPEN} codes of yours wait to be used: use one of them, or wait five minutes, and make another.",
            )
        return invitation

    async def redeem(self, code: Secret, device: str, address: str, now_s: float) -> tuple[Grant, Secret]:
        """Let in the device that shows a code.

        Args:
            code: What it shows.
            device: What it calls itself.
            address: From where; while it has to wait, not even the right code is taken.
            now_s: Monotonic, in seconds.

        Returns:
            The grant, and its token, which nobody can be told again.

        Raises:
            NotAdmittedError: If the code is none, or no longer.
            AccessError: If the device has no name, or it cannot be written down; then the code is as good as before.
        """
        device = named(device, "device")
        self._check_patience(address, now_s)
        digest = digest_of(code)
        offer = self._codes.take(digest, now_s)
        if offer is None or not self.holds(offer.by):
            self._guesses.wrong(address, digest, now_s)
            raise NotAdmittedError(Reason.UNKNOWN_CODE)
        try:
            return await self._granted(replace(offer.new, device=device), offer.by)
        except AccessError:
            if not self.holds(offer.by):
                raise NotAdmittedError(Reason.UNKNOWN_CODE) from None
            self._codes.put_back(digest, offer)
            raise

    async def changed(self, revision: int) -> int:
        """Wait until `revision` is another than this, and give it."""
        return await self._register.changed(revision)

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what expires, write what waits and mend what is in trouble, until cancelled.

        Args:
            beat: Called with every turn; none waits for the disk.
        """
        await self._register.run(beat)

    def _check_patience(self, address: str, now_s: float) -> None:
        wait_s = self._guesses.wait_s(address, now_s)
        if wait_s > 0:
            raise NotAdmittedError(Reason.TOO_MANY_ATTEMPTS, wait_s)

    def _check_loaded(self) -> None:
        if not self._register.is_loaded:
            raise NotAdmittedError(Reason.NOT_READ, MEND_S)

    def _check_may(self, by: Caller, action: Action) -> None:
        if not self.holds(by) or not by.may(action):
            raise AccessError(AccessCode.FORBIDDEN, _FORBIDDEN[action])

    async def _granted(self, new: NewGrant, by: Caller) -> tuple[Grant, Secret]:
        self._check_loaded()
        if len(self.grants) >= MAX_GRANTS:
            raise AccessError(AccessCode.BAD_REQUEST, f"{MAX_GRANTS} devices are let in already: throw some out first.")
        grant, token = granted(new, by.person, self._register.now_ms()), new_token()
        while self._register.has_had(grant.id):
            grant = granted(new, by.person, self._register.now_ms())
        try:
            is_added = await self._register.add(digest_of(token), grant, lambda: self.holds(by))
        except StoreError as error:
            text = f"Nobody new can be let in. {error.text}: {error.action}."
            raise AccessError(AccessCode.STORE_FAILED, text) from None
        if not is_added:
            text = "Who let this device in was thrown out meanwhile: ask somebody else."
            raise AccessError(AccessCode.FORBIDDEN, text)
        return grant, token


_FORBIDDEN = {
    Action.MANAGE_ACCESS: "Only an admin lets technicians and admins in, and throws others out: ask one.",
    Action.INVITE_VIEWERS: "Only technicians and admins let somebody in: ask one.",
}

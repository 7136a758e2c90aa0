"""Any sequence of letting in, throwing out, time, restarts, and a disk that fails and recovers."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from gateway.access import grants as keeping
from gateway.access.caller import Caller
from gateway.access.codes import LASTS_S
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.errors import AccessCode, AccessError, NotAdmittedError
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from gateway.secret import Secret
from gateway.store import Store, open_store

DAY_MS = 86_400_000
KIM = Caller("root", "this machine", Role.ADMIN)


class Door(RuleBasedStateMachine):
    """What is known of each token: until when it is good."""

    tokens = Bundle[str]("tokens")
    codes = Bundle[str]("codes")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="door-"))
        self.now_ms, self.now_s, self.guesses = 1_795_000_000_000, 0.0, 0
        self.is_broken = False
        self.good: dict[str, int] = {}
        self.ids: dict[str, str] = {}
        self.open_codes: dict[str, float] = {}
        self.ends: set[str] = set()  # not in the database yet, and not back after a restart all the same
        self.runner.run(self._open())

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    @rule(target=tokens, days=st.integers(1, 5))
    def create(self, days: int) -> str | MultipleResults[str]:
        new = NewGrant("Ada", "laptop", lasts_days=days)
        try:
            grant, token = self.runner.run(self.doorkeeper.create(new, KIM))
        except AccessError as error:
            assert (self.is_broken, error.code) == (True, AccessCode.STORE_FAILED)  # noqa: PT017
            return multiple()
        return self._given(grant.id, token, grant.expires_ms)

    @rule(target=codes, role=st.sampled_from(Role))
    def invite(self, role: Role) -> str:
        by = replace(KIM, person=f"root {len(self.open_codes)}")  # nobody has so many codes that it would be too many
        code = self.doorkeeper.invite(NewGrant("Bea", role=role), by, self.now_s).code.reveal()
        self.open_codes[code] = self.now_s + LASTS_S
        return code

    @rule(target=tokens, code=codes)
    def redeem(self, code: str) -> str | MultipleResults[str]:
        is_good = self.open_codes.get(code, 0.0) > self.now_s
        try:
            grant, token = self.runner.run(self.doorkeeper.redeem(Secret(code), "phone", code, self.now_s))
        except NotAdmittedError:
            assert not is_good
            return multiple()
        except AccessError:
            assert self.is_broken
            assert is_good
            return multiple()
        assert is_good
        del self.open_codes[code]
        return self._given(grant.id, token, grant.expires_ms)

    @rule(token=tokens)
    def revoke(self, token: str) -> None:
        is_known = token in self.good
        try:
            self.runner.run(self.doorkeeper.revoke(self.ids[token], KIM))
        except AccessError as error:
            assert (is_known, error.code) == (False, AccessCode.UNKNOWN_GRANT)  # noqa: PT017
            return
        assert is_known
        del self.good[token]
        if self.is_broken:
            self.ends.add(token)

    @rule()
    def guess(self) -> None:
        self.guesses += 1
        try:
            self.doorkeeper.admit(Secret(f"igw_{self.guesses}"), str(self.guesses), self.now_s)
        except NotAdmittedError:
            return
        raise AssertionError

    @rule(pause_s=st.sampled_from([1.0, 200.0, 86_400.0, 3 * 86_400.0]))
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.now_ms += int(pause_s * 1000)

    @precondition(lambda self: not self.is_broken)
    @rule()
    def break_disk(self) -> None:
        self._pragma("ON")
        self.is_broken = True

    @precondition(lambda self: self.is_broken)
    @rule()
    def repair_disk(self) -> None:
        self._pragma("OFF")
        self.runner.run(self.doorkeeper._register._tend())
        self.is_broken = False
        self.ends.clear()
        assert self.doorkeeper.trouble is None

    @rule()
    def restart(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.run(self._open())
        self.is_broken = False
        self.open_codes.clear()
        self.ends.clear()

    @invariant()
    def everybody_is_as_they_were_told(self) -> None:
        if not hasattr(self, "ids"):
            return
        for token, grant_id in self.ids.items():
            is_good = self.good.get(token, 0) > self.now_ms
            caller = Caller("Ada", "laptop", Role.VIEWER, grant=grant_id)
            assert self.doorkeeper.holds(caller) == is_good
            try:
                assert self.doorkeeper.admit(Secret(token), "here", self.now_s).grant == grant_id
            except NotAdmittedError:
                assert not is_good
        assert not self.ends or self.doorkeeper.trouble is not None

    def _given(self, grant_id: str, token: Secret, expires_ms: int) -> str:
        assert not self.is_broken
        self.good[token.reveal()] = expires_ms
        self.ids[token.reveal()] = grant_id
        return token.reveal()

    def _pragma(self, switch: str) -> None:
        work = f"PRAGMA query_only = {switch}"
        self.runner.run(self.store.read(lambda connection: connection.execute(work).fetchall()))

    async def _open(self) -> None:
        self.store: Store = await self.stack.enter_async_context(open_store(self.folder, [keeping.SCHEMA]))
        self.doorkeeper = Doorkeeper(self.store, lambda: self.now_ms)
        await self.doorkeeper.load()


Door.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestDoor = Door.TestCase

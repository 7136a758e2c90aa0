"""The doorkeeper: who comes in, who is thrown out, and what a disk that fails can change of that."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway.access import grants as keeping
from gateway.access.caller import Caller, Scope
from gateway.access.codes import LASTS_S, MAX_OPEN
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.errors import AccessCode, AccessError, NotAdmittedError, Reason
from gateway.access.grants import MAX_GRANTS, NewGrant
from gateway.access.guessing import FREE_TRIES
from gateway.access.register import KEPT_EXPIRED_MS, MEND_S, USES_S
from gateway.access.roles import Role
from gateway.secret import Secret
from gateway.store import DATABASE, Store, StoreError, open_store
from tests.fakes.disk import disk_takes_no_time

ROOT = Path(__file__).parents[2]
DAY_MS = 86_400_000
BEGAN_MS = 1_795_000_000_000

KIM = Caller("root", "this machine", Role.ADMIN)
"""Whoever sits at the gateway itself."""

ADA, HERE = NewGrant("Ada", "Ada's laptop"), "192.0.2.7"
WRONG = Secret("igw_" + "x" * 43)


class Clock:
    """A wall clock that is set by hand, epoch ms."""

    def __init__(self) -> None:
        self.ms = BEGAN_MS
        self.is_sure = True

    def __call__(self) -> int:
        return self.ms


@asynccontextmanager
async def opened(folder: Path, clock: Clock | None = None) -> AsyncIterator[tuple[Doorkeeper, Store]]:
    clock = clock or Clock()
    async with open_store(folder, [keeping.SCHEMA]) as store:
        doorkeeper = Doorkeeper(store, clock, lambda: clock.is_sure, ["U19", "First", "U19"])
        await doorkeeper.load()
        yield doorkeeper, store


async def break_disk(store: Store, work: str = "PRAGMA query_only = ON") -> None:
    """As it is with a disk that cannot be written: the next one who tries finds out."""
    await store.read(lambda connection: connection.execute(work).fetchall())


def refused(doorkeeper: Doorkeeper, token: Secret, address: str = HERE, now_s: float = 0.0) -> tuple[Reason, float]:
    with pytest.raises(NotAdmittedError) as caught:
        doorkeeper.admit(token, address, now_s)
    assert str(caught.value).endswith(".")
    return caught.value.reason, caught.value.wait_s


def is_well(doorkeeper: Doorkeeper) -> bool:
    """Whether all that was done stays so."""
    return doorkeeper.trouble is None


async def failed(work: Awaitable[object]) -> AccessCode:
    with pytest.raises(AccessError) as caught:
        await work
    assert str(caught.value).endswith(".")
    return caught.value.code


async def redeemed(doorkeeper: Doorkeeper, code: Secret, now_s: float = 0.0) -> Caller:
    _, token = await doorkeeper.redeem(code, "phone", HERE, now_s)
    return doorkeeper.admit(token, HERE, now_s)


@asynccontextmanager
async def kept(doorkeeper: Doorkeeper) -> AsyncIterator[None]:
    """Let it run meanwhile."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(doorkeeper.run(lambda: None))
        yield
        running.cancel()


async def test_who_was_let_in_comes_in_and_is_who_they_are(tmp_path: Path) -> None:
    scope = Scope(frozenset({"U19"}), is_gnss_only=True)
    async with opened(tmp_path) as (doorkeeper, _):
        grant, token = await doorkeeper.create(NewGrant(" Ada ", "laptop", scope=scope), KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
        assert caller == Caller("Ada", "laptop", Role.VIEWER, scope, grant.id, grant.expires_ms)
        assert doorkeeper.holds(caller)


async def test_a_token_is_worth_as_much_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        grant, token = await doorkeeper.create(ADA, KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
    async with opened(tmp_path) as (doorkeeper, _):
        assert doorkeeper.holds(caller)
        assert doorkeeper.admit(token, HERE, 0.0) == caller
        assert [it.id for it in doorkeeper.grants] == [grant.id]
        await doorkeeper.revoke(grant.id, KIM)
    async with opened(tmp_path) as (doorkeeper, _):
        assert refused(doorkeeper, token) == (Reason.UNKNOWN, 0.0)
        assert not doorkeeper.holds(caller)


async def test_no_token_and_no_code_is_on_the_disk_or_in_a_repr(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        grant, token = await doorkeeper.create(ADA, KIM)
        invitation = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0)
        _, other = await doorkeeper.redeem(invitation.code, "phone", HERE, 0.0)
        shown = repr((doorkeeper.__dict__, doorkeeper._register.__dict__, grant, token, invitation))
    disk = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"Ada's laptop" in disk
    for secret in (token, other, invitation.code):
        assert secret.reveal() not in shown
        assert secret.reveal().encode() not in disk
        assert secret.reveal().removeprefix("igw_").encode() not in disk


async def test_only_the_whole_token_lets_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        _, token = await doorkeeper.create(ADA, KIM)
        text = token.reveal()
        wrong = ("", " ", text[:-1], text + "=", text.upper(), f" {text}", text.removeprefix("igw_"), "\ud800", "'--")
        for number, shown in enumerate(wrong):
            assert refused(doorkeeper, Secret(shown), str(number))[0] is Reason.UNKNOWN


async def test_a_guesser_waits_and_who_has_a_token_does_not(tmp_path: Path) -> None:
    """A neighbour behind the same address has guessed nothing."""
    async with opened(tmp_path) as (doorkeeper, _):
        _, token = await doorkeeper.create(ADA, KIM)
        reasons = [refused(doorkeeper, Secret(f"igw_{number}"))[0] for number in range(30)]
        assert reasons == [Reason.UNKNOWN] * FREE_TRIES + [Reason.TOO_MANY_ATTEMPTS] * 25
        assert refused(doorkeeper, WRONG, now_s=0.5) == (Reason.TOO_MANY_ATTEMPTS, 0.5)
        assert doorkeeper.admit(token, HERE, 0.5).person == "Ada"
        assert refused(doorkeeper, WRONG, now_s=0.5) == (Reason.TOO_MANY_ATTEMPTS, 0.5)
        # Who has one token may be guessing another: the next wrong one costs two seconds.
        assert refused(doorkeeper, WRONG, now_s=1.0)[0] is Reason.UNKNOWN
        assert refused(doorkeeper, WRONG, now_s=1.0) == (Reason.TOO_MANY_ATTEMPTS, 2.0)


async def test_codes_and_tokens_are_guessed_on_one_account(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        for number in range(FREE_TRIES):
            with pytest.raises(NotAdmittedError) as caught:
                await doorkeeper.redeem(Secret(str(number)), "phone", HERE, 0.0)
            assert caught.value.code is AccessCode.UNKNOWN_CODE
        assert refused(doorkeeper, WRONG) == (Reason.TOO_MANY_ATTEMPTS, 1.0)
        invitation = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0)
        assert await failed(doorkeeper.redeem(invitation.code, "phone", HERE, 0.5)) is AccessCode.TOO_MANY_ATTEMPTS
        assert (await redeemed(doorkeeper, invitation.code, 1.0)).person == "Bea"


async def test_access_ends_when_its_time_is_over(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as (doorkeeper, _):
        _, token = await doorkeeper.create(NewGrant("Ada", "laptop", lasts_days=1), KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
        clock.ms += DAY_MS - 1
        assert doorkeeper.holds(caller)
        clock.ms += 1
        assert not doorkeeper.holds(caller)
        for _ in range(20):  # a token that was right once is no guess
            assert refused(doorkeeper, token) == (Reason.EXPIRED, 0.0)


@pytest.mark.looptime
@pytest.mark.parametrize("is_used", [True, False])
async def test_what_has_expired_stays_so_where_the_clock_starts_in_the_past(tmp_path: Path, is_used: bool) -> None:
    """A Pi without a battery that is switched on offline: that it is earlier than it was, nobody believes."""
    disk_takes_no_time()
    clock = Clock()
    async with opened(tmp_path, clock) as (doorkeeper, _):
        _, token = await doorkeeper.create(NewGrant("Ada", "laptop", lasts_days=1), KIM)
        _, other = await doorkeeper.create(NewGrant("Bea", "laptop", lasts_days=3), KIM)
        async with kept(doorkeeper):
            clock.ms += DAY_MS
            if is_used:
                doorkeeper.admit(other, HERE, 0.0)
            await asyncio.sleep(3.0)
    clock.ms, clock.is_sure = BEGAN_MS, False
    async with opened(tmp_path, clock) as (doorkeeper, _):
        assert refused(doorkeeper, token) == (Reason.EXPIRED, 0.0)
        caller = doorkeeper.admit(other, HERE, 0.0)
        grant, _ = await doorkeeper.create(NewGrant("Cem", "laptop", lasts_days=1), KIM)
        assert grant.expires_ms == BEGAN_MS + 2 * DAY_MS
        assert doorkeeper.holds(grant.caller)
        async with kept(doorkeeper):  # the clock is set, and it is earlier than what was believed: so be it
            await asyncio.sleep(3.0)
            assert refused(doorkeeper, token) == (Reason.EXPIRED, 0.0)
            clock.is_sure = True
            await asyncio.sleep(3.0)
            assert doorkeeper.admit(token, HERE, 0.0).person == "Ada"
        assert doorkeeper.holds(caller)


async def test_the_machine_itself_needs_no_grant(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        assert doorkeeper.holds(KIM)


@pytest.mark.parametrize(
    ("role", "invited", "is_allowed"),
    [
        (Role.VIEWER, Role.VIEWER, False),
        (Role.TECHNICIAN, Role.VIEWER, True),
        (Role.TECHNICIAN, Role.TECHNICIAN, False),
        (Role.TECHNICIAN, Role.ADMIN, False),
        (Role.ADMIN, Role.VIEWER, True),
        (Role.ADMIN, Role.TECHNICIAN, True),
        (Role.ADMIN, Role.ADMIN, True),
    ],
)
async def test_nobody_invites_above_what_they_may(tmp_path: Path, role: Role, invited: Role, is_allowed: bool) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        _, token = await doorkeeper.create(NewGrant("Ada", "laptop", role), KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
        if is_allowed:
            code = doorkeeper.invite(NewGrant("Bea", role=invited), caller, 0.0).code
            assert (await redeemed(doorkeeper, code)).role is invited
        else:
            with pytest.raises(AccessError) as caught:
                doorkeeper.invite(NewGrant("Bea", role=invited), caller, 0.0)
            assert caught.value.code is AccessCode.FORBIDDEN


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TECHNICIAN])
async def test_only_admins_create_and_throw_out_others(tmp_path: Path, role: Role) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        other, _ = await doorkeeper.create(ADA, KIM)
        own, token = await doorkeeper.create(NewGrant("Bea", "laptop", role), KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
        assert await failed(doorkeeper.create(NewGrant("Cem", "laptop"), caller)) is AccessCode.FORBIDDEN
        assert await failed(doorkeeper.revoke(other.id, caller)) is AccessCode.FORBIDDEN
        assert await failed(doorkeeper.revoke("nobody's", caller)) is AccessCode.FORBIDDEN
        assert (await doorkeeper.revoke(own.id, caller)).id == own.id  # logging out
        assert [grant.id for grant in doorkeeper.grants] == [other.id]


async def test_an_admin_who_was_thrown_out_does_nothing_more(tmp_path: Path) -> None:
    """Their codes are worth nothing either: five minutes would be enough to come back."""
    async with opened(tmp_path) as (doorkeeper, _):
        grant, token = await doorkeeper.create(NewGrant("Ada", "laptop", Role.ADMIN), KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
        code = doorkeeper.invite(NewGrant("Ada", role=Role.ADMIN), caller, 0.0).code
        await doorkeeper.revoke(grant.id, KIM)
        assert await failed(doorkeeper.create(ADA, caller)) is AccessCode.FORBIDDEN
        with pytest.raises(AccessError):
            doorkeeper.invite(NewGrant("Ada"), caller, 0.0)
        assert await failed(doorkeeper.redeem(code, "phone", HERE, 0.0)) is AccessCode.UNKNOWN_CODE
        assert list(doorkeeper.grants) == []


@asynccontextmanager
async def waiting(store: Store) -> AsyncIterator[None]:
    """A disk that does one thing after another, and until the context ends another one."""
    is_free = threading.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.read(lambda _: is_free.wait()))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            is_free.set()


async def test_nobody_comes_in_through_an_admin_who_was_thrown_out_while_it_was_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, store):
        grant, token = await doorkeeper.create(NewGrant("Ada", "laptop", Role.ADMIN), KIM)
        ada = doorkeeper.admit(token, HERE, 0.0)
        code = doorkeeper.invite(NewGrant("Ada", role=Role.ADMIN), ada, 0.0).code
        async with asyncio.TaskGroup() as tasks:
            async with waiting(store):
                creating = tasks.create_task(failed(doorkeeper.create(NewGrant("Ada", "phone", Role.ADMIN), ada)))
                redeeming = tasks.create_task(failed(doorkeeper.redeem(code, "phone", HERE, 0.0)))
                await asyncio.sleep(0)
                revoking = tasks.create_task(doorkeeper.revoke(grant.id, KIM))
                await asyncio.sleep(0)
            await revoking
        assert (creating.result(), redeeming.result()) == (AccessCode.FORBIDDEN, AccessCode.UNKNOWN_CODE)
        assert list(doorkeeper.grants) == []
        assert is_well(doorkeeper)
    async with opened(tmp_path) as (doorkeeper, _):
        assert list(doorkeeper.grants) == []


async def test_a_code_lets_one_device_in_and_no_second(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        code = doorkeeper.invite(NewGrant("Bea", lasts_days=7), KIM, 0.0).code
        results = await asyncio.gather(
            *(doorkeeper.redeem(code, f"phone {number}", str(number), LASTS_S - 1) for number in range(5)),
            return_exceptions=True,
        )
        granted = [result[0] for result in results if isinstance(result, tuple)]
        assert [grant.device for grant in granted] == ["phone 0"]
        assert granted[0].expires_ms == BEGAN_MS + 7 * DAY_MS
        assert await failed(doorkeeper.redeem(code, "phone", "x", LASTS_S - 1)) is AccessCode.UNKNOWN_CODE


async def test_a_code_is_good_for_five_minutes(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        invitation = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0)
        assert invitation.lasts_s == 300.0
        assert await failed(doorkeeper.redeem(invitation.code, "phone", HERE, 300.0)) is AccessCode.UNKNOWN_CODE


async def test_a_code_does_not_survive_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        code = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0).code
    async with opened(tmp_path) as (doorkeeper, _):
        assert await failed(doorkeeper.redeem(code, "phone", HERE, 0.0)) is AccessCode.UNKNOWN_CODE


async def test_a_device_without_a_name_uses_no_code_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        code = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0).code
        assert await failed(doorkeeper.redeem(code, " ", HERE, 0.0)) is AccessCode.BAD_REQUEST
        assert (await redeemed(doorkeeper, code)).device == "phone"


async def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither codes nor devices pile up."""
    monkeypatch.setattr("gateway.access.doorkeeper.MAX_GRANTS", 3)
    assert MAX_GRANTS > 500
    async with opened(tmp_path) as (doorkeeper, _):
        for _ in range(MAX_OPEN):
            code = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0).code
        with pytest.raises(AccessError, match=r"^10 codes of yours wait to be used: use one of them") as told:
            doorkeeper.invite(NewGrant("Bea"), KIM, 0.0)
        assert told.value.code is AccessCode.BAD_REQUEST
        for _ in range(3):
            await doorkeeper.create(ADA, KIM)
        assert await failed(doorkeeper.create(ADA, KIM)) is AccessCode.BAD_REQUEST
        assert await failed(doorkeeper.redeem(code, "phone", HERE, 0.0)) is AccessCode.BAD_REQUEST


async def test_whoever_waits_for_changes_hears_of_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _), asyncio.TaskGroup() as tasks:
        revision = doorkeeper.revision
        for change in (doorkeeper.create(ADA, KIM), doorkeeper.create(ADA, KIM)):
            waiting = tasks.create_task(doorkeeper.changed(revision))
            await asyncio.sleep(0)
            assert not waiting.done()
            grant, _ = await change
            revision = await waiting
        waiting = tasks.create_task(doorkeeper.changed(revision))
        await doorkeeper.revoke(grant.id, KIM)
        assert await waiting == doorkeeper.revision > revision
        assert await doorkeeper.changed(revision) == doorkeeper.revision  # who comes late does not wait


async def test_on_a_disk_that_cannot_be_written_nobody_new_comes_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, store):
        _, token = await doorkeeper.create(ADA, KIM)
        code = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0).code
        await break_disk(store)
        with pytest.raises(
            AccessError, match=r"^Nobody new can be let in\. .*cannot be written: check the card"
        ) as told:
            await doorkeeper.create(ADA, KIM)
        assert told.value.code is AccessCode.STORE_FAILED
        assert not is_well(doorkeeper)
        assert await failed(doorkeeper.redeem(code, "phone", HERE, 0.0)) is AccessCode.STORE_FAILED
        assert [grant.person for grant in doorkeeper.grants] == ["Ada"]
        assert doorkeeper.admit(token, HERE, 0.0).person == "Ada"
        await store.mend()
        await break_disk(store, "PRAGMA query_only = OFF")
        assert (await redeemed(doorkeeper, code)).person == "Bea"


@pytest.mark.looptime
async def test_who_is_thrown_out_on_a_bad_disk_is_out_at_once_and_for_good_later(tmp_path: Path) -> None:
    disk_takes_no_time()
    async with opened(tmp_path) as (doorkeeper, store):
        grant, token = await doorkeeper.create(ADA, KIM)
        caller = doorkeeper.admit(token, HERE, 0.0)
        await break_disk(store)
        await doorkeeper.revoke(grant.id, KIM)
        assert not doorkeeper.holds(caller)
        assert refused(doorkeeper, token)[0] is Reason.UNKNOWN
        assert not is_well(doorkeeper)
        async with kept(doorkeeper):
            await asyncio.sleep(MEND_S + 2)
            assert is_well(doorkeeper)
    async with opened(tmp_path) as (doorkeeper, _):
        assert list(doorkeeper.grants) == []


@pytest.mark.looptime
async def test_a_disk_that_is_stuck_delays_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (doorkeeper, store):
        grant, token = await doorkeeper.create(ADA, KIM)
        is_free = asyncio.Event()
        write = store.write

        async def stuck(*args: object) -> None:
            await is_free.wait()
            await write(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "write", stuck)
        began_s = asyncio.get_running_loop().time()
        await doorkeeper.revoke(grant.id, KIM)
        assert asyncio.get_running_loop().time() - began_s < 5.0
        assert refused(doorkeeper, token)[0] is Reason.UNKNOWN
        assert not is_well(doorkeeper)


@pytest.mark.looptime
async def test_a_database_that_is_begun_anew_gets_all_that_is_known(tmp_path: Path) -> None:
    disk_takes_no_time()
    async with opened(tmp_path) as (doorkeeper, store):
        _, token = await doorkeeper.create(ADA, KIM)
        ended, _ = await doorkeeper.create(NewGrant("Bea", "laptop"), KIM)
        await doorkeeper.revoke(ended.id, KIM)
        async with kept(doorkeeper):
            await break_disk(store)
            with pytest.raises(AccessError):
                await doorkeeper.create(ADA, KIM)
            for path in tmp_path.glob("store.sqlite*"):
                if not path.name.endswith(".exists"):
                    path.unlink()
            await asyncio.sleep(MEND_S + 2)
            assert is_well(doorkeeper)
    async with opened(tmp_path) as (doorkeeper, _):
        assert [grant.person for grant in doorkeeper.grants] == ["Ada"]
        assert doorkeeper.admit(token, HERE, 0.0).person == "Ada"


@pytest.mark.looptime
async def test_a_disk_that_cannot_be_read_lets_nobody_in_until_it_can(tmp_path: Path) -> None:
    disk_takes_no_time()
    async with opened(tmp_path) as (doorkeeper, _):
        grant, token = await doorkeeper.create(ADA, KIM)
    database, aside = tmp_path / DATABASE, tmp_path / "aside"
    database.rename(aside)
    database.mkdir()
    async with opened(tmp_path) as (doorkeeper, _):
        for _ in range(20):  # what cannot be looked up is no guess
            assert refused(doorkeeper, token) == (Reason.NOT_READ, MEND_S), "wait: it is not the token that is wrong"
        assert await failed(doorkeeper.create(ADA, KIM)) is AccessCode.STORE_FAILED
        assert await failed(doorkeeper.revoke(grant.id, KIM)) is AccessCode.STORE_FAILED
        database.rmdir()
        aside.rename(database)
        async with kept(doorkeeper):
            await asyncio.sleep(MEND_S + 2)
            assert doorkeeper.admit(token, HERE, 0.0).person == "Ada"
            assert is_well(doorkeeper)


@pytest.mark.looptime
async def test_a_disk_that_can_only_be_read_lets_in_whom_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_takes_no_time()
    async with opened(tmp_path) as (doorkeeper, _):
        _, token = await doorkeeper.create(ADA, KIM)
        ended, other = await doorkeeper.create(NewGrant("Bea", "laptop"), KIM)

    def read_only(_: object) -> None:
        raise StoreError("The card is locked", "unlock it")

    monkeypatch.setattr("gateway.store._Database._opened", read_only)
    async with opened(tmp_path) as (doorkeeper, _):
        assert doorkeeper.admit(token, HERE, 0.0).person == "Ada"
        assert await failed(doorkeeper.create(ADA, KIM)) is AccessCode.STORE_FAILED
        await doorkeeper.revoke(ended.id, KIM)
        assert refused(doorkeeper, other)[0] is Reason.UNKNOWN
        assert not is_well(doorkeeper)
        monkeypatch.undo()
        async with kept(doorkeeper):
            await asyncio.sleep(MEND_S + 2)
            assert is_well(doorkeeper)
    async with opened(tmp_path) as (doorkeeper, _):
        assert [grant.person for grant in doorkeeper.grants] == ["Ada"]


async def test_a_damaged_grant_lets_nobody_in_and_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path) as (doorkeeper, _):
        _, token = await doorkeeper.create(ADA, KIM)
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as connection:
        connection.execute("UPDATE access_grant SET checksum = checksum + 1")
    async with opened(tmp_path) as (doorkeeper, _):
        assert doorkeeper.rejected == 1
        assert refused(doorkeeper, token)[0] is Reason.UNKNOWN


@pytest.mark.looptime
async def test_the_last_use_is_kept_and_costs_one_write_in_ten_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_takes_no_time()
    clock, writes = Clock(), 0
    async with opened(tmp_path, clock) as (doorkeeper, store):
        _, token = await doorkeeper.create(ADA, KIM)
        await doorkeeper.create(NewGrant("Bea", "laptop"), KIM)
        write = store.write

        async def counting(*args: object) -> None:
            nonlocal writes
            writes += 1
            await write(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "write", counting)
        async with kept(doorkeeper):
            for _ in range(600):
                clock.ms += 2000
                doorkeeper.admit(token, HERE, 0.0)
                await asyncio.sleep(2.0)
            assert 1 <= writes <= 1200 // USES_S
            clock.ms += 2000
            doorkeeper.admit(token, HERE, 0.0)
    async with opened(tmp_path) as (doorkeeper, _):
        assert [grant.used_ms for grant in doorkeeper.grants] == [clock.ms, None]


@pytest.mark.looptime
async def test_what_expires_is_told_listed_for_a_month_and_dropped(tmp_path: Path) -> None:
    disk_takes_no_time()
    clock = Clock()
    async with opened(tmp_path, clock) as (doorkeeper, _):
        await doorkeeper.create(NewGrant("Ada", "laptop", lasts_days=1), KIM)
        async with kept(doorkeeper):
            await asyncio.sleep(3.0)
            revision = doorkeeper.revision
            clock.ms += DAY_MS
            await asyncio.sleep(1.5)
            assert doorkeeper.revision > revision
            clock.ms += KEPT_EXPIRED_MS - 1
            await asyncio.sleep(MEND_S + 2)
            assert len(doorkeeper.grants) == 1
            clock.ms, clock.is_sure = clock.ms + 1, False
            await asyncio.sleep(MEND_S + 2)
            assert len(doorkeeper.grants) == 1
            clock.is_sure = True
            await asyncio.sleep(MEND_S + 2)
            assert list(doorkeeper.grants) == []
    async with opened(tmp_path) as (doorkeeper, _):
        assert list(doorkeeper.grants) == []


DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.access.test_doorkeeper import ADA, HERE, KIM, opened
from gateway.access.grants import NewGrant

async def main():
    async with opened(Path(sys.argv[1])) as (doorkeeper, store):
        first, token = await doorkeeper.create(ADA, KIM)
        print(token.reveal(), flush=True)
        code = doorkeeper.invite(NewGrant("Bea"), KIM, 0.0).code
        write = store.write
        async def dying(*args):
            await write(*args)
            os.kill(os.getpid(), signal.SIGKILL)
        store.write = dying
        await {
            "create": lambda: doorkeeper.create(NewGrant("Bea", "phone"), KIM),
            "redeem": lambda: doorkeeper.redeem(code, "phone", HERE, 0.0),
            "revoke": lambda: doorkeeper.revoke(first.id, KIM),
        }[sys.argv[2]]()

asyncio.run(main())
"""


@pytest.mark.parametrize(("deed", "people"), [("create", ["Ada", "Bea"]), ("redeem", ["Ada", "Bea"]), ("revoke", [])])
async def test_killed_between_writing_and_answering_it_has_done_it(
    tmp_path: Path, deed: str, people: list[str]
) -> None:
    """A token that nobody was told opens nothing; the list shows it as never used, and it can be given anew."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "codecs")))}
    command = [sys.executable, "-c", DYING, str(tmp_path), deed]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False, env=environment)
    assert result.returncode == -9, result.stderr
    token = Secret(result.stdout.strip())
    async with opened(tmp_path) as (doorkeeper, _):
        assert [(grant.person, grant.used_ms) for grant in doorkeeper.grants] == [(name, None) for name in people]
        if deed == "revoke":
            assert refused(doorkeeper, token)[0] is Reason.UNKNOWN
        else:
            assert doorkeeper.admit(token, HERE, 0.0).person == "Ada"
            again, _ = await doorkeeper.create(NewGrant("Bea", "phone"), KIM)
            assert len(doorkeeper.grants) == 3
            for grant in doorkeeper.grants:
                if grant.person == "Bea" and grant.id != again.id:
                    await doorkeeper.revoke(grant.id, KIM)

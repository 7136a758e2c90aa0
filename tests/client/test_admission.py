"""How the client is let in: tokens, the local socket, a link with a code, certificates, and what is said if not."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from gateway.access.caller import Scope
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from insiders_gateway_client.address import parse
from insiders_gateway_client.errors import AddressError, GatewayError, NobodyThereError, NotAdmittedError, RefusalError
from insiders_gateway_client.events import CaughtUp, Rows
from insiders_gateway_client.gateway import Gateway
from insiders_gateway_client.joining import join, leave
from insiders_gateway_client.keys import TOKEN_VARIABLE, Key, Keys
from tests.client.ground import free_port
from tests.live.house import OWNER, House, opened

NOTHING = "ask for a code and join with `insiders-gateway access join 'LINK'`"


@pytest.fixture(name="house")
async def _house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "state") as house:
        yield house


@pytest.fixture(name="locked")
async def _locked(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "locked", is_tls=True) as house:
        yield house


@pytest.fixture(name="keys")
def _keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys.json", {})


def link(house: House, *, fingerprint: str | None = None) -> str:
    """What stands in the QR code."""
    invitation = house.doorkeeper.invite(NewGrant("Kim", "", Role.VIEWER, Scope()), OWNER, now_s())
    shown = f"{house.base}/pair#code={invitation.code.reveal()}"
    if house.certificates is not None:
        shown += f"&fp={fingerprint or house.certificates.fingerprint}"
    return shown


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def streamed(gateway: Gateway) -> int:
    """Follow until the past has come; how many rows that was."""
    count = 0
    async with asyncio.timeout(20), aclosing(gateway.stream(last_s=60)) as events:
        async for event in events:
            if isinstance(event, Rows):
                count += len(event)
            if isinstance(event, CaughtUp):
                break
    return count


def fill(house: House, count: int = 30) -> None:
    values = np.full((len(QUANTITIES), count), np.nan)
    values[Column.SPEED] = 2.0
    house.hub.channels[1].rows_came(SampleBlock(np.arange(count) * 100 + 1_795_300_000_000, values), 0.0)  # type: ignore[attr-defined]


async def test_nobody_gets_in_without_a_token_and_is_told_how(house: House) -> None:
    for gateway, why in (
        (Gateway(house.base), rf"lets in only those whom it knows: {NOTHING}"),
        (Gateway(house.base, "igw_wrong"), rf"does not take this token, or not any more: {NOTHING}"),
    ):
        with pytest.raises(NotAdmittedError, match=why) as refused:
            await gateway.ask("GET", "gaps")
        assert "igw_" not in str(refused.value)
        with pytest.raises(NotAdmittedError, match=why):
            await streamed(gateway)


async def test_a_token_lets_in_and_its_role_bounds_what_can_be_done(house: House) -> None:
    fill(house)
    gateway = Gateway(house.base, await house.token(Role.VIEWER))
    assert await streamed(gateway) == 30
    assert json.loads(await gateway.ask("GET", "me"))["role"] == "viewer"
    with pytest.raises(RefusalError, match=r"\.$") as refused:
        await gateway.ask("GET", "counters")
    assert refused.value.code == "forbidden"


async def test_who_may_open_the_local_socket_needs_no_token(house: House) -> None:
    fill(house)
    gateway = Gateway(f"unix:{house.control}")
    assert json.loads(await gateway.ask("GET", "me"))["role"] == "admin"
    assert await streamed(gateway) == 30


async def test_where_there_is_no_local_socket_or_another_users_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"Nothing answers at unix:/.*none\.sock: start the gateway there"):
        await Gateway(f"unix:{tmp_path}/none.sock").ask("GET", "me")


async def test_a_revoked_token_ends_the_stream_and_says_how_to_get_in_again(house: House) -> None:
    grant, token = await house.doorkeeper.create(NewGrant("Kim", "laptop", Role.VIEWER, Scope()), OWNER)

    async def follow() -> None:
        events = Gateway(house.base, token.reveal()).stream()
        async with asyncio.timeout(20), aclosing(events):
            async for _ in events:
                if house.doorkeeper.grants:
                    await house.doorkeeper.revoke(grant.id, OWNER)

    with pytest.raises(NotAdmittedError, match=NOTHING):
        await follow()


async def test_a_link_becomes_a_token_that_is_kept_for_next_time(house: House, keys: Keys) -> None:
    fill(house)
    membership = await join(link(house), "notebook", keys)
    assert (membership.person, membership.device, membership.role) == ("Kim", "notebook", "viewer")
    assert await streamed(Gateway(house.base, keys=keys)) == 30
    await leave(house.base, keys)
    assert keys.of(parse(house.base)) == Key()
    assert list(house.doorkeeper.grants) == []


async def test_joining_again_ends_what_it_takes_the_place_of(
    house: House, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await join(link(house), "notebook", keys)
    former = keys.kept(parse(house.base)).token
    script, token = await house.doorkeeper.create(NewGrant("Kim", "script", Role.VIEWER, Scope()), OWNER)
    monkeypatch.setenv(TOKEN_VARIABLE, token.reveal())
    await join(link(house), "notebook", Keys(tmp_path / "keys.json"))
    assert {grant.device for grant in house.doorkeeper.grants} == {"notebook", "script"}
    assert script in house.doorkeeper.grants, "a token of the environment is somebody else's to end"
    with pytest.raises(NotAdmittedError):
        await Gateway(house.base, former, keys=keys).ask("GET", "me")
    await Gateway(house.base, keys=keys).ask("GET", "me")


async def test_joining_again_works_where_the_former_token_is_worth_nothing_any_more(house: House, keys: Keys) -> None:
    await join(link(house), "notebook", keys)
    (grant,) = house.doorkeeper.grants
    await house.doorkeeper.revoke(grant.id, OWNER)
    await join(link(house), "notebook", keys)
    await Gateway(house.base, keys=keys).ask("GET", "me")


async def test_who_is_not_let_in_has_nothing_to_give_up(house: House, keys: Keys) -> None:
    await join(link(house), "notebook", keys)
    await leave(house.base, keys)
    where = rf"Nothing is kept here that lets this machine in at 127\.0\.0\.1:{house.port}: "
    with pytest.raises(NotAdmittedError, match=f"{where}there is nothing to give up$"):
        await leave(house.base, keys)
    keys.keep(parse("pi.local"), Key("igw_x"))
    with pytest.raises(NotAdmittedError, match=rf"{where}name the gateway that is meant, such as pi\.local:8770$"):
        await leave(house.base, keys)


async def test_where_nothing_answers_the_gateways_that_have_let_us_in_are_named(keys: Keys) -> None:
    port = free_port()
    for other in ("pi.local", "https://other.example"):
        keys.keep(parse(other), Key("igw_x"))
    with pytest.raises(
        NobodyThereError,
        match=r"start the gateway there or name another, such as pi\.local:8770 or https://other\.example",
    ):
        await Gateway(str(port), keys=keys).ask("GET", "me")


async def test_who_may_see_no_athlete_has_a_stream_all_the_same(house: House) -> None:
    del house.hub.channels[1]  # type: ignore[attr-defined]
    gateway = Gateway(house.base, await house.token(Role.VIEWER, Scope(frozenset({"U19"}))))
    assert await streamed(gateway) == 0
    assert await gateway.latest() == {}
    assert await gateway.collect(0.2) == {}


async def test_a_code_is_good_once(house: House, keys: Keys) -> None:
    shown = link(house)
    await join(shown, "notebook", keys)
    with pytest.raises(RefusalError) as refused:
        await join(shown, "another", keys)
    assert refused.value.code == "unknown_code"
    assert "code=" not in str(refused.value)


@pytest.mark.parametrize("cut", ["", "#", "#fp=00", "#code=abc&fp=00", "#code=abc&fp=zz"])
async def test_a_link_that_lost_something_on_its_way_is_said_to_have(cut: str, keys: Keys) -> None:
    with pytest.raises(AddressError, match="was cut: put it between quotes, as a whole"):
        await join(f"https://127.0.0.1:1/pair{cut}", None, keys)


async def test_a_link_that_a_shell_has_cut_is_said_to_be_that_where_the_certificate_is_not_known(
    locked: House, keys: Keys
) -> None:
    shown = link(locked)
    with pytest.raises(AddressError, match="was cut: put it between quotes, as a whole"):
        await join(shown.partition("&")[0], "notebook", keys)
    await join(shown, "notebook", keys)  # the code is still good


async def test_a_link_to_a_name_that_nobody_knows_is_to_have_the_address_in_it(keys: Keys) -> None:
    with pytest.raises(NobodyThereError, match="put the gateway's IP address into the link in place of it"):
        await join(f"https://no-such-gateway.invalid:8770/pair#code=abc&fp={'0' * 64}", None, keys)


async def test_over_tls_the_first_contact_goes_by_the_fingerprint_and_the_next_by_the_clubs_authority(
    locked: House, keys: Keys
) -> None:
    fill(locked)
    with pytest.raises(GatewayError, match="a certificate that is not trusted here: ask for a code and join"):
        await Gateway(locked.base).ask("GET", "hello")
    with pytest.raises(GatewayError, match="a certificate that is not trusted here"):
        await streamed(Gateway(locked.base))
    await join(link(locked), "notebook", keys)
    assert keys.of(parse(locked.base)).authority == (locked.certificates and locked.certificates.authority)
    assert await streamed(Gateway(locked.base, keys=keys)) == 30


async def test_an_impostor_gets_no_code(locked: House, keys: Keys) -> None:
    shown = link(locked, fingerprint="0" * 64)
    with pytest.raises(GatewayError, match="is not the gateway that the code is of"):
        await join(shown, "notebook", keys)
    assert keys.of(parse(locked.base)) == Key()
    assert locked.certificates is not None
    await join(shown.replace("0" * 64, str(locked.certificates.fingerprint)), "notebook", keys)  # still good


async def test_tls_and_plain_http_mistaken_for_each_other_are_said_to_be_that(house: House, locked: House) -> None:
    with pytest.raises(GatewayError, match="does not speak TLS: write http:// before it"):
        await Gateway(f"https://127.0.0.1:{house.port}", "igw_x").ask("GET", "me")
    says = rf"127\.0\.0\.1:{locked.port} speaks TLS: write https://127\.0\.0\.1:{locked.port}$"
    for plain in (f"http://127.0.0.1:{locked.port}", f"127.0.0.1:{locked.port}", str(locked.port)):
        gateway = Gateway(plain, "igw_x")
        with pytest.raises(GatewayError, match=says):
            await gateway.ask("GET", "me")
        with pytest.raises(GatewayError, match=says):
            await streamed(gateway)


async def test_what_is_kept_as_authority_and_is_none_is_said_to_be_that() -> None:
    with pytest.raises(GatewayError, match=r"is kept as the authority of pi\.local:8770 is none"):
        await Gateway("pi.local", "igw_x", "PEM").ask("GET", "me")

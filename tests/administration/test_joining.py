"""`access join` and `access leave`: what a person on a laptop reads."""

import asyncio
import io
from pathlib import Path

import pytest
from rich.console import Console

from gateway.access.caller import Scope
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from gateway.administration.joining import give_up, take_part
from gateway.terminal.errors import CommandError
from gateway.terminal.talk import Talk
from insiders_gateway_client.errors import NotAdmittedError
from tests.live.house import OWNER, House, opened


def link(house: House) -> str:
    assert house.certificates is not None
    now_s = asyncio.get_running_loop().time()
    invitation = house.doorkeeper.invite(NewGrant("Kim", "", Role.VIEWER, Scope()), OWNER, now_s)
    return f"{house.base}/pair#code={invitation.code.reveal()}&fp={house.certificates.fingerprint}"


async def test_a_laptop_is_let_in_once_and_leaves_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    out = io.StringIO()
    talk = Talk(Console(file=out), io.StringIO())
    async with opened(tmp_path / "state", is_tls=True) as house:
        used = link(house)
        for shown in (used, link(house)):
            await take_part(talk, shown, "notebook")
        assert [grant.device for grant in house.doorkeeper.grants] == ["notebook"]
        with pytest.raises(CommandError, match="code"):
            await take_part(talk, used, "notebook")
        await give_up(house.base, talk)
        assert list(house.doorkeeper.grants) == []
        with pytest.raises(NotAdmittedError, match="Nothing is kept here that lets this machine in at 127"):
            await give_up(house.base, talk)
    let_in = f"127.0.0.1:{house.port} has let this machine in: Kim, viewer, on notebook."
    assert out.getvalue().splitlines() == [
        *[let_in, f"Next: `insiders-gateway watch {house.base}`."] * 2,
        "This machine is not let in any more.",
    ]

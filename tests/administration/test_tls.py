"""`tls`: what an admin types at the gateway itself, and what laptops then trust."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.access import audit as auditing
from gateway.access import grants as keeping
from gateway.access.audit import Audit
from gateway.access.caller import Caller
from gateway.access.doorkeeper import Doorkeeper
from gateway.access.grants import NewGrant
from gateway.access.roles import Role
from gateway.administration.tls import add_tls_verbs, administer_tls
from gateway.bridges.certificates import ServedCertificates
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.store import open_store
from gateway.terminal.errors import CommandError, RefusedError
from gateway.tls.certificates import Certificates
from insiders_gateway_client.errors import GatewayError, RefusalError
from insiders_gateway_client.gateway import Gateway
from tests.tls.ground import Ground, seen
from tests.tls.test_elsewhere import Files

KIM = Caller("Kim", "this machine", Role.ADMIN)


@dataclass
class Served:
    """A gateway without trackers, over TLS."""

    certificates: Certificates
    doorkeeper: Doorkeeper
    url: str
    port: int

    async def typed(self, *arguments: str) -> int:
        parser = argparse.ArgumentParser("insiders-gateway tls")
        add_tls_verbs(parser)
        return await administer_tls(parser.parse_args([*arguments, "--url", self.url]))


@asynccontextmanager
async def serving(
    folder: Path, *, elsewhere: tuple[Path, Path] | None = None, is_tls: bool = True, is_insecure: bool = False
) -> AsyncIterator[Served]:
    folder.mkdir(exist_ok=True)
    hub = Hub({}, Board(), "e", "Test", "0.0", 60.0, lambda: 60_000, lambda: True)
    with Ground(folder / "tls").certificates(elsewhere=elsewhere) as certificates:
        certificates.prepare(is_served=is_tls)
        async with open_store(folder, [keeping.SCHEMA, auditing.SCHEMA]) as store:
            doorkeeper = Doorkeeper(store)
            await doorkeeper.load()
            server = LiveServer(
                hub,
                dict,
                doorkeeper=doorkeeper,
                audit=Audit(store),
                certificates=ServedCertificates(certificates, is_insecure=is_insecure),
            )
            tls, control = certificates.context if is_tls else None, folder / "control.sock"
            async with server.listening("127.0.0.1", 0, tls=tls, control=control) as port:
                yield Served(certificates, doorkeeper, f"unix:{control}", port)


@pytest.fixture(name="served")
async def _served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "state") as served:
        yield served


async def is_known(served: Served, authority: str) -> bool:
    """Whether a laptop that has installed an authority talks to the gateway."""
    try:
        await Gateway(f"https://localhost:{served.port}", authority=authority).ask("GET", "hello")
    except GatewayError as error:
        assert "not trusted" in str(error)  # noqa: PT017
        return False
    return True


async def test_what_is_exported_is_what_laptops_install(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "club.crt"
    assert await served.typed("export", str(file)) == 0
    assert "PRIVATE" not in file.read_text()
    assert await is_known(served, file.read_text())


async def test_without_a_file_it_is_printed(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    await served.typed("export")
    assert capsys.readouterr().out == served.certificates.authority


async def test_with_its_key_only_its_owner_can_read_it(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "club.pem"
    await served.typed("export", "--with-key", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" in file.read_text()
    assert "whoever has it can pass for any gateway" in " ".join(capsys.readouterr().out.split())


async def test_the_key_is_not_shown_on_a_screen(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="name a file"):
        await served.typed("export", "--with-key")
    assert "PRIVATE" not in capsys.readouterr().out


async def test_show_does_not_call_an_open_network_safe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(tmp_path / "state", is_tls=False, is_insecure=True) as served:
        await served.typed("show")
        told = " ".join(capsys.readouterr().out.split())
        assert "anybody in it can read them" in told
        assert "its own machine only" not in told
    async with serving(tmp_path / "other", is_tls=False) as served:
        await served.typed("show")
        assert "its own machine only" in " ".join(capsys.readouterr().out.split())


async def test_a_second_gateway_of_the_club_takes_the_authority_of_the_first(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "club.pem"
    await served.typed("export", "--with-key", str(file))
    async with serving(tmp_path / "second") as second:
        assert served.certificates.authority is not None
        assert not await is_known(second, served.certificates.authority)
        with pytest.raises(CommandError, match="add --yes"):
            await second.typed("init", "--authority", str(file))
        assert not await is_known(second, served.certificates.authority)
        await second.typed("init", "--authority", str(file), "--yes")
        assert await is_known(second, served.certificates.authority)
        assert "tls export club.crt" in capsys.readouterr().out


async def test_init_makes_an_authority_where_there_is_none_and_only_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(tmp_path / "state", is_tls=False) as served:
        await served.typed("show")
        assert "Authority: none in order." in capsys.readouterr().out
        with pytest.raises(RefusedError, match="There is no authority to export"):
            await served.typed("export")
        await served.typed("init")
        first = served.certificates.authority
        assert "Next: " in capsys.readouterr().out
        await served.typed("init")
        assert served.certificates.authority == first is not None
        assert "has this authority already" in capsys.readouterr().out


async def test_a_new_authority_is_made_only_if_that_is_meant(served: Served) -> None:
    first = served.certificates.authority
    assert first is not None
    with pytest.raises(CommandError, match="add --yes"):
        await served.typed("init", "--new")
    assert await is_known(served, first)
    await served.typed("init", "--new", "--yes")
    assert not await is_known(served, first)
    assert served.certificates.authority is not None
    assert await is_known(served, served.certificates.authority)


async def test_show_says_what_can_be_compared_with_what_a_browser_shows(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    await served.typed("show")
    told = "".join(capsys.readouterr().out.split())
    fingerprint = (await seen(served.port)).upper()
    assert ":".join(fingerprint[place : place + 2] for place in range(0, 64, 2)) in told
    assert "signedbytheclub'sauthority" in told
    assert "pitch.local" in told


async def test_where_the_certificate_is_from_elsewhere_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = Files(tmp_path)
    async with serving(tmp_path / "state", elsewhere=(files.certificate, files.private_key)) as served:
        await served.typed("show")
        told = capsys.readouterr().out
        assert "from elsewhere" in told
        assert "Authority" not in told
        for verb in (["init"], ["init", "--new"]):
            with pytest.raises(RefusedError, match="The certificate is from elsewhere"):
                await served.typed(*verb)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (no such file"),
        (b"\xff\xfe", "is no PEM file"),
        (b"hello", "there is no certificate in it"),
    ],
)
async def test_a_file_that_is_no_authority_is_refused_in_a_sentence(
    served: Served, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "club.pem"
    if content is not None:
        file.write_bytes(content)
    before = served.certificates.authority
    with pytest.raises(CommandError) as refused:
        await served.typed("init", "--authority", str(file), "--yes")
    assert sentence in str(refused.value)
    assert str(refused.value).endswith(".")
    assert served.certificates.authority == before


async def test_a_file_that_is_there_is_not_written_over(served: Served, tmp_path: Path) -> None:
    """It may be the only copy of an authority with its key."""
    file = tmp_path / "club.pem"
    file.write_text("mine")
    with pytest.raises(CommandError, match="is there already"):
        await served.typed("export", str(file))
    assert file.read_text() == "mine"
    with pytest.raises(CommandError, match="cannot be written"):
        await served.typed("export", str(tmp_path / "none" / "club.pem"))


async def test_an_authority_cannot_be_given_and_made_at_once(served: Served) -> None:
    with pytest.raises(SystemExit):
        await served.typed("init", "--new", "--authority", "club.pem")
    with pytest.raises(RefusalError, match="not both"):
        await Gateway(served.url).ask("POST", "tls", json={"authority": "x", "is_new": True})


async def test_the_key_is_given_out_on_the_gateway_itself_only(served: Served) -> None:
    _, token = await served.doorkeeper.create(NewGrant(KIM.person, "laptop", Role.ADMIN), KIM)
    remote = Gateway(f"https://localhost:{served.port}", token.reveal(), served.certificates.authority)
    assert b"BEGIN CERTIFICATE" in await remote.ask("GET", "tls/authority")
    with pytest.raises(RefusalError) as refused:
        await remote.ask("GET", "tls/authority?with_key=true")
    assert refused.value.code == "forbidden"

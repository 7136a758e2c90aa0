"""What keeps us from the cloud, told apart by real sockets: one sentence each, and what a person does next."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from gateway.cloud.client import CloudClient
from gateway.cloud.errors import CloudError, LoginRefused, NetworkLoginNeeded, TlsFailed, Unreachable
from gateway.cloud.exchange import Limits
from tests.cloud.scripted import CLIENT_SECRET, PASSWORD, ScriptedCloud
from tests.fault_proxy import fault_proxy

SHORT = Limits(connect_s=0.5, live_s=0.7, total_s=1.0)

SIGNING = """
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


@dataclass(frozen=True)
class Authority:
    """Signs certificates; made by the openssl program once for all tests."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        folder.mkdir()
        (folder / "signing.conf").write_text(SIGNING)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01\n")
        made = cls(folder)
        made._key("ca", "-x509", "-subj", "/CN=test authority", "-days", "2", "-out", "ca.pem")
        return made

    def server(self, name: str, san: str, start: str, end: str) -> ssl.SSLContext:
        """A server whose certificate is for one name and from one day (``YYYYMMDD``) to another."""
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={san}"]
        self._key(name, *subject, "-out", f"{name}.csr")
        span = ["-startdate", f"{start}000000Z", "-enddate", f"{end}000000Z"]
        files = ["-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr", "-out", f"{name}.pem"]
        self._openssl("ca", "-batch", "-notext", "-config", "signing.conf", *span, *files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def _key(self, name: str, *arguments: str) -> None:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
        self._openssl("req", *curve, *arguments)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("authorities") / "trusted")


@pytest.fixture(scope="module")
def servers(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ssl.SSLContext]:
    stranger = Authority.made(tmp_path_factory.mktemp("authorities") / "stranger")
    here, years = "IP:127.0.0.1", ("20200101", "20990101")
    return {
        "right": authority.server("right", here, *years),
        "expired": authority.server("expired", here, "20200101", "20210101"),
        "not yet valid": authority.server("future", here, "20900101", "20990101"),
        "wrong host": authority.server("other", "DNS:other.example", *years),
        "unknown authority": stranger.server("unknown", here, *years),
    }


@pytest.fixture(autouse=True)
def _authority_is_trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)


@asynccontextmanager
async def terminated(cloud: ScriptedCloud, tls: ssl.SSLContext) -> AsyncIterator[tuple[str, list[bytes]]]:
    """TLS before the cloud; gives its address, and what it decrypted."""
    cloud_port = URL(cloud.url).port
    heard: list[bytes] = []
    tasks: set[asyncio.Task[object]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[bytes] | None) -> None:
        while data := await reader.read(65536):
            if heard is not None:
                heard.append(data)
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        cloud_reader, cloud_writer = await asyncio.open_connection("127.0.0.1", cloud_port)
        await asyncio.gather(pump(reader, cloud_writer, heard), pump(cloud_reader, writer, None))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/", heard
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def failure(client: CloudClient) -> CloudError:
    with pytest.raises(CloudError) as caught:
        await client.latest_data(7, lambda: 1)
    return caught.value


async def test_a_certificate_that_is_right_is_trusted(cloud: ScriptedCloud, servers: dict[str, ssl.SSLContext]) -> None:
    async with terminated(cloud, servers["right"]) as (cloud.url, heard), cloud.open() as client:
        assert len((await client.latest_data(7, lambda: 1)).block) == 0
    assert heard


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "expired"),
        ("not yet valid", "not yet valid"),
        ("wrong host", "mismatch"),
        ("unknown authority", "issuer"),
    ],
)
async def test_a_certificate_that_is_wrong_ends_it_before_anything_is_said(
    cloud: ScriptedCloud, servers: dict[str, ssl.SSLContext], kind: str, words: str
) -> None:
    async with terminated(cloud, servers[kind]) as (cloud.url, heard), cloud.open() as client:
        error = await failure(client)
    assert isinstance(error, TlsFailed)
    assert words in str(error)
    assert "clock or certificate" in str(error)
    assert "the date of this gateway" in error.action
    assert heard == []


async def portal(_request: web.Request) -> web.Response:
    return web.Response(text="<html>Welcome to our hotel", content_type="text/html")


async def to_portal(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/login"})


async def refusal(_request: web.Request) -> web.Response:
    return web.json_response({"error": "invalid_grant"}, status=400)


async def test_everything_that_keeps_us_away_has_a_sentence_and_an_action_of_its_own(
    cloud: ScriptedCloud, servers: dict[str, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: dict[str, CloudError] = {}
    right_url = cloud.url

    async def meet(name: str, url: str) -> None:
        cloud.url = url
        async with cloud.open(SHORT) as client:
            errors[name] = await failure(client)

    async with fault_proxy(URL(right_url).port or 0) as proxy:
        address = f"http://127.0.0.1:{proxy.port}/"
        proxy.hang()
        await meet("black hole", address)
        proxy.restore()
        proxy.refuses = True
        await meet("reset", address)
    await meet("refused", address)
    async with terminated(cloud, servers["not yet valid"]) as (url, _):
        await meet("clock or certificate", url)
    for name, handler in (("login page", portal), ("redirect", to_portal), ("login refused", refusal)):
        cloud.token_handler = handler
        await meet(name, right_url)

    async def nothing(*_args: object, **_kwargs: object) -> list[object]:
        raise OSError(-3, "Temporary failure in name resolution")

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", nothing)
    await meet("no name", "http://cloud.invalid/")

    assert {name: type(error) for name, error in errors.items()} == {
        "black hole": Unreachable,
        "reset": Unreachable,
        "refused": Unreachable,
        "no name": Unreachable,
        "clock or certificate": TlsFailed,
        "login page": NetworkLoginNeeded,
        "redirect": NetworkLoginNeeded,
        "login refused": LoginRefused,
    }
    assert len({error.text for error in errors.values()}) == len(errors)
    assert len({error.action for error in errors.values()}) == len(errors) - 1, "two kinds of login page"
    seen = "".join(map(str, errors.values()))
    assert PASSWORD not in seen
    assert CLIENT_SECRET not in seen
    assert cloud.asked == [], "no request without a token"

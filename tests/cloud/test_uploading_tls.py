"""Bodies that are made while they are sent, through TLS: what is written waits in another place there."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from gateway.cloud.errors import Broken, Rejected, TlsFailed, Unreachable
from gateway.cloud.uploading import STALL_S
from tests.cloud.uploads import BLOCK, JOB, Body, Connection, answer, server, upload

pytestmark = pytest.mark.looptime


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate


@pytest.fixture
def ours(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    key, public = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, key)
    return context


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[1])


async def test_a_body_arrives_whole(ours: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async def take(connection: Connection) -> None:
        await connection.read()
        await connection.answer(answer(b"200 OK"))

    async with server(take, ours) as served:
        assert await upload(served.url, Body(100).stream, trusting) == JOB
        assert served.connections[0].is_whole


async def test_a_block_is_made_when_the_one_before_has_left_and_a_stall_is_cut(
    ours: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    ahead: list[int] = []

    async def stop(connection: Connection) -> None:
        await connection.read(10 * BLOCK)
        await asyncio.sleep(1)
        ahead.append(body.made * BLOCK - connection.received)
        await asyncio.Event().wait()

    body = Body(500)
    async with server(stop, ours) as served:
        start_s = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable) as caught:
            await upload(served.url, body.stream, trusting)
        assert asyncio.get_running_loop().time() - start_s == pytest.approx(STALL_S, abs=2)
    assert caught.value.reason is Broken.TIMEOUT
    assert ahead[0] < 8 * 1024 * 1024
    assert (body.closed, body.is_over) == (1, False)


async def test_an_early_answer_is_the_answer(ours: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.answer(answer(b"413 Content Too Large"))

    async with server(refuse, ours) as served:
        for _ in range(10):
            with pytest.raises(Rejected):
                await upload(served.url, Body(500).stream, trusting)


async def test_nothing_is_begun_before_the_server_has_proved_who_it_is(ours: ssl.SSLContext) -> None:
    async def take(connection: Connection) -> None:
        await connection.read()

    body = Body(5)
    async with server(take, ours) as served:
        with pytest.raises(TlsFailed):
            await upload(served.url, body.stream)
    assert not body.begun

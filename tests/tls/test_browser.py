"""A browser that has the club's authority shows no warning, and believes it nothing about anybody else."""

import asyncio
import base64
import json
import os
import shutil
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from gateway.tls.issuing import make_authority, make_leaf
from gateway.tls.pem import Authority, put_into, server_context
from tests.live.browser import BROWSER
from tests.tls.ground import HERE, moment
from tests.tls.test_issuing import abused

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or BROWSER is None or shutil.which("unshare") is None or not Path("/etc/chromium").is_dir(),
    reason="needs root, unshare and Chromium",
)

_SAID = b"hello, coach"
_OPENED = (
    'mount --bind "$1" /etc/chromium; shift; exec timeout 60 "$@" --headless=new --no-sandbox --disable-gpu '
    "--disable-dev-shm-usage --disable-background-networking --disable-component-update --no-first-run --dump-dom"
)

AUTHORITY = make_authority("FC Test", HERE, moment())


async def is_shown(folder: Path, installed: Authority | None, name: str, pem: bytes) -> bool:
    """Whether a browser shows the page of a server with a certificate, under a name; a club administers it."""
    managed = folder / "etc/policies/managed"
    managed.mkdir(parents=True)
    if installed is not None:
        der = ssl.PEM_cert_to_DER_cert(installed.certificate)
        (managed / "club.json").write_text(json.dumps({"CACertificates": [base64.b64encode(der).decode()]}))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_SAID)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + _SAID)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = server_context()
    put_into(context, pem)
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        browser = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("sh", "-c", _OPENED + ' "$0"', f"https://{name}:{port}/", str(folder / "etc")),
            *(str(BROWSER), f"--user-data-dir={folder}/profile", f"--host-resolver-rules=MAP {name} 127.0.0.1"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        shown, _ = await browser.communicate()
    assert b"<html" in shown  # a page or a warning
    return _SAID in shown


@pytest.mark.parametrize("name", ["pitch.local", "192.168.7.5"])
async def test_where_the_authority_is_installed_there_is_no_warning(tmp_path: Path, name: str) -> None:
    assert await is_shown(tmp_path, AUTHORITY, name, make_leaf(AUTHORITY, HERE, moment()).pem)


async def test_where_it_is_not_there_is_one(tmp_path: Path) -> None:
    assert not await is_shown(tmp_path, None, "pitch.local", make_leaf(AUTHORITY, HERE, moment()).pem)


@pytest.mark.parametrize(("name", "is_believed"), [("other.local", True), ("bank.example", False)])
async def test_who_has_stolen_it_is_believed_to_be_a_gateway_and_no_bank(
    tmp_path: Path, name: str, is_believed: bool
) -> None:
    assert await is_shown(tmp_path, AUTHORITY, name, abused(AUTHORITY, x509.DNSName(name))) is is_believed

"""What the README tells analysts works against a gateway as a club has one: over TLS, for those who are let in."""

import asyncio
import os
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from gateway.access.roles import Role
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock
from tests.live.house import House, opened

README = (Path(__file__).parents[2] / "README.md").read_text()
NODE_20_AND_NEWER = ["node", "--experimental-websocket"]


def code(language: str, having: str) -> str:
    """The example of a language that has something in it."""
    (found,) = [it for it in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if having in it]
    return str(found)


@asynccontextmanager
async def club(folder: Path) -> AsyncIterator[tuple[House, dict[str, str]]]:
    """A gateway with an athlete who runs, and the environment of a script that is let in."""
    async with opened(folder, is_tls=True) as house, asyncio.TaskGroup() as tasks:
        assert house.certificates is not None
        (folder / "club.crt").write_text(str(house.certificates.authority))
        known = {"INSIDERS_GATEWAY_TOKEN": await house.token(Role.VIEWER)}
        known |= dict.fromkeys(["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"], str(folder / "club.crt"))
        running = tasks.create_task(run(house))
        yield house, {**os.environ, **known}
        running.cancel()


async def run(house: House) -> None:
    values = np.full((len(QUANTITIES), 1), np.nan)
    values[Column.SPEED] = 2.5
    for t_ms in range(house.clock(), house.clock() + 1_000_000, 100):
        house.hub.channels[1].rows_came(SampleBlock(np.array([t_ms]), values), 0.0)  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)


async def first_line(environ: dict[str, str], folder: Path, *command: str) -> str:
    """What a program prints first."""
    process = await asyncio.create_subprocess_exec(*command, env=environ, cwd=folder, stdout=PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = await process.stdout.readline()
        if process.returncode is None:
            process.terminate()
        await process.communicate()
    return line.decode()


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node: install the package nodejs")
async def test_the_lines_of_javascript_print_rows_in_node(tmp_path: Path) -> None:
    async with club(tmp_path) as (house, environ):
        script = code("js", "WebSocket").replace("ws://127.0.0.1:8770", f"wss://127.0.0.1:{house.port}")
        (tmp_path / "stream.mjs").write_text(script)
        assert "[ 2.5, null ]" in await first_line(environ, tmp_path, *NODE_20_AND_NEWER, "stream.mjs")


async def test_the_lines_of_python_print_rows_with_the_environment_of_a_script(tmp_path: Path) -> None:
    async with club(tmp_path) as (house, environ):
        (tmp_path / "stream.py").write_text(code("python", "Gateway(").replace("127.0.0.1:8770", house.base))
        assert (await first_line(environ, tmp_path, sys.executable, "-u", "stream.py")).endswith(" 2.5\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: install the package curl")
async def test_the_line_of_curl_is_answered_where_tls_and_a_token_are_wanted(tmp_path: Path) -> None:
    lines = re.search(r"^curl .*\\\n.*$", code("sh", "--cacert"), re.MULTILINE)
    assert lines is not None
    async with club(tmp_path) as (house, environ):
        asked = lines[0].replace("https://pi.local:8770", house.base).replace("SIM-0001", "SN-1")
        assert '"serial_number":"SN-1"' in await first_line(environ, tmp_path, "bash", "-c", asked)

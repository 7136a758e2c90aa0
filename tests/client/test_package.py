"""The package alone: what it imports, and that its README is true."""

import ast
import asyncio
import inspect
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import insiders_gateway_client
from gateway.live.board import Board
from gateway.live.hub import Hub
from gateway.live.server import LiveServer
from gateway.telemetry.channel import Channel, Wearer
from insiders_codecs.samples import QUANTITIES, Column, SampleBlock

PACKAGE = Path(str(insiders_gateway_client.__file__)).parent
CELLS = re.findall(r"```python\n(.*?)```", (PACKAGE.parent / "README.md").read_text(), re.DOTALL)
MEMBERSHIP, LATEST, COLLECT, TABLE, PROGRAM = CELLS


def imported() -> set[str]:
    found = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    return found


def test_it_imports_nothing_but_what_it_declares() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    assert declared == {"aiohttp", "msgpack", "numpy"}
    part_of_aiohttp = {"yarl"}
    assert imported() - set(sys.stdlib_module_names) - part_of_aiohttp == declared | {"insiders_gateway_client"}


def test_it_works_where_nothing_of_the_gateway_is_installed() -> None:
    """Every module, with what it needs and no more: whatever else is asked for is not there."""
    modules = [f"insiders_gateway_client.{path.stem}" for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    code = f"""
import importlib, sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
for name in ("gateway", "insiders_codecs", "msgspec", "pydantic", "rich", "cryptography", "bleak"):
    sys.modules[name] = None
for name in {modules!r}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60, cwd="/")


async def run_cell(cell: str, names: dict[str, Any]) -> None:
    """A cell as notebooks run it: with `await` outside of any function, in the loop that is there."""
    code = compile(cell, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    told = eval(code, names)
    if inspect.iscoroutine(told):
        await told


@asynccontextmanager
async def training() -> AsyncIterator[str]:
    """A gateway with one athlete, who runs at 10 Hz; its port."""
    channel = Channel(1, Wearer("SN-1", "Ada", 10), 20_000)
    board = Board()
    board.channel_changed(channel)
    board.presence_changed(channel, "live")
    hub = Hub({1: channel}, board, "e", "Test", "0.0", 60.0, lambda: time.time_ns() // 1_000_000, lambda: True)

    async def run() -> None:
        while True:
            now_ms = time.time_ns() // 1_000_000
            values = np.full((len(QUANTITIES), 1), np.nan)
            values[Column.SPEED], values[Column.HEART_RATE] = 3.5, 150
            channel.rows_came(SampleBlock(np.array([now_ms // 100 * 100]), values), 0.0)
            await asyncio.sleep(0.1)

    server = LiveServer(hub, dict, is_open_on_loopback=True)
    async with server.listening("127.0.0.1", 0) as port, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        yield str(port)
        running.cancel()


def here(cell: str, port: str) -> str:
    return cell.replace('"8770"', f'"{port}"').replace("seconds=3", "seconds=0.8")


async def test_the_cells_of_the_readme_run_in_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    async with training() as port:
        await asyncio.sleep(0.3)
        for cell in (LATEST, COLLECT, TABLE):
            await run_cell(here(cell, port), names)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "SN-1 Ada live 150.0"
    assert re.fullmatch(r"SN-1 Ada \d+ 3\.5", told[1])
    assert len(names["past"]) >= len(names["session"]["SN-1"]) > 0
    assert set(names["table"]) >= {"t", "speed", "latitude"}


async def test_the_program_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "program"}
    async with training() as port:
        exec(compile(here(PROGRAM, port), "<program>", "exec"), names)
        main: Callable[[], Any] = names["main"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(main(), 0.8)
    assert re.match(r"SN-1 \d{13} 3\.5\n", capsys.readouterr().out)


async def test_it_runs_in_the_asyncio_shell_that_comes_with_python() -> None:
    """`python -m asyncio` takes `await` line by line, as a person types it."""
    async with training() as port:
        lines = [
            "from insiders_gateway_client.gateway import Gateway",
            f"gateway = Gateway('{port}')",
            "latest = await gateway.latest()",
            "import json; print(json.dumps({'told': dict(latest['SN-1'].values)}))",
        ]
        shell = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "asyncio",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(PACKAGE.parent), "HOME": "/nonexistent"},
        )  # fmt: skip
        out, err = await shell.communicate("\n".join([*lines, ""]).encode())
    told = re.search(r'\{"told": .*\}', out.decode())
    assert told is not None, err.decode()
    assert json.loads(told[0])["told"]["speed"] == 3.5
    assert "exiting" in err.decode()


def test_the_link_of_the_readme_is_one() -> None:
    assert 'join("https://pi.local:8770/pair#code=…&fp=…")' in MEMBERSHIP

"""A private bus: there while it is used, ours alone, and nothing of it left afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from dbus_fast import AuthError
from dbus_fast.aio import MessageBus
from dbus_fast.auth import AuthExternal

from gateway.simulator.bluez.bus import Bus, BusError, is_available, private_bus


@pytest.fixture
def before() -> frozenset[int]:
    """Processes that other tests have left, such as the server of those that are killed."""
    return frozenset(child.pid for child in psutil.Process().children(recursive=True))


def processes(bus: Bus) -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if child.pid == bus.pid]


def folder(bus: Bus) -> Path:
    return Path(bus.address.removeprefix("unix:path=")).parent


async def connect(bus: Bus, auth: AuthExternal | None = None) -> None:
    connection = await MessageBus(bus.address, auth=auth).connect()
    connection.disconnect()


async def test_nothing_is_left_of_a_bus(before: frozenset[int]) -> None:
    async with private_bus() as bus:
        assert len(processes(bus)) == 1
        await connect(bus)
    assert bus.pid is None
    assert [child for child in psutil.Process().children(recursive=True) if child.pid not in before] == []
    assert not folder(bus).exists()


async def test_nothing_is_left_of_a_bus_whose_user_fails(before: frozenset[int]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with private_bus() as bus:
            raise ZeroDivisionError
    assert [child for child in psutil.Process().children(recursive=True) if child.pid not in before] == []
    assert not folder(bus).exists()


_HOLDER = """
import asyncio
from gateway.simulator.bluez.bus import private_bus

async def hold():
    async with private_bus() as bus:
        print(bus.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


def test_a_bus_does_not_outlive_a_user_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as holder:
        assert holder.stdout is not None
        daemon = psutil.Process(int(holder.stdout.readline()))
        assert daemon.is_running()
        holder.kill()
    daemon.wait(timeout=20)


async def test_each_bus_is_another() -> None:
    async with private_bus() as first, private_bus() as second:
        assert first.address != second.address
        assert first.pid != second.pid


async def test_a_killed_bus_takes_nobody_and_comes_back_at_its_address() -> None:
    async with private_bus() as bus:
        address, pid = bus.address, bus.pid
        await bus.kill()
        assert bus.pid is None
        with pytest.raises(OSError):
            await connect(bus)
        await bus.restart()
        assert bus.address == address
        assert bus.pid != pid
        await connect(bus)
        await bus.restart()
        await connect(bus)


async def test_nobody_else_is_let_in() -> None:
    async with private_bus() as bus:
        assert folder(bus).stat().st_mode & 0o077 == 0
        with pytest.raises(AuthError):
            await connect(bus, AuthExternal(uid=os.getuid() + 1))


async def test_a_machine_without_a_dbus_daemon_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_available()
    monkeypatch.setenv("PATH", "/nowhere")
    assert not is_available()
    with pytest.raises(BusError, match="install the package dbus"):
        async with private_bus():
            pass


async def test_a_dbus_daemon_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: frozenset[int]
) -> None:
    broken = tmp_path / "dbus-daemon"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(BusError, match="did not start"):
        async with private_bus():
            pass
    assert [child for child in psutil.Process().children(recursive=True) if child.pid not in before] == []

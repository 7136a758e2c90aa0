"""The demonstration: what it prints, what it draws, and that it ends."""

import asyncio
import io
import os
import re
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from gateway.demo import _command, _opening, demo
from gateway.simulator.faults import Faults
from tests.test_watch import quiet_log


class Screen(io.StringIO):
    """Knows what has been written so far."""

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(15):
            while text not in self.getvalue():
                await asyncio.sleep(0.01)

    def counters_url(self) -> str:
        authority = self._found(r"watch (\S+)")
        return f"http://{authority}/api/v1/counters"

    def control_url(self) -> str:
        return self._found(r"CONTROL=([^;\s]+);")

    def _found(self, pattern: str) -> str:
        found = re.search(pattern, self.getvalue())
        assert found is not None
        return found[1]


@pytest.mark.parametrize("is_terminal", [True, False])
async def test_simulated_athletes_are_claimed_served_and_on_a_terminal_shown(is_terminal: bool) -> None:
    screen, stop = Screen(), asyncio.Event()
    console = Console(file=screen, width=80, force_terminal=is_terminal)
    with quiet_log():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(demo(trackers=3, seed=7, port=0, stop=stop, console=console))
            await screen.shows("The simulated cloud, ")
            counters = screen.counters_url()
            async with aiohttp.ClientSession() as http, asyncio.timeout(15):
                rows = 0
                while not rows:
                    async with http.get(counters) as answer:
                        channels = (await answer.json())["channels"]
                    assert len(channels) == 3
                    rows = min(channel["rows"] for channel in channels)
            if is_terminal:
                await screen.shows("Cleo Marchetti")
            else:
                assert "Cleo" not in screen.getvalue()
            stop.set()
            async with asyncio.timeout(10):
                await running
    assert "gap" in screen.getvalue().splitlines()[-1]


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("source", ["auto", "poll", "websocket"])
async def test_a_demo_with_an_end_ends_by_itself_with_the_gaps(is_terminal: bool, source: str) -> None:
    screen = Screen()
    console = Console(file=screen, width=80, force_terminal=is_terminal)
    with quiet_log():
        async with asyncio.timeout(20):
            await demo(trackers=1, seed=7, port=0, stop=asyncio.Event(), console=console, source=source, duration_s=0.3)
    assert "for 0.005 min or until Ctrl-C" in screen.getvalue()
    assert "gap" in screen.getvalue().splitlines()[-1]


async def test_the_faults_that_are_named_are_those_of_the_cloud() -> None:
    screen, stop = Screen(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        faults = Faults.named("harsh")
        running = demo(trackers=1, seed=7, port=0, stop=stop, console=Console(file=screen), faults=faults)
        tasks.create_task(running)
        await screen.shows("$CONTROL")
        async with aiohttp.ClientSession() as http, http.get(f"{screen.control_url()}/faults") as answer:
            assert (await answer.json())["outage_every_s"] == faults.outage_every_s > 0
        stop.set()


@pytest.mark.dbus
async def test_the_straps_of_the_athletes_are_in_the_air_and_the_machines_own_bus_is_left_alone() -> None:
    system_bus = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    screen, stop = Screen(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(demo(trackers=3, seed=7, port=0, stop=stop, console=Console(file=screen)))
        await screen.shows("$CONTROL")
        asked = screen.counters_url().replace("counters", "sensors")
        kinds: dict[str, set[str]] = {}
        async with aiohttp.ClientSession() as http, asyncio.timeout(15):
            while not kinds.get("free") or "heart_rate" not in kinds.get("tracker", set()) | kinds.get("shared", set()):
                async with http.get(asked) as answer:
                    report = await answer.json()
                kinds = {}
                for sensor in report["sensors"]:
                    kinds.setdefault(sensor["holder"], set()).add(sensor["kind"])
        assert report["radio"]["state"] == "listening"
        stop.set()
    assert "No straps" not in screen.getvalue()
    assert os.environ["DBUS_SYSTEM_BUS_ADDRESS"] == system_bus


async def test_without_a_dbus_daemon_the_demo_goes_on_without_sensors_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    screen = Screen()
    async with asyncio.timeout(20):
        await demo(trackers=1, seed=7, port=0, stop=asyncio.Event(), console=Console(file=screen), duration_s=0.1)
    first = " ".join(screen.getvalue().split())
    assert first.startswith("No straps and power meters in the air. There is no dbus-daemon"), first


async def test_a_demo_leaves_no_state_for_the_next_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    console = Console(file=io.StringIO())
    async with asyncio.timeout(20):
        await demo(trackers=1, seed=7, port=0, stop=asyncio.Event(), console=console, duration_s=0.1)
    assert list(tmp_path.iterdir()) == []


async def test_a_demo_on_a_port_that_is_taken_ends_with_the_systems_error() -> None:
    screen, stop = Screen(), asyncio.Event()
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with server:
        with pytest.raises(OSError, match="in use"):
            await demo(
                trackers=1,
                seed=7,
                port=server.sockets[0].getsockname()[1],
                stop=stop,
                console=Console(file=screen),
            )
    assert screen.getvalue() == ""


@pytest.mark.parametrize("duration_s", [None, 1440 * 60.0])
def test_what_to_type_next_fits_80_columns_and_can_be_copied_line_by_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, duration_s: float | None
) -> None:
    install(monkeypatch, tmp_path / ".venv/bin")
    monkeypatch.chdir(tmp_path)
    lines = _opening(200, duration_s, "127.0.0.1:65535", "http://127.0.0.1:65534/simulator/").splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        ".venv/bin/insiders-gateway watch 127.0.0.1:65535",
        ".venv/bin/insiders-gateway scan 127.0.0.1:65535",
        ".venv/bin/insiders-gateway pair list 127.0.0.1:65535",
        "or a browser: http://127.0.0.1:65535/",
        "CONTROL=http://127.0.0.1:65534/simulator; curl $CONTROL/state",
    ]
    assert len(lines) <= 7, "twelve athletes have their place below in a window of 24 lines"


def test_the_command_is_named_as_shortly_as_it_can_be_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = install(monkeypatch, tmp_path / "a venv/bin")
    monkeypatch.chdir(tmp_path)
    assert _command() == "'a venv/bin/insiders-gateway'"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert _command() == f"'{program}'"
    other = tmp_path / "other/insiders-gateway"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert _command() == f"'{program}'", "the one that the shell finds is another"
    other.unlink()
    other.symlink_to(program)
    assert _command() == "insiders-gateway"
    program.unlink()
    assert _command() == "insiders-gateway"


def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Make a command beside the Python that runs, where the shell does not look."""
    folder.mkdir(parents=True)
    program = folder / "insiders-gateway"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder.parent))
    return program

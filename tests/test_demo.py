"""The demonstration: what it prints, what it draws, and that it ends."""

import asyncio
import io
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from gateway.demo import demo
from gateway.simulator.faults import Faults
from tests.test_watch import quiet_log


class Screen(io.StringIO):
    """Knows what has been written so far."""

    async def shows(self, text: str) -> None:
        async with asyncio.timeout(15):
            while text not in self.getvalue():
                await asyncio.sleep(0.01)

    def live_url(self) -> str:
        return next(word for word in self.getvalue().split() if word.startswith("ws://"))


@pytest.mark.parametrize("is_terminal", [True, False])
async def test_simulated_athletes_are_claimed_served_and_on_a_terminal_shown(is_terminal: bool) -> None:
    screen, stop = Screen(), asyncio.Event()
    console = Console(file=screen, width=80, force_terminal=is_terminal)
    with quiet_log():
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(demo(trackers=3, seed=7, port=0, stop=stop, console=console))
            await screen.shows("The simulated cloud: ")
            counters = screen.live_url().replace("ws://", "http://").replace("stream", "counters")
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
        await screen.shows("/simulator/faults")
        async with aiohttp.ClientSession() as http, http.get(screen.getvalue().split()[-1]) as answer:
            assert (await answer.json())["outage_every_s"] == faults.outage_every_s > 0
        stop.set()


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

"""The worlds that can be looked at by hand are played, in virtual time; the program that shows them ends cleanly."""

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from bleak import BleakScanner

from gateway.simulator.bluez.bus import Bus
from tests.bluetooth.conftest import bus
from tests.fakes.bluez import play
from tests.fakes.script import WORLDS, AnyEvent, ScriptError, load

__all__ = ["bus"]

ROOT = Path(__file__).parents[2]
WORLD = """
title = "One strap"
sensors = [{ key = "ada", model = "polar_h10" }]
events = [{ at_s = 0, do = "appear", sensor = "ada" }]
"""


@pytest.mark.looptime
@pytest.mark.parametrize("path", sorted(WORLDS.glob("*.toml")), ids=lambda path: path.stem)
async def test_every_world_can_be_played_to_its_end(path: Path, bus: Bus) -> None:
    script, began_s = load(path), asyncio.get_running_loop().time()
    said: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play(script, bus.address, said.append))
        await asyncio.sleep(script.events[-1].at_s + 1)
        playing.cancel()
    assert len(said) == len(script.events) + 1
    assert "Nothing else" in said[-1]
    assert asyncio.get_running_loop().time() - began_s == pytest.approx(script.events[-1].at_s + 1, abs=0.1)


def test_all_that_can_happen_happens_in_some_world() -> None:
    happens = {type(event) for path in WORLDS.glob("*.toml") for event in load(path).events}
    assert {deed.__name__ for deed in AnyEvent.__args__} - {deed.__name__ for deed in happens} == {"Leave"}


@pytest.mark.looptime
async def test_a_scanner_hears_what_the_script_says(bus: Bus) -> None:
    script = load(WORLDS / "training.toml")
    names = {sensor.key: sensor.unit().name for sensor in script.sensors}
    heard: Counter[str | None] = Counter()

    async def between(from_s: float, to_s: float) -> set[str]:
        """Whom it hears in a stretch of the script."""
        await asyncio.sleep(from_s - asyncio.get_running_loop().time() + began_s)
        heard.clear()
        await asyncio.sleep(to_s - from_s)
        return {key for key, name in names.items() if heard[name]}

    async with asyncio.TaskGroup() as tasks:
        began_s = asyncio.get_running_loop().time()
        playing = tasks.create_task(play(script, bus.address, lambda _: None))
        await asyncio.sleep(0.1)
        async with BleakScanner(lambda device, _: heard.update([device.name])):
            assert await between(1, 4.5) == {"cleo"}
            assert await between(22, 29) == {"cleo", "dana", "ada", "bea", "pedal"}
            assert await between(36, 39) == {"cleo", "dana", "bea", "pedal"}
            assert await between(92, 99) == {"ada", "bea", "pedal", "bench"}
            assert await between(116, 119) == {"ada", "bea"}
        playing.cancel()


async def test_it_says_where_its_bus_is_and_ends_cleanly() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.bluez", cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    async with asyncio.timeout(30):
        lines = [(await program.stdout.readline()).decode() for _ in range(3)]
        assert lines[1].startswith("export DBUS_SYSTEM_BUS_ADDRESS=unix:path=")
        bus_path = Path(lines[1].strip().partition("unix:path=")[2])
        assert bus_path.exists()
        assert "cleo (TICKR" in lines[2]
        program.send_signal(signal.SIGINT)
        _, errors = await program.communicate()
    assert (program.returncode, errors) == (0, b"")
    assert not bus_path.parent.exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (WORLD + "[", "world.toml"),
        (WORLD.replace('key = "ada"', 'key = "bea"'), "there is no ada"),
        (WORLD.replace("polar_h10", "polar_h99"), "there is no polar_h99"),
        (WORLD.replace('do = "appear"', 'do = "vanish"'), "vanish"),
        (WORLD.replace("at_s = 0", "after_s = 0"), "after_s"),
        (WORLD.replace('sensor = "ada"', 'sensor = "ada", rssi = 3'), "rssi"),
        (None, "No such file"),
    ],
)
def test_a_world_that_makes_no_sense_is_refused_with_its_reason(tmp_path: Path, wrong: str | None, says: str) -> None:
    path = tmp_path / "world.toml"
    if wrong is not None:
        path.write_text(wrong)
    with pytest.raises(ScriptError, match=says):
        load(path)


@pytest.mark.looptime
async def test_what_cannot_happen_ends_the_world_with_its_reason(tmp_path: Path, bus: Bus) -> None:
    path = tmp_path / "world.toml"
    path.write_text(
        f'{WORLD[:-2]}, {{ at_s = 1, do = "taken", sensor = "ada", by = "x" }},'
        '{ at_s = 2, do = "taken", sensor = "ada", by = "a phone" }]'
    )
    with pytest.raises(ExceptionGroup) as caught:
        await play(load(path), bus.address, lambda _: None)
    assert caught.group_contains(ScriptError, match="a phone cannot take ada at 2 s")

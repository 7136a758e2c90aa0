"""A Bluetooth service and a scripted world for it, to be looked at by hand on a machine without a radio.

    python -m tests.fakes.bluez [WORLD.toml]

It prints the address of its private D-Bus, to be exported in another terminal, and says what happens as it happens. It
goes on after the last event until Ctrl-C.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.bus import BusError, private_bus
from gateway.simulator.bluez.service import FakeBluez
from tests.fakes.script import WORLDS, Script, ScriptError, World, load, told

DEFAULT = WORLDS / "training.toml"


async def play(script: Script, bus_address: str, say: Callable[[str], None]) -> None:
    """Let a world happen on a bus, for ever.

    Raises:
        ScriptError: Something cannot happen.
    """
    async with FakeBluez(bus_address, script.adapters).running() as bluez:
        now_s = asyncio.get_running_loop().time
        world = World(script, bluez, Airspace(bluez, now_s))
        began_s = now_s()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.airspace.run(), name="airspace")
            for event in script.events:
                await asyncio.sleep(began_s + event.at_s - now_s())
                say(f"{event.at_s:6g} s  {told(event, script)}")
                await event.happen(world)
            say("Nothing else will happen; Ctrl-C ends it.")


async def show(script: Script, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """The same on a private bus of its own, until `stop` is set; raises `BusError` where there is none."""
    async with private_bus() as bus:
        say(f"# {script.title}. In another terminal:\nexport DBUS_SYSTEM_BUS_ADDRESS={bus.address}")
        async with asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(play(script, bus.address, say), name="world")
            await stop.wait()
            playing.cancel()


async def main() -> None:
    if sys.argv[1:] and sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    script = load(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
    await show(script, lambda line: print(line, flush=True), stop)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except* (BusError, ScriptError) as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        sys.exit(str(error))

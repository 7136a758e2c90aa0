"""A simulated cloud, simulated sensors in the air and the real gateway together on this machine, to be looked at."""

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from gateway import app
from gateway.config import Settings
from gateway.credentials import Credentials
from gateway.gaps import show_gaps
from gateway.secret import Secret
from gateway.simulator import server as simulator
from gateway.simulator.bluez.bus import BusError
from gateway.simulator.clock import steady_epoch_ms
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.faults import Faults
from gateway.simulator.team_sensors import sensors_in_the_air
from gateway.watch import watch

MOBILE_LINK = Faults(latency_ms=80, latency_jitter_ms=40)
"""A cloud that answers at once is none; what else can go wrong is off until somebody switches it on."""

_NAME = "insiders-gateway"
_SYSTEM_BUS = "DBUS_SYSTEM_BUS_ADDRESS"

# Invented people; the simulator knows trackers only.
_ATHLETES = (
    "Ada Lindqvist", "Bea Okafor", "Cleo Marchetti", "Dana Novak", "Elif Aydin", "Fay O'Brien", "Gwen Tanaka",
    "Hana Kowalski", "Ines Duarte", "Jule Baumann", "Kira Petrov", "Lena Haddad", "Mina Sorensen", "Nora Castillo",
    "Orla Keane", "Pia Lombardi", "Quinn Abebe", "Rosa Jimenez", "Sara Nyberg", "Tess van Dijk",
)  # fmt: skip


async def demo(
    *,
    trackers: int,
    seed: int,
    port: int,
    stop: asyncio.Event,
    console: Console,
    faults: Faults = MOBILE_LINK,
    source: str = "auto",
    duration_s: float | None = None,
) -> None:
    """Run both until `stop` is set or the time is over; on a terminal the athletes are shown live, at the end the gaps.

    Args:
        trackers: How many athletes.
        seed: Another number gives another session.
        port: Of the live stream, 0 for any.
        stop: Ends the demo.
        console: Where to write.
        faults: What goes wrong in the cloud.
        source: How live rows come: "auto", "poll" or "websocket".
        duration_s: How long it lasts, seconds; None for ever.

    Raises:
        OSError: If the port is taken.
    """
    cloud = SimulatedCloud(trackers, seed, faults, steady_epoch_ms())
    with TemporaryDirectory(prefix="insiders-gateway-demo-") as state_dir:  # no demo goes on where another one ended
        async with simulator.running(cloud) as served, _air(cloud) as no_sensors:
            settings = _settings(cloud, served, port, source, state_dir, has_sensors=not no_sensors)
            credentials = Credentials(Secret(simulator.PASSWORD), Secret(simulator.CLIENT_SECRET))
            async with app.running(settings, credentials, {}) as gateway:
                url = f"ws://127.0.0.1:{gateway.port}/api/v1/stream"
                opening = _opening(trackers, duration_s, f"127.0.0.1:{gateway.port}", served.control_url)
                console.print(*filter(None, [no_sensors, opening]), sep="\n", highlight=False, soft_wrap=True)
                with suppress(TimeoutError):
                    async with asyncio.timeout(duration_s):
                        await _shown(url, stop, console)
                await show_gaps(url, console)


@asynccontextmanager
async def _air(cloud: SimulatedCloud) -> AsyncIterator[str]:
    """Let this process hear simulated sensors instead of the machine's radio; gives a sentence why there are none."""
    try:
        async with sensors_in_the_air(cloud) as address:
            before = os.environ.get(_SYSTEM_BUS)
            os.environ[_SYSTEM_BUS] = address
            try:
                yield ""
            finally:
                os.environ.pop(_SYSTEM_BUS)
                if before is not None:
                    os.environ[_SYSTEM_BUS] = before
            return
    except BusError as error:
        reason = f"No straps and power meters in the air. {error}"
    yield reason


async def _shown(url: str, stop: asyncio.Event, console: Console) -> None:
    """Show the athletes, where there is somebody to see them, until `stop` is set."""
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(url, console), name="watch") if console.is_terminal else None
        await stop.wait()
        if watching is not None:
            watching.cancel()


def _opening(trackers: int, duration_s: float | None, authority: str, control_url: str) -> str:
    """Who is there, and what to type next: lines that can be copied, and fit a terminal together with the athletes."""
    end = "; Ctrl-C ends the demo" if duration_s is None else f", for {duration_s / 60:g} min or until Ctrl-C"
    command = _command()
    return (
        f"{trackers} simulated athlete{'' if trackers == 1 else 's'}{end}. In another terminal:\n"
        f"  {command} watch {authority}\n"
        f"  {command} scan {authority}\n"
        f"  {command} pair list {authority}\n"
        f"  or a browser: http://{authority}/\n"
        "The simulated cloud, its trackers and sensors, and what can go wrong:\n"
        f"  CONTROL={control_url.rstrip('/')}; curl $CONTROL/state"
    )


def _command() -> str:
    """Our command as it can be typed: by its name if the shell finds it, else by a path."""
    command = Path(sys.executable).with_name(_NAME)
    found = shutil.which(_NAME)
    if not command.exists() or (found is not None and command.samefile(found)):
        return _NAME
    return shlex.quote(str(command.relative_to(Path.cwd()) if command.is_relative_to(Path.cwd()) else command))


def _settings(
    cloud: SimulatedCloud,
    served: simulator.RunningCloud,
    port: int,
    source: str,
    state_dir: str,
    *,
    has_sensors: bool,
) -> Settings:
    return Settings.model_validate(
        {
            "gateway": {"site": "Demo", "state_dir": state_dir},
            "cloud": {
                "api_url": served.api_url,
                "token_url": served.token_url,
                "websocket_url": served.websocket_url,
                "username": simulator.USERNAME,
                "client_id": simulator.CLIENT_ID,
            },
            "telemetry": {"source": source},
            "bluetooth": {"enabled": has_sensors},
            "live": {"port": port},
            # Invented athletes, on this machine only.
            "access": {"open_on_loopback": True, "require_release": False},
            "trackers": [
                {
                    "serial_number": device.serial_number,
                    "device_name": device.device_name,
                    "athlete": _ATHLETES[place % len(_ATHLETES)],
                    "number": place + 1,
                }
                for place, device in enumerate(cloud.devices)
            ],
        }
    )

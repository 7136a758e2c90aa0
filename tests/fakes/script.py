"""What happens to sensors, trackers, radio and bluetoothd, and when: a world written down as TOML.

A world has `[[sensors]]` and `[[events]]`; the fields of each are those of the classes below.
"""

import asyncio
import re
import tomllib
from pathlib import Path
from typing import ClassVar

import msgspec
from msgspec import Struct

from gateway.simulator.airspace import Airspace
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.bystanders import bystanders
from gateway.simulator.sensor_models import MODELS, Unit
from gateway.simulator.sensors import Sensor, Vitals

WORLDS = Path(__file__).parent / "worlds"

_PATIENCE_S, _RETRY_S = 60.0, 1.0


class ScriptError(Exception):
    """A world cannot be played; the text says what is wrong with which file."""


class ScriptedSensor(Struct, frozen=True, forbid_unknown_fields=True):
    """One sensor: `key` is what events call it, `model` a key of `MODELS`, `number` which piece of it.

    It is not there before an event lets it appear. Worn, it measures what is given here.
    """

    key: str
    model: str
    number: int = 0
    battery_percent: int = 85
    is_worn: bool = True
    heart_rate_bpm: int = 70
    power_w: int = 0
    cadence_rpm: int = 0

    def unit(self) -> Unit:
        return Unit(MODELS[self.model], self.number)

    def vitals(self) -> Vitals:
        return Vitals(self.heart_rate_bpm, self.power_w, self.cadence_rpm)


class World:
    """The things of a script while it is played."""

    def __init__(self, script: "Script", bluez: FakeBluez, airspace: Airspace) -> None:
        self.bluez = bluez
        self.airspace = airspace
        self.scripted = {sensor.key: sensor for sensor in script.sensors}
        self.sensors = {
            key: Sensor(scripted.unit(), scripted.battery_percent) for key, scripted in self.scripted.items()
        }
        for number in range(script.bystanders):
            airspace.appear(bystanders(number)[number % 7], 4.0 + 2 * number)

    def wear(self, key: str) -> None:
        self.airspace.put_on(self.sensors[key], self.scripted[key].vitals)


def _deed(name: str) -> str:
    """PutOn is written put_on."""
    return re.sub(r"\B(?=[A-Z])", "_", name).lower()


class Event(Struct, forbid_unknown_fields=True, tag_field="do", tag=_deed, kw_only=True):
    """Something that happens `at_s` seconds after the beginning; `do` is the name of its class, as `put_on`."""

    says: ClassVar[str]
    at_s: float

    async def happen(self, world: World) -> None:
        raise NotImplementedError


class _ToSensor(Event):
    sensor: str


class Appear(_ToSensor):
    says = "appears, {distance_m:g} m away"
    distance_m: float = 3.0

    async def happen(self, world: World) -> None:
        scripted = world.scripted[self.sensor]
        vitals = scripted.vitals if scripted.is_worn else None
        world.airspace.appear(world.sensors[self.sensor], self.distance_m, vitals)


class Leave(_ToSensor):
    says = "is gone"

    async def happen(self, world: World) -> None:
        world.airspace.leave(world.sensors[self.sensor])


class Walk(_ToSensor):
    says = "walks to {to_m:g} m"
    to_m: float

    async def happen(self, world: World) -> None:
        world.airspace.walk(world.sensors[self.sensor], self.to_m)


class PutOn(_ToSensor):
    says = "is put on"

    async def happen(self, world: World) -> None:
        world.wear(self.sensor)


class TakeOff(_ToSensor):
    says = "is taken off"

    async def happen(self, world: World) -> None:
        world.airspace.take_off(world.sensors[self.sensor])


class Taken(_ToSensor):
    says = "is taken by {by}"
    by: str

    async def happen(self, world: World) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):  # somebody may be looking at it
                while not world.airspace.taken_by(world.sensors[self.sensor], self.by):
                    await asyncio.sleep(_RETRY_S)
        except TimeoutError:
            raise ScriptError(
                f"{self.by} cannot take {self.sensor} at {self.at_s:g} s: it sleeps, or has no link left."
            ) from None


class Released(_ToSensor):
    says = "is released by {by}"
    by: str

    async def happen(self, world: World) -> None:
        world.airspace.released(world.sensors[self.sensor], self.by)


class Battery(_ToSensor):
    says = "has {percent} % of its battery left"
    percent: int

    async def happen(self, world: World) -> None:
        world.airspace.set_battery(world.sensors[self.sensor], self.percent)


class _ToAdapter(Event):
    adapter: str = "hci0"


class PowerOff(_ToAdapter):
    says = "{adapter} is switched off"

    async def happen(self, world: World) -> None:
        world.bluez.power(self.adapter, is_on=False)


class PowerOn(_ToAdapter):
    says = "{adapter} is switched on"

    async def happen(self, world: World) -> None:
        world.bluez.power(self.adapter, is_on=True)


class Block(_ToAdapter):
    says = "{adapter} is blocked, as by flight mode"

    async def happen(self, world: World) -> None:
        world.bluez.block(self.adapter)


class Unblock(_ToAdapter):
    says = "{adapter} is no longer blocked"

    async def happen(self, world: World) -> None:
        world.bluez.block(self.adapter, is_blocked=False)


class Unplug(_ToAdapter):
    says = "{adapter} is pulled out"

    async def happen(self, world: World) -> None:
        world.bluez.unplug(self.adapter)


class Plug(_ToAdapter):
    says = "{adapter} is plugged in"

    async def happen(self, world: World) -> None:
        world.bluez.plug(self.adapter)


class Terminate(Event):
    says = "bluetoothd is stopped in good order"

    async def happen(self, world: World) -> None:
        await world.bluez.terminate()


class Kill(Event):
    says = "bluetoothd crashes"

    async def happen(self, world: World) -> None:
        await world.bluez.kill()


class Start(Event):
    says = "bluetoothd starts"

    async def happen(self, world: World) -> None:
        await world.bluez.start()


AnyEvent = (
    Appear | Leave | Walk | PutOn | TakeOff | Taken | Released | Battery
    | PowerOff | PowerOn | Block | Unblock | Unplug | Plug
    | Terminate | Kill | Start
)  # fmt: skip


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """A world; `bystanders` is how many devices of other people are near."""

    title: str
    sensors: list[ScriptedSensor]
    events: list[AnyEvent]
    adapters: list[str] = msgspec.field(default_factory=lambda: ["hci0"])
    bystanders: int = 0


def load(path: Path) -> Script:
    """Read a world.

    Raises:
        ScriptError: It cannot be read, or does not make sense.
    """
    try:
        script = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Script)
    except OSError as error:
        raise ScriptError(f"{path} cannot be read ({error.strerror}): give the path of a world, or nothing.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScriptError(f"{path} is no world, compare it with those in {WORLDS}: {error}.") from error
    known = {sensor.key for sensor in script.sensors}
    unknown = {event.sensor for event in script.events if isinstance(event, _ToSensor)} - known
    unknown |= {sensor.model for sensor in script.sensors} - MODELS.keys()
    if unknown:
        raise ScriptError(f"{path}: there is no {', '.join(sorted(unknown))}; models are {', '.join(MODELS)}.")
    return msgspec.structs.replace(script, events=sorted(script.events, key=lambda event: event.at_s))


def told(event: AnyEvent, script: Script) -> str:
    """What happens, as one line."""
    text = event.says.format(**msgspec.structs.asdict(event))
    if not isinstance(event, _ToSensor):
        return text
    sensor = next(sensor for sensor in script.sensors if sensor.key == event.sensor)
    return f"{event.sensor} ({sensor.unit().name}) {text}"

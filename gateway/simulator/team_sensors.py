"""The sensors of a simulated team in the air, so that a gateway beside the simulated cloud has something to hear.

Every athlete wears a strap, and rides with a power meter; the trackers hold what the cloud has paired them with, and
what they hold is what they record. Beyond that: two spare straps, an athlete whose phone snatches her strap, one who
has forgotten to put it on, and passers-by.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable

from gateway.simulator.airspace import Airspace, VitalSigns
from gateway.simulator.bluetooth import HEART_RATE, POWER
from gateway.simulator.bluez.bus import private_bus
from gateway.simulator.bluez.service import FakeBluez
from gateway.simulator.bystanders import bystanders
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.devices import Device
from gateway.simulator.errors import Refusal
from gateway.simulator.listening import Heard, Stuck
from gateway.simulator.sensor_models import POLAR_H10, TICKR, Unit, meter, strap
from gateway.simulator.sensors import Sensor, Vitals

SNATCHED_AT_S = 20.0
"""When the phone takes the strap, after the beginning."""

SNATCHED, FORGOTTEN = 3, 6
"""Places of the athletes to whom that happens, in a team that is large enough."""

SPARES = (Unit(POLAR_H10, 60_001), Unit(TICKR, 60_002))
"""Straps that belong to no tracker; the battery of the second is low."""

_PHONE = "a phone"
_TRACKERS_LOOK_S = 1.0
_SPARE_BATTERIES_PERCENT = (92, 6)


@contextlib.asynccontextmanager
async def sensors_in_the_air(cloud: SimulatedCloud) -> AsyncIterator[str]:
    """A Bluetooth service that hears a team's sensors, on a bus of its own, for the length of the block.

    Returns:
        The address of the bus, which is to be taken for that of the system.

    Raises:
        BusError: This machine has no dbus-daemon.
    """
    async with private_bus() as bus, FakeBluez(bus.address).running() as bluez:
        now_s = asyncio.get_running_loop().time
        airspace = Airspace(bluez, now_s)
        team = Team(cloud, airspace, now_s)
        failure: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            cloud.hands = team
            running = [tasks.create_task(airspace.run(), name="airspace"), tasks.create_task(team.run(), name="team")]
            try:
                yield bus.address
            except Exception as error:  # noqa: BLE001
                failure = error  # what the block raises comes out of here as it is, and not in a group
            finally:
                cloud.hands = None
                for task in running:
                    task.cancel()
        if failure is not None:
            raise failure


class Team:
    """The sensors of all athletes of a cloud, and who holds them.

    Args:
        cloud: Its trackers take the sensors they are paired with, and record what these measure.
        airspace: Where the sensors are put.
        now_s: The airspace's clock.
    """

    def __init__(self, cloud: SimulatedCloud, airspace: Airspace, now_s: Callable[[], float]) -> None:
        self._cloud = cloud
        self._airspace = airspace
        self._now_s = now_s
        self._began_s = now_s()
        self._sensors: dict[str, Sensor] = {}
        self._wearers: dict[Sensor, int | Stuck] = {}
        self._held: dict[str, Sensor] = {}
        for place in range(len(cloud.devices)):
            for unit in filter(None, (strap(place), meter(place))):
                self._add(Sensor(unit, 40 + (7 * place) % 60), place)
        for number, (unit, percent) in enumerate(zip(SPARES, _SPARE_BATTERIES_PERCENT, strict=True)):
            airspace.appear(self._known(Sensor(unit, percent)), 2.0 + number, self._coach)
        for number, bystander in enumerate(bystanders(seed=0)):
            airspace.appear(bystander, 6.0 + 4 * number)
        self._snatched = self._sensors.get(strap(SNATCHED).address)

    async def run(self) -> None:
        """Let the trackers look after their sensors, for ever."""
        while True:
            self.look()
            await asyncio.sleep(_TRACKERS_LOOK_S)

    def look(self) -> None:
        """Every tracker takes what it is paired with and lets go of what it is not, and so does the phone."""
        if self._snatched is not None and self._now_s() - self._began_s >= SNATCHED_AT_S:
            self._airspace.taken_by(self._snatched, _PHONE)
        for place, device in enumerate(self._cloud.devices):
            pairings = self._cloud.bluetooth(device.device_id).used(self._cloud.now_ms())
            is_on = self._cloud.delivery(device.device_id).powered
            for slot in (HEART_RATE, POWER):
                paired = pairings.get(slot) if is_on else None
                sensor = None if paired is None else self._sensors.get(paired["mac_address"].lower())
                self._look_after(place, device, slot, sensor)

    # --- what people do -----------------------------------------------------------------------------------------------

    def sensors(self) -> list[dict[str, object]]:
        """As `Hands` has it."""
        return [
            {
                "name": sensor.unit.name,
                "address": address,
                "distance_m": round(self._airspace.distance_m(sensor), 1),
                "athlete": self._wearer(sensor),
                "holders": sorted(self._airspace.holders(sensor)),
            }
            for address, sensor in self._sensors.items()
        ]

    def place(self, part: str, distance_m: float) -> None:
        """As `Hands` has it."""
        self._airspace.place(self._named(part), distance_m)

    def wear(self, part: str, athlete: int | None) -> None:
        """As `Hands` has it."""
        sensor = self._named(part)
        if athlete is not None:
            self._wearers[sensor] = athlete
            self._airspace.put_on(sensor, self._signs(athlete))
            return
        self._airspace.take_off(sensor)
        if not isinstance(self._wearers.get(sensor), Stuck):
            wearer = self._wearer(sensor)
            heart_rate = None if wearer is None else self._cloud.athlete(wearer).heart_rate
            self._wearers[sensor] = Stuck(heart_rate or 0)

    def _wearer(self, sensor: Sensor) -> int | None:
        wearer = self._wearers.get(sensor)
        return wearer if isinstance(wearer, int) else None

    def _named(self, part: str) -> Sensor:
        found = [sensor for sensor in self._sensors.values() if part.lower() in sensor.unit.name.lower()]
        if not found:
            raise Refusal(404, {"detail": f"No sensor has {part} in its name; /simulator/sensors has them all."})
        if len(found) > 1:
            names = ", ".join(sensor.unit.name for sensor in found)
            raise Refusal(409, {"detail": f"Several sensors have {part} in their names, write more of it: {names}."})
        return found[0]

    # --- what trackers do ---------------------------------------------------------------------------------------------

    def _look_after(self, place: int, device: Device, slot: str, wanted: Sensor | None) -> None:
        link = f"{device.serial_number} {slot}"
        held = self._held.pop(link, None)
        if held is not None and held is not wanted:
            self._airspace.released(held, link)
        heard: Heard = None
        if wanted is not None and self._takes(wanted, slot, link):
            self._held[link] = wanted
            if wanted not in self._wearers:  # a spare one: she puts it on
                self._wearers[wanted] = place
                self._airspace.put_on(wanted, self._signs(place))
            heard = self._wearers[wanted]
        self._cloud.listen(device.device_id, slot, heard)

    def _takes(self, sensor: Sensor, slot: str, link: str) -> bool:
        fits = sensor.is_meter == (slot == POWER)
        return fits and sensor is not self._snatched and self._airspace.taken_by(sensor, link)

    def _add(self, sensor: Sensor, place: int) -> None:
        is_forgotten = place == FORGOTTEN and not sensor.is_meter
        self._wearers[sensor] = Stuck() if is_forgotten else place
        self._airspace.appear(
            self._known(sensor), 2.0 + (1.7 * place) % 11, None if is_forgotten else self._signs(place)
        )

    def _known(self, sensor: Sensor) -> Sensor:
        self._sensors[sensor.unit.address] = sensor
        return sensor

    def _signs(self, place: int) -> VitalSigns:
        def now() -> Vitals:
            second = self._cloud.athlete(place)
            return Vitals(second.heart_rate or 0, second.power or 0, second.cadence or 0)

        return now

    def _coach(self) -> Vitals:
        """Stands about, and sometimes shouts."""
        return Vitals(heart_rate_bpm=round(74 + 6 * math.sin(self._now_s() / 40)))

"""What happens to a radio and to sensors, as acts on a running world; which one and when is drawn from its dice.

Acts that touch the same thing never overlap; all others do as they come.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

from gateway.bluetooth.sensors import InspectionRefused
from gateway.simulator.bluez.calls import IN_PROGRESS, NOT_READY, Refusal
from gateway.simulator.sensors import Sensor
from tests.endurance.air_world import SPARE_ADAPTER, VISITORS, Air, Tracker, riding

Act = Callable[[Air], Awaitable[None]]

PROMPT_S = 1.0
"""After the adapter is on again, or bluetoothd was restarted in good order."""

KILLED_S = 12.0
"""After bluetoothd was killed: the kernel ends the scan that it left after 10.4 s."""

BACKOFF_S = 3.0
CALL_S = 5.0
"""How long a call waits for its answer."""

HANG_S = 7.0 + BACKOFF_S
"""After something hung: the last call that got no answer is given up after 5 s and what it left after 2 s more."""

LONGEST_LOOK_S = 60.0

ADAPTER = "hci0"

_KERNEL_SCANS_S = 10.4
_FAILED = Refusal("org.bluez.Error.Failed", "Software caused connection abort")

# --- the radio --------------------------------------------------------------------------------------------------------


async def power_cycle(air: Air) -> None:
    with air.disaster("switched off", PROMPT_S):
        air.bluez.power(ADAPTER, is_on=False)
        await asyncio.sleep(_duration_s(air))
        air.bluez.power(ADAPTER, is_on=True)


async def flicker(air: Air) -> None:
    """Off and on between two looks, some times over."""
    with air.disaster("flickers", BACKOFF_S):
        for _ in range(air.dice.randint(1, 4)):
            air.bluez.power(ADAPTER, is_on=False)
            await asyncio.sleep(air.dice.uniform(0, 0.5))
            air.bluez.power(ADAPTER, is_on=True)
            await asyncio.sleep(air.dice.uniform(0, 0.5))


async def flight_mode(air: Air) -> None:
    with air.disaster("rfkill", PROMPT_S):
        air.bluez.block(ADAPTER)
        await asyncio.sleep(_duration_s(air))
        air.bluez.block(ADAPTER, is_blocked=False)


async def unplug(air: Air) -> None:
    with air.disaster("unplugged", BACKOFF_S):
        air.bluez.unplug(ADAPTER)
        await asyncio.sleep(_duration_s(air))
        air.bluez.plug(ADAPTER)


async def other_adapter(air: Air) -> None:
    """Another adapter takes over and gives back."""
    with air.disaster("another adapter takes over", BACKOFF_S):
        air.bluez.plug(SPARE_ADAPTER)
        await asyncio.sleep(air.dice.uniform(0, 5))
        air.bluez.unplug(ADAPTER)
    await asyncio.sleep(10 + _duration_s(air))
    with air.disaster("the first adapter is back", BACKOFF_S):
        air.bluez.plug(ADAPTER)
        await asyncio.sleep(air.dice.uniform(0, 5))
        air.bluez.unplug(SPARE_ADAPTER)


async def restart(air: Air) -> None:
    with air.disaster("bluetoothd restarted", PROMPT_S):
        await air.bluez.terminate()
        await asyncio.sleep(_duration_s(air))
        await air.bluez.start()


async def kill(air: Air) -> None:
    killed_s, away_s = air.now_s(), air.dice.choice((0.0, 1.0, 5.0, 60.0))
    name = "bluetoothd killed" if away_s < _KERNEL_SCANS_S else "bluetoothd killed, long away"
    with air.disaster(name, PROMPT_S):
        await air.bluez.kill()
        await asyncio.sleep(away_s)
        await air.bluez.start()
    if away_s < _KERNEL_SCANS_S:
        air.due_s = max(air.due_s, killed_s + KILLED_S)
        air.measure_from(killed_s, name)


async def bus_dies(air: Air) -> None:
    with air.disaster("dbus-daemon restarted", BACKOFF_S):
        await air.bus.kill()
        await asyncio.sleep(_duration_s(air))
        await air.bus.start()
        await air.bluez.start()


async def refused(air: Air) -> None:
    """A scan that has ended is not begun again for a while."""
    refusal = air.dice.choice((IN_PROGRESS, NOT_READY, _FAILED))
    with air.disaster(f"scan refused ({refusal.name.rpartition('.')[2]})", BACKOFF_S):
        air.bluez.refuse("StartDiscovery", refusal)
        air.bluez.power(ADAPTER, is_on=False)
        air.bluez.power(ADAPTER, is_on=True)
        await asyncio.sleep(_duration_s(air))
        air.bluez.obey("StartDiscovery")


async def hang(air: Air) -> None:
    """A method gets no answer for a while, whether the scan has ended meanwhile or not."""
    member = air.dice.choice(("GetAll", "StartDiscovery", "StopDiscovery", "GetManagedObjects"))
    with air.disaster(f"{member} hangs", HANG_S):
        air.bluez.hang(member)
        if member.startswith("Get"):
            air.unanswered_until_s = math.inf
        if air.dice.random() < 0.7:
            air.bluez.power(ADAPTER, is_on=False)
            await asyncio.sleep(air.dice.choice((0.0, 0.2, 4.0)))
            air.bluez.power(ADAPTER, is_on=True)
        await asyncio.sleep(_duration_s(air))
        air.bluez.obey(member)
        air.unanswered_until_s = air.now_s() + CALL_S


async def deaf(air: Air) -> None:
    """The radio scans and hears nothing."""
    with air.disaster("deaf", BACKOFF_S):
        air.antennas.is_deaf = True
        await asyncio.sleep(air.dice.choice((10.0, 60.0, 150.0, 400.0)))
        air.antennas.is_deaf = False


def _duration_s(air: Air) -> float:
    return air.dice.choice((0.0, 0.3, 2.0, 5.0, 20.0, 100.0)) * air.dice.uniform(0.8, 1.2)


# --- sensors of the team ----------------------------------------------------------------------------------------------


async def taken_off(air: Air, tracker: Tracker) -> None:
    air.note("taken off")
    air.airspace.take_off(tracker.sensor)
    await asyncio.sleep(air.dice.uniform(5, 90))
    air.airspace.put_on(tracker.sensor, riding)


async def walk(air: Air, tracker: Tracker) -> None:
    air.note("walks away and back")
    for to_m in (air.dice.choice((30.0, 150.0)), 3.0):
        air.airspace.walk(tracker.sensor, to_m)
        await asyncio.sleep(to_m / 1.4 + air.dice.uniform(0, 60))


async def snatched(air: Air, tracker: Tracker) -> None:
    """A phone takes the sensor before its tracker does."""
    air.note("snatched by a phone")
    tracker.wants = False
    air.airspace.released(tracker.sensor, tracker.serial_number)
    await asyncio.sleep(air.dice.choice((0.0, 20.0)))
    air.airspace.taken_by(tracker.sensor, "a phone")
    await asyncio.sleep(air.dice.uniform(5, 120))
    air.airspace.released(tracker.sensor, "a phone")
    tracker.wants = True


async def tracker_off(air: Air, tracker: Tracker) -> None:
    air.note("tracker off and on")
    tracker.is_on = False
    await asyncio.sleep(air.dice.uniform(5, 120))
    tracker.is_on = True


async def new_battery(air: Air, tracker: Tracker) -> None:
    """The battery dies and is replaced; half the time the sensor then has a new address, and is paired again later."""
    air.note("new battery")
    air.airspace.set_battery(tracker.sensor, 0)
    await asyncio.sleep(air.dice.uniform(5, 60))
    if air.dice.random() < 0.5:
        air.note("new address")
        tracker.sensor.peripheral.address = air.new_address(tracker.sensor.peripheral.address)
    air.airspace.set_battery(tracker.sensor, 100)
    await asyncio.sleep(air.dice.uniform(60, 200))
    tracker.known_address = tracker.sensor.peripheral.address.lower()


# --- those of others --------------------------------------------------------------------------------------------------


async def visitor(air: Air) -> None:
    """A sensor of nobody comes by; sometimes somebody looks at it."""
    sensor = air.new_sensor(air.dice.choice(VISITORS))
    air.note("visitor")
    air.near(sensor, air.dice.uniform(1, 8))
    air.visitors.append(sensor)
    await asyncio.sleep(air.dice.uniform(10, 200))
    air.visitors.remove(sensor)
    air.away(sensor)


async def passers(air: Air) -> None:
    devices = [air.new_phone() for _ in range(air.dice.randint(1, 3))]
    air.note("passers-by")
    for device in devices:
        air.near(device, air.dice.uniform(3, 20))
    await asyncio.sleep(air.dice.uniform(10, 60))
    for device in devices:
        air.away(device)


# --- closer looks -----------------------------------------------------------------------------------------------------


async def look(air: Air) -> None:
    """Somebody looks closer at a sensor, and it goes as it goes."""
    if not air.present():
        return
    sensor = air.dice.choice(air.present())
    how = air.dice.choice(("plain", "plain", "Connect hangs", "ReadValue hangs", "cancelled", "breaks"))
    air.note(f"closer look, {how}: {sensor.unit.name}")
    async with asyncio.TaskGroup() as tasks:
        if how.endswith("hangs"):
            air.bluez.hang(how.split()[0])
        looking = tasks.create_task(_look(air, sensor))
        if how == "cancelled":
            await asyncio.sleep(air.dice.uniform(0, 15))
            looking.cancel()
        elif how == "breaks":
            await asyncio.sleep(air.dice.uniform(0, 12))
            air.bluez.drop_link(sensor.peripheral)
    if how.endswith("hangs"):
        air.bluez.obey(how.split()[0])


async def _look(air: Air, sensor: Sensor) -> None:
    address = sensor.peripheral.address.lower()
    ids = [about.id for about in air.sensors.report().sensors if about.address == address]
    if not ids:
        air.looks["not in the book"] += 1
        return
    air.looking = sensor
    ended = "cancelled"
    try:
        async with asyncio.timeout(LONGEST_LOOK_S):
            await air.sensors.inspect(ids[0], is_link_taken_knowingly=True)
        ended = "success"
    except InspectionRefused as refusal:
        ended = refusal.code
    except Exception as error:  # noqa: BLE001
        ended = "unexpected"
        air.wrong.append(f"a closer look ended with {error!r}")
    finally:
        air.looks[ended] += 1
        air.looking = None
        air.looked_s[address] = air.now_s()


# --- which one --------------------------------------------------------------------------------------------------------

RADIO: tuple[tuple[Act, frozenset[object]], ...] = (
    (power_cycle, frozenset({"adapter"})),
    (flicker, frozenset({"adapter"})),
    (flight_mode, frozenset({"adapter"})),
    (unplug, frozenset({"adapter"})),
    (other_adapter, frozenset({"adapter"})),
    (restart, frozenset({"service"})),
    (kill, frozenset({"service"})),
    (bus_dies, frozenset({"service"})),
    (refused, frozenset({"adapter", "calls"})),
    (hang, frozenset({"adapter", "calls"})),
    (deaf, frozenset({"antennas"})),
)
TEAM = (taken_off, walk, snatched, tracker_off, new_battery)
OTHERS: tuple[tuple[Act, frozenset[object]], ...] = (
    (visitor, frozenset()),
    (visitor, frozenset()),
    (passers, frozenset()),
    (look, frozenset({"calls"})),
    (look, frozenset({"calls"})),
    (look, frozenset({"calls"})),
)


def drawn(air: Air) -> tuple[Act, frozenset[object]]:
    """Something that can happen, and what it touches."""
    group = air.dice.choice((RADIO, TEAM, OTHERS))
    if group is TEAM:
        tracker, act = air.dice.choice(air.team), air.dice.choice(TEAM)
        return (lambda air: act(air, tracker)), frozenset({tracker})
    return air.dice.choice(RADIO if group is RADIO else OTHERS)

"""Which tracker and which sensor a person means."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from gateway.bluetooth.report import SensorReport
from gateway.pairing.documents import Sensor, Slot
from gateway.terminal.errors import CommandError
from gateway.terminal.finding import find
from gateway.terminal.layout import plain
from gateway.terminal.sensors import UNKNOWN_KIND, name_among, name_of, names_of
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError

SLOT_FLAGS = " or ".join(f"--slot {slot}" for slot in Slot)


class Chosen(Struct, frozen=True):
    """A sensor, and the slot that it is for."""

    sensor: Sensor
    slot: Slot


def find_sensor(
    sensors: Sequence[SensorReport], typed: str, *, name: str | None = None, slot: Slot | None = None
) -> Chosen:
    """The sensor that a person means.

    Args:
        sensors: All that the gateway knows.
        typed: Name, id or address of one, or a part that only it has, in any case; or the whole address of any.
        name: What it is called, where that is not known or another name is wanted.
        slot: What it is for, where its kind does not tell.

    Raises:
        CommandError: If it is none, or one of several, or its name or slot has to be given.
    """
    try:
        address = normal_form(typed.strip())
    except DecodeError:
        return chosen(_known(sensors, typed, slot), name=name, slot=slot)
    for sensor in sensors:
        if sensor.address == address:
            return chosen(sensor, name=name, slot=slot)
    missing = [*([] if name else ["--name with what it advertises itself as"]), *([] if slot else [SLOT_FLAGS])]
    if name is None or slot is None:
        raise CommandError(f"The gateway has never heard {address}: give {' and '.join(missing)}.")
    return Chosen(Sensor(address, name), slot)


def chosen(sensor: SensorReport, *, name: str | None = None, slot: Slot | None = None) -> Chosen:
    """A sensor that was found, as what becomes of a slot.

    Raises:
        CommandError: If its name or slot has to be given.
    """
    told = name or sensor.name
    if not told:
        raise CommandError(f"{plain(sensor.address)} has not told its name yet: give it with --name.")
    if slot is None:
        try:
            slot = Slot(sensor.kind)
        except ValueError:
            measures = "measures both" if sensor.kind == "both" else "has not shown what it measures"
            raise CommandError(f"{name_of(sensor)} {measures}: say what it is for with {SLOT_FLAGS}.") from None
    return Chosen(Sensor(sensor.address, told), slot)


def _known(sensors: Sequence[SensorReport], typed: str, slot: Slot | None) -> SensorReport:
    """A device that may be no sensor is meant only by who says what it is for."""
    names = Counter(map(name_of, sensors))
    return find(
        [sensor for sensor in sensors if slot is not None or sensor.kind != UNKNOWN_KIND],
        typed,
        lambda sensor: names_of(sensor, names),
        lambda sensor: name_among(sensor, names),
        if_nothing="Say which sensor: its name, its id or its address, or a part of it; "
        "`insiders-gateway scan` lists them.",
        if_nobody="No strap and no power meter is called {}: `insiders-gateway scan` lists them; for one that is not "
        f"there give its whole address, --name and {SLOT_FLAGS}.",
    )

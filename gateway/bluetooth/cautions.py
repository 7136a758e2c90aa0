"""What a person should know before using a sensor, or before its link is taken; one clause each."""

import re

from insiders_codecs.cycling_power import CyclingPowerFeature, SensorLocation
from insiders_codecs.heart_rate import BodySensorLocation

LOW_BATTERY_PERCENT = 20
"""There are days left, or weeks, but a session is not to be the one in which it ends."""

NO_CONTACT = "No skin contact: wet the strap and put it on"
"""The one warning that holds for the moment of the look only."""

_RIGHT_NAME = re.compile(r"(?:\d|[ _-])R(?:IGHT)?$", re.IGNORECASE)
"""A right pedal of a pair: its number or a space, then R. The left one ends in L, and a pair in one in nothing."""


def only_link_warning(links: int | None, tracker: str | None, *, is_shared: bool = False) -> str | None:
    """One clause on what looking closer would take from a tracker; None if it takes nothing.

    Args:
        links: How many links a sensor of this model has for certain; None if nobody knows, which is taken for one.
        tracker: Who needs the sensor: the tracker to which it is assigned, None if it is to none.
        is_shared: Whether it is heard while its tracker delivers, which proves that it has a link to spare.
    """
    if tracker is None or is_shared or (links is not None and links > 1):
        return None
    return f"It may have one link only, and for half a minute {tracker} could not have it"


def half_power_warning(
    name: str | None, location: SensorLocation | None, features: CyclingPowerFeature | None
) -> str | None:
    """One clause if a power meter sits on the right only; None if it does not, or nobody can tell.

    Args:
        name: As it advertises itself.
        location: Where it says that it sits.
        features: What it says that it can do.
    """
    is_right = location.is_right_only if location is not None else _RIGHT_NAME.search(name or "") is not None
    if not is_right:
        return None
    is_part = features is not None and features.distributed_system.is_part
    certainty = "sends" if is_part else "may send"
    return f"It sits on the right and {certainty} the right leg's power only, about half: pair the left one instead"


def inspection_warnings(
    battery_percent: int | None, body: BodySensorLocation | None, half_power: str | None, *, is_contact: bool | None
) -> tuple[str, ...]:
    """What a closer look has found that a person should know; what is None, nobody knows.

    Args:
        battery_percent: What is left in the battery.
        body: Where the sensor says that it is worn.
        half_power: Of `half_power_warning`.
        is_contact: Whether it touched the skin.
    """
    warnings = []
    if battery_percent is not None and battery_percent <= LOW_BATTERY_PERCENT:
        warnings.append(f"The battery has {battery_percent} % left: change it before the session")
    if is_contact is False:
        warnings.append(NO_CONTACT)
    if body is BodySensorLocation.WRIST:
        warnings.append("It sits on the wrist and follows sprints badly: use a chest strap for those")
    return (*warnings, *([half_power] if half_power else []))

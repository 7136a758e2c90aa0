"""What to say of a sensor before its link is taken, and of a power meter that measures one leg only."""

import re

from insiders_codecs.cycling_power import CyclingPowerFeature, SensorLocation

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
    return f"It may have one link only, and {tracker} would get nothing from it for half a minute"


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

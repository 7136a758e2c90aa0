"""What is said before a link is taken, and of a power meter that measures one leg only."""

import pytest

from gateway.bluetooth.cautions import half_power_warning, only_link_warning
from insiders_codecs.cycling_power import CyclingPowerFeature, SensorLocation

PART = CyclingPowerFeature(2 << 20)
"""A power meter that is one of several whose powers add up."""
ALONE = CyclingPowerFeature(1 << 20)


@pytest.mark.parametrize(
    ("links", "tracker", "is_shared", "words"),
    [
        (1, "SIM-0001", False, "one link only"),
        (None, "SIM-0001", False, "one link only"),
        (2, "SIM-0001", False, None),
        (3, "SIM-0001", False, None),
        (1, "SIM-0001", True, None),  # what is heard while its tracker has it takes two for certain
        (None, "SIM-0001", True, None),
        (1, None, False, None),
    ],
)
def test_who_takes_what_may_be_the_only_link_of_a_trackers_sensor_is_told(
    links: int | None, tracker: str | None, is_shared: bool, words: str | None
) -> None:
    warning = only_link_warning(links, tracker, is_shared=is_shared)
    assert (warning is None) == (words is None)
    if warning is not None and words is not None:
        assert words in warning
        assert "SIM-0001" in warning


@pytest.mark.parametrize(
    ("name", "location", "is_right"),
    [
        ("ASSIOMA17287R", None, True),
        ("ASSIOMA17287L", None, False),
        ("ASSIOMA17287", None, False),
        ("Stages 12345 R", None, True),
        ("Vector 3 right", None, True),
        ("POWER", None, False),  # an R that stands for nothing
        (None, None, False),
        # Where it says that it sits counts more than its name, which anybody can change.
        ("ASSIOMA17287L", SensorLocation.RIGHT_PEDAL, True),
        (None, SensorLocation.RIGHT_CRANK, True),
        ("ASSIOMA17287R", SensorLocation.LEFT_PEDAL, False),
        ("Stages 12345R", SensorLocation.SPIDER, False),
    ],
)
def test_a_power_meter_on_the_right_only_is_warned_of(
    name: str | None, location: SensorLocation | None, is_right: bool
) -> None:
    warning = half_power_warning(name, location, None)
    assert (warning is not None) == is_right
    assert warning is None or "about half" in warning


@pytest.mark.parametrize(("features", "words"), [(PART, "and sends"), (ALONE, "may send"), (None, "may send")])
def test_that_the_power_is_half_is_certain_only_of_one_of_a_pair(
    features: CyclingPowerFeature | None, words: str
) -> None:
    assert words in str(half_power_warning(None, SensorLocation.RIGHT_PEDAL, features))

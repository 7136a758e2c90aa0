"""Whether a closer look takes something from a tracker, and whether a power meter measures half."""

import pytest

from gateway.bluetooth.links import half_power_warning, only_link_warning
from insiders_codecs.cycling_power import CyclingPowerFeature, SensorLocation

CAN_BE_PART = CyclingPowerFeature(2 << 20)


@pytest.mark.parametrize(
    ("links", "words"), [(1, "takes the only link of this sensor"), (None, "takes what may be the only link")]
)
def test_the_only_link_of_a_trackers_sensor_is_warned_of(links: int | None, words: str) -> None:
    warning = only_link_warning(links, "SIM-0001")
    assert warning is not None
    assert words in warning
    assert "SIM-0001 gets nothing from it" in warning


@pytest.mark.parametrize("links", [None, 1, 2, 3])
def test_nothing_is_warned_of_where_nobody_loses_anything(links: int | None) -> None:
    assert only_link_warning(links, None) is None
    assert only_link_warning(links, "SIM-0001", is_shared=True) is None
    assert (only_link_warning(links, "SIM-0001") is None) is (links in {2, 3})


@pytest.mark.parametrize(
    ("name", "location", "is_half"),
    [
        ("ASSIOMA17287R", None, True),
        ("ASSIOMA17287L", None, False),
        ("ASSIOMA17287", None, False),
        ("PowerTap P1 R", None, True),
        ("Pedal_right", None, True),
        ("KICKR", None, False),
        ("Quarq", None, False),
        ("SRM R", SensorLocation.SPIDER, False),
        ("ASSIOMA17287R", SensorLocation.LEFT_PEDAL, False),
        (None, SensorLocation.RIGHT_PEDAL, True),
        ("Stages 12345L", SensorLocation.RIGHT_CRANK, True),
        (None, None, False),
    ],
)
def test_where_it_says_that_it_sits_counts_more_than_its_name(
    name: str | None, location: SensorLocation | None, *, is_half: bool
) -> None:
    assert (half_power_warning(name, location, None) is not None) is is_half


def test_one_that_says_it_is_part_of_a_pair_sends_half_for_certain() -> None:
    right = SensorLocation.RIGHT_PEDAL
    assert " may send the right" in str(half_power_warning(None, right, None))
    assert " may send the right" in str(half_power_warning(None, right, CyclingPowerFeature(1 << 20)))
    assert " sends the right" in str(half_power_warning(None, right, CAN_BE_PART))

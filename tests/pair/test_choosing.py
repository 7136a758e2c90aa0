"""Which sensor a technician means who types a part of what it is called."""

import pytest

from gateway.pair.choosing import Chosen, find_sensor
from gateway.pairing.documents import Sensor, Slot
from gateway.terminal.errors import CommandError
from tests.pair.desk import H9, H10, METER
from tests.test_scan import ADA as OWNED_BY_ADA
from tests.test_scan import sensor

AIR = (
    sensor(H10.name, address=H10.address),
    sensor(H9.name, address=H9.address, tracker=OWNED_BY_ADA),
    sensor(METER.name, address=METER.address, kind="power"),
    sensor("Duo", address="a0:9e:1a:00:00:01", kind="both"),
    sensor("Speaker", address="a0:9e:1a:00:00:02", kind="unknown"),
    sensor(None, address="a0:9e:1a:00:00:03", id="nameless"),
)


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("d42f", Chosen(H10, Slot.HEART_RATE)),
        ("4f:2a", Chosen(H10, Slot.HEART_RATE)),
        ("A0-9E-1A-00-4F-2B", Chosen(H9, Slot.HEART_RATE)),
        ("assioma", Chosen(METER, Slot.POWER)),
    ],
)
def test_a_sensor_is_found_by_any_part_and_its_kind_tells_the_slot(typed: str, chosen: Chosen) -> None:
    assert find_sensor(AIR, typed) == chosen


def test_an_athlete_is_no_name_of_a_sensor() -> None:
    """Who types another athlete's name for a sensor must not take that one's."""
    with pytest.raises(CommandError, match="No strap and no power meter is called 'Ada'"):
        find_sensor(AIR, "Ada")


def test_what_measures_both_or_has_not_shown_what_needs_a_slot() -> None:
    with pytest.raises(CommandError, match="Duo measures both: say what it is for with --slot heart_rate or "):
        find_sensor(AIR, "duo")
    assert find_sensor(AIR, "duo", slot=Slot.POWER).slot is Slot.POWER
    with pytest.raises(CommandError, match="No strap and no power meter is called 'Speaker'"):
        find_sensor(AIR, "Speaker")
    assert find_sensor(AIR, "Speaker", slot=Slot.HEART_RATE).sensor.name == "Speaker"


def test_a_sensor_without_a_name_needs_one() -> None:
    with pytest.raises(CommandError, match="a0:9e:1a:00:00:03 has not told its name yet: give it with --name"):
        find_sensor(AIR, "nameless")
    named = Chosen(Sensor("a0:9e:1a:00:00:03", "Strap 3"), Slot.HEART_RATE)
    assert find_sensor(AIR, "nameless", name="Strap 3") == named


def test_a_whole_address_that_was_never_heard_needs_name_and_slot() -> None:
    with pytest.raises(CommandError, match=r"has never heard c0:ff:ee:11:22:33: give --name .* and --slot heart_rate"):
        find_sensor(AIR, "C0FFEE112233")
    with pytest.raises(CommandError, match=r"give --slot heart_rate or --slot power\.$"):
        find_sensor(AIR, "C0FFEE112233", name="TICKR")
    found = find_sensor(AIR, "C0FFEE112233", name="TICKR", slot=Slot.HEART_RATE)
    assert found == Chosen(Sensor("c0:ff:ee:11:22:33", "TICKR"), Slot.HEART_RATE)

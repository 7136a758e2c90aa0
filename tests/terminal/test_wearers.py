"""What trackers are called, and which one a technician means who types a part of that."""

from dataclasses import dataclass

import pytest

from gateway.terminal.errors import CommandError
from gateway.terminal.wearers import athlete, called, find_tracker, identified


@dataclass(frozen=True)
class Tracker:
    serial_number: str
    name: str | None
    number: int | None


FLEET = [
    Tracker("SIM-0001", "Ada Lindqvist", 7),
    Tracker("SIM-0002", "Bea Okafor", 8),
    Tracker("SIM-0011", None, 17),
    Tracker("SIM-0071", "Ada Meyer", 77),
]


@pytest.mark.parametrize(
    ("typed", "place"), [("Ada L", 0), ("okafor", 1), ("SIM-0011", 2), ("0011", 2), ("7", 0), ("77", 3), ("8 bea", 1)]
)
def test_a_tracker_is_found_by_serial_number_athlete_or_number_or_a_part_that_only_it_has(
    typed: str, place: int
) -> None:
    assert find_tracker(FLEET, typed) is FLEET[place]


def test_a_tracker_that_is_none_or_one_of_several_or_nothing_is_a_sentence() -> None:
    with pytest.raises(CommandError, match=r"'Ada' may be 7 Ada Lindqvist \(SIM-0001\) or 77 Ada Meyer \(SIM-0071\): "):
        find_tracker(FLEET, "Ada")
    with pytest.raises(CommandError, match="No tracker and no athlete is called 'Zed': `insiders-gateway pair list`"):
        find_tracker(FLEET, "Zed")
    with pytest.raises(CommandError, match="Say which tracker"):
        find_tracker(FLEET, " ")


def test_a_tracker_is_called_as_who_wears_it_and_by_itself_if_nobody_does() -> None:
    ada, nobody = FLEET[0], Tracker("SIM-0003", " \n", None)
    assert (athlete(ada), called(ada), identified(ada)) == (
        "Ada Lindqvist",
        "7 Ada Lindqvist",
        "7 Ada Lindqvist (SIM-0001)",
    )
    assert athlete(nobody) == called(nobody) == identified(nobody) == "SIM-0003"

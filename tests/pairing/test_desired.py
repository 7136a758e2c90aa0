"""What is wanted of a tracker: its generations, and how it is written down."""

import msgspec
import pytest

from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish

STRAP = Sensor("a0:9e:1a:00:00:01", "Polar H10 AE60D42F")


def test_a_generation_counts_real_changes_only() -> None:
    first = Desired(heart_rate=STRAP, author="Kim").after(Desired())
    assert first.generation == 1
    again = Desired(heart_rate=STRAP, author="Robin", at_ms=5, basis=Basis.IMPORT).after(first)
    assert (again.generation, again.author) == (1, "Robin")
    assert Desired(heart_rate=Wish.NONE).after(again).generation == 2


def test_nothing_wanted_is_not_the_same_as_no_sensor_wanted() -> None:
    assert Desired().managed == ()
    assert Desired(power=Wish.NONE).managed == (Slot.POWER,)
    assert not Desired().is_same_as(Desired(power=Wish.NONE))


@pytest.mark.parametrize("wanted", [STRAP, *Wish])
def test_what_is_written_down_is_read_again(wanted: Wanted) -> None:
    desired = Desired(wanted, wanted, 7, Origin.FILE, Basis.FILE, "config.toml", "", 1_795_000_000_000)
    assert msgspec.json.decode(msgspec.json.encode(desired), type=Desired) == desired


def test_only_what_a_person_said_about_one_tracker_is_an_approval() -> None:
    assert {basis for basis in Basis if basis.is_command} == {Basis.COMMAND, Basis.SCAN, Basis.ADOPTED}

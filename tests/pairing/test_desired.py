"""What is wanted of a tracker: its generations, and how it is written down."""

import msgspec
import pytest
from msgspec.structs import replace

from gateway.pairing.desired import Basis, Desired, Origin, Word
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish

HR, POWER = Slot.HEART_RATE, Slot.POWER
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


def test_the_generation_of_a_slot_is_that_with_which_it_became_what_it_is() -> None:
    first = Desired(heart_rate=STRAP, power=Wish.NONE).after(Desired())
    second = replace(first, power=STRAP).after(first)
    assert [(it.generation_of(HR), it.generation_of(POWER)) for it in (first, second)] == [(1, 1), (1, 2)]
    again = replace(second, author="Kim").after(second)
    assert (again.generation, again.generation_of(HR), again.generation_of(POWER)) == (2, 1, 2)
    assert again.after(second) == again, "who counts twice counts once"
    back = replace(replace(again, heart_rate=Wish.UNMANAGED).after(again), heart_rate=STRAP)
    back = back.after(replace(again, heart_rate=Wish.UNMANAGED).after(again))
    assert (back.generation_of(HR), back.generation_of(POWER)) == (4, 2)


def test_a_word_about_one_slot_leaves_what_was_said_of_the_other() -> None:
    listed = Desired(heart_rate=STRAP, power=Wish.NONE, basis=Basis.IMPORT, is_bulk=True)
    assert [listed.word(slot) for slot in Slot] == [Word(Basis.IMPORT, False, False, True)] * 2
    command = replace(listed, basis=Basis.COMMAND, is_bulk=False, is_during_session=True).about([HR], listed)
    assert [command.word(slot) for slot in Slot] == [
        Word(Basis.COMMAND, is_immediate=False, is_during_session=True, is_bulk=False),
        Word(Basis.IMPORT, is_immediate=False, is_during_session=False, is_bulk=True),
    ]

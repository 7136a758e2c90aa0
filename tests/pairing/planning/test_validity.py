"""Whether a sensor can be what is wanted of a slot."""

import pytest

from gateway.pairing.conditions import Reason, Status
from gateway.pairing.documents import Sensor, Slot, Wish
from gateway.pairing.observation import Air
from gateway.pairing.planning.validity import validity
from insiders_codecs.address import AddressKind

GOOD = Sensor("a0:9e:1a:12:34:56", "Polar H10")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a0:9e:1a:12:34",
        "a0:9e:1a:12:34:5g",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
        "A0:9E:1A:12:34:56",
        "a0-9e-1a-12-34-56",
    ],
)
def test_only_an_address_in_the_form_in_which_it_is_compared_can_be_wanted(address: str) -> None:
    """Another form of a good address would never be found again in what the cloud says."""
    assert validity(Sensor(address, "Polar H10"), Slot.HEART_RATE, None) == (Status.FALSE, Reason.BAD_MAC)


@pytest.mark.parametrize("name", ["", "  "])
def test_a_sensor_needs_a_name(name: str) -> None:
    assert validity(Sensor(GOOD.address, name), Slot.POWER, None) == (Status.FALSE, Reason.NAME_MISSING)


@pytest.mark.parametrize("kind", AddressKind)
def test_an_address_that_will_change_cannot_be_wanted(kind: AddressKind) -> None:
    status, reason = validity(GOOD, Slot.HEART_RATE, Air("seen", address_kind=kind))
    is_fine = kind in {AddressKind.PUBLIC, AddressKind.STATIC}
    assert (status, reason) == (
        (Status.TRUE, Reason.OK) if is_fine else (Status.FALSE, Reason.PRIVATE_ROTATING_ADDRESS)
    )


@pytest.mark.parametrize(
    ("slot", "kind", "is_fine"),
    [
        (Slot.HEART_RATE, "heart_rate", True),
        (Slot.HEART_RATE, "power", False),
        (Slot.POWER, "power", True),
        (Slot.POWER, "heart_rate", False),
        *((slot, kind, True) for slot in Slot for kind in ("both", "unknown", None)),
    ],
)
def test_a_strap_is_no_power_meter(slot: Slot, kind: str | None, is_fine: bool) -> None:
    """What the radio does not know speaks against nothing."""
    expected = (Status.TRUE, Reason.OK) if is_fine else (Status.FALSE, Reason.WRONG_SERVICE)
    assert validity(GOOD, slot, Air("seen", kind=kind)) == expected


@pytest.mark.parametrize("air", [None, Air("unknown", was_heard=False)])
def test_a_silent_radio_speaks_against_nothing(air: Air | None) -> None:
    assert validity(GOOD, Slot.HEART_RATE, air) == (Status.TRUE, Reason.OK)


@pytest.mark.parametrize("wish", Wish)
def test_no_sensor_can_always_be_wanted(wish: Wish) -> None:
    """Also where the radio knows something of the one that is there now."""
    assert validity(wish, Slot.POWER, Air("seen", kind="heart_rate")) == (Status.TRUE, Reason.OK)

"""Which changes of a device are advertisements."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.bluetooth.advertisement import AFTER_LINK_S, KEPT_LINKS, UNKNOWN_RSSI_DBM, EchoFilter

STRAP, OTHER = "a0:9e:1a:00:00:01", "a0:9e:1a:00:00:02"


def heard(echoes: EchoFilter, now_s: float, *, is_linked: bool = False, address: str = STRAP, rssi: int = -60) -> bool:
    return echoes.is_heard(address, rssi, is_linked=is_linked, now_s=now_s)


def test_a_change_without_signal_strength_was_not_received() -> None:
    echoes = EchoFilter()
    assert heard(echoes, 0.0)
    assert not heard(echoes, 0.1, rssi=UNKNOWN_RSSI_DBM)
    assert heard(echoes, 0.2)


def test_a_device_with_a_link_is_not_heard() -> None:
    echoes = EchoFilter()
    assert not heard(echoes, 0.0, is_linked=True)
    assert not heard(echoes, 1000.0, is_linked=True)
    assert heard(echoes, 1000.0, address=OTHER)


def test_the_end_of_a_link_is_no_advertisement_however_long_it_lasted() -> None:
    echoes = EchoFilter()
    heard(echoes, 0.0, is_linked=True)
    assert not heard(echoes, 1000.0)
    assert not heard(echoes, 1000.0 + AFTER_LINK_S / 2)
    assert heard(echoes, 1000.0 + AFTER_LINK_S)
    assert heard(echoes, 1000.0 + AFTER_LINK_S)


def test_a_link_soon_after_another_begins_anew() -> None:
    echoes = EchoFilter()
    heard(echoes, 0.0, is_linked=True)
    heard(echoes, 1.0)
    heard(echoes, 1.5, is_linked=True)
    assert not heard(echoes, 2.0 + AFTER_LINK_S)
    assert heard(echoes, 2.0 + 2 * AFTER_LINK_S)


def test_linked_devices_that_are_never_heard_again_are_forgotten_for_new_ones() -> None:
    echoes = EchoFilter()
    others = [f"passer-by {number}" for number in range(2 * KEPT_LINKS - 2)]
    heard(echoes, 0.0, is_linked=True)
    for number, other in enumerate(others):
        heard(echoes, 1.0, is_linked=True, address=other)
        if number == KEPT_LINKS - 2:
            heard(echoes, 1.0, is_linked=True)
    assert len(echoes._counts_from_s) == KEPT_LINKS
    assert not heard(echoes, 2.0)
    assert not heard(echoes, 2.0, address=others[-1])
    assert heard(echoes, 2.0, address=others[0])


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.integers(-127, 20)), max_size=60))
def test_what_is_heard_has_a_signal_and_no_link_now_or_just_before(changes: list[tuple[float, bool, int]]) -> None:
    echoes = EchoFilter()
    now_s = 0.0
    free_since_s: float | None = -AFTER_LINK_S  # when the device was first seen without the link it had
    for step_s, is_linked, rssi in changes:
        now_s += step_s
        if is_linked:
            free_since_s = None
        elif free_since_s is None:
            free_since_s = now_s
        is_free = free_since_s is not None and now_s >= free_since_s + AFTER_LINK_S
        assert heard(echoes, now_s, is_linked=is_linked, rssi=rssi) == (is_free and rssi > UNKNOWN_RSSI_DBM)

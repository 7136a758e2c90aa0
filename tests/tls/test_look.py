"""When a certificate is renewed, whatever the clock says: decided without one."""

import pytest

from gateway.tls.look import is_due, uncovered
from gateway.tls.moment import OWN_DATE, Moment, believed, day
from gateway.tls.pem import Leaf
from tests.tls.ground import HERE, NOW, moment

LEAF = Leaf(b"", HERE, moment(days=-1).ms, moment(days=365).ms, "")


@pytest.mark.parametrize(
    ("days", "is_sure", "is_renewed"),
    [
        (0, True, False),
        (334, True, False),
        (335, True, True),  # a month ahead
        (400, True, True),
        (-2, True, True),  # made while the clock was ahead: every laptop refuses it
        (-2, False, False),  # a Pi that has just been switched on, and does not know the time yet
        (340, False, False),  # it may be right or not, and there is time
        (365, False, True),  # waiting helps nobody
    ],
)
def test_a_clock_that_is_not_sure_decides_only_where_waiting_helps_nobody(
    days: int, is_sure: bool, is_renewed: bool
) -> None:
    assert is_due(LEAF, HERE, moment(is_sure=is_sure, days=days)) is is_renewed


@pytest.mark.parametrize("is_sure", [True, False])
def test_a_new_name_or_address_is_reason_enough_and_one_that_is_gone_is_none(is_sure: bool) -> None:
    now = moment(is_sure=is_sure)
    assert is_due(LEAF, HERE | {"192.168.8.9"}, now)
    assert not is_due(LEAF, HERE - {"192.168.7.5"}, now)


def test_a_clock_before_our_own_date_is_not_believed() -> None:
    own_ms = int(OWN_DATE.timestamp() * 1000)
    assert believed(0, is_sure=True) == Moment(own_ms, is_sure=False)
    assert believed(own_ms, is_sure=True) == Moment(own_ms, is_sure=True)
    assert believed(own_ms - 1, is_sure=True).utc == OWN_DATE


def test_our_own_date_has_been() -> None:
    assert OWN_DATE < NOW
    assert day(int(OWN_DATE.timestamp() * 1000)) == OWN_DATE.date().isoformat()


def test_a_star_stands_for_one_label() -> None:
    star = Leaf(b"", frozenset({"*.example.org", "club.example"}), 0, 0, "")
    names = ["gateway.example.org", "example.org", "a.b.example.org", "club.example", "localhost"]
    assert list(uncovered(star, names)) == ["example.org", "a.b.example.org", "localhost"]

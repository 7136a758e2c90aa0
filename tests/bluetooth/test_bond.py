"""What there has been between a sensor and its tracker."""

from gateway.bluetooth.bond import Bond


def noted(*moments: tuple[float, bool, bool | None]) -> Bond:
    bond = Bond()
    for now_s, is_seen, delivers in moments:
        bond.note(is_seen=is_seen, delivers=delivers, now_s=now_s)
    return bond


def test_nothing_is_known_at_first() -> None:
    bond = noted((0.0, False, None))
    assert (bond.both_for_s, bond.unused_since_s, bond.delivered_s) == (0.0, None, None)


def test_both_count_from_when_they_came_together_and_only_without_a_break() -> None:
    assert noted((0.0, True, False), (5.0, True, True), (20.0, True, True)).both_for_s == 15.0
    assert noted((0.0, True, True), (5.0, False, True), (6.0, True, True), (20.0, True, True)).both_for_s == 14.0


def test_both_stay_as_they_were_when_the_tracker_falls_silent() -> None:
    assert noted((0.0, True, True), (20.0, True, True), (90.0, True, None)).both_for_s == 20.0
    assert noted((0.0, True, True), (20.0, True, True), (90.0, True, None), (91.0, True, False)).both_for_s == 0.0


def test_a_sensor_is_unused_while_its_tracker_is_on_and_gets_nothing() -> None:
    assert noted((0.0, True, False), (9.0, True, False)).unused_since_s == 0.0
    for seen, delivers in ((False, False), (True, True), (True, None)):
        assert noted((0.0, True, False), (9.0, seen, delivers), (10.0, True, False)).unused_since_s == 10.0


def test_the_last_delivery_is_remembered() -> None:
    assert noted((0.0, False, True), (7.0, False, True), (60.0, False, None), (99.0, True, False)).delivered_s == 7.0

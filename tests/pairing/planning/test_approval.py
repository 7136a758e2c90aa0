"""What an approval covers, and for how long."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.pairing.approval import Approval, Change, consents, covering
from gateway.pairing.conditions import Reason
from gateway.pairing.documents import Document
from gateway.pairing.memory import Memory
from tests.pairing.fleets import HR, NOW_MS, POWER, document, sensor

HOUR_MS = 3_600_000
CHANGE = Change("1", HR, sensor("a"), sensor("b"), 3)
APPROVAL = Approval("0123456789ab", (CHANGE,), "Ada", NOW_MS - HOUR_MS, NOW_MS + HOUR_MS)


def reason(change: Change = CHANGE, *approvals: Approval, memory: Memory | None = None, now_ms: int = NOW_MS) -> Reason:
    return covering(change, consents(approvals or (APPROVAL,)), memory or Memory(), now_ms)[1]


def test_the_change_that_was_approved_is_covered() -> None:
    assert covering(CHANGE, consents([APPROVAL]), Memory(), NOW_MS) == (APPROVAL, Reason.OK)


def test_without_an_approval_one_is_needed() -> None:
    assert covering(CHANGE, consents([]), Memory(), NOW_MS) == (None, Reason.APPROVAL_NEEDED)


@pytest.mark.parametrize("other", [{"serial_number": "2"}, {"slot": POWER}])
def test_an_approval_of_another_slot_says_nothing(other: dict[str, Any]) -> None:
    assert reason(replace(CHANGE, **other)) is Reason.APPROVAL_NEEDED


@pytest.mark.parametrize("other", [{"after": None}, {"after": sensor("c")}, {"generation": 4}, {"before": None}])
def test_an_approval_of_something_else_is_void(other: dict[str, Any]) -> None:
    assert reason(replace(CHANGE, **other)) is Reason.DIFF_CHANGED


@pytest.mark.parametrize("other", [{"after": sensor("c")}, {"generation": 4}])
def test_what_was_approved_long_ago_and_was_something_else_is_forgotten(other: dict[str, Any]) -> None:
    assert reason(replace(CHANGE, **other), now_ms=APPROVAL.expires_ms) is Reason.APPROVAL_NEEDED


def test_an_approval_expires_at_its_instant() -> None:
    assert reason(now_ms=APPROVAL.expires_ms - 1) is Reason.OK
    assert reason(now_ms=APPROVAL.expires_ms) is Reason.APPROVAL_EXPIRED


def test_what_has_begun_does_not_expire() -> None:
    """Half a handover is worse than either end of it."""
    assert reason(CHANGE, replace(APPROVAL, has_begun=True), now_ms=APPROVAL.expires_ms + 999 * HOUR_MS) is Reason.OK


def test_what_we_made_of_the_target_since_is_covered() -> None:
    """A handover clears a slot before it sets it: the change is another one, its approval the same."""
    cleared = replace(CHANGE, before=None)
    assert reason(cleared, memory=Memory(ours=Document(), ours_ms=APPROVAL.at_ms)) is Reason.OK
    assert reason(cleared, memory=Memory(ours=Document(), ours_ms=APPROVAL.at_ms - 1)) is Reason.DIFF_CHANGED
    assert reason(cleared, memory=Memory(ours=document("c"), ours_ms=NOW_MS)) is Reason.DIFF_CHANGED


def test_a_change_by_somebody_else_voids_what_was_approved_before_it() -> None:
    """Even where the target is the same again: the person did not know of it."""
    assert reason(memory=Memory(foreign_ms=(1, APPROVAL.at_ms + 1))) is Reason.DIFF_CHANGED
    assert reason(memory=Memory(foreign_ms=(1, APPROVAL.at_ms))) is Reason.OK


def test_of_several_approvals_the_newest_that_covers_counts() -> None:
    newer = replace(APPROVAL, at_ms=NOW_MS - 5, is_immediate=True)
    other = replace(APPROVAL, at_ms=NOW_MS, changes=(replace(CHANGE, generation=2),))
    for given in ([APPROVAL, newer, other], [other, newer, APPROVAL]):
        assert covering(CHANGE, consents(given), Memory(), NOW_MS) == (newer, Reason.OK)


def test_why_nothing_covers_is_told_of_the_newest() -> None:
    expired = replace(APPROVAL, expires_ms=NOW_MS)
    other = replace(APPROVAL, at_ms=NOW_MS, changes=(replace(CHANGE, after=None),))
    assert reason(CHANGE, expired, other) is Reason.DIFF_CHANGED
    assert reason(CHANGE, replace(other, expires_ms=NOW_MS), expired) is Reason.APPROVAL_EXPIRED

"""From a hash that a person approves to what is approved from now on; or a refusal."""

from gateway.pairing.approval import Approval, Change
from gateway.pairing.desk.permission import COMMAND, Situation, check_writable
from gateway.pairing.planning.changes import approval_of, living
from gateway.pairing.requests import ApplyRequest, PairingRefused, Refusal


def approved(situation: Situation, request: ApplyRequest) -> tuple[Approval, ...]:
    """All approvals after this one, which is the last; raises `PairingRefused`.

    Changes that nobody has to approve can be approved as well: to be made at once, or while athletes train.
    """
    fleet, plan = situation.fleet, situation.plan
    groups = [group for group in plan.change_sets if request.approve in {group.hash, plan.hash}]
    if not groups:
        text = f"That is not, or no longer, what is to change: `{COMMAND} plan` shows it, with the hash to approve."
        raise PairingRefused(Refusal.PLAN_CHANGED, text)
    changes = tuple(change for group in groups for change in group.changes)
    about = {change.serial_number for change in changes}
    trackers = [seen for seen in fleet.trackers if seen.serial_number in about]
    is_said = all(_is_said(situation, change) for change in changes)
    check_writable(situation, trackers, during_session=request.during_session or is_said)
    approval = approval_of(
        changes,
        fleet,
        request.author,
        is_during_session=request.during_session,
        is_immediate=request.immediate,
        is_unconfirmed_ok=request.unconfirmed,
    )
    return (*(known for known in living(fleet) if known.hash != approval.hash), approval)


def _is_said(situation: Situation, change: Change) -> bool:
    """Whether who wanted a change has said already that it is meant though athletes train."""
    seen = next(it for it in situation.fleet.trackers if it.serial_number == change.serial_number)
    return seen.desired.word(change.slot).is_during_session

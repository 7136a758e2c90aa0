"""What a person has approved: certain changes, bound to the hash of exactly these."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from gateway.pairing.conditions import Reason
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.memory import Memory


class Change(Struct, frozen=True):
    """What would become different in one slot of one target.

    Attributes:
        serial_number: Of the tracker.
        slot: Which.
        before: The sensor in the target now; None if there is none.
        after: The sensor that is desired; None if none is.
        generation: Of what is desired.
    """

    serial_number: str
    slot: Slot
    before: Sensor | None
    after: Sensor | None
    generation: int


class Approval(Struct, frozen=True):
    """A person's consent to some changes.

    Attributes:
        hash: Of the changes.
        changes: What was approved.
        author: Who.
        at_ms: When, epoch ms.
        expires_ms: Until when it must have begun, epoch ms.
        has_begun: Whether something of it was written; from then on it does not expire.
        is_during_session: Whether it may be done while athletes train.
        is_immediate: Whether the trackers are told at once.
        is_unconfirmed_ok: Whether not to wait until a tracker confirms that it has let a sensor go.
    """

    hash: str
    changes: tuple[Change, ...]
    author: str
    at_ms: int
    expires_ms: int
    has_begun: bool = False
    is_during_session: bool = False
    is_immediate: bool = False
    is_unconfirmed_ok: bool = False


Consents = Mapping[tuple[str, Slot], Sequence[tuple[Approval, Change]]]
"""By serial number and slot: what was approved of it, and in which approval, newest first."""


def consents(approvals: Iterable[Approval]) -> Consents:
    """Approvals by what they are about, so that 1000 changes are not each sought in 1000."""
    found: dict[tuple[str, Slot], list[tuple[Approval, Change]]] = {}
    for approval in sorted(approvals, key=lambda approval: approval.at_ms, reverse=True):
        for change in approval.changes:
            found.setdefault((change.serial_number, change.slot), []).append((approval, change))
    return found


def covering(change: Change, given: Consents, memory: Memory, now_ms: int) -> tuple[Approval | None, Reason]:
    """The newest approval that a change rests on, whether or not it needs one.

    A change is covered by its own content and not by the hash of what it was approved with: the hash of a handover
    becomes another one with each of its steps.

    Args:
        change: What is to change now.
        given: What was approved.
        memory: Of the tracker.
        now_ms: Epoch ms.

    Returns:
        The approval and OK; or None, and why nothing covers the change as the newest approval of its slot tells it:
        APPROVAL_NEEDED, APPROVAL_EXPIRED or DIFF_CHANGED.
    """
    reason = Reason.APPROVAL_NEEDED
    for approval, approved in given.get((change.serial_number, change.slot), ()):
        verdict = _verdict(change, approval, approved, memory, now_ms)
        if verdict is Reason.OK:
            return approval, verdict
        if reason is Reason.APPROVAL_NEEDED:
            reason = verdict
    return None, reason


def _verdict(change: Change, approval: Approval, approved: Change, memory: Memory, now_ms: int) -> Reason:
    is_late = now_ms >= approval.expires_ms
    is_the_same = (approved.after, approved.generation) == (change.after, change.generation)
    is_untouched = not memory.foreign_ms or approval.at_ms >= memory.foreign_ms[-1]
    if is_the_same and is_untouched and (approved.before == change.before or _is_ours(change, approval, memory)):
        return Reason.APPROVAL_EXPIRED if is_late and not approval.has_begun else Reason.OK
    # What was approved long ago, and was another matter, is nothing that a person still has in mind.
    return Reason.APPROVAL_NEEDED if is_late else Reason.DIFF_CHANGED


def _is_ours(change: Change, approval: Approval, memory: Memory) -> bool:
    """Whether the target is what we made of it since it was approved: a handover clears before it sets."""
    if memory.ours is None or memory.ours_ms is None or memory.ours_ms < approval.at_ms:
        return False
    return memory.ours[change.slot] == change.before

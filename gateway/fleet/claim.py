"""Making the roster's trackers ours: one look at what we own, and a claim for whatever is missing."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gateway.cloud.errors import CloudError, Forbidden, NotFound, Rejected
from gateway.cloud.models import Device
from gateway.fleet.roster import Decision, Step, Tracker, decide


class ClaimStatus(Enum):
    """How things stand with one tracker."""

    OWNED = "owned"
    FOREIGN = "owned by another account"
    UNKNOWN = "unknown to the cloud"
    NAME_MISSING = "device name missing"
    REFUSED = "claim refused"
    PENDING = "not yet checked"

    @property
    def is_final(self) -> bool:
        """Whether the cloud has spoken: asking again at once would change nothing."""
        return self is not ClaimStatus.PENDING


@dataclass(frozen=True, slots=True)
class Claim:
    """Where one tracker stands.

    Attributes:
        tracker: The entry of the roster.
        status: The outcome.
        device_id: The cloud's id, where it is known.
        text: What is wrong, one clause; "" if nothing is. It names no person and holds nothing the cloud wrote.
        action: What to do next, one clause; "" if nothing is to be done.
        server_text: The cloud's own words about it.
    """

    tracker: Tracker
    status: ClaimStatus
    device_id: int | None = None
    text: str = ""
    action: str = ""
    server_text: str = ""


class Ownerships(Protocol):
    """What claiming needs of the cloud."""

    def devices(self, *, current: bool | None = None) -> AsyncIterator[Device]:
        """Devices we own now (`current`), or ever owned."""

    async def take_ownership(self, serial_number: str, device_name: str) -> Device:
        """Claim a device."""


async def claim(cloud: Ownerships, trackers: Sequence[Tracker]) -> list[Claim]:
    """Claim those trackers that are not ours, and say where each stands, in the order given.

    What we own is listed once for all of them, and what we ever owned once if something is missing: two requests for
    any fleet, where the server's filter by serial number would take one for each. Nothing is sent about a tracker that
    is ours.

    Raises:
        CloudError: If the lists could not be read.
    """
    owned = [device async for device in cloud.devices(current=True)]
    decisions = [decide(tracker, owned, ()) for tracker in trackers]
    if any(decision.step is not Step.KEEP for decision in decisions):
        known = [device async for device in cloud.devices()]
        decisions = [decide(tracker, owned, known) for tracker in trackers]
    claims: list[Claim] = []
    trouble: CloudError | None = None
    for tracker, decision in zip(trackers, decisions, strict=True):
        if decision.step is Step.CLAIM and trouble is None:
            try:
                device = await cloud.take_ownership(tracker.serial_number, decision.device_name)
                claims.append(Claim(tracker, ClaimStatus.OWNED, device.id))
            except CloudError as error:
                claims.append(refused(tracker, decision, error))
                # Trouble with the cloud and not with this tracker: the next claim would only wait for it again.
                trouble = None if claims[-1].status.is_final else error
        elif decision.step is Step.CLAIM and trouble is not None:
            claims.append(refused(tracker, decision, trouble))
        else:
            claims.append(_unasked(tracker, decision))
    return claims


def refused(tracker: Tracker, decision: Decision, error: CloudError) -> Claim:
    """What a failed claim says about the tracker.

    Which status stands for which cause is not documented: 403 and 409 are taken for somebody else's ownership, 404
    for an unknown pair of serial number and device name.
    """
    subject = f"Tracker {tracker.serial_number}"
    status, text, action = ClaimStatus.PENDING, f"{subject} could not be claimed. {error.text}", error.action
    match error:
        case Forbidden() | Rejected(status=409):
            status = ClaimStatus.FOREIGN
            text = f"{subject} belongs to another account"
            action = "ask its owner to release it, or take it out of [[trackers]]"
        case NotFound(is_path_unknown=False):
            status = ClaimStatus.UNKNOWN
            text = f"{subject} with this device name is unknown to the cloud"
            action = "compare serial_number and device_name in [[trackers]] with the label"
        case Rejected():
            status = ClaimStatus.REFUSED
            text = f"The claim of tracker {tracker.serial_number} was declined with status {error.status}"
            action = "compare serial_number and device_name in [[trackers]] with the label"
        case _:
            pass
    return Claim(tracker, status, decision.device_id, text, action, error.server_text)


def owned(claims: Iterable[Claim]) -> dict[str, int]:
    """Serial number to device id of the trackers that are ours."""
    return {
        claim.tracker.serial_number: claim.device_id
        for claim in claims
        if claim.status is ClaimStatus.OWNED and claim.device_id is not None
    }


def _unasked(tracker: Tracker, decision: Decision) -> Claim:
    if decision.step is Step.KEEP:
        return Claim(tracker, ClaimStatus.OWNED, decision.device_id)
    return Claim(
        tracker,
        ClaimStatus.NAME_MISSING,
        decision.device_id,
        f"Tracker {tracker.serial_number} cannot be claimed without its device name",
        "add device_name from the label to its entry in [[trackers]]",
    )

"""What becomes of a change in the first seconds, and what a person has to do then."""

import asyncio
from collections.abc import Sequence

from gateway.pair.source import Source
from gateway.pair.words import command
from gateway.pairing.documents import Slot
from gateway.pairing.report import PairingReport
from gateway.terminal.addressing import addressed
from gateway.terminal.errors import CommandError
from gateway.terminal.layout import sentences
from gateway.terminal.talk import Talk
from gateway.terminal.wearers import called
from insiders_gateway_client.errors import GatewayError

ASKED_EVERY_S = 1.0
"""The gateway makes a new plan once a second."""

PATIENCE_S = 20.0
"""A write takes a few requests to the cloud; what takes longer is waited for by the gateway alone."""

AWAITING_APPROVAL = "awaiting_approval"
_WAITS = "This waits for a person's approval."
"""Which changes, and what to type, is told once for all of them."""

_MOVING = {"proposed", "writing"}
"""States that the gateway leaves by itself in seconds."""

_OF_SLOT = ("Valid", "Unique", "TargetAccepted", "DeviceConverged")
"""Conditions that may stand between a slot and what is wanted of it, the most basic first."""


async def follow(
    source: Source, talk: Talk, serial_numbers: Sequence[str], slot: Slot | None = None
) -> list[PairingReport]:
    """Tell how trackers stand, and again when that changes, until nothing moves any more without a person or a tracker.

    Args:
        source: The gateway.
        talk: Where to.
        serial_numbers: Of these trackers.
        slot: Of this slot of them, if it is about one.

    Returns:
        How they stand then.

    Raises:
        CommandError: If the gateway does not answer any more: what it was asked for before, it has taken.
    """
    now_s = asyncio.get_running_loop().time
    until_s = now_s() + PATIENCE_S
    told: dict[str, str] = {}
    goes_on = f"It goes on by itself: `{command('list', source.url)}` shows how all of them stand."
    with talk.said_if_stopped(goes_on):
        while serial_numbers:
            try:
                reports = await _reports(source, serial_numbers)
            except GatewayError as error:
                raise CommandError(f"The gateway took it, but tells nothing any more. {error}.") from None
            is_moving = False
            for report in reports:
                how = addressed(_told(report, slot), source.url)
                is_moving |= report.state in _MOVING or report.serial_number not in told
                if told.get(report.serial_number) != how:
                    talk.say(f"{called(report)}: {how}")
                    told[report.serial_number] = how
            if not is_moving:
                return reports
            if now_s() >= until_s:
                talk.say(goes_on)
                return reports
            await asyncio.sleep(ASKED_EVERY_S)
    return []


def _told(report: PairingReport, slot: Slot | None) -> str:
    """How a tracker stands; if that is about its other slot, how the one stands that was spoken of."""
    if report.state == AWAITING_APPROVAL:
        return _WAITS
    if any(it.text == report.text and it.slot not in {None, slot} for it in report.conditions):
        wrong = [it for it in report.conditions if it.slot == slot and it.status != "true" and it.type in _OF_SLOT]
        for condition in sorted(wrong, key=lambda condition: _OF_SLOT.index(condition.type)):
            return sentences(condition.text, condition.action)
    return sentences(report.text, report.action)


async def _reports(source: Source, serial_numbers: Sequence[str]) -> list[PairingReport]:
    trackers = {tracker.serial_number: tracker for tracker in (await source.pairings()).trackers}
    return [trackers[serial_number] for serial_number in serial_numbers if serial_number in trackers]

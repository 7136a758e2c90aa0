"""A tracker gets a sensor: the way through every question that may come up, up to what the technician does next."""

from collections.abc import Sequence

import msgspec

from gateway.pair.approving import ask_for_approval
from gateway.pair.choosing import Chosen
from gateway.pair.exchange import exchanged, holder_of
from gateway.pair.following import AWAITING_APPROVAL, follow
from gateway.pair.source import RefusedError, Source, allowed
from gateway.pair.talk import Talk
from gateway.pair.words import SLOTS, called
from gateway.pairing.documents import Slot, Wanted
from gateway.pairing.report import PairingReport, PairingsReport
from gateway.pairing.requests import ImportRequest, Refusal, SetRequest, asked


async def take(
    source: Source,
    talk: Talk,
    report: PairingsReport,
    tracker: PairingReport,
    chosen: Chosen,
    request: SetRequest,
    *,
    is_swap: bool,
) -> None:
    """Want a sensor of a tracker, and tell what happens next.

    Args:
        source: The gateway.
        talk: Where to print and ask.
        report: All trackers.
        tracker: One of them.
        chosen: What it is to have.
        request: Who wants it, and how.
        is_swap: If another tracker has it, the two exchange theirs.

    Raises:
        CommandError: If the gateway refuses.
        StreamError: If nobody answers.
    """
    if is_swap and (other := holder_of(report, tracker, chosen)) is not None:
        await _swap(source, talk, tracker, other, chosen, request)
        return
    try:
        await want(source, talk, tracker, {chosen.slot: chosen.sensor}, request)
    except RefusedError as refused:
        other = holder_of(report, tracker, chosen) if refused.code == Refusal.SENSOR_TAKEN else None
        if other is None:
            raise
        await talk.agree(f"{refused} Shall {called(tracker)} and {called(other)} exchange theirs?", str(refused))
        await _swap(source, talk, tracker, other, chosen, request)
        return
    talk.say(f"{called(tracker)} shall have the {SLOTS[chosen.slot]} {chosen.sensor.name}.", "bold")
    await tell(source, talk, [tracker.serial_number])


async def want(
    source: Source, talk: Talk, tracker: PairingReport, wanted: dict[Slot, Wanted], request: SetRequest
) -> None:
    """Want something of slots of a tracker.

    Raises:
        RefusedError: If the gateway does.
        StreamError: If nobody answers.
    """
    request = msgspec.structs.replace(request, **{slot.value: asked(what) for slot, what in wanted.items()})
    await allowed(talk, request, lambda request: source.set(tracker.serial_number, request))


async def tell(source: Source, talk: Talk, serial_numbers: Sequence[str]) -> None:
    """Tell what becomes of trackers of which something else is wanted now, and ask for the approval that it needs."""
    reports = await follow(source, talk, serial_numbers)
    if any(report.state == AWAITING_APPROVAL for report in reports):
        await ask_for_approval(source, talk, await source.plan(), serial_numbers)


async def _swap(
    source: Source, talk: Talk, tracker: PairingReport, other: PairingReport, chosen: Chosen, request: SetRequest
) -> None:
    """Both of them in one list, so that neither is ever wanted without the other."""
    exchange = ImportRequest(
        trackers=exchanged(tracker, other, chosen),
        author=request.author,
        reason=request.reason,
        immediate=request.immediate,
        during_session=request.during_session,
    )
    await allowed(talk, exchange, source.import_)
    talk.say(f"{called(tracker)} and {called(other)} shall exchange their {SLOTS[chosen.slot]}s.", "bold")
    await tell(source, talk, [tracker.serial_number, other.serial_number])

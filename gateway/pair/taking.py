"""A tracker gets a sensor: the way through every question that may come up, up to what the technician does next."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.pair.approving import approve_agreed, ask_for_approval
from gateway.pair.choosing import Chosen
from gateway.pair.exchange import entry, exchanged, had, holder_of
from gateway.pair.following import AWAITING_APPROVAL, follow
from gateway.pair.source import Source, allowed
from gateway.pair.words import SLOTS, SensorNames, training
from gateway.pairing.documents import Sensor, Slot, Wanted
from gateway.pairing.report import PairingReport, PairingsReport
from gateway.pairing.requests import ImportRequest, SetRequest, asked
from gateway.terminal.talk import LEFT, Talk
from gateway.terminal.wearers import called


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
        is_swap: If another tracker has it, the two exchange theirs; where somebody can be asked, they are.

    Raises:
        CommandError: If nobody agrees, or the gateway refuses.
        GatewayError: If nobody answers.
    """
    other = holder_of(report, tracker, chosen)
    if other is not None and (is_swap or talk.is_possible):
        await _swap(source, talk, report, (tracker, other), chosen, request)
        return
    await want(source, talk, tracker, {chosen.slot: chosen.sensor}, request)
    talk.say(f"{called(tracker)} shall have the {SLOTS[chosen.slot]} {chosen.sensor.name}.", "bold")
    await tell(source, talk, [tracker.serial_number], chosen.slot)


async def want(
    source: Source, talk: Talk, tracker: PairingReport, wanted: Mapping[Slot, Wanted], request: SetRequest
) -> None:
    """Want something of slots of a tracker.

    Raises:
        RefusedError: If the gateway does.
        GatewayError: If nobody answers.
    """
    request = msgspec.structs.replace(request, **{slot.value: asked(what) for slot, what in wanted.items()})
    await allowed(talk, request, lambda request: source.set(tracker.serial_number, request))


async def tell(source: Source, talk: Talk, serial_numbers: Sequence[str], slot: Slot | None = None) -> None:
    """Tell what becomes of trackers of which something else is wanted now, and ask for the approval that it needs.

    Args:
        source: The gateway.
        talk: Where to print and ask.
        serial_numbers: Of the trackers.
        slot: Of which slot of them, if it is about one.
    """
    reports = await follow(source, talk, serial_numbers, slot)
    if any(report.state == AWAITING_APPROVAL for report in reports):
        await ask_for_approval(source, talk, await source.plan(), serial_numbers)


async def _swap(
    source: Source,
    talk: Talk,
    report: PairingsReport,
    both: tuple[PairingReport, PairingReport],
    chosen: Chosen,
    request: SetRequest,
) -> None:
    """Both of them in one list, so that neither is ever wanted without the other; one question is about all of it."""
    slot, wanted = chosen.slot, exchanged(*both, chosen)
    exchange = ImportRequest(
        trackers=tuple(entry(one, {slot: wanted[one.serial_number]}) for one in both),
        author=request.author,
        reason=request.reason,
        immediate=request.immediate,
        during_session=request.during_session,
    )
    first, second = map(called, both)
    names = SensorNames(wish for wish in wanted.values() if isinstance(wish, Sensor))
    for one in both:
        changed = f"{names.of(had(one, slot))} → {names.of(wanted[one.serial_number])}"
        talk.say(f"{called(one)}, {SLOTS[slot]}: {changed}.")
    if talk.is_possible:
        question = f"Shall {first} and {second} exchange theirs"
        if report.session_until_ms is not None and not request.during_session:
            question = f"{training(report.session_until_ms, datetime.now().astimezone())}. {question} now"
            exchange = msgspec.structs.replace(exchange, during_session=True)
        await talk.agree(f"{question}?", LEFT)
    plan, exchange = await allowed(talk, exchange, source.import_)
    talk.say(f"{first} and {second} shall exchange their {SLOTS[slot]}s.", "bold")
    if talk.is_possible:
        await approve_agreed(source, talk, plan, {(serial, slot): wish for serial, wish in wanted.items()}, exchange)
    await tell(source, talk, list(wanted), slot)

"""A technician says which sensor a tracker shall have, or that it shall have none."""

from gateway.pair.choosing import SLOT_FLAGS, find_sensor
from gateway.pair.source import Source
from gateway.pair.taking import take, tell, want
from gateway.pair.words import SLOTS, sensors_of
from gateway.pairing.documents import Slot, Wish
from gateway.pairing.report import PairingReport
from gateway.pairing.requests import SetRequest
from gateway.terminal.errors import CommandError
from gateway.terminal.talk import Talk, author
from gateway.terminal.wearers import called, find_tracker


async def set_sensor(
    url: str,
    talk: Talk,
    tracker: str,
    sensor: str,
    *,
    name: str | None = None,
    slot: Slot | None = None,
    is_swap: bool = False,
    is_immediate: bool = False,
    is_during_session: bool = False,
    reason: str = "",
) -> None:
    """Want a sensor of a tracker, and tell what happens next.

    Args:
        url: Of the gateway.
        talk: Where to print and ask.
        tracker: Serial number, athlete or number, or a part that only it has.
        sensor: Name, id or address, or a part that only it has.
        name: What the sensor is called, where the gateway does not know.
        slot: What it is for, where the sensor does not tell.
        is_swap: If another tracker has it, the two exchange theirs.
        is_immediate: Tell the tracker at once, not when it starts next.
        is_during_session: Though athletes train.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If one of them is not found, or the gateway refuses.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.pairings()
    found = find_tracker(report.trackers, tracker)
    chosen = find_sensor((await source.sensors()).sensors, sensor, name=name, slot=slot)
    request = SetRequest(author=author(), reason=reason, immediate=is_immediate, during_session=is_during_session)
    await take(source, talk, report, found, chosen, request, is_swap=is_swap)


async def clear(
    url: str,
    talk: Talk,
    tracker: str,
    *,
    slot: Slot | None = None,
    is_unmanaged: bool = False,
    is_immediate: bool = False,
    is_during_session: bool = False,
    reason: str = "",
) -> None:
    """Want that a tracker has no sensor, or want nothing of it any more, and tell what happens next.

    Args:
        url: Of the gateway.
        talk: Where to print and ask.
        tracker: Serial number, athlete or number, or a part that only it has.
        slot: Of which slot; None for the one that is managed, and where both are somebody is asked.
        is_unmanaged: Leave it alone from now on, whatever it has.
        is_immediate: Tell the tracker at once, not when it starts next.
        is_during_session: Though athletes train.
        reason: Why, for those who read it later.

    Raises:
        CommandError: If there is no such tracker, it is not clear which slot is meant, or the gateway refuses.
        GatewayError: If nobody answers.
    """
    source = Source(url)
    report = await source.pairings()
    found = find_tracker(report.trackers, tracker)
    slots = [slot] if slot is not None else await _meant(talk, found)
    wanted = Wish.UNMANAGED if is_unmanaged else Wish.NONE
    request = SetRequest(author=author(), reason=reason, immediate=is_immediate, during_session=is_during_session)
    await want(source, talk, found, dict.fromkeys(slots, wanted), request)
    what = " and ".join(SLOTS[slot] for slot in slots)
    talk.say(f"{called(found)}: {what} {'left alone from now on' if is_unmanaged else 'to be cleared'}.", "bold")
    await tell(source, talk, [found.serial_number], slots[0] if len(slots) == 1 else None)


async def _meant(talk: Talk, tracker: PairingReport) -> list[Slot]:
    """The slots that are meant where none was named: one person's strap must not go with the power meter."""
    managed = {Slot(told.slot): told.desired for told in tracker.slots if told.desired is not Wish.UNMANAGED}
    if not managed:
        raise CommandError(
            f"No sensor of {called(tracker)} is managed by this gateway: say with --slot which one it shall lose."
        )
    if len(managed) == 1:
        return list(managed)
    names = sensors_of([tracker])
    told = " and ".join(f"{SLOTS[slot]} ({names.of(sensor)})" for slot, sensor in managed.items())
    if not talk.is_possible:
        raise CommandError(f"{called(tracker)} has {told}: say with {SLOT_FLAGS} which one.")
    choices = {"1": [Slot.HEART_RATE], "2": [Slot.POWER], "b": list(Slot)}
    talk.say(f"{called(tracker)} has {told}.")
    return await talk.choose("Which one? 1 the strap, 2 the power meter, b both [1/2/b]", choices)

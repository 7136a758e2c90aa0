"""From what a person asks for to what is wanted of the trackers from now on; or a refusal."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import msgspec
from msgspec import UNSET

from gateway.pairing.desired import Basis, Desired, Origin
from gateway.pairing.desk.availability import check_unheld, check_unique, usable
from gateway.pairing.desk.permission import (
    COMMAND,
    Situation,
    check_generation,
    check_kept_here,
    check_writable,
    known,
)
from gateway.pairing.documents import Slot, Wanted, Wish
from gateway.pairing.naming import listed, printable
from gateway.pairing.observation import Observation
from gateway.pairing.planning.changes import change_of, is_drifted, is_many
from gateway.pairing.requests import ImportRequest, PairingRefused, PersonRequest, Refusal, SetRequest


def named(request: SetRequest) -> tuple[Slot, ...]:
    """The slots that a command is about."""
    return tuple(slot for slot in Slot if getattr(request, slot) is not UNSET)


def commanded(situation: Situation, serial_number: str, request: SetRequest) -> Desired:
    """What is wanted of one tracker after a command; raises `PairingRefused`.

    The same as before is wanted anew where the cloud has something else: after a change by somebody else, or while it
    waits for a person, which a command may make needless. Of a slot that it does not name a command says nothing.
    """
    seen, slots = known(situation, serial_number), named(request)
    if not slots:
        raise PairingRefused(Refusal.BAD_MESSAGE, "Say what is wanted of heart_rate, of power, or of both.")
    check_kept_here(situation, [seen], slots)
    check_generation(situation, [(seen, request.generation)])
    command = msgspec.structs.replace(
        seen.desired,
        **{slot: usable(situation, getattr(request, slot), slot) for slot in slots},
        basis=Basis.SCAN if request.is_scanned else Basis.COMMAND,
        author=request.author,
        reason=request.reason,
        at_ms=situation.fleet.now_ms,
        is_immediate=request.immediate,
        is_during_session=request.during_session,
        is_bulk=False,
    )
    command = command.after(seen.desired).about(slots, seen.desired)
    pending = _pending(situation, serial_number)
    is_said = all(slot not in pending or _says_same(command, seen.desired, slot) for slot in slots)
    if command.is_same_as(seen.desired) and is_said and not any(is_drifted(seen, slot) for slot in slots):
        name = situation.label(serial_number)
        text = f"Exactly that is wanted of {name} already: `{COMMAND} explain {serial_number}` says how far it is."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    if any(command[slot] is not Wish.UNMANAGED for slot in slots):
        check_writable(situation, [seen], during_session=request.during_session)
    check_unique(situation, {serial_number: command})
    check_unheld(situation, {serial_number: command})
    return command


def imported(situation: Situation, request: ImportRequest) -> dict[str, Desired]:
    """What is wanted of those trackers of a list of which it wants something else; raises `PairingRefused`.

    What a list repeats is no change: a list that was exported can be imported, and is no verdict on what somebody else
    has changed meanwhile.
    """
    trackers = {seen.serial_number: seen for seen in situation.fleet.trackers}
    _check_list(situation, request)
    check_generation(situation, [(trackers[entry.serial_number], entry.generation) for entry in request.trackers])
    changed: dict[str, Desired] = {}
    for entry in request.trackers:
        seen = trackers[entry.serial_number]
        wanted = msgspec.structs.replace(
            seen.desired,
            heart_rate=usable(situation, entry.heart_rate, Slot.HEART_RATE),
            power=usable(situation, entry.power, Slot.POWER),
            basis=Basis.IMPORT,
            author=request.author,
            reason=request.reason,
            at_ms=situation.fleet.now_ms,
            is_immediate=request.immediate,
            is_during_session=request.during_session,
        )
        if different := wanted.differing(seen.desired):
            changed[entry.serial_number] = wanted.after(seen.desired).about(different, seen.desired)
    check_kept_here(situation, [trackers[serial] for serial in changed])
    managed = [trackers[serial] for serial, wanted in changed.items() if wanted.managed]
    written = [seen for seen in managed if _is_to_be_written(seen, changed[seen.serial_number])]
    check_writable(situation, written, during_session=request.during_session)
    check_unique(situation, changed)
    check_unheld(situation, changed)
    is_bulk = is_many(len(managed), len(trackers))
    return {serial: msgspec.structs.replace(wanted, is_bulk=is_bulk) for serial, wanted in changed.items()}


def adopted(situation: Situation, serial_number: str | None, request: PersonRequest) -> dict[str, Desired]:
    """What the cloud has becomes what is wanted; raises `PairingRefused`.

    Of one tracker, whatever its target has. Of all trackers, only where nobody waits for another change: slots that
    somebody else has changed, and trackers of which nothing was wanted. Slots that are not managed stay so, but of a
    tracker of which nothing was wanted the sensors that it has are taken over.
    """
    if serial_number is None:
        chosen = [seen for seen in situation.fleet.trackers if _is_adoptable(seen)]
    else:
        chosen = [known(situation, serial_number)]
        check_kept_here(situation, chosen)
        if chosen[0].documents is None:
            text = f"The cloud has not told yet what {situation.label(serial_number)} listens to: wait a minute."
            raise PairingRefused(Refusal.NOT_READ_YET, text)
    changed = {}
    for seen in chosen:
        wanted = msgspec.structs.replace(
            seen.desired,
            **dict(_taken_over(seen, is_drift_only=serial_number is None)),
            basis=Basis.ADOPTED,
            author=request.author,
            reason=request.reason,
            at_ms=situation.fleet.now_ms,
            is_immediate=False,
            is_during_session=False,
            is_bulk=False,
        )
        if different := wanted.differing(seen.desired):
            changed[seen.serial_number] = wanted.after(seen.desired).about(different, seen.desired)
    if not changed:
        name = situation.label(serial_number) if serial_number is not None else "the trackers"
        text = f"There is nothing to adopt: `{COMMAND} list` shows what is wanted of {name}, and what is different."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    check_unique(situation, changed)
    return changed


def _check_list(situation: Situation, request: ImportRequest) -> None:
    strangers = [entry.serial_number for entry in request.trackers if entry.serial_number not in situation.wearers]
    if strangers:
        serials = listed([f'"{printable(serial)}"' for serial in strangers])
        text = f"This gateway has no tracker {serials}: correct the list, or add what is missing to [[trackers]]."
        raise PairingRefused(Refusal.UNKNOWN_TRACKER, text)
    times = Counter(entry.serial_number for entry in request.trackers)
    repeated = [situation.label(serial) for serial, count in times.items() if count > 1]
    if repeated:
        text = f"The list names {listed(repeated)} more than once: leave one line of each."
        raise PairingRefused(Refusal.BAD_MESSAGE, text)


def _is_to_be_written(seen: Observation, wanted: Desired) -> bool:
    """Whether the cloud has, or may have, something else than is wanted."""
    supposed = replace(seen, desired=wanted)
    return seen.documents is None or any(change_of(supposed, slot) is not None for slot in wanted.managed)


def _pending(situation: Situation, serial_number: str) -> set[Slot]:
    """The slots of a tracker that are to change."""
    changes = (change for group in situation.plan.change_sets for change in group.changes)
    return {change.slot for change in changes if change.serial_number == serial_number}


def _says_same(command: Desired, before: Desired, slot: Slot) -> bool:
    said, was_said = command.word(slot), before.word(slot)
    return (said.basis.is_command, said.is_immediate, said.is_during_session) == (
        was_said.basis.is_command,
        was_said.is_immediate,
        was_said.is_during_session,
    )


def _is_adoptable(seen: Observation) -> bool:
    is_free = not seen.desired.managed or any(is_drifted(seen, slot) for slot in Slot)
    return seen.documents is not None and seen.desired.origin is Origin.FIELD and is_free


def _taken_over(seen: Observation, *, is_drift_only: bool) -> Iterator[tuple[str, Wanted]]:
    for slot in Slot:
        found = seen.documents.target[slot] if seen.documents is not None else None
        if slot in seen.desired.managed:
            if is_drifted(seen, slot) or not is_drift_only:
                yield slot, found or Wish.NONE
        elif found is not None and not seen.desired.managed:
            yield slot, found

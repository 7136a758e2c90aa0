"""What is remembered of a tracker after each step: pure transitions of `Memory`.

A write leaves its intent in the memory until a reading says what has become of it, whatever happened in between. What
changes in a target without an intent of ours was changed by somebody else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from msgspec.structs import replace

from gateway.pairing.desired import Desired
from gateway.pairing.documents import ClearForm, Document, Documents, Sensor, Slot
from gateway.pairing.memory import Intent, Memory, Refusal, Renaming
from gateway.pairing.planning.plan import Write

SETTLING_MS = 30_000
"""How long the cloud may tell the old target though it has acknowledged another: a reading may come from a copy."""

LATE_MS = 15 * 60_000
"""How long a write that was not there may still turn up: as long as anything in between could hold it."""

RIVAL_MS, RIVAL_CHANGES = 600_000, 3
"""So many changes by others in so short a time are no technician's."""

_KEPT = 8


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that belongs into the story of a tracker.

    Attributes:
        reason: What, a short word.
        text: One sentence without full stop.
        slot: Of which slot; None if of the tracker.
    """

    reason: str
    text: str
    slot: Slot | None = None


Change = Callable[[Memory], tuple[Memory, tuple[Happening, ...]]]
"""A step: from what was remembered to what is, and what has happened."""


def with_intent(memory: Memory, write: Write, form: ClearForm, now_ms: int) -> Memory:
    """Before a write, to be on disk before anything is sent."""
    form_used = form if None in write.changes.values() else None
    slots = tuple(slot for slot in Slot if slot in write.changes)
    intent = Intent(write.base, write.payload, slots, write.generation, write.fingerprint, now_ms, form_used)
    return replace(memory, intent=intent)


def without_intent(memory: Memory) -> Memory:
    """After a write of which nothing reached the cloud, or that the cloud certainly did not do."""
    return replace(memory, intent=None)


def after_answer(memory: Memory, answer: Document, now_ms: int) -> Memory:
    """After the cloud said that it has done a write: still to be read back."""
    if memory.intent is None:
        return memory
    return replace(memory, intent=replace(memory.intent, acknowledged_ms=now_ms, answer=answer))


def after_refusal(memory: Memory, kind: Refusal.Kind, text: str = "") -> Memory:
    """After the cloud did not take a write for its content: the same is never sent again."""
    intent = memory.intent
    if intent is None:
        return memory
    refusal = Refusal(intent.fingerprint, kind, text, intent.form)
    others = [known for known in memory.refusals if known.fingerprint != refusal.fingerprint]
    return replace(memory, intent=None, refusals=(*others, refusal)[-_KEPT:])


def with_form(memory: Memory, form: ClearForm) -> Memory:
    """Under a setting for how slots are cleared: what was refused in another form may be tried in this one."""
    refusals = tuple(known for known in memory.refusals if known.form in {None, form})
    return memory if refusals == memory.refusals else replace(memory, refusals=refusals)


def after_reading(
    memory: Memory, documents: Documents, desired: Desired, now_ms: int
) -> tuple[Memory, tuple[Happening, ...]]:
    """After the cloud said what a tracker's documents are: what became of our write, and what others did.

    Args:
        memory: What was remembered.
        documents: What was read.
        desired: What is wanted of the tracker.
        now_ms: Epoch ms.
    """
    target, expected = documents.target, memory.target
    happened: tuple[Happening, ...] = ()
    if memory.intent is not None:
        memory, expected, happened = _resolved(memory, memory.intent, target, now_ms)
    if expected is not None:
        memory, foreign = _judged(memory, expected, target, desired, now_ms)
        happened += foreign
    differing = _differing(memory, target, desired)
    in_place = {slot for slot in desired.managed if slot not in differing}
    if expected is not None:
        in_place |= set(desired.managed) - set(_differing(memory, expected, desired))
    drifted = {slot: wanted for slot, wanted in memory.drifted.items() if slot in differing and wanted == desired[slot]}
    served = memory.served | {slot: desired[slot] for slot in Slot if slot in in_place}
    memory = replace(memory, target=target, current=documents.current, drifted=drifted, served=served)
    return memory, happened


class _Found(Enum):
    """What a slot has after a write that was to change it."""

    WRITTEN = auto()
    OLD = auto()
    OTHER = auto()


_Resolved = tuple[Memory, Document, tuple[Happening, ...]]
"""The memory; what was to be expected in the target then, so that all else is the work of others; what happened."""


def _resolved(memory: Memory, intent: Intent, target: Document, now_ms: int) -> _Resolved:
    found = {slot: _found(memory, intent, slot, target) for slot in intent.changed}
    if _Found.OTHER in found.values():
        return _overtaken(memory, intent, target, now_ms)
    if _Found.OLD not in found.values():
        return _landed(memory, intent, target, now_ms)
    expected = _with_slots(_last_known(memory, intent), target, intent.changed)
    if intent.acknowledged_ms is None:
        return _lapsed(memory, intent, now_ms), expected, (_happening("NotArrived", intent),)
    if 0 <= now_ms - intent.acknowledged_ms < SETTLING_MS:
        return memory, expected, ()
    if all(
        kind is _Found.WRITTEN or _is_same_address(target[slot], intent.payload[slot]) for slot, kind in found.items()
    ):
        return _landed(memory, intent, target, now_ms)
    return after_refusal(memory, Refusal.Kind.NOT_ECHOED), expected, (_happening("NotEchoed", intent),)


def _found(memory: Memory, intent: Intent, slot: Slot, target: Document) -> _Found:
    kept, old, wanted = target[slot], intent.base[slot], intent.payload[slot]
    if memory.is_same(kept, wanted) or (kept != old and _is_same_address(kept, wanted)):
        return _Found.WRITTEN
    return _Found.OLD if kept == old else _Found.OTHER


def _landed(memory: Memory, intent: Intent, target: Document, now_ms: int) -> _Resolved:
    known = memory.renamings
    for slot in intent.changed:
        wanted, kept = intent.payload[slot], target[slot]
        if wanted is not None and kept is not None and not memory.is_same(kept, wanted):
            known = (*known, Renaming(wanted, kept))[-_KEPT:]
    expected = _with_slots(_last_known(memory, intent), target, intent.changed)
    drifted = {slot: wanted for slot, wanted in memory.drifted.items() if slot not in intent.changed}
    landed = replace(memory, intent=None, ours=target, ours_ms=now_ms, drifted=drifted, renamings=known)
    return landed, expected, (_happening("Written", intent),)


def _lapsed(memory: Memory, intent: Intent, now_ms: int) -> Memory:
    """It was not there at this time, when it was looked for."""
    return replace(memory, intent=None, late=replace(intent, at_ms=now_ms))


def _overtaken(memory: Memory, intent: Intent, target: Document, now_ms: int) -> _Resolved:
    """Something stands there that is neither what was before nor what we wrote."""
    answer, known = intent.answer, _last_known(memory, intent)
    if answer is None:
        return _lapsed(memory, intent, now_ms), known, (_happening("NotArrived", intent),)
    if all(_found(memory, intent, slot, answer) is _Found.WRITTEN for slot in intent.changed):
        written = replace(memory, intent=None, ours=answer, ours_ms=now_ms)
        return written, _with_slots(known, answer, intent.changed), (_happening("Written", intent),)
    expected = _with_slots(known, target, intent.changed)
    return after_refusal(memory, Refusal.Kind.NOT_ECHOED), expected, (_happening("NotEchoed", intent),)


def _judged(
    memory: Memory, expected: Document, target: Document, desired: Desired, now_ms: int
) -> tuple[Memory, tuple[Happening, ...]]:
    """What others did to the slots that are ours to judge."""
    foreign = tuple(slot for slot in desired.managed if not memory.is_same(target[slot], expected[slot]))
    if not foreign:
        return memory, ()
    late = memory.late
    if late is not None and 0 <= now_ms - late.at_ms < LATE_MS and _is_of(memory, late, target, foreign):
        return replace(memory, late=None, ours=target, ours_ms=now_ms), (_happening("ArrivedLate", late),)
    times = (*memory.foreign_ms, now_ms)[-_KEPT:]
    happened = [Happening("ChangedByOther", f"Somebody else has changed the {slot.label}", slot) for slot in foreign]
    rival_since_ms = memory.rival_since_ms
    if rival_since_ms is None and sum(0 <= now_ms - at_ms < RIVAL_MS for at_ms in times) >= RIVAL_CHANGES:
        rival_since_ms = now_ms
        happened.append(Happening("DuplicateController", "Another controller keeps changing the sensors"))
    drifted = memory.drifted | {slot: desired[slot] for slot in foreign}
    memory = replace(memory, foreign_ms=times, rival_since_ms=rival_since_ms, drifted=drifted)
    return memory, tuple(happened)


def _differing(memory: Memory, target: Document, desired: Desired) -> tuple[Slot, ...]:
    """The managed slots of a target that are not as desired."""
    wanted = {slot: sensor if isinstance(sensor := desired[slot], Sensor) else None for slot in desired.managed}
    return tuple(slot for slot in wanted if not memory.is_same(target[slot], wanted[slot]))


def _is_of(memory: Memory, late: Intent, target: Document, slots: Sequence[Slot]) -> bool:
    return all(slot in late.changed and memory.is_same(target[slot], late.payload[slot]) for slot in slots)


def _last_known(memory: Memory, intent: Intent) -> Document:
    """The target as it was read last; what others do to a slot that is not written is told once."""
    return intent.base if memory.target is None else memory.target


def _with_slots(document: Document, other: Document, slots: Sequence[Slot]) -> Document:
    """A document with some slots of another."""
    for slot in slots:
        document = document.with_(slot, other[slot])
    return document


def _is_same_address(kept: Sensor | None, wanted: Sensor | None) -> bool:
    return kept is not None and wanted is not None and kept.address == wanted.address


_TEXTS = {
    "Written": "The cloud has the new {slots}",
    "NotArrived": "A change of the {slots} did not arrive in the cloud",
    "ArrivedLate": "A change of the {slots} arrived in the cloud after all",
    "NotEchoed": "The cloud accepted new {slots} and did not keep them",
}


def _happening(reason: str, intent: Intent) -> Happening:
    slots = " and ".join(slot.label for slot in intent.changed)
    return Happening(
        reason, _TEXTS[reason].format(slots=slots), intent.changed[0] if len(intent.changed) == 1 else None
    )

"""What must be remembered of a tracker so that a restart, or a power cut in the middle of a write, changes nothing."""

import hashlib
from enum import StrEnum

import msgspec
from msgspec import Struct

from gateway.pairing.documents import ClearForm, Document, Sensor, Slot, Wanted


class Intent(Struct, frozen=True):
    """A write that may have reached the cloud: journaled before it is sent, gone when its outcome is known.

    Attributes:
        base: The target that it replaces.
        payload: The target that it makes.
        changed: The slots in which the two differ.
        generation: Of what was desired.
        fingerprint: Of that generation and of what is sent.
        at_ms: When, epoch ms.
        form: How a slot is cleared by it; None if none is.
        acknowledged_ms: When the cloud answered that it has it, epoch ms; None if it did not.
        answer: The target that was in that answer.
    """

    base: Document
    payload: Document
    changed: tuple[Slot, ...]
    generation: int
    fingerprint: str
    at_ms: int
    form: ClearForm | None = None
    acknowledged_ms: int | None = None
    answer: Document | None = None


class Suspension(Struct, frozen=True):
    """Somebody has stopped our writes.

    Attributes:
        author: Who.
        reason: Why, in their words.
        at_ms: When, epoch ms.
    """

    author: str
    reason: str
    at_ms: int


class Renaming(Struct, frozen=True):
    """The cloud took a sensor and keeps its name in its own way; the two count as the same."""

    wanted: Sensor
    kept: Sensor


class Refusal(Struct, frozen=True):
    """What the cloud does not take, so that it is never sent again.

    Attributes:
        fingerprint: As in `Intent`.
        kind: How it was refused.
        text: In words, one clause without anything the cloud wrote; "" where there is nothing to add.
        form: How a slot was to be cleared by it, so that another way may be tried; None if none was.
    """

    class Kind(StrEnum):
        """How."""

        REJECTED = "rejected"  # answered with an error about its content
        NOT_ECHOED = "not_echoed"  # accepted, and not there when it was read back

    fingerprint: str
    kind: Kind
    text: str = ""
    form: ClearForm | None = None


class Memory(Struct, frozen=True):
    """Of one tracker; what is None was never so.

    Attributes:
        target: The cloud's target when we last knew it: read, or written and read back.
        current: The cloud's current document when it was last read.
        intent: A write whose outcome is not known.
        late: The last write that was not there when it was looked for, at its `at_ms`; what it makes is ours if it
            turns up after all.
        ours: The target that we wrote last and found there.
        ours_ms: When it was found there, epoch ms.
        drifted: What was wanted of a slot when somebody else made its target something else. It counts as long as the
            same is wanted, the target is not that again, and no person has wanted just that once more.
        served: What was wanted of a slot when its target last was just that.
        foreign_ms: When somebody else changed the target, epoch ms, newest last, a few of them.
        rival_since_ms: Since when another controller is taken to write too, epoch ms: only a person ends that.
        refusals: What the cloud does not take.
        renamings: Names that the cloud keeps in its own way.
        suspension: Who has stopped our writes.
    """

    target: Document | None = None
    current: Document | None = None
    intent: Intent | None = None
    late: Intent | None = None
    ours: Document | None = None
    ours_ms: int | None = None
    drifted: dict[Slot, Wanted] = {}
    served: dict[Slot, Wanted] = {}
    foreign_ms: tuple[int, ...] = ()
    rival_since_ms: int | None = None
    refusals: tuple[Refusal, ...] = ()
    renamings: tuple[Renaming, ...] = ()
    suspension: Suspension | None = None

    def is_same(self, kept: Sensor | None, wanted: Sensor | None) -> bool:
        """Whether what the cloud keeps is what is wanted, its own way with names aside."""
        return kept == wanted or any((known.wanted, known.kept) == (wanted, kept) for known in self.renamings)


def fingerprint(generation: int, payload: Document) -> str:
    """By what a write is recognized, whoever agreed to it and however it is sent."""
    content = msgspec.json.encode((generation, payload), order="deterministic")
    return hashlib.sha256(content).hexdigest()[:12]

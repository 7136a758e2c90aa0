"""What we want of one tracker, and who wanted it."""

from collections.abc import Container
from enum import StrEnum

import msgspec
from msgspec import Struct

from gateway.pairing.documents import Slot, Wanted, Wish


class Origin(StrEnum):
    """Where a desired document is kept; a tracker has one of them and never a mixture.

    FILE: In the configuration, the only place to change it.
    FIELD: In the store, where technicians change it.
    """

    FILE = "file"
    FIELD = "field"


class Basis(StrEnum):
    """How somebody came to want it, which decides whether somebody has to approve.

    COMMAND: A technician said so about this one tracker: the command is the approval.
    SCAN: The same, with a sensor that was held to the gateway.
    FILE: It stands in the configuration.
    IMPORT: It came with a list for several trackers.
    ADOPTED: The cloud had it, and a person took it over.
    """

    COMMAND = "command"
    SCAN = "scan"
    FILE = "file"
    IMPORT = "import"
    ADOPTED = "adopted"

    @property
    def is_command(self) -> bool:
        """Whether the command is the approval."""
        return self in {Basis.COMMAND, Basis.SCAN, Basis.ADOPTED}


class Word(Struct, frozen=True):
    """What was said with a wish, as far as it decides what may be done: as in `Desired`."""

    basis: Basis
    is_immediate: bool
    is_during_session: bool
    is_bulk: bool


class Desired(Struct, frozen=True):
    """Of one tracker.

    Who speaks of one slot says nothing of the other: what was said of that one before still holds.

    Attributes:
        heart_rate, power: What is wanted of each slot.
        generation: Grows by one with each real change of these two; 0 where nothing was ever wanted.
        origin: Where it is kept.
        basis: How the last word came about; as all that follows.
        author: Who wanted it.
        reason: Why, in their words.
        at_ms: When, epoch ms.
        is_immediate: Whether the tracker is told at once and not when it starts next.
        is_during_session: Whether it may be written while athletes train.
        is_bulk: Whether it came together with that of so many other trackers that a person has to look at them all.
        since: With which generation a slot became what it is, where that was before the last one.
        earlier: What was said before of a slot that the last word was not about.
    """

    heart_rate: Wanted = Wish.UNMANAGED
    power: Wanted = Wish.UNMANAGED
    generation: int = 0
    origin: Origin = Origin.FIELD
    basis: Basis = Basis.COMMAND
    author: str = ""
    reason: str = ""
    at_ms: int = 0
    is_immediate: bool = False
    is_during_session: bool = False
    is_bulk: bool = False
    since: dict[Slot, int] = {}
    earlier: dict[Slot, Word] = {}

    def __getitem__(self, slot: Slot) -> Wanted:
        """What is wanted of a slot."""
        return self.heart_rate if slot is Slot.HEART_RATE else self.power

    @property
    def managed(self) -> tuple[Slot, ...]:
        """The slots of which something is wanted."""
        return tuple(slot for slot in Slot if self[slot] is not Wish.UNMANAGED)

    def word(self, slot: Slot) -> Word:
        """What was said of a slot."""
        last = Word(self.basis, self.is_immediate, self.is_during_session, self.is_bulk)
        return self.earlier.get(slot, last)

    def generation_of(self, slot: Slot) -> int:
        """Of the tracker's generations, that with which the slot became what it is."""
        return self.since.get(slot, self.generation)

    def is_same_as(self, other: "Desired") -> bool:
        """Whether the same is wanted."""
        return not self.differing(other)

    def differing(self, other: "Desired") -> tuple[Slot, ...]:
        """The slots of which something else is wanted."""
        return tuple(slot for slot in Slot if self[slot] != other[slot])

    def after(self, before: "Desired") -> "Desired":
        """This one as the successor of another: its generations, larger only where something else is wanted."""
        different = self.differing(before)
        generation = before.generation + (1 if different else 0)
        since = {slot: before.generation_of(slot) for slot in self.managed if slot not in different}
        return msgspec.structs.replace(self, generation=generation, since=since)

    def about(self, slots: Container[Slot], before: "Desired") -> "Desired":
        """This one with a last word that is about these slots only."""
        earlier = {slot: before.word(slot) for slot in self.managed if slot not in slots}
        return msgspec.structs.replace(self, earlier=earlier)

"""What we want of one tracker, and who wanted it."""

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


class Desired(Struct, frozen=True):
    """Of one tracker.

    Attributes:
        heart_rate, power: What is wanted of each slot.
        generation: Grows by one with each real change of these two; 0 where nothing was ever wanted.
        origin: Where it is kept.
        basis: How it came about.
        author: Who wanted it.
        reason: Why, in their words.
        at_ms: When, epoch ms.
        is_immediate: Whether the tracker is told at once and not when it starts next.
        is_during_session: Whether it may be written while athletes train.
        is_bulk: Whether it came together with that of so many other trackers that a person has to look at them all.
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

    def __getitem__(self, slot: Slot) -> Wanted:
        """What is wanted of a slot."""
        return self.heart_rate if slot is Slot.HEART_RATE else self.power

    @property
    def managed(self) -> tuple[Slot, ...]:
        """The slots of which something is wanted."""
        return tuple(slot for slot in Slot if self[slot] is not Wish.UNMANAGED)

    def is_same_as(self, other: "Desired") -> bool:
        """Whether the same is wanted."""
        return (self.heart_rate, self.power) == (other.heart_rate, other.power)

    def after(self, before: "Desired") -> "Desired":
        """This one as the successor of another: its generation, larger only if something else is wanted."""
        generation = before.generation + (0 if self.is_same_as(before) else 1)
        return msgspec.structs.replace(self, generation=generation)

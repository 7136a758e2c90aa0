"""What is to change, in groups that a person approves as one, and whether a person has to."""

from enum import StrEnum

from msgspec import Struct

from gateway.pairing.approval import Change


class Why(StrEnum):
    """Why a person must approve a group of changes."""

    SWAP = "swap"  # a sensor moves from one tracker to another
    REMOVAL = "removal"  # a tracker loses a sensor, and nobody commanded just that
    BULK = "bulk"  # many trackers at once
    DRIFT = "drift"  # somebody else wanted it as it is


class ChangeSet(Struct, frozen=True):
    """Changes that belong together: one tracker's, or those of all trackers between which sensors move.

    Attributes:
        hash: Of the changes.
        changes: In the order of the roster.
        why: Why a person must approve; empty if nobody must.
        is_approved: Whether nobody must, or somebody has.
    """

    hash: str
    changes: tuple[Change, ...]
    why: tuple[Why, ...]
    is_approved: bool

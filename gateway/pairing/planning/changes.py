"""What is to change, in groups that a person approves as one, and whether a person has to."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from gateway.pairing.approval import Approval, Change, Consents, consents, covering
from gateway.pairing.desired import Basis
from gateway.pairing.documents import Sensor, Slot, Wanted, Wish
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Fleet, Mode, Observation
from gateway.pairing.planning.holding import Holds, Where, holds_of

HOUR_MS = 3_600_000


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


def same(wanted: Wanted, seen: Sensor | None, memory: Memory) -> bool:
    """Whether a slot is as wanted, as is any of which nothing is wanted."""
    if wanted is Wish.UNMANAGED:
        return True
    return memory.is_same(seen, wanted if isinstance(wanted, Sensor) else None)


def is_many(trackers: int, fleet: int) -> bool:
    """Whether a person has to look at changes because they are of so many trackers of a fleet at once."""
    return trackers > 5 or (trackers >= 2 and trackers * 5 > fleet)


def is_drifted(observation: Observation) -> bool:
    """Whether somebody else has changed the tracker's target away from what is still desired."""
    return observation.memory.drifted_generation == observation.desired.generation


def change_of(observation: Observation, slot: Slot) -> Change | None:
    """What would become different in a slot; None if nothing, or if its target is not known yet."""
    wanted = observation.desired[slot]
    if observation.documents is None:
        return None
    before = observation.documents.target[slot]
    if same(wanted, before, observation.memory):
        return None
    after = wanted if isinstance(wanted, Sensor) else None
    return Change(observation.serial_number, slot, before, after, observation.desired.generation)


def hash_of(changes: Iterable[Change]) -> str:
    """By what a person names these changes: 12 hexadecimal digits, whatever their order; "" for none."""
    ordered = sorted(changes, key=lambda change: (change.serial_number, change.slot))
    return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()[:12] if ordered else ""


def change_sets(fleet: Fleet) -> tuple[ChangeSet, ...]:
    """All that is to change, in the order of the roster.

    Not in it is what we cannot change (another account's tracker) and what we only watch (drift in `Mode.OBSERVE`).
    """
    observations = {observation.serial_number: observation for observation in fleet.trackers}
    changes = {serial_number: _changes(it, fleet.mode) for serial_number, it in observations.items()}
    changes = {serial_number: its for serial_number, its in changes.items() if its}
    holds = holds_of(fleet)
    is_bulk_drift = is_many(sum(is_drifted(observations[it]) for it in changes), len(fleet.trackers))
    given = consents(fleet.approvals)
    found = []
    for group in _groups(changes, holds):
        members = tuple(change for serial_number in group for change in changes[serial_number])
        reasons = {why for it in members for why in _whys(it, observations[it.serial_number], fleet, holds)}
        if is_bulk_drift and fleet.mode is Mode.ENFORCE and any(is_drifted(observations[it]) for it in group):
            reasons.add(Why.BULK)
        why = tuple(why for why in Why if why in reasons)
        is_approved = not why or all(_is_covered(it, given, observations, fleet.now_ms) for it in members)
        found.append(ChangeSet(hash_of(members), members, why, is_approved))
    return tuple(found)


def approval_of(
    changes: Sequence[Change],
    fleet: Fleet,
    author: str,
    *,
    is_during_session: bool = False,
    is_immediate: bool = False,
    is_unconfirmed_ok: bool = False,
) -> Approval:
    """A person's consent, given now: it holds a day, or 15 min if a sensor was held to the gateway."""
    about = {change.serial_number for change in changes}
    is_scan = any(it.desired.basis is Basis.SCAN for it in fleet.trackers if it.serial_number in about)
    return Approval(
        hash=hash_of(changes),
        changes=tuple(changes),
        author=author,
        at_ms=fleet.now_ms,
        expires_ms=fleet.now_ms + (HOUR_MS // 4 if is_scan else 24 * HOUR_MS),
        is_during_session=is_during_session,
        is_immediate=is_immediate,
        is_unconfirmed_ok=is_unconfirmed_ok,
    )


def living(fleet: Fleet) -> tuple[Approval, ...]:
    """The approvals that still matter: not expired, or begun and not done. The others can be forgotten."""
    observations = {observation.serial_number: observation for observation in fleet.trackers}

    def is_open(approved: Change) -> bool:
        observation = observations.get(approved.serial_number)
        if observation is None or observation.desired.generation != approved.generation:
            return False
        return observation.documents is None or change_of(observation, approved.slot) is not None

    return tuple(
        it
        for it in fleet.approvals
        if fleet.now_ms < it.expires_ms or (it.has_begun and any(is_open(change) for change in it.changes))
    )


def _changes(observation: Observation, mode: Mode) -> tuple[Change, ...]:
    if observation.is_ours is False or (mode is Mode.OBSERVE and is_drifted(observation)):
        return ()
    changes = (change_of(observation, slot) for slot in observation.desired.managed)
    return tuple(change for change in changes if change is not None)


def _givers(change: Change, holds: Holds) -> set[str]:
    """The other trackers from which a change takes its sensor; not those that lose it anyway when they start."""
    found = holds.get(change.after.address, ()) if change.after is not None else ()
    return {hold.place[0] for hold in found if hold.where is Where.TARGET} - {change.serial_number}


def _whys(change: Change, observation: Observation, fleet: Fleet, holds: Holds) -> Iterator[Why]:
    desired, drifted = observation.desired, is_drifted(observation)
    if _givers(change, holds):
        yield Why.SWAP
    if change.after is None and not desired.basis.is_command:
        yield Why.REMOVAL
    if desired.is_bulk and not _was_done(observation):
        yield Why.BULK
    if drifted and fleet.mode is Mode.PROPOSE:
        yield Why.DRIFT


def _was_done(observation: Observation) -> bool:
    """Whether we once made the target all that is still desired: what is different since then came one by one."""
    desired, memory = observation.desired, observation.memory
    return memory.ours is not None and all(same(desired[slot], memory.ours[slot], memory) for slot in desired.managed)


def _groups(changes: Mapping[str, Sequence[Change]], holds: Holds) -> Iterator[list[str]]:
    """Trackers between which sensors move, directly or by way of others, in the order of the roster."""
    neighbours: dict[str, set[str]] = {serial_number: set() for serial_number in changes}
    for serial_number, its in changes.items():
        for giver in {giver for change in its for giver in _givers(change, holds)} & changes.keys():
            neighbours[serial_number].add(giver)
            neighbours[giver].add(serial_number)
    order = {serial_number: place for place, serial_number in enumerate(changes)}
    left = set(changes)
    for first in changes:
        if first not in left:
            continue
        left.remove(first)
        group = [first]
        for serial_number in group:
            reached = neighbours[serial_number] & left
            left -= reached
            group.extend(reached)
        yield sorted(group, key=order.__getitem__)


def _is_covered(change: Change, given: Consents, observations: Mapping[str, Observation], now_ms: int) -> bool:
    return covering(change, given, observations[change.serial_number].memory, now_ms)[0] is not None

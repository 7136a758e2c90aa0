"""What is to change, in groups that a person approves as one, and whether a person has to."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from gateway.pairing.approval import Approval, Change, Consents, consents, covering
from gateway.pairing.desired import Basis
from gateway.pairing.documents import Document, Sensor, Slot, Wanted, Wish
from gateway.pairing.memory import Memory, fingerprint
from gateway.pairing.observation import Fleet, Mode, Observation
from gateway.pairing.planning.holding import Holds, Place, Where, holds_of

HOUR_MS = 3_600_000


class Why(StrEnum):
    """Why a person must approve a group of changes."""

    SWAP = "swap"  # a sensor moves from one tracker to another
    REMOVAL = "removal"  # a tracker loses a sensor, and nobody commanded just that
    BULK = "bulk"  # many trackers at once
    DRIFT = "drift"  # somebody else wanted it as it is


class ChangeSet(Struct, frozen=True):
    """Changes that belong together: those of slots between which sensors move, or of one tracker by one word.

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


def is_drifted(observation: Observation, slot: Slot) -> bool:
    """Whether somebody else has changed the target of a slot away from what is still desired."""
    return observation.memory.drifted.get(slot) == observation.desired[slot]


def is_watched(observation: Observation, slot: Slot, mode: Mode) -> bool:
    """Whether what somebody else did to a slot is only told."""
    return mode is Mode.OBSERVE and is_drifted(observation, slot)


def change_of(observation: Observation, slot: Slot) -> Change | None:
    """What would become different in a slot; None if nothing, or if its target is not known yet."""
    if observation.documents is None:
        return None
    is_same = same(observation.desired[slot], observation.documents.target[slot], observation.memory)
    return None if is_same else as_change(observation, observation.documents.target, slot)


def as_change(observation: Observation, target: Document, slot: Slot) -> Change:
    """A slot of a target and what is desired of it, whether or not the two differ."""
    wanted, generation = observation.desired[slot], observation.desired.generation_of(slot)
    after = wanted if isinstance(wanted, Sensor) else None
    return Change(observation.serial_number, slot, target[slot], after, generation)


def is_refused(observation: Observation, slot: Slot) -> bool:
    """Whether the cloud is known not to take what is desired of a slot, be it alone or together with the other."""
    desired, memory = observation.desired, observation.memory
    if observation.documents is None or not memory.refusals or change_of(observation, slot) is None:
        return False
    alone = both = observation.documents.target
    for other in desired.managed:
        after = as_change(observation, both, other).after
        both = both.with_(other, after)
        alone = alone.with_(other, after) if other is slot else alone
    refused = {it.fingerprint for it in memory.refusals}
    return any(fingerprint(desired.generation, payload) in refused for payload in (alone, both))


def hash_of(changes: Iterable[Change]) -> str:
    """By what a person names these changes: 12 hexadecimal digits, whatever their order; "" for none."""
    ordered = sorted(changes, key=lambda change: (change.serial_number, change.slot))
    return hashlib.sha256(msgspec.json.encode(ordered)).hexdigest()[:12] if ordered else ""


def change_sets(fleet: Fleet) -> tuple[ChangeSet, ...]:
    """All that is to change, in the order of the roster.

    Not in it is what we cannot change (another account's tracker) and what we only watch (drift in `Mode.OBSERVE`).
    """
    observations = {observation.serial_number: observation for observation in fleet.trackers}
    changes = {
        (change.serial_number, change.slot): change
        for observation in fleet.trackers
        for change in _changes(observation, fleet.mode)
    }
    holds = holds_of(fleet)
    drifting = {place[0] for place in changes if is_drifted(observations[place[0]], place[1])}
    is_bulk_drift = fleet.mode is Mode.ENFORCE and is_many(len(drifting), len(fleet.trackers))
    whys = {
        place: frozenset(_whys(change, observations[place[0]], fleet.mode, holds, is_bulk_drift=is_bulk_drift))
        for place, change in changes.items()
    }
    given = consents(fleet.approvals)
    found = []
    for group in _groups(changes, observations, holds):
        members = tuple(changes[place] for place in group)
        why = tuple(why for why in Why if any(why in whys[place] for place in group))
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
    trackers = {it.serial_number: it for it in fleet.trackers}
    is_scan = any(
        trackers[it.serial_number].desired.word(it.slot).basis is Basis.SCAN
        for it in changes
        if it.serial_number in trackers
    )
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
        if observation is None or observation.desired.generation_of(approved.slot) != approved.generation:
            return False
        return observation.documents is None or change_of(observation, approved.slot) is not None

    return tuple(
        it
        for it in fleet.approvals
        if fleet.now_ms < it.expires_ms or (it.has_begun and any(is_open(change) for change in it.changes))
    )


def _changes(observation: Observation, mode: Mode) -> Iterator[Change]:
    if observation.is_ours is False:
        return
    for slot in observation.desired.managed:
        change = change_of(observation, slot)
        if change is not None and not is_watched(observation, slot, mode):
            yield change


def _givers(change: Change, holds: Holds) -> set[Place]:
    """The other slots from which a change takes its sensor; not those that lose it anyway when their tracker starts."""
    found = holds.get(change.after.address, ()) if change.after is not None else ()
    return {hold.place for hold in found if hold.where is Where.TARGET} - {(change.serial_number, change.slot)}


def _whys(change: Change, observation: Observation, mode: Mode, holds: Holds, *, is_bulk_drift: bool) -> Iterator[Why]:
    word, is_drift = observation.desired.word(change.slot), is_drifted(observation, change.slot)
    if any(serial_number != change.serial_number for serial_number, _ in _givers(change, holds)):
        yield Why.SWAP
    if change.after is None and not word.basis.is_command:
        yield Why.REMOVAL
    if (word.is_bulk and not was_served(observation, change.slot)) or (is_drift and is_bulk_drift):
        yield Why.BULK
    if is_drift and mode is Mode.PROPOSE:
        yield Why.DRIFT


def was_served(observation: Observation, slot: Slot) -> bool:
    """Whether the target once was what is still desired: what is different since then came one by one."""
    return observation.memory.served.get(slot) == observation.desired[slot]


def _is_one_matter(observation: Observation) -> bool:
    """Whether both slots of a tracker are wanted by the same word, and nobody else has meddled with one of them."""
    drifts = {is_drifted(observation, slot) for slot in Slot}
    return len(drifts) == 1 and not observation.desired.earlier


def _groups(
    changes: Mapping[Place, Change], observations: Mapping[str, Observation], holds: Holds
) -> Iterator[list[Place]]:
    """Slots between which sensors move, directly or by way of others; and both of a tracker if they are one matter."""
    neighbours: dict[Place, set[Place]] = {place: set() for place in changes}
    for place, change in changes.items():
        linked = _givers(change, holds)
        if _is_one_matter(observations[place[0]]):
            linked |= {(place[0], slot) for slot in Slot} - {place}
        for other in linked & changes.keys():
            neighbours[place].add(other)
            neighbours[other].add(place)
    order = {place: number for number, place in enumerate(changes)}
    left = set(changes)
    for first in changes:
        if first not in left:
            continue
        left.remove(first)
        group = [first]
        for place in group:
            reached = neighbours[place] & left
            left -= reached
            group.extend(reached)
        yield sorted(group, key=order.__getitem__)


def _is_covered(change: Change, given: Consents, observations: Mapping[str, Observation], now_ms: int) -> bool:
    return covering(change, given, observations[change.serial_number].memory, now_ms)[0] is not None

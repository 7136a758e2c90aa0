"""Fleets in a few letters: a sensor is named by one word, and a slot by whose it is."""

import hashlib
from dataclasses import replace as replaced

from msgspec.structs import replace

from gateway.pairing.desired import Basis, Desired
from gateway.pairing.documents import Document, Documents, Sensor, Slot, Wanted, Wish
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Fleet, Observation

HR, POWER = Slot.HEART_RATE, Slot.POWER
NOW_MS = 1_700_000_000_000
FREE, NONE = Wish.UNMANAGED, Wish.NONE


def sensor(name: str) -> Sensor:
    """Always the same one of that name."""
    digits = hashlib.sha256(name.encode()).hexdigest()[:10]
    return Sensor(":".join(["a0", *(digits[i : i + 2] for i in range(0, 10, 2))]), f"Strap {name}")


def document(heart_rate: str = "", power: str = "") -> Document:
    """ "" is no sensor."""
    return Document(sensor(heart_rate) if heart_rate else None, sensor(power) if power else None)


def wanted(word: str | Wish) -> Wanted:
    return word if isinstance(word, Wish) else sensor(word)


def tracker(
    serial_number: str,
    wants: str | Wish = FREE,
    target: str = "",
    current: str | None = None,
    *,
    power: tuple[str | Wish, str, str] = (FREE, "", ""),
    basis: Basis = Basis.COMMAND,
    is_bulk: bool = False,
    generation: int = 1,
    memory: Memory | None = None,
    is_ours: bool | None = True,
    is_read: bool = True,
) -> Observation:
    """A tracker by its heart-rate slot: what is wanted, what its target has, what its current document has.

    `current` is as `target` if it is not said; `power` is the same three of the other slot.
    """
    documents = Documents(document(target, power[1]), document(target if current is None else current, power[2]))
    known = memory or Memory()
    return Observation(
        serial_number,
        desired=Desired(wanted(wants), wanted(power[0]), generation, basis=basis, is_bulk=is_bulk),
        memory=replace(known, target=documents.target, current=documents.current),
        is_ours=is_ours,
        documents=documents if is_read else None,
        read_ago_s=1.0 if is_read else None,
    )


def drifted(seen: Observation, *slots: Slot) -> Observation:
    """The same after somebody else has made these slots what they are; the heart-rate slot if none is named."""
    taken = {slot: seen.desired[slot] for slot in slots or (HR,)}
    return replaced(seen, memory=replace(seen.memory, drifted=taken))


def fleet(*trackers: Observation) -> Fleet:
    return Fleet(trackers, now_ms=NOW_MS)

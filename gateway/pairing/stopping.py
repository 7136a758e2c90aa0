"""From a person who stops our writes, or lets them go on, to what is remembered of that; or a refusal."""

from msgspec.structs import replace

from gateway.pairing.memory import Memory, Suspension
from gateway.pairing.permission import COMMAND, Situation, known, who
from gateway.pairing.requests import PairingRefused, PersonRequest, Refusal


def suspended(situation: Situation, serial_number: str, request: PersonRequest) -> Memory:
    """What is remembered of a tracker that shall not be written; raises `PairingRefused`."""
    memory = known(situation, serial_number).memory
    if memory.suspension is not None:
        name, resume = situation.label(serial_number), f"`{COMMAND} resume {serial_number}`"
        text = f"{who(memory.suspension)} has stopped the changes of {name} already: {resume} lets them go on."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    return replace(memory, suspension=_suspension(situation, request))


def suspended_all(situation: Situation, request: PersonRequest) -> Suspension:
    """What is remembered of a fleet that shall not be written; raises `PairingRefused`."""
    if situation.fleet.pause is not None:
        text = f"{who(situation.fleet.pause)} has stopped all changes already: `{COMMAND} resume` lets them go on."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    return _suspension(situation, request)


def resumed(situation: Situation, serial_number: str) -> Memory:
    """What is remembered of a tracker that may be written again; raises `PairingRefused`."""
    memory = known(situation, serial_number).memory
    if memory.suspension is None and memory.rival_since_ms is None:
        pause = situation.fleet.pause
        if pause is not None:
            text = f"{who(pause)} has stopped the changes of all trackers: `{COMMAND} resume` lets all of them go on."
        else:
            text = f"Nobody has stopped the changes of {situation.label(serial_number)}: there is nothing to resume."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    return _without_rival(replace(memory, suspension=None))


def resumed_all(situation: Situation) -> dict[str, Memory]:
    """What is remembered of the trackers that may be written again besides the end of the pause, by serial number.

    Another controller ends for all of them, but a tracker that a person has suspended by itself stays so.

    Raises:
        PairingRefused: If nothing has stopped anything.
    """
    trackers = situation.fleet.trackers
    rivals = {seen.serial_number: seen.memory for seen in trackers if seen.memory.rival_since_ms is not None}
    if situation.fleet.pause is None and not rivals:
        alone = next((seen.serial_number for seen in trackers if seen.memory.suspension is not None), "TRACKER")
        text = f"Nobody has stopped all changes: `{COMMAND} resume {alone}` lets those of one tracker go on."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    return {serial: _without_rival(memory) for serial, memory in rivals.items()}


def _without_rival(memory: Memory) -> Memory:
    # The last of the foreign changes is kept: what was approved before it is not approved any more.
    return replace(memory, rival_since_ms=None, foreign_ms=memory.foreign_ms[-1:])


def _suspension(situation: Situation, request: PersonRequest) -> Suspension:
    return Suspension(request.author, request.reason, situation.fleet.now_ms)

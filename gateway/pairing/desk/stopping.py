"""From a person who stops our writes, or lets them go on, to what is remembered of that; or a refusal."""

from msgspec.structs import replace

from gateway.pairing.desk.permission import COMMAND, Situation, known, who
from gateway.pairing.memory import Memory, Suspension
from gateway.pairing.requests import PairingRefused, PersonRequest, Refusal


def suspension(situation: Situation, serial_number: str | None, request: PersonRequest) -> Suspension:
    """What is remembered of who stops the writes of a tracker, or of all of them; raises `PairingRefused`."""
    if serial_number is None:
        before, whose, resume = situation.fleet.pause, "all changes", f"`{COMMAND} resume`"
    else:
        before = known(situation, serial_number).memory.suspension
        whose, resume = f"the changes of {situation.label(serial_number)}", f"`{COMMAND} resume {serial_number}`"
    if before is not None:
        text = f"{who(before)} has stopped {whose} already: {resume} lets them go on."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    return Suspension(request.author, request.reason, situation.fleet.now_ms)


def stopped(situation: Situation, serial_number: str | None) -> tuple[str, ...]:
    """The trackers of which something has to be forgotten so that they, or all of them, are written again.

    Another controller ends for all of them together, but a tracker that a person has suspended by itself stays so.

    Raises:
        PairingRefused: If nothing has stopped anything.
    """
    pause = situation.fleet.pause
    if serial_number is not None:
        memory = known(situation, serial_number).memory
        if memory.suspension is not None or memory.rival_since_ms is not None:
            return (serial_number,)
        if pause is not None:
            text = f"{who(pause)} has stopped the changes of all trackers: resume them all (`{COMMAND} resume`)."
            raise PairingRefused(Refusal.SUSPENDED, text)
        text = f"Nobody has stopped the changes of {situation.label(serial_number)}: there is nothing to resume."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    memories = {seen.serial_number: seen.memory for seen in situation.fleet.trackers}
    rivalled = tuple(serial for serial, memory in memories.items() if memory.rival_since_ms is not None)
    if pause is None and not rivalled:
        alone = next((serial for serial, memory in memories.items() if memory.suspension is not None), "TRACKER")
        text = f"Nobody has stopped all changes: `{COMMAND} resume {alone}` lets those of one tracker go on."
        raise PairingRefused(Refusal.NOTHING_TO_DO, text)
    return rivalled


def without_rival(memory: Memory) -> Memory:
    """A memory after a person has seen to the other controller."""
    # The last of the foreign changes is kept: what was approved before it is not approved any more.
    return replace(memory, rival_since_ms=None, foreign_ms=memory.foreign_ms[-1:])

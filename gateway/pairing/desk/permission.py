"""Whether what a person asks for may be done, and the sentence that says what to do if not."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from gateway.pairing.desired import Origin
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.memory import Suspension
from gateway.pairing.naming import Wearers, label, listed
from gateway.pairing.observation import Air, Fleet, Observation
from gateway.pairing.planning.plan import Plan
from gateway.pairing.planning.sentences import clock
from gateway.pairing.requests import PairingRefused, Refusal

COMMAND = "insiders-gateway pair"

KEYS = {Slot.HEART_RATE: "heart_rate_sensor", Slot.POWER: "power_meter"}
"""What a slot is called under ``[[trackers]]`` in the configuration."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a request meets.

    Attributes:
        fleet: All trackers.
        plan: What is to become of them.
        wearers: Who wears them.
        air: What the radio knows of a sensor; None if nothing.
    """

    fleet: Fleet
    plan: Plan
    wearers: Wearers
    air: Callable[[Sensor], Air | None] = lambda _: None

    def label(self, serial_number: str) -> str:
        """How a tracker is named in the middle of a sentence."""
        return label(self.wearers[serial_number])


def known(situation: Situation, serial_number: str) -> Observation:
    """The tracker with a serial number, which may be anything that a stranger wrote; raises `PairingRefused`."""
    for seen in situation.fleet.trackers:
        if seen.serial_number == serial_number:
            return seen
    text = f"No tracker of this gateway has this serial number: see `{COMMAND} list`, or add it to [[trackers]]."
    raise PairingRefused(Refusal.UNKNOWN_TRACKER, text)


def check_kept_here(situation: Situation, trackers: Iterable[Observation], slots: Iterable[Slot] = Slot) -> None:
    """Refuse where the configuration is the only place to change what is wanted of these slots."""
    kept = [seen.serial_number for seen in trackers if seen.desired.origin is Origin.FILE]
    if kept:
        keys = listed([KEYS[slot] for slot in slots])
        numbers = listed([f'"{serial}"' for serial in kept])
        raise PairingRefused(
            Refusal.FILE_MANAGED,
            f"The configuration says which sensors {listed([situation.label(serial) for serial in kept])} shall have: "
            f"change {keys} under serial_number = {numbers} in config.toml, then restart the gateway.",
        )


def check_generation(situation: Situation, known: Iterable[tuple[Observation, int | UnsetType]]) -> None:
    """Refuse where something else is wanted than what the asker knew of, so that nobody's wish is lost unseen.

    Args:
        situation: What is met.
        known: Trackers, each with the generation that is expected, if any is.
    """
    moved = [seen for seen, generation in known if generation not in {UNSET, seen.desired.generation}]
    if moved:
        raise PairingRefused(
            Refusal.GENERATION_CHANGED,
            f"Something else is wanted of {listed([situation.label(seen.serial_number) for seen in moved])} meanwhile: "
            f"look at it again (`{COMMAND} list`), then ask for what is still right.",
            serial_number=moved[0].serial_number,
        )


def check_writable(situation: Situation, trackers: Collection[Observation], *, during_session: bool) -> None:
    """Refuse while somebody, or a session, has stopped our writes to any of these trackers.

    Args:
        situation: What is met.
        trackers: To be written.
        during_session: Whether a person wants it though athletes train.
    """
    fleet = situation.fleet
    check_not_suspended(situation, trackers)
    if fleet.session_until_ms is not None and trackers and not during_session:
        raise PairingRefused(
            Refusal.SESSION_RUNNING,
            f"Athletes train, so nothing is changed before {clock(fleet.session_until_ms, fleet.now_ms)}, and later if "
            f"they go on: wait, or say that it is meant all the same (`{COMMAND}` with --during-session).",
            session_until_ms=fleet.session_until_ms,
        )


def check_not_suspended(situation: Situation, trackers: Collection[Observation]) -> None:
    """Refuse while somebody has stopped our writes to any of these trackers."""
    pause = situation.fleet.pause
    if pause is not None and trackers:
        raise PairingRefused(
            Refusal.SUSPENDED, f"{who(pause)} has stopped all changes: type `{COMMAND} resume` to let them go on."
        )
    for seen in trackers:
        name = situation.label(seen.serial_number)
        resume = f"type `{COMMAND} resume {seen.serial_number}`"
        if seen.memory.suspension is not None:
            text = f"{who(seen.memory.suspension)} has stopped the changes of {name}: {resume} to let them go on."
            raise PairingRefused(Refusal.SUSPENDED, text)
        if seen.memory.rival_since_ms is not None:
            text = f"Another program keeps changing {name}: stop that one, then {resume}."
            raise PairingRefused(Refusal.SUSPENDED, text)


def who(suspension: Suspension) -> str:
    """Who has stopped writes, and why, to begin a sentence with."""
    reason = f' ("{suspension.reason}")' if suspension.reason else ""
    return f"{suspension.author or 'Somebody'}{reason}"

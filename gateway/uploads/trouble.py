"""Tells people when recordings need them. It reaches the log, so it names no file and no athlete."""

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from gateway.store import StoreError
from gateway.uploads.recording import Recording, State
from gateway.uploads.report import InboxReport
from gateway.uploads.standing import Standing, is_overdue
from gateway.uploads.transitions import waits_for_a_person


class Problems(Protocol):
    """Where people are told what is wrong."""

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        """Say that something is wrong."""

    def resolve(self, code: str, subject: str = "") -> None:
        """Say that it is right again."""


COMMAND = "insiders-gateway recordings"

_LOOK = f"open the page /recordings of the gateway, or type `{COMMAND} list`"

_WAITING = {
    State.UNASSIGNED: "{} without a tracker",
    State.QUESTIONED: "{} whose tracker is in doubt",
    State.FAILED: "{} with which the cloud has failed",
    State.QUARANTINED: "{} that the cloud does not take",
    State.CORRUPT: "{} that the card has damaged",
    State.MISSING: "{} whose file has gone",
}
"""By state: how many there are of those that wait for a person."""


class Trouble:
    """Tells what is wrong with the recordings."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def update(self, recordings: Iterable[Recording], now_ms: int) -> None:
        """Take how the recordings stand now.

        Args:
            recordings: All that are neither done nor deleted.
            now_ms: The wall clock, epoch ms.
        """
        waiting: Counter[State] = Counter()
        overdue = 0
        for recording in recordings:
            waiting[recording.state] += waits_for_a_person(recording)
            overdue += is_overdue(recording, now_ms)
        parts = [words.format(waiting[state]) for state, words in _WAITING.items() if waiting[state]]
        text = f"{_many(waiting.total(), 'recording waits', 'recordings wait')} for somebody: {', '.join(parts)}"
        self._tell("recordings_waiting_for_person", text if parts else "", _LOOK)
        text = f"{_many(overdue, 'recording is', 'recordings are')} not done in the cloud after more than a day"
        self._tell("recordings_overdue", text if overdue else "", f"look why; {_LOOK}")

    def look(self, inbox: Iterable[InboxReport]) -> None:
        """Take what lies in the inbox and is not taken."""
        left = sum(bool(it.action) for it in inbox)
        text = f"{_many(left, 'file lies', 'files lie')} in the inbox and cannot be taken"
        self._tell("inbox_not_taken", text if left else "", _LOOK)

    def set_right(self, wrong: Standing | None) -> None:
        """Take what is to be set right before recordings get on, as clauses; None if nothing is."""
        text = "" if wrong is None else f"Recordings do not get on: {wrong.text}"
        self._tell("recordings_setting", text, "" if wrong is None else f"{wrong.action}, and start the gateway again")

    def check(self, *, disk: StoreError | None, damage: StoreError | None, inbox: StoreError | None) -> None:
        """Take how the disk is.

        Args:
            disk: Why nothing can be taken over or written down; None if it can.
            damage: What was found damaged or lost; None if nothing was.
            inbox: Why nobody can look into the inbox; None if that is possible.
        """
        for code, error in (("recordings_disk", disk), ("recordings_damage", damage), ("inbox_unreadable", inbox)):
            if error is None:
                self._problems.resolve(code)
            else:
                self._problems.report(code, error.text, error.action)

    def _tell(self, code: str, text: str, action: str) -> None:
        if text:
            self._problems.report(code, text, action)
        else:
            self._problems.resolve(code)


def _many(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"

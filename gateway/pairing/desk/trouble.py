"""Tells people which trackers need them. It reaches the log, so it names no sensor and no athlete."""

from typing import Protocol

from gateway.pairing.conditions import Reason, Status
from gateway.pairing.desk.permission import COMMAND
from gateway.pairing.planning.plan import Plan, State, TrackerPlan
from gateway.store import StoreError


class Problems(Protocol):
    """Where people are told what is wrong."""

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        """Say that something is wrong."""

    def resolve(self, code: str, subject: str = "") -> None:
        """Say that it is right again."""


_EXPLAIN = f"`{COMMAND} explain {{0}}` says why and what to do"
_TROUBLES = {
    "pairing_rival": (
        "Another program keeps changing the sensors of tracker {0}, so the gateway has stopped",
        f"stop that program, then type `{COMMAND} resume {{0}}`",
    ),
    "pairing_rejected": ("The sensors that tracker {0} shall have cannot be used, or the cloud refuses them", _EXPLAIN),
    "pairing_stalled": ("The sensors of tracker {0} do not become what is wanted", _EXPLAIN),
    "pairing_needs_human": ("The sensors of tracker {0} change while they are being written", _EXPLAIN),
}
"""By code: what is wrong, and what to do."""

_CODES = {
    State.REJECTED: "pairing_rejected",
    State.STALLED: "pairing_stalled",
    State.NEEDS_HUMAN: "pairing_needs_human",
}


class Trouble:
    """What people were told."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._told: set[tuple[str, str]] = set()

    def update(self, plan: Plan) -> None:
        """Take how the trackers stand now."""
        present = {(code, serial) for serial, tracker in plan.trackers.items() if (code := _code(tracker))}
        for code, serial in self._told - present:
            self._problems.resolve(code, serial)
        for code, serial in sorted(present - self._told):
            text, action = _TROUBLES[code]
            self._problems.report(code, text.format(serial), action.format(serial), serial)
        self._told = present

    def check(self, *, store: StoreError | None, damage: StoreError | None) -> None:
        """Take how the disk is.

        Args:
            store: Why nothing can be written down; None if it can.
            damage: What was lost of what had been written down; None if nothing.
        """
        self._tell("pairing_store", store)
        self._tell("pairing_store_damaged", damage)

    def _tell(self, code: str, error: StoreError | None) -> None:
        if error is None:
            self._problems.resolve(code)
        else:
            self._problems.report(code, error.text, error.action)


def _code(tracker: TrackerPlan) -> str:
    is_rivalled = any(
        it.reason is Reason.DUPLICATE_CONTROLLER and it.status is Status.TRUE for it in tracker.conditions
    )
    return "pairing_rival" if is_rivalled else _CODES.get(tracker.state, "")

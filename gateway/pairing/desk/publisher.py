"""Tells whoever follows the gateway how the pairings stand, all together and of each tracker, whenever that changes."""

from typing import Any, Protocol

import msgspec

from gateway.pairing.conditions import ConditionType
from gateway.pairing.desk.permission import Situation
from gateway.pairing.desk.reporting import paused_by
from gateway.pairing.planning.plan import TrackerPlan
from gateway.pairing.report import PairingReport


class StateBoard(Protocol):
    """Where states are told; saying the same again changes nothing."""

    def state_changed(self, key: str, value: str, **details: Any) -> None:
        """Tell a state."""


_MINUTE_MS = 60_000


def publish_fleet(board: StateBoard, situation: Situation) -> None:
    """Tell whether changes are made now, and which are to be."""
    fleet, until_ms = situation.fleet, situation.fleet.session_until_ms
    is_stopped = fleet.pause is not None or not fleet.is_clock_sure or not fleet.is_store_working
    board.state_changed(
        "pairings",
        "suspended" if is_stopped else "running" if until_ms is None else "session",
        mode=str(fleet.mode),
        paused_by=paused_by(fleet),
        # It moves on with every step that an athlete runs: nobody needs to hear each.
        session_until_ms=None if until_ms is None else -(-until_ms // _MINUTE_MS) * _MINUTE_MS,
        hash=situation.plan.hash,
    )


def publish(board: StateBoard, planned: TrackerPlan, report: PairingReport) -> None:
    """Tell how a tracker stands.

    Args:
        board: Where to.
        planned: What is true of it, and what is to become of it.
        report: The same for those who ask.
    """
    # Those conditions that a person has to know; the summary is told by itself.
    wrong = [
        told
        for condition, told in zip(planned.conditions, report.conditions, strict=True)
        if not condition.is_right and condition.type is not ConditionType.READY
    ]
    details: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(report, conditions=tuple(wrong)))
    for untold in ("op", "state", "read_ms", "events"):
        del details[untold]
    board.state_changed(f"pairing/{report.serial_number}", report.state, **details)

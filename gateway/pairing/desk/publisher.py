"""Tells whoever follows the gateway how each tracker's pairings stand, whenever that becomes different."""

from typing import Any, Protocol

import msgspec

from gateway.pairing.conditions import ConditionType
from gateway.pairing.planning.plan import TrackerPlan
from gateway.pairing.report import PairingReport


class StateBoard(Protocol):
    """Where states are told; saying the same again changes nothing."""

    def state_changed(self, key: str, value: str, **details: Any) -> None:
        """Tell a state."""


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

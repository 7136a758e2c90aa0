"""Tells whoever follows the gateway how each recording stands, whenever that changes."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from gateway.uploads.recording import State
from gateway.uploads.report import RecordingReport

MAX_TOLD = 500
"""Recordings that are told of, the newest ones; all can be asked for."""

TOLD_DONE_MS = 24 * 3_600_000
"""How long one that is done is told of."""

GONE_FOR_S = 8.0
"""How long the last word on a recording is kept for who missed it; nothing is said of it after that."""

_DELETED = frozenset({State.PURGED, State.DISCARDED})
_UNTOLD = ("state", "next_s", "sources", "trail", "sha256")


class StateBoard(Protocol):
    """Where states are told; saying the same again changes nothing."""

    def state_changed(self, key: str, value: str, **details: Any) -> None:
        """Tell a state."""

    def forget_state(self, key: str, value: str = "gone") -> None:
        """Tell that a state is over, by a last value."""

    def drop_state(self, key: str) -> None:
        """Say no more of a state."""


class Publisher:
    """Knows what was told."""

    def __init__(self, board: StateBoard) -> None:
        self._board = board
        self._told: dict[str, RecordingReport] = {}
        self._drop_at_s: dict[str, float] = {}

    def publish(self, recordings: Iterable[RecordingReport], utc_ms: int, now_s: float) -> None:
        """Tell what has changed about the recordings.

        Args:
            recordings: All of them, the newest first.
            utc_ms: The wall clock, epoch ms.
            now_s: A monotonic clock.
        """
        known = {_key(it): msgspec.structs.replace(it, next_s=None) for it in recordings}
        present = dict([item for item in known.items() if _is_told(item[1], utc_ms)][:MAX_TOLD])
        for key, report in present.items():
            if self._told.get(key) != report:
                self._board.state_changed(key, report.state, **_details(report))
                self._drop_at_s.pop(key, None)
        for key in self._told.keys() - present.keys():
            self._board.forget_state(key, known[key].state if key in known else "gone")
            self._drop_at_s[key] = now_s + GONE_FOR_S
        self._told = present
        for key in [due for due, at_s in self._drop_at_s.items() if at_s <= now_s]:
            self._board.drop_state(key)
            del self._drop_at_s[key]


def _is_told(report: RecordingReport, utc_ms: int) -> bool:
    if report.state == State.DONE:
        return utc_ms - report.since_ms < TOLD_DONE_MS
    return report.state not in _DELETED


def _details(report: RecordingReport) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(report)
    for untold in _UNTOLD:
        del details[untold]
    return details


def _key(report: RecordingReport) -> str:
    return f"recording/{report.id}"

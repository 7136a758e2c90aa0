"""Tells whoever follows the gateway how each recording stands, whenever that changes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from gateway.uploads.recording import SHORT_ID, Recording
from gateway.uploads.report import RecordingReport

GONE_FOR_S = 8.0
"""How long the last word on a recording is kept for who missed it; nothing is said of it after that."""

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
    """Knows what was told.

    Attributes:
        changes: How often something was told.
    """

    def __init__(self, board: StateBoard) -> None:
        self.changes = 0
        self._board = board
        self._told: Mapping[str, RecordingReport] = {}
        self._drop_at_s: dict[str, float] = {}

    def publish(
        self,
        told: Iterable[Recording],
        recordings: Mapping[str, Recording],
        report: Callable[[Recording], RecordingReport],
        now_s: float,
    ) -> None:
        """Tell what has changed about recordings.

        Args:
            told: Those of which everybody hears.
            recordings: All, by SHA-256.
            report: What is to be told of one; what is due when changes all the time by itself and is not told.
            now_s: A monotonic clock.
        """
        present = {it.sha256: report(it) for it in told}
        for sha256, new in present.items():
            known = self._told.get(sha256)
            if known is not new and known != new:
                self._board.state_changed(_key(sha256), new.state, **_details(new))
                self._drop_at_s.pop(sha256, None)
                self.changes += 1
        for sha256 in self._told.keys() - present.keys():
            last = recordings[sha256].state if sha256 in recordings else "gone"
            self._board.forget_state(_key(sha256), last)
            self._drop_at_s[sha256] = now_s + GONE_FOR_S
            self.changes += 1
        self._told = present
        for sha256 in [due for due, at_s in self._drop_at_s.items() if at_s <= now_s]:
            self._board.drop_state(_key(sha256))
            del self._drop_at_s[sha256]


def _details(report: RecordingReport) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(report)
    for untold in _UNTOLD:
        del details[untold]
    return details


def _key(sha256: str) -> str:
    return f"recording/{sha256[:SHORT_ID]}"

"""Tells whoever follows the gateway how each recording stands, whenever that changes."""

from collections.abc import Callable, Iterable, Mapping
from heapq import nlargest
from operator import attrgetter
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from gateway.uploads.recording import SHORT_ID, Recording, State
from gateway.uploads.report import RecordingReport

MAX_TOLD = 500
"""Recordings that are told of, the newest ones; all can be asked for."""

TOLD_DONE_MS = 24 * 3_600_000
"""How long one that is done is told of."""

GONE_FOR_S = 8.0
"""How long the last word on a recording is kept for who missed it; nothing is said of it after that."""

DELETED = frozenset({State.PURGED, State.DISCARDED})
"""States of which nobody hears without asking."""

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
        self._told: Mapping[str, RecordingReport] = {}
        self._drop_at_s: dict[str, float] = {}

    def publish(
        self,
        recordings: Mapping[str, Recording],
        report: Callable[[Recording], RecordingReport],
        utc_ms: int,
        now_s: float,
    ) -> None:
        """Tell what has changed about the recordings.

        Args:
            recordings: All of them, by SHA-256.
            report: What is to be told of one.
            utc_ms: The wall clock, epoch ms.
            now_s: A monotonic clock.
        """
        # What is due when changes all the time by itself.
        present = {it.sha256: replace(report(it), next_s=None) for it in _told(recordings.values(), utc_ms)}
        for sha256, told in present.items():
            if self._told.get(sha256) != told:
                self._board.state_changed(_key(sha256), told.state, **_details(told))
                self._drop_at_s.pop(sha256, None)
        for sha256 in self._told.keys() - present.keys():
            last = recordings[sha256].state if sha256 in recordings else "gone"
            self._board.forget_state(_key(sha256), last)
            self._drop_at_s[sha256] = now_s + GONE_FOR_S
        self._told = present
        for sha256 in [due for due, at_s in self._drop_at_s.items() if at_s <= now_s]:
            self._board.drop_state(_key(sha256))
            del self._drop_at_s[sha256]


def _told(recordings: Iterable[Recording], utc_ms: int) -> list[Recording]:
    kept = [it for it in recordings if it.state not in DELETED and not _is_old(it, utc_ms)]
    return nlargest(MAX_TOLD, kept, key=attrgetter("taken_ms"))


def _is_old(recording: Recording, utc_ms: int) -> bool:
    return recording.state is State.DONE and utc_ms - recording.changed_ms >= TOLD_DONE_MS


def _details(report: RecordingReport) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(report)
    for untold in _UNTOLD:
        del details[untold]
    return details


def _key(sha256: str) -> str:
    return f"recording/{sha256[:SHORT_ID]}"

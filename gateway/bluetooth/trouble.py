"""Tells people what is wrong with the radio, once it lasts, and when it is right again."""

from typing import Protocol

from gateway.bluetooth.radio import Radio, RadioState

TROUBLE_AFTER_S = 3.0
"""A radio that was restarted listens again sooner, and nobody needs to act."""


class Problems(Protocol):
    """Where people are told what is wrong."""

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        """Say that something is wrong."""

    def resolve(self, code: str, subject: str = "") -> None:
        """Say that it is right again."""


class Trouble:
    """What people were told. Times are seconds of one monotonic clock."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._told: Radio | None = None
        self._deaf_since_s: float | None = None

    def update(self, radio: Radio, now_s: float) -> None:
        """Take how the radio stands now.

        One that is starting has not recovered yet, and has no new trouble either. That nothing at all is heard is no
        trouble: there may be nobody, as in every night.
        """
        if radio.is_listening or radio.state in {RadioState.DISABLED, RadioState.SILENT}:
            self._deaf_since_s = None
            self._resolve()
            return
        if self._deaf_since_s is None:
            self._deaf_since_s = now_s
        is_lasting = now_s - self._deaf_since_s >= TROUBLE_AFTER_S
        if is_lasting and radio.state is not RadioState.STARTING and radio != self._told:
            if self._told is None or self._told.state is not radio.state:
                self._resolve()
            self._problems.report(_code(radio), radio.text, radio.action)
            self._told = radio

    def _resolve(self) -> None:
        if self._told is not None:
            self._problems.resolve(_code(self._told))
            self._told = None


def _code(radio: Radio) -> str:
    return f"bluetooth_{radio.state}"

"""Why a recording is not taken over, for programs and for people."""

from enum import StrEnum


class Untakeable(StrEnum):
    """Why."""

    BEING_WRITTEN = "being_written"
    NOT_A_FILE = "not_a_file"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_ASI = "not_asi"
    CHANGED = "changed"
    NO_ROOM = "no_room"
    DISK_FAILED = "disk_failed"
    CUT_OFF = "cut_off"
    UNREADABLE = "unreadable"


class TakeError(Exception):
    """Something is not taken over; wherever it came from, it is still there.

    Attributes:
        code: Why.
        text: The same, one sentence without full stop.
        action: What to do next, one clause; "" if it is only a matter of time.
    """

    def __init__(self, code: Untakeable, text: str, action: str) -> None:
        super().__init__(f"{text}: {action}" if action else text)
        self.code = code
        self.text = text
        self.action = action


def not_asi() -> TakeError:
    """It is something else."""
    text = 'It does not begin with "ASI" as every recording does'
    return TakeError(Untakeable.NOT_ASI, text, "remove it, or copy it anew if it is a recording")

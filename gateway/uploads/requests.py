"""What people may ask of the recordings, and how they are refused."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta


class Refusal(StrEnum):
    """Why something that a person asked for is not done."""

    UNKNOWN_RECORDING = "unknown_recording"  # or several have an id that begins so
    UNKNOWN_TRACKER = "unknown_tracker"
    NOT_NOW = "not_now"  # not in the state in which it is
    NOT_ASI = "not_asi"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    CUT_OFF = "cut_off"  # fewer bytes came than were announced, or others
    NO_ROOM = "no_room"
    DISK_FAILED = "disk_failed"


class RecordingRefused(Exception):  # noqa: N818 - a refusal is mostly no error
    """Something that cannot be done; its text says what to do.

    Attributes:
        code: Why.
        facts: What a program may want to know of that, `state` of the recording for example.
    """

    def __init__(self, code: Refusal, text: str, **facts: str | int) -> None:
        super().__init__(text)
        self.code = code
        self.facts = facts


Author = Annotated[
    str,
    Meta(
        max_length=80,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="a name on one line, 80 characters at most, without control characters",
    ),
]


class PersonRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Retry or discard.

    Attributes:
        author: Who wants it; counts only where the gateway does not know who asks.
    """

    author: Author = ""


class AssignRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say which tracker a recording comes from; to say it again answers the question that is asked.

    Attributes:
        tracker: Serial number.
        author: Who says so; counts only where the gateway does not know who asks.
    """

    tracker: Annotated[str, Meta(min_length=1, max_length=200)]
    author: Author = ""


class AddRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a file over: what is said beside its bytes.

    Attributes:
        name: Of the file, with folders or without.
        tracker: Serial number; "" if its name shall say it, or a person later.
        author: Who brings it; counts only where the gateway does not know who asks.
        modified_ms: When the file was written last where it comes from, epoch ms; None if that is not known.
        sha256: Of its bytes, hexadecimal, to be compared with what comes; "" if that is not known.
    """

    name: Annotated[str, Meta(max_length=4096)] = ""
    tracker: Annotated[str, Meta(max_length=200)] = ""
    author: Author = ""
    modified_ms: int | None = None
    sha256: Annotated[
        str, Meta(pattern=r"\A([0-9a-f]{64})?\Z", description="64 of the digits 0 to 9 and a to f, in lower case")
    ] = ""

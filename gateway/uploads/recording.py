"""One .asi file on its way into the cloud: what is known of it, and the states it can be in."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

MAX_TRAIL = 24
"""States of the past that are kept with a recording."""

MAX_SOURCES = 5
"""Places it came from that are kept with a recording: the first, and the latest ones."""

MAX_NAME = 200
"""Characters of a file's name that are kept."""

SHORT_ID = 8
"""Hexadecimal digits by which people call a recording."""


class State(StrEnum):
    """Where a recording is.

    What is UNASSIGNED, QUESTIONED, FAILED, QUARANTINED, CORRUPT or MISSING waits for a person. DONE is the only state
    from which a file goes by itself, and it is reached only by what the cloud says when it is asked.
    """

    UNASSIGNED = "unassigned"
    """Nobody has said which tracker it comes from."""

    QUESTIONED = "questioned"
    """What is known of its time or its origin speaks against its tracker."""

    QUEUED = "queued"
    """Waits for its turn. The cloud does not have it, or a person or an hour has decided to send it again."""

    SENDING = "sending"
    """Its body is on the way and its end has not left, so the cloud cannot have taken it."""

    CLOSING = "closing"
    """The end of its body may have left, and there is no answer yet."""

    AMBIGUOUS = "ambiguous"
    """The cloud may have it; nobody has said so."""

    ACCEPTED = "accepted"
    """The cloud has it and works on it."""

    DONE = "done"
    """The cloud has said that its work has succeeded."""

    PURGED = "purged"
    """Was done, and its file is deleted."""

    FAILED = "failed"
    """The cloud has said that its work has failed."""

    QUARANTINED = "quarantined"
    """The cloud does not take it."""

    CORRUPT = "corrupt"
    """The file is not what was taken over."""

    MISSING = "missing"
    """The file is not there any more."""

    DISCARDED = "discarded"
    """A person has deleted it."""


FOR_A_PERSON = frozenset(
    {State.UNASSIGNED, State.QUESTIONED, State.FAILED, State.QUARANTINED, State.CORRUPT, State.MISSING}
)
"""States that only a person ends."""

DELETED = frozenset({State.PURGED, State.DISCARDED})
"""States in which the file is to be deleted."""

WITHOUT_FILE = DELETED | {State.MISSING}
"""States in which nothing is in the spool."""


class Way(StrEnum):
    """How a recording came in."""

    INBOX = "inbox"
    UPLOAD = "upload"
    SPOOL = "spool"
    """Found in the spool when the queue was told again from it."""


class Basis(StrEnum):
    """Who has said which tracker a recording comes from."""

    PATH = "path"
    """Its folder or its name."""

    PERSON = "person"
    """The command that brought it in, or somebody later."""


class Clue(StrEnum):
    """What the time of a recording is known from."""

    NAME = "name"
    MODIFIED = "modified"


class Source(Struct, frozen=True):
    """One coming in of a recording.

    Attributes:
        way: How.
        name: Of the file there, printable; no path that could be opened.
        at_ms: When, epoch ms.
    """

    way: Way
    name: str
    at_ms: int


class Span(Struct, frozen=True):
    """When a recording was probably made; as exact as what it is known from.

    Attributes:
        start_ms: Epoch ms.
        stop_ms: Epoch ms.
        clue: What it is known from.
    """

    start_ms: int
    stop_ms: int
    clue: Clue


class Step(Struct, frozen=True, array_like=True):
    """A state that a recording has come into.

    Attributes:
        state: Which.
        at_ms: When, epoch ms.
        author: The person who has decided so; "" if nobody has.
    """

    state: State
    at_ms: int
    author: str = ""


class Recording(Struct, frozen=True):
    """One recording, known by the SHA-256 of its bytes.

    Attributes:
        sha256: 64 hexadecimal digits, lower case.
        size: Bytes.
        state: Where it is.
        version: Grows with every change, so that of two records the later one is known.
        taken_ms: When it was taken over, epoch ms.
        changed_ms: Since when it is in its state, epoch ms.
        sources: How it came in; the first, and the latest.
        trail: The states it has been in, oldest first.
        serial_number: Of its tracker; None if nobody has said which.
        basis: Who has said so.
        author: The person who has said something about it last; "" if nobody has.
        span: When it was probably made; None if that is not known.
        is_checked: Whether its time was compared with what the cloud knows of the tracker, or a person has answered.
        question: What a person shall answer, a clause; "" if that is only which tracker it comes from, or nothing.
        remark: What speaks against its tracker and came too late for a question, a clause; "" if nothing has.
        tries: How often it was sent and not clearly taken, since a person has looked at it.
        sent_ms: When the last try began, epoch ms.
        job_id: Of the cloud's work on it.
        may_be_in_cloud: Whether a try has ended without anybody knowing how.
        may_be_elsewhere: Whether such a try was for another tracker than that of now, so that no lookup tells of it.
        maybe_duplicate: Whether it was sent again after such a try, so that the cloud may have it twice.
        error_code: Why it is not done, for programs; "" if nothing is wrong.
        error: The same as a clause for people, with the cloud's own words, bounded and printable.
        lacks_magic_v2: Whether "ASI V2" is missing where it usually stands.
    """

    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    size: Annotated[int, Meta(ge=0)]
    state: State
    version: int
    taken_ms: int
    changed_ms: int
    sources: tuple[Source, ...]
    trail: tuple[Step, ...]
    serial_number: str | None = None
    basis: Basis | None = None
    author: str = ""
    span: Span | None = None
    is_checked: bool = False
    question: str = ""
    remark: str = ""
    tries: int = 0
    sent_ms: int | None = None
    job_id: str | None = None
    may_be_in_cloud: bool = False
    may_be_elsewhere: bool = False
    maybe_duplicate: bool = False
    error_code: str = ""
    error: str = ""
    lacks_magic_v2: bool = False

    @property
    def id(self) -> str:
        """What people call it by."""
        return self.sha256[:SHORT_ID]

    @property
    def name(self) -> str:
        """What its file was called when it first came in."""
        return self.sources[0].name

"""What is told about the recordings: the bodies of `/api/v1/recordings…` and the states on the websocket.

Closed sets are plain strings here, so that an older reader survives what a newer gateway says.
"""

import msgspec


class ProgressReport(msgspec.Struct, frozen=True, kw_only=True):
    """How far a body has left.

    Attributes:
        sent_bytes: Of the recording, not of what base64 makes of it.
        bytes_per_s: Over the last seconds, the same way; None if that is not known yet.
        left_s: Seconds until its end at that rate; None if that is not known.
    """

    sent_bytes: int
    bytes_per_s: float | None
    left_s: float | None


class SourceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One coming in of a recording.

    Attributes:
        way: "inbox", "upload" or "spool".
        name: Of the file.
        at_ms: Epoch ms.
    """

    way: str
    name: str
    at_ms: int


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """A state that it has come into.

    Attributes:
        state: Which.
        at_ms: Epoch ms.
        author: The person who has decided so; "" if nobody has.
    """

    state: str
    at_ms: int
    author: str = ""


class RecordingReport(msgspec.Struct, frozen=True, kw_only=True):
    """One recording.

    Attributes:
        id: The first digits of `sha256`, by which people call it.
        sha256: Of its bytes, hexadecimal.
        name: Of its file when it came in.
        size: Bytes.
        state: A `State`.
        since_ms: Since when it is in that state, epoch ms.
        taken_ms: When it was taken over, epoch ms.
        serial_number: Of its tracker; None if nobody has said which.
        athlete: Who wears that; None if nobody in particular.
        basis: Who has said so: "path" or "person"; None if nobody.
        text: How it stands, one sentence without full stop.
        action: What to do next, one clause; "" if nothing is to be done.
        needs_person: Whether nothing happens until somebody says something.
        deeds: What a person may ask of it now: "assign", "retry", "discard".
        is_only_copy: Whether to discard it may delete the only copy: the cloud has not said that it has it.
        code: Why it is not done, a word for programs; "" if nothing is wrong.
        maybe_duplicate: Whether the cloud may have it twice.
        tries: How often it was sent and not clearly taken.
        next_s: Seconds until something is tried next; None if that waits for nothing, or for a person.
        job_id: Of the cloud's work on it.
        job_state: The cloud's last word on that.
        progress: While its body leaves.
        made_ms: When it was probably recorded, epoch ms; None if that is not known.
        made_until_ms: The same where that is known as a moment; the end of the day where only the day is known.
        deletes_ms: When its file will be deleted, epoch ms; None while it is kept.
        sources: How it came in.
        trail: The states it has been in, oldest first.
        warnings: What is odd about it and keeps nobody from anything: sentences without full stop.
    """

    id: str
    sha256: str
    name: str
    size: int
    state: str
    since_ms: int
    taken_ms: int
    serial_number: str | None
    athlete: str | None
    basis: str | None
    text: str
    action: str
    needs_person: bool
    deeds: tuple[str, ...]
    is_only_copy: bool
    code: str
    maybe_duplicate: bool
    tries: int
    next_s: float | None
    job_id: str | None
    job_state: str | None
    progress: ProgressReport | None
    made_ms: int | None
    deletes_ms: int | None
    sources: tuple[SourceReport, ...]
    trail: tuple[StepReport, ...]
    made_until_ms: int | None = None
    warnings: tuple[str, ...] = ()


class InboxReport(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies in the inbox and is not taken (yet).

    Attributes:
        name: Its path below the inbox, printable.
        size: Bytes; None if it has none.
        code: Why, a word for programs: "being_written", "not_asi", "empty", "too_large", "not_a_file", "no_room"…
        text: Why, one sentence without full stop.
        action: What to do next, one clause; "" if it is only a matter of time.
        since_ms: Epoch ms.
    """

    name: str
    size: int | None
    code: str
    text: str
    action: str
    since_ms: int


class CountReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many recordings are in a state.

    Attributes:
        state: Which.
        recordings: How many.
        bytes: Together.
        oldest_ms: Since when the oldest of them is in it, epoch ms.
    """

    state: str
    recordings: int
    bytes: int
    oldest_ms: int


class LeftOutReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many recordings there are that a list has left out, because it would be too long.

    Attributes:
        needs_person: That wait for a person; older than those that it has.
        under_way: That get on by themselves; older, too.
        done: That were done before those that it has.
        deleted: That were deleted before those that it has; 0 if those were not asked for.
    """

    needs_person: int = 0
    under_way: int = 0
    done: int = 0
    deleted: int = 0


class SpoolReport(msgspec.Struct, frozen=True, kw_only=True):
    """The room that recordings have.

    Attributes:
        used_bytes: What lies in the spool.
        limit_bytes: What may; None if that cannot be seen.
        free_bytes: On that disk; None if that cannot be seen.
        text: What is wrong with it, one sentence without full stop; "" if nothing is.
        action: What to do next, one clause.
    """

    used_bytes: int
    limit_bytes: int | None
    free_bytes: int | None
    text: str
    action: str


class TroubleReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong.

    Attributes:
        text: What, one sentence without full stop.
        action: What to do next, one clause.
    """

    text: str
    action: str


class TrackerReport(msgspec.Struct, frozen=True, kw_only=True):
    """A tracker that a recording can be said to come from.

    Attributes:
        serial_number: On its label.
        name: Of its athlete; None if nobody in particular wears it.
        number: Of the athlete's shirt.
    """

    serial_number: str
    name: str | None
    number: int | None


class RecordingsReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it: the body of `GET /api/v1/recordings`.

    Attributes:
        recordings: Newest first; what is deleted is not among them unless it was asked for.
        left_out: How many more there are.
        counts: Of every state in which there is one.
        inbox: What lies in the inbox, a thousand at most.
        inbox_folder: Where that is.
        inbox_trouble: What is wrong with all of it; None if nothing is.
        spool: How much room there is.
        trackers: Those that there are to choose from, in the order of the roster.
        max_file_bytes: What one file may have.
        utc_ms: The gateway's clock, epoch ms.
    """

    recordings: tuple[RecordingReport, ...]
    counts: tuple[CountReport, ...]
    inbox: tuple[InboxReport, ...]
    inbox_folder: str
    spool: SpoolReport
    trackers: tuple[TrackerReport, ...]
    max_file_bytes: int
    utc_ms: int
    left_out: LeftOutReport = LeftOutReport()
    inbox_trouble: TroubleReport | None = None


class RebuiltReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found when the queue was told again from the spool: the answer to `POST /api/v1/recordings/rebuild`.

    Attributes:
        files: Files that were read and compared with their names.
        recovered: Recordings that were not in the queue, or not as they should.
        missing: Recordings whose file is not there.
        corrupt: Files that are not what was taken over.
        strays: Things in the spool that are no recordings; moved aside.
        text: The same in one sentence without full stop.
    """

    files: int
    recovered: int
    missing: int
    corrupt: int
    strays: int
    text: str

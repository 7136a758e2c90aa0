"""What may become of a recording: from one state to the next, and never any other way.

Every function gives the recording after something has happened. None of them looks at a clock or a disk.
"""

from collections.abc import Collection

from msgspec.structs import replace

from gateway.uploads.recording import (
    FOR_A_PERSON,
    MAX_SOURCES,
    MAX_TRAIL,
    WITHOUT_FILE,
    Basis,
    Recording,
    Source,
    Span,
    State,
    Step,
    Way,
)

MAX_TRIES = 5
"""Unclear answers after which a file is taken out of the queue: it may be what makes the cloud fail."""

UNSENT = frozenset({State.UNASSIGNED, State.QUESTIONED, State.QUEUED})
"""States in which nothing is under way: what is said of a recording then still decides where it goes."""

ASSIGNABLE = UNSENT | {State.AMBIGUOUS, State.FAILED, State.QUARANTINED}
"""States in which a person may say which tracker it comes from."""

RETRIABLE = frozenset({State.QUEUED, State.AMBIGUOUS, State.FAILED, State.QUARANTINED, State.CORRUPT, State.ACCEPTED})
"""States from which a person may let it be sent (again)."""

UNDER_WAY = frozenset({State.SENDING, State.CLOSING})

DISCARDABLE = frozenset(State) - UNDER_WAY - {State.PURGED, State.DISCARDED}
"""States from which a person may delete it."""

IN_CLOUD = frozenset({State.ACCEPTED, State.DONE, State.PURGED})
"""States in which the cloud has it."""

WITH_FILE = frozenset(State) - WITHOUT_FILE - IN_CLOUD
"""States in which the file is all there is: without it, or with another, nothing good can come."""


class TransitionError(ValueError):
    """A recording in this state cannot become that."""


def taken(
    sha256: str,
    size: int,
    source: Source,
    *,
    serial_number: str | None = None,
    basis: Basis = Basis.PATH,
    author: str = "",
    span: Span | None = None,
    lacks_magic_v2: bool = False,
    question: str = "",
) -> Recording:
    """A recording that was never here before; `question` is a clause that says why nobody knows its tracker."""
    state = State.UNASSIGNED if serial_number is None else State.QUEUED
    return Recording(
        sha256,
        size,
        state,
        version=1,
        taken_ms=source.at_ms,
        changed_ms=source.at_ms,
        sources=(source,),
        trail=(Step(state, source.at_ms, author if serial_number is not None and basis is Basis.PERSON else ""),),
        serial_number=serial_number,
        basis=None if serial_number is None else basis,
        author=author,
        span=span,
        question=question if serial_number is None else "",
        lacks_magic_v2=lacks_magic_v2,
    )


def taken_again(
    known: Recording,
    source: Source,
    *,
    serial_number: str | None = None,
    basis: Basis = Basis.PATH,
    author: str = "",
    span: Span | None = None,
) -> Recording:
    """The same bytes have come in once more, and are in the spool again.

    What was deleted after it was done is done again, and kept as long as before; what a person has discarded, or what
    was lost or damaged here, goes its way anew. Of what was only found in the spool, its name and its time are told by
    how it comes in now.
    """
    if all(it.way is Way.SPOOL for it in known.sources):
        known = replace(known, sources=(), span=span)
    sources = (*known.sources[:1], *(*known.sources[1:], source)[-(MAX_SOURCES - 1) :])
    noted = replace(known, sources=sources)
    if known.state in {State.DISCARDED, State.MISSING, State.CORRUPT}:
        noted = replace(noted, tries=0, error_code="", error="", job_id=None)
        if serial_number is None:
            return _moved(noted, _waiting(noted), source.at_ms)
        return _said(replace(noted, is_checked=False), serial_number, basis, author, source.at_ms)
    is_contradicted = serial_number is not None and known.serial_number not in {None, serial_number}
    if is_contradicted and known.state in UNSENT:
        return questioned(
            noted, f"it came in for {known.serial_number} and once more for {serial_number}", source.at_ms
        )
    if is_contradicted:
        noted = replace(noted, remark=f"it came in once more, for {serial_number}")
    if known.state is State.PURGED:
        return _moved(noted, State.DONE, source.at_ms)
    if serial_number is not None and known.serial_number is None:
        if known.state in UNSENT:
            return _said(noted, serial_number, basis, author, source.at_ms)
        noted = replace(noted, serial_number=serial_number, basis=basis, author=author)
    return _moved(noted, known.state, source.at_ms)


def assigned(known: Recording, serial_number: str, author: str, at_ms: int) -> Recording:
    """A person has said which tracker it comes from, and by that answered what was asked."""
    _only(known, ASSIGNABLE)
    answered = replace(known, is_checked=True, tries=0, error_code="", error="", job_id=None)
    return _said(answered, serial_number, Basis.PERSON, author, at_ms)


def questioned(known: Recording, question: str, at_ms: int) -> Recording:
    """Something speaks against its tracker: a clause that a person shall answer, without full stop."""
    _only(known, UNSENT)
    return _moved(replace(known, question=question), State.QUESTIONED, at_ms)


def checked(known: Recording) -> Recording:
    """Nothing speaks against its tracker, as far as that can be known."""
    _only(known, {State.QUEUED})
    return replace(known, is_checked=True, version=known.version + 1)


def sending(known: Recording, at_ms: int) -> Recording:
    """Its body begins to leave."""
    _only(known, {State.QUEUED})
    is_twice = known.maybe_duplicate or known.may_be_in_cloud or known.may_be_elsewhere
    return _moved(replace(known, sent_ms=at_ms, maybe_duplicate=is_twice), State.SENDING, at_ms)


def closing(known: Recording, at_ms: int) -> Recording:
    """All but the end of its body has left, and now that may leave."""
    _only(known, {State.SENDING})
    return _moved(known, State.CLOSING, at_ms)


def postponed(known: Recording, error_code: str, error: str, at_ms: int) -> Recording:
    """It was certainly not taken, and that says nothing about the file."""
    _only(known, UNDER_WAY)
    return _moved(replace(known, error_code=error_code, error=error), State.QUEUED, at_ms)


def refused(known: Recording, error_code: str, error: str, at_ms: int, *, is_final: bool) -> Recording:
    """The cloud has declined it.

    Args:
        known: Under way.
        error_code: Why, for programs.
        error: Why, as a clause for people.
        at_ms: When.
        is_final: Whether the same file will be declined again; else after five times.
    """
    _only(known, UNDER_WAY)
    told = replace(known, error_code=error_code, error=error, tries=known.tries + 1)
    is_over = is_final or told.tries >= MAX_TRIES
    return _moved(told, State.QUARANTINED if is_over else State.QUEUED, at_ms)


def unanswered(known: Recording, error_code: str, error: str, at_ms: int) -> Recording:
    """All of it may have arrived, and what the cloud has made of it is not known."""
    _only(known, {State.CLOSING})
    told = replace(known, error_code=error_code, error=error, tries=known.tries + 1, may_be_in_cloud=True)
    return _moved(told, State.QUARANTINED if told.tries >= MAX_TRIES else State.AMBIGUOUS, at_ms)


def found_absent(known: Recording, at_ms: int) -> Recording:
    """The cloud was asked, and does not have it for its tracker."""
    _only(known, {State.AMBIGUOUS})
    is_there = known.may_be_elsewhere
    return _moved(replace(known, may_be_in_cloud=is_there, maybe_duplicate=is_there), State.QUEUED, at_ms)


def sent_again(known: Recording, at_ms: int) -> Recording:
    """The cloud cannot be asked, and it was waited long enough."""
    _only(known, {State.AMBIGUOUS})
    return _moved(known, State.QUEUED, at_ms)


def accepted(known: Recording, job_id: str, at_ms: int) -> Recording:
    """The cloud has taken it: its answer says so, or it was found there."""
    _only(known, {State.SENDING, State.CLOSING, State.AMBIGUOUS})
    is_twice = known.maybe_duplicate or known.may_be_elsewhere
    there = replace(
        known, job_id=job_id, may_be_in_cloud=False, maybe_duplicate=is_twice, tries=0, error_code="", error=""
    )
    return _moved(there, State.ACCEPTED, at_ms)


def done(known: Recording, at_ms: int) -> Recording:
    """The cloud says, when it is asked, that its work has succeeded."""
    _only(known, {State.ACCEPTED})
    return _moved(replace(known, error_code="", error=""), State.DONE, at_ms)


def failed(known: Recording, error: str, at_ms: int) -> Recording:
    """The cloud says, when it is asked, that its work has failed, and why."""
    _only(known, {State.ACCEPTED})
    return _moved(replace(known, error_code="job_failed", error=error), State.FAILED, at_ms)


def found_corrupt(known: Recording, error: str, at_ms: int) -> Recording:
    """The bytes in the spool are not those that were taken over."""
    _only(known, WITH_FILE)
    told = replace(known, error_code="corrupt", error=error, may_be_in_cloud=_may_be_in_cloud(known))
    return _moved(told, State.CORRUPT, at_ms)


def found_missing(known: Recording, at_ms: int) -> Recording:
    """The file is not in the spool."""
    _only(known, WITH_FILE)
    error = "its file is not in the spool any more"
    told = replace(known, error_code="missing", error=error, may_be_in_cloud=_may_be_in_cloud(known))
    return _moved(told, State.MISSING, at_ms)


def found_again(known: Recording, at_ms: int) -> Recording:
    """Its file, as it was taken over, is in the spool though it was not to be."""
    _only(known, {*WITHOUT_FILE, State.CORRUPT})
    if known.state is State.PURGED:
        return _moved(known, State.DONE, at_ms)
    again = replace(known, tries=0, error_code="", error="", job_id=None)
    if known.state is State.DISCARDED and known.serial_number is not None:
        question = "it was discarded, and its file is here all the same"
        return _moved(replace(again, question=question), State.QUESTIONED, at_ms)
    return _moved(again, _waiting(again), at_ms)


def doubted(known: Recording, at_ms: int) -> Recording:
    """What was written of it last is lost; this is something older."""
    if known.state in IN_CLOUD:
        return known
    doubtful = replace(known, may_be_in_cloud=True)
    return _moved(doubtful, _waiting(doubtful) if known.state in {State.QUEUED, *UNDER_WAY} else known.state, at_ms)


def retried(known: Recording, author: str, at_ms: int) -> Recording:
    """A person wants it to be sent, whatever has been."""
    _only(known, RETRIABLE)
    if known.serial_number is None:
        raise TransitionError("nobody has said which tracker it comes from")
    may_be = _may_be_in_cloud(known)
    again = replace(known, author=author, tries=0, error_code="", error="", job_id=None, may_be_in_cloud=may_be)
    return _moved(again, State.QUEUED, at_ms, author)


def purged(known: Recording, at_ms: int) -> Recording:
    """It was done long enough, and its file goes."""
    _only(known, {State.DONE})
    return _moved(known, State.PURGED, at_ms)


def redated(known: Recording, at_ms: int) -> Recording:
    """It was done by a clock that was wrong: how long its file is kept counts from now."""
    _only(known, {State.DONE})
    return replace(known, changed_ms=at_ms, version=known.version + 1)


def discarded(known: Recording, author: str, at_ms: int) -> Recording:
    """A person lets its file go, wherever it is."""
    _only(known, DISCARDABLE)
    # Should the same bytes come in again, the cloud is not to get them twice without a mark.
    let_go = replace(known, author=author, may_be_in_cloud=_may_be_in_cloud(known))
    return _moved(let_go, State.DISCARDED, at_ms, author)


def recovered(known: Recording, at_ms: int) -> Recording:
    """What a recording is when the gateway that had it in hand has ended, in whatever way."""
    match known.state:
        case State.SENDING:
            return postponed(known, "interrupted", "the gateway was stopped while it was sent", at_ms)
        case State.CLOSING:
            # Not counted as a try: it says nothing about the file that we were stopped.
            error = "the gateway was stopped before the cloud's answer came"
            told = replace(known, error_code="interrupted", error=error, may_be_in_cloud=True)
            return _moved(told, State.AMBIGUOUS, at_ms)
        case _:
            return known


def waits_for_a_person(recording: Recording) -> bool:
    """Whether nothing happens with it until somebody says something."""
    return recording.state in FOR_A_PERSON


def _may_be_in_cloud(known: Recording) -> bool:
    """Whether what is sent from now on may be there twice."""
    return known.may_be_in_cloud or known.state is State.CLOSING or known.state in IN_CLOUD


def _said(known: Recording, serial_number: str, basis: Basis, author: str, at_ms: int) -> Recording:
    """Somebody has said which tracker it comes from, and nothing of it is under way."""
    is_another = known.serial_number not in {None, serial_number}
    said = replace(
        known,
        serial_number=serial_number,
        basis=basis,
        author=author,
        remark="",
        # The cloud is asked for which tracker it has something: of what it has for another it will not tell.
        may_be_elsewhere=known.may_be_elsewhere or (is_another and (known.may_be_in_cloud or known.maybe_duplicate)),
    )
    return _moved(said, State.QUEUED if is_another else _waiting(said), at_ms, author)


def _waiting(recording: Recording) -> State:
    """Where a recording belongs of which nothing is under way."""
    if recording.serial_number is None:
        return State.UNASSIGNED
    return State.AMBIGUOUS if recording.may_be_in_cloud else State.QUEUED


def _moved(recording: Recording, state: State, at_ms: int, author: str = "") -> Recording:
    if state is recording.state:
        return replace(recording, version=recording.version + 1)
    if state is not State.QUESTIONED:
        recording = replace(recording, question="")
    trail = (*recording.trail, Step(state, at_ms, author))[-MAX_TRAIL:]
    return replace(recording, state=state, changed_ms=at_ms, trail=trail, version=recording.version + 1)


def _only(recording: Recording, states: Collection[State]) -> None:
    if recording.state not in states:
        raise TransitionError(f"not from {recording.state}")

"""Recordings in every state, for tests of what is kept of them."""

import hashlib
from collections.abc import Callable

from gateway.uploads import transitions as t
from gateway.uploads.recording import Recording, Source, State, Way

S = State

STEPS: dict[State, tuple[Callable[[Recording, int], Recording], ...]] = {
    S.QUEUED: (),
    S.SENDING: (t.sending,),
    S.CLOSING: (t.sending, t.closing),
    S.AMBIGUOUS: (t.sending, t.closing, lambda it, at_ms: t.unanswered(it, "timeout", "no answer", at_ms)),
    S.ACCEPTED: (t.sending, t.closing, lambda it, at_ms: t.accepted(it, "job-1", at_ms)),
    S.DONE: (t.sending, t.closing, lambda it, at_ms: t.accepted(it, "job-1", at_ms), t.done),
    S.PURGED: (t.sending, t.closing, lambda it, at_ms: t.accepted(it, "job-1", at_ms), t.done, t.purged),
    S.FAILED: (
        t.sending,
        t.closing,
        lambda it, at_ms: t.accepted(it, "job-1", at_ms),
        lambda it, at_ms: t.failed(it, "no rows", at_ms),
    ),
    S.QUARANTINED: (t.sending, lambda it, at_ms: t.refused(it, "rejected", "no", at_ms, is_final=True)),
    S.QUESTIONED: (lambda it, at_ms: t.questioned(it, "it is from Tuesday", at_ms),),
    S.CORRUPT: (lambda it, at_ms: t.found_corrupt(it, "other bytes", at_ms),),
    S.MISSING: (t.found_missing,),
    S.DISCARDED: (lambda it, at_ms: t.discarded(it, "Ada", at_ms),),
}
"""How a recording that waits for its turn gets into a state."""


def content(number: int) -> bytes:
    """Of a file, unlike that of any other number."""
    return b"ASI\x00\x00\x00\x10\x04\x04\x06ASI V2" + number.to_bytes(4, "big") * 8


def sha256_of(number: int) -> str:
    return hashlib.sha256(content(number)).hexdigest()


def history(number: int, state: State) -> list[Recording]:
    """All that a recording has been, up to its coming into a state."""
    serial_number = None if state is S.UNASSIGNED else "A"
    source = Source(Way.INBOX, f"{number}.asi", 1)
    recordings = [t.taken(sha256_of(number), len(content(number)), source, serial_number=serial_number)]
    for at_ms, step in enumerate(STEPS.get(state, ()), start=2):
        recordings.append(step(recordings[-1], at_ms))
    assert recordings[-1].state is state
    return recordings


def recording(number: int, state: State) -> Recording:
    return history(number, state)[-1]

"""Whose turn it is to be sent."""

from collections.abc import Iterable

from gateway.uploads.recording import Recording

SMALL_BYTES = 1_000_000
"""What is sent within a minute on a thin line."""

SMALL_EVERY = 4
"""One turn in so many is a small one's: no giant keeps the whole team waiting, and they do not keep it waiting."""


def next_of(ready: Iterable[Recording], turns: int) -> Recording | None:
    """The one to send; None if there is none.

    Whoever is in the queue longest, so that one that was cut off is behind those that waited meanwhile.

    Args:
        ready: What is queued and has nothing to wait for.
        turns: How many were sent before.
    """
    queue = sorted(ready, key=lambda recording: (recording.changed_ms, recording.taken_ms, recording.sha256))
    if turns % SMALL_EVERY == SMALL_EVERY - 1:
        small = next((recording for recording in queue if recording.size < SMALL_BYTES), None)
        if small is not None:
            return small
    return queue[0] if queue else None

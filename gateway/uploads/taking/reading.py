"""A source is read: whatever is wrong with it is a reason for not taking it over.

Everything here waits for the disk and belongs into a worker's thread. What is raised is a TakeError.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from gateway.uploads.taking.sources import OpenSource, SourceChangedError
from gateway.uploads.taking.untakeable import TakeError, Untakeable


def open_source(source: OpenSource) -> None:
    """Open it; not while somebody writes."""
    with _source_errors():
        source.__enter__()
        if source.is_written_to:
            raise TakeError(Untakeable.BEING_WRITTEN, "Some program has it open and writes", "")


def next_block(blocks: Iterator[bytes]) -> bytes:
    """Its next bytes; none at its end."""
    with _source_errors():
        return next(blocks, b"")


def next_hashed(blocks: Iterator[bytes], update: Callable[[bytes], None]) -> int:
    """How many they were, where they are only hashed."""
    block = next_block(blocks)
    update(block)
    return len(block)


def compare(source: OpenSource, size: int) -> None:
    """See whether it is still what was looked at, after that many bytes were read of it."""
    with _source_errors():
        if size != source.look.size or not source.is_unchanged():
            raise _changed()


def close_source(source: OpenSource) -> None:
    """Close it; the recording is taken, or not, whatever that says."""
    with suppress(OSError):
        source.__exit__(None, None, None)


@contextmanager
def _source_errors() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, SourceChangedError):
        raise _changed() from None
    except OSError:
        text = "It cannot be read"
        raise TakeError(Untakeable.UNREADABLE, text, "see to its rights, or to the disk on which it lies") from None


def _changed() -> TakeError:
    return TakeError(Untakeable.CHANGED, "It was changed while it was copied", "")

"""Takes recordings over: copied, flushed, named, written down, and only then gone from where they came from.

The row is the acknowledgement. Whatever happens before it leaves the source where it is; whatever happens after it
finds file and row. The bytes go through a worker's thread block by block, so that a large file holds up nobody else.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.store import StoreError
from gateway.uploads.keeping.spool import FULL, NoRoomError, Part, Spool
from gateway.uploads.recording import DELETED, MAX_NAME, Basis, Recording, Source, Span, State, Way
from gateway.uploads.taking.reading import close_source, compare, next_block, next_hashed, open_source
from gateway.uploads.taking.sources import Kind, OpenSource
from gateway.uploads.taking.untakeable import TakeError, Untakeable, not_asi
from gateway.uploads.transitions import taken, taken_again
from gateway.worker import Worker
from insiders_codecs.asi import HEAD_BYTES, check_header
from insiders_codecs.errors import DecodeError

__all__ = ["Intake", "TakeError", "Taken", "Untakeable"]

_LOG = logging.getLogger(__name__)

_MB = 1_000_000

_TO_BE_HEALED = frozenset({State.MISSING, State.CORRUPT})
"""States in which it is good that the bytes have come once more."""


class Ledger(Protocol):
    """What is written down of every recording."""

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """All, by SHA-256."""

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be written down; None if it can."""

    async def taken(self, sha256: str, change: Callable[[Recording | None], Recording]) -> Recording:
        """Write down that a recording has come in, be it for the first time or again; it is on the disk then."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was taken over.

    Attributes:
        recording: What it is now.
        is_source_gone: Whether it was removed from where it came from; not everything can be.
    """

    recording: Recording
    is_source_gone: bool


class Intake:
    """The one way into the spool."""

    def __init__(self, spool: Spool, ledger: Ledger, worker: Worker, max_bytes: int, utc_ms: Callable[[], int]) -> None:
        """Touches nothing yet.

        Args:
            spool: Where to; opened.
            ledger: Where it is written down; loaded.
            worker: Reads and writes the bytes. A source that hangs holds it up, so it had better be nobody else's.
            max_bytes: What one recording may have.
            utc_ms: The wall clock, epoch ms.
        """
        self._spool = spool
        self._ledger = ledger
        self._worker = worker
        self._max_bytes = max_bytes
        self._utc_ms = utc_ms

    def known_sizes(self) -> AbstractSet[int]:
        """Bytes of the recordings that there are or were: a file of another size is none of them."""
        return {recording.size for recording in self._ledger.recordings.values()}

    async def take_file(
        self, source: OpenSource, *, name: str, serial_number: str | None, span: Span | None, question: str = ""
    ) -> Taken:
        """Take a file over, and remove it from where it is.

        What cannot be removed, as on a stick that is mounted read-only, comes again and again. If it is known it is
        not copied once more: what is purged or discarded stays so.

        Args:
            source: The file; not opened yet.
            name: What it is called, printable.
            serial_number: Of the tracker that its path names; None if it names none.
            span: When it was probably made; None if that is not known.
            question: Why nobody knows its tracker though its path names some, a clause.

        Raises:
            TakeError: If it was not taken; then it is where it was.
        """
        run, size = self._worker.run, source.look.size
        if source.look.kind is not Kind.FILE:
            raise TakeError(Untakeable.NOT_A_FILE, "It is no file", "copy the recording itself")
        self._check(size)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(run, lambda: close_source(source))
            await run(lambda: open_source(source))
            if (known := await self._seen_before(source)) is not None:
                return Taken(await self._noted(known, name, serial_number, span), is_source_gone=False)
            part = await self._part(stack, size)
            blocks = source.blocks()
            while block := await run(lambda: next_block(blocks)):
                await self._write(part, block)
            await run(lambda: compare(source, part.size))
            recording = await self._keep(part, Way.INBOX, name, serial_number, Basis.PATH, "", span, question)
            # Its folder is not flushed: a source that is there again after a power cut is recognised by its hash.
            return Taken(recording, is_source_gone=await run(source.unlink))

    async def take_stream(
        self,
        blocks: AsyncIterator[bytes],
        size: int | None,
        name: str,
        serial_number: str | None,
        author: str,
        sha256: str | None = None,
        *,
        basis: Basis = Basis.PERSON,
        span: Span | None = None,
        question: str = "",
    ) -> Recording:
        """Take over what somebody sends; what `blocks` raises is raised.

        Args:
            blocks: The bytes, in blocks of any length.
            size: How many were announced; None if that was not said.
            name: What it is called, printable.
            serial_number: Of its tracker; None if nothing says which that is.
            author: Who sends it.
            sha256: What the bytes shall have; None if that was not said.
            basis: Who says which tracker it comes from.
            span: When it was probably made; None if that is not known.
            question: Why nobody knows its tracker though its name names some, a clause.

        Raises:
            TakeError: If it was not taken.
        """
        self._check(size)
        async with AsyncExitStack() as stack:
            part = await self._part(stack, size)
            async for block in blocks:
                if size is not None and part.size + len(block) > size:
                    raise _other()
                self._check_size(part.size + len(block))
                await self._write(part, block)
            if (size is not None and part.size != size) or (sha256 is not None and part.sha256 != sha256.lower()):
                raise _other()
            return await self._keep(part, Way.UPLOAD, name, serial_number, basis, author, span, question)

    async def _seen_before(self, source: OpenSource) -> Recording | None:
        """What a file is that is here already and cannot be removed; None if it is to be copied."""
        run = self._worker.run
        if source.look.size not in self.known_sizes() or await run(lambda: source.is_removable):
            return None
        digest, size, blocks = hashlib.sha256(), 0, source.blocks()
        while block := await run(lambda: next_hashed(blocks, digest.update)):
            size += block
        await run(lambda: compare(source, size))
        known = self._ledger.recordings.get(digest.hexdigest())
        return None if known is None or known.state in _TO_BE_HEALED else known

    async def _noted(self, known: Recording, name: str, serial_number: str | None, span: Span | None) -> Recording:
        """Write down where else a recording lies, once, if its file is here."""
        source = Source(Way.INBOX, name[:MAX_NAME], self._utc_ms())

        def change(newest: Recording | None) -> Recording:
            newest = newest or known
            is_noted = any((it.way, it.name) == (source.way, source.name) for it in newest.sources)
            if is_noted or newest.state in DELETED | _TO_BE_HEALED:
                return newest
            return taken_again(newest, source, serial_number=serial_number, span=span)

        with _disk_errors():
            return await self._ledger.taken(known.sha256, change)

    def _check(self, size: int | None) -> None:
        if self._worker.is_overdue:
            raise TakeError(Untakeable.DISK_FAILED, "A disk does not answer", "replace it if that stays so")
        if (trouble := self._ledger.trouble) is not None:
            raise TakeError(Untakeable.DISK_FAILED, trouble.text, trouble.action)
        if size == 0:
            raise _empty()
        self._check_size(size or 0)

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            text = f"It has more than {self._max_bytes / _MB:.0f} MB"
            raise TakeError(Untakeable.TOO_LARGE, text, "see whether it is a recording; if so, raise max_file_mb")

    async def _part(self, stack: AsyncExitStack, size: int | None) -> Part:
        part = self._spool.part(size)
        stack.push_async_callback(self._worker.run, lambda: part.__exit__(None, None, None))
        with _disk_errors():
            return await self._worker.run(part.__enter__)

    async def _write(self, part: Part, block: bytes) -> None:
        with _disk_errors():
            await self._worker.run(lambda: part.write(block))
        _checked(part, is_all=False)

    async def _keep(
        self,
        part: Part,
        way: Way,
        name: str,
        serial_number: str | None,
        basis: Basis,
        author: str,
        span: Span | None,
        question: str,
    ) -> Recording:
        has_v2 = _checked(part, is_all=True)
        source = Source(way, name[:MAX_NAME], self._utc_ms())

        def change(known: Recording | None) -> Recording:
            if known is not None:
                return taken_again(known, source, serial_number=serial_number, basis=basis, author=author, span=span)
            return taken(
                part.sha256,
                part.size,
                source,
                serial_number=serial_number,
                basis=basis,
                author=author,
                span=span,
                lacks_magic_v2=not has_v2,
                question=question,
            )

        with _disk_errors():
            return await self._ledger.taken(await self._worker.run(part.commit), change)


def _checked(part: Part, *, is_all: bool) -> bool:
    """Whether a recording has the second mark, as far as it is there; raises TakeError if it is none."""
    if not is_all and part.size < HEAD_BYTES:
        return False
    if not part.size:
        raise _empty()
    try:
        return check_header(part.head)
    except DecodeError:
        raise not_asi() from None


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except NoRoomError as error:
        raise TakeError(Untakeable.NO_ROOM, error.text, error.action) from None
    except StoreError as error:
        raise TakeError(Untakeable.DISK_FAILED, error.text, error.action) from None
    except OSError as error:
        if error.errno in FULL:
            raise TakeError(Untakeable.NO_ROOM, "The disk is full", "delete what is not needed there") from None
        _LOG.warning("A recording could not be written to the disk: %(error)s", {"error": error})
        text = "The disk fails with a recording"
        raise TakeError(Untakeable.DISK_FAILED, text, "check the card, and replace it if that stays so") from None


def _empty() -> TakeError:
    return TakeError(Untakeable.EMPTY, "It is empty", "copy it anew, or remove it")


def _other() -> TakeError:
    return TakeError(Untakeable.CUT_OFF, "What came is not what was announced", "send it again")

"""What the desk needs of the rest."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from gateway.store import StoreError
from gateway.uploads.keeping.room import Room
from gateway.uploads.recording import Basis, Recording, Span
from gateway.uploads.report import InboxReport, RebuiltReport
from gateway.uploads.reporting import Following
from gateway.uploads.standing import Standing
from gateway.uploads.taking.naming import Known


class Ledger(Protocol):
    """What is written down of every recording."""

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """All, by SHA-256, as they are on the disk."""

    @property
    def revision(self) -> int:
        """Another with every change of them."""

    @property
    def trouble(self) -> StoreError | None:
        """Why nothing can be written down; None if it can."""

    @property
    def damage(self) -> StoreError | None:
        """What was found damaged or lost; None if nothing was."""

    async def change(self, sha256: str, change: Callable[[Recording], Recording]) -> Recording:
        """Let something become of one."""

    async def drop_file(self, sha256: str) -> None:
        """Delete the file of one that is discarded."""

    async def rebuild(self) -> RebuiltReport:
        """Read every file, and set right what is not as it was written down."""


class Intake(Protocol):
    """The way in."""

    async def take_stream(
        self,
        blocks: AsyncIterator[bytes],
        size: int | None,
        name: str,
        serial_number: str | None,
        author: str,
        sha256: str | None = None,
        *,
        basis: Basis,
        span: Span | None,
        question: str,
    ) -> Recording:
        """Take over what somebody sends."""


class Inbox(Protocol):
    """The folder into which people drop files."""

    @property
    def waiting(self) -> Sequence[InboxReport]:
        """What lies there, with the reason."""

    @property
    def trouble(self) -> StoreError | None:
        """Why it cannot be looked at; None if it can."""


class Uploader(Following, Protocol):
    """What brings the recordings into the cloud."""

    @property
    def wrong_setting(self) -> Standing | None:
        """What somebody has to set right before recordings get on, as clauses; None if nothing is known."""

    def wake(self) -> None:
        """Something else may be sent."""

    def retry(self, sha256: str) -> None:
        """A person does not want to wait."""


class Spool(Protocol):
    """Where the files are."""

    def room(self) -> Room:
        """How much room there is."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings.

    Attributes:
        keep_days: How long one that is done is kept.
        max_file_bytes: What one file may have.
        inbox_folder: Where the inbox is, for people; "" if there is none.
        known: The trackers that a name may name.
        tracker_pattern: How it names them; None as usual.
        zone: Of times in names.
    """

    keep_days: int
    max_file_bytes: int
    inbox_folder: str
    known: Sequence[Known]
    tracker_pattern: str | None
    zone: tzinfo

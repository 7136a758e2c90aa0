"""What the live stream needs of the rest of the gateway, as protocols: it imports no other feature."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Protocol

from insiders_codecs.live import Arrivals
from insiders_codecs.samples import SampleBlock


class RingView(Protocol):
    """The recent rows of a channel, in the order of arrival."""

    withdrawn: int
    """Arrival number up to which rows were taken back, because the tracker is not ours any more."""

    @property
    def oldest(self) -> int:
        """Arrival number of the oldest row."""

    @property
    def newest(self) -> int:
        """Arrival number of the newest row."""

    @property
    def newest_ms(self) -> int | None:
        """The newest time, epoch ms."""

    def read(self, after: int, limit: int) -> Arrivals | None:
        """Rows after a cursor, at most `limit`, views that hold until the next row arrives."""

    def since(self, from_ms: int) -> int:
        """A cursor before every row measured at or after a time."""

    def between(self, from_ms: int, to_ms: int) -> SampleBlock:
        """The rows of a span of time, ascending by time."""


class WearerView(Protocol):
    """Who wears a tracker."""

    @property
    def serial_number(self) -> str:
        """Printed on the tracker."""

    @property
    def athlete(self) -> str | None:
        """Display name."""

    @property
    def number(self) -> int | None:
        """Jersey number."""

    @property
    def squads(self) -> Collection[str]:
        """Those of the athlete."""


class GapView(Protocol):
    """A stretch of one tracker's time without rows."""

    @property
    def id(self) -> int:
        """Number, unique for the tracker."""

    @property
    def from_ms(self) -> int:
        """Time of the last row before what is missing, epoch ms."""

    @property
    def to_ms(self) -> int | None:
        """Time of the first row after it; None while it is open."""

    @property
    def rows(self) -> int | None:
        """Rows still missing; None while it is open."""

    @property
    def rows_repaired(self) -> int:
        """Rows that were missing and have come."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def state(self) -> str:
        """How it stands: open, closed, repaired."""

    @property
    def is_settled(self) -> bool:
        """Whether history has nothing more to bring for it."""


class GapTotalsView(Protocol):
    """Sums over all gaps of a channel, those that are no longer remembered included."""

    @property
    def gaps(self) -> int:
        """How many there have been."""

    @property
    def rows_missing(self) -> Mapping[Any, int]:
        """Rows that are missing now, by reason."""

    @property
    def rows_repaired(self) -> int:
        """Rows that were missing and have come."""


class GapsView(Protocol):
    """What is missing of a channel."""

    @property
    def gaps(self) -> Sequence[GapView]:
        """The gaps remembered."""

    @property
    def totals(self) -> GapTotalsView:
        """All of them in numbers."""


class AgesView(Protocol):
    """How old a channel's newest row is when it comes into the ring."""

    def median_ms(self, now_s: float) -> int | None:
        """Of the minute before a time of the monotonic clock half the time it was more; None if nothing newer came."""


class ChannelView(Protocol):
    """One tracker's data."""

    @property
    def ch(self) -> int:
        """Channel number."""

    @property
    def wearer(self) -> WearerView:
        """Who wears it."""

    @property
    def device_id(self) -> int | None:
        """Id in the cloud."""

    @property
    def is_released(self) -> bool:
        """Whether its wearer may be shown."""

    @property
    def stale_after_ms(self) -> int:
        """Silence that makes its values old."""

    @property
    def ring(self) -> RingView:
        """Its rows."""

    @property
    def gaps(self) -> GapsView:
        """What is missing of them."""

    @property
    def ages(self) -> AgesView:
        """How old they are when they come."""

    @property
    def clock_error_ms(self) -> int | None:
        """By how much the tracker's clock is ahead of the right time; None while it is right."""


Channels = Mapping[int, ChannelView]


class SensorsView(Protocol):
    """The Bluetooth sensors near the gateway."""

    def report(self) -> object:
        """All of them and the radio that hears them, as what becomes the JSON of the answer."""

    async def inspect(self, sensor_id: str, *, take_link: bool) -> object:
        """Look closer at one of them; to be cancelled at any time.

        Args:
            sensor_id: As in the report; anything that a stranger wrote.
            take_link: Whether it may take the only link of a sensor that a tracker may need.

        Returns:
            What was found, as what becomes the JSON of the answer.

        Raises:
            RequestError: With the code that says why it cannot be done.
        """


class PairingsView(Protocol):
    """Which sensors the trackers shall listen to.

    Every method answers with what becomes the JSON of the answer. A serial number is anything that a stranger wrote; a
    body is JSON, as it came; an author is who is known to have sent it: instead of whom it names, unless that is None.
    All but the first three raise `RequestError` with the code that says why not.
    """

    def report(self) -> object:
        """How each tracker stands."""

    def plan(self) -> object:
        """What is to change."""

    def team(self) -> object:
        """What is wanted of all trackers."""

    async def explain(self, serial_number: str) -> object:
        """How one tracker stands, and what has happened to it."""

    async def set_(self, serial_number: str, body: bytes, author: str | None) -> object:
        """Want something of one tracker."""

    async def import_(self, body: bytes, author: str | None) -> object:
        """Want something of several trackers."""

    async def apply(self, body: bytes, author: str | None) -> object:
        """Approve changes."""

    async def act(self, action: str, serial_number: str | None, body: bytes, author: str | None) -> object:
        """Adopt, suspend, resume or retry: one tracker, or all of them."""


class RecordingsView(Protocol):
    """The recordings on their way into the cloud.

    Every method answers with what becomes the JSON of the answer. An id is anything that a stranger wrote; a body is
    JSON, as it came; an author is who is known to have sent it: instead of whom it names, unless that is None. All but
    the first two raise `RequestError` with the code that says why not.
    """

    async def report(self, *, is_all: bool) -> object:
        """All that somebody has to know of; with `is_all` also what is over."""

    def tag(self, *, is_all: bool) -> str:
        """A word of letters, digits and hyphens that is another whenever `report` has something else to say."""

    def show(self, recording_id: str) -> object:
        """How one of them stands."""

    async def add(
        self, blocks: AsyncIterator[bytes], size: int | None, query: Mapping[str, str], author: str | None
    ) -> object:
        """Take a file over; to be cancelled at any time, and then nothing of it is kept.

        Args:
            blocks: Its bytes, as they come.
            size: How many of them were announced; None if nothing was.
            query: What the request says of it, as it came.
            author: Who brings it.
        """

    async def act(self, action: str, recording_id: str, body: bytes, author: str | None) -> object:
        """Assign, retry or discard one of them."""

    async def rebuild(self) -> object:
        """Read all files of the spool, and tell the queue again from them."""


class CertificatesView(Protocol):
    """What the gateway proves itself with, and the club's authority behind it.

    What becomes the JSON of an answer is an object; `change` and `export` raise `RequestError`.
    """

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the certificate that is served, hexadecimal."""

    @property
    def authority(self) -> str | None:
        """PEM of what laptops have to know to trust it; None if they do without."""

    def report(self) -> object:
        """How it stands."""

    async def change(self, body: bytes) -> object:
        """Go on with another authority; the body is JSON, as it came."""

    def export(self, *, with_key: bool) -> object:
        """The authority, for laptops; with its key for another gateway of the club."""

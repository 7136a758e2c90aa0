"""What the live stream needs of the rest of the gateway, as protocols: it imports no other feature."""

from collections.abc import Mapping
from typing import Protocol

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
    def stale_after_ms(self) -> int:
        """Silence that makes its values old."""

    @property
    def ring(self) -> RingView:
        """Its rows."""


Channels = Mapping[int, ChannelView]

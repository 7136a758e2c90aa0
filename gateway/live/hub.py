"""What all sessions share."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.live.board import Board
from gateway.live.source import Channels
from insiders_codecs.live import Codec, Message


@dataclass(frozen=True, slots=True)
class Hub:
    """The gateway, as far as clients are concerned.

    Attributes:
        channels: All channels by number.
        board: What everybody must know beside the samples.
        epoch: Random name of this run of the gateway; arrival numbers hold within it only.
        site: Name of the place, for people.
        version: Of the gateway.
        ring_span_s: How far back the rings reach, seconds.
        utc_ms: The wall clock, epoch ms.
        is_clock_synced: Whether the wall clock is known to be right; None if nobody knows.
        reference_ms: Epoch ms by a clock that is right and never jumps; None while it is not known.
        refusals: What clients did wrong so far, by error code or close code.
    """

    channels: Channels
    board: Board
    epoch: str
    site: str
    version: str
    ring_span_s: float
    utc_ms: Callable[[], int]
    is_clock_synced: Callable[[], bool | None]
    reference_ms: Callable[[], int | None] = lambda: None
    refusals: Counter[str] = field(default_factory=Counter)

    def time(self) -> tuple[int, str]:
        """Epoch ms, and whose: what ages are told by must not jump with the wall clock of a Pi."""
        reference_ms = self.reference_ms()
        return (self.utc_ms(), "system") if reference_ms is None else (reference_ms, "cloud")

    def identity(self) -> Message:
        """Who we are: the fields of `hello` that need no secrecy."""
        return {
            "server": "insiders-gateway",
            "version": self.version,
            "site": self.site,
            "epoch": self.epoch,
            "protocols": [str(codec) for codec in Codec],
            "path": "/api/v1/stream",
        }

"""Which way a tracker's live rows come: asked for once a second, or sent by the cloud over a websocket. Pure."""

import math
from collections.abc import Iterable
from enum import StrEnum

import msgspec

POLLED_MOST = 2
"""Moving trackers that are asked rather than listened to. The vendor finds polling fine for "a couple of devices" and
recommends the websocket for more (Insiders API 1.22, live streaming); a poll has no connection to keep alive."""

MOVING_S = 10.0
"""A tracker that brought newer rows this recently is moving."""

RESTED_S = 600.0
"""After so long without newer rows a connection is given up: half-times and drinks are shorter."""


class Source(StrEnum):
    """Where live rows come from, as configured."""

    AUTO = "auto"
    POLL = "poll"
    WEBSOCKET = "websocket"

    @property
    def polls(self) -> bool:
        """Whether trackers are asked."""
        return self is not Source.WEBSOCKET


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """What the choice depends on.

    A Struct and no dataclass, because one is made for each tracker twice a second, and that costs a fifth.

    Attributes:
        ch: The tracker's channel.
        silent_s: Seconds since it brought newer rows; None if it never did.
        is_streamed: It has a stream.
        is_hidden: Polls do not show its rows: they are not answered, or rows from the future hide all others.
    """

    ch: int
    silent_s: float | None
    is_streamed: bool
    is_hidden: bool = False


def streamed(source: Source, candidates: Iterable[Candidate]) -> set[int]:
    """The channels that shall have a stream now, of those whose tracker is ours.

    With `Source.AUTO` the tails run anyway and a stream only defers them. So whether streams fail does not matter
    here: a tracker whose stream is down is polled, and its follower tries again by itself. Whether polls fail does: a
    tracker that they do not show gets a stream, whatever it does and however few there are.

    A stream begins when a tracker moves and more than a couple of them have been moving lately; it ends when the
    tracker has rested for long, or all but a couple have. Between the two lies the time that a break lasts, so streams
    do not come and go with it.
    """
    if source is Source.POLL:
        return set()
    if source is Source.WEBSOCKET:
        return {candidate.ch for candidate in candidates}
    lately, moving, hidden = 0, set(), set()
    for candidate in candidates:
        silent_s = math.inf if candidate.silent_s is None else candidate.silent_s
        if candidate.is_hidden:
            hidden.add(candidate.ch)
        if silent_s < RESTED_S:
            lately += 1
            if candidate.is_streamed or silent_s < MOVING_S:
                moving.add(candidate.ch)
    return (moving if lately > POLLED_MOST else set()) | hidden

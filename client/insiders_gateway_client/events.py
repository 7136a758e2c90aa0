"""What happens in a live stream, as values with names and types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insiders_gateway_client.messages import Message, Run


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection stands.

    Attributes:
        site: Name of the place.
        version: Of the gateway.
        epoch: Under which rows are numbered.
        is_anew: Whether it is another epoch than before: what was known of trackers, states and gaps holds no more.
    """

    site: str
    version: str
    epoch: str
    is_anew: bool


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is cut; another is tried for by itself.

    Attributes:
        text: Why, and what to do, in two clauses.
        retry_s: After so many seconds.
    """

    text: str
    retry_s: float


@dataclass(frozen=True, slots=True)
class Tracker:
    """What is known of one tracker.

    Attributes:
        serial_number: Which.
        name: Of its athlete; None if it has none, or may not be told.
        number: Of the shirt.
        is_released: Whether its athlete may be shown.
        withdrawn: Rows up to this number are ours no more: they are to be forgotten.
    """

    serial_number: str
    name: str | None
    number: int | None
    is_released: bool
    withdrawn: int


@dataclass(frozen=True, slots=True)
class Trackers:
    """What is known of trackers from now on; those that are not among them stay as they were."""

    trackers: tuple[Tracker, ...]


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where the rows of a tracker begin in this connection.

    Attributes:
        serial_number: Which.
        recovered: "exact": the next row follows the last one. "partial": some are gone for good. "fresh": from anew.
        missing_rows: How many are gone.
    """

    serial_number: str
    recovered: str
    missing_rows: int


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one tracker, in the order of their arrival at the gateway.

    Attributes:
        serial_number: Of the tracker.
        name: Of its athlete.
        n0: Arrival number of the first.
        t_ms: When each was measured, epoch ms: int64[rows].
        columns: Values by name of the column, NaN where nothing was measured: float64[rows] each.
        is_late: Whether rows newer than these had arrived before them.
        is_misdated: Whether the tracker's clock was wrong: the values are real, the times are not.
        is_past: Whether they belong to the past that was asked for.
    """

    serial_number: str
    name: str | None
    n0: int
    t_ms: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    is_late: bool
    is_misdated: bool
    is_past: bool

    def __len__(self) -> int:
        return len(self.t_ms)

    @property
    def last(self) -> int:
        """Arrival number of the last row."""
        return self.n0 + len(self.t_ms) - 1


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """The past that was asked for has come; what follows is new."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of one tracker's time with rows missing; the newest with the same id replaces the older ones.

    Attributes:
        serial_number: Of the tracker.
        id: Of the gap; None if it is about this connection alone: rows were left out that we were too slow for.
        from_ms: After the row of this time.
        to_ms: Before the row of this time; None while it is open.
        rows: How many are missing still; None while it is open.
        rows_repaired: How many were missing and have come.
        reason: Why.
        state: "open", "closed" or "repaired".
        is_settled: Whether nothing more of it is expected.
    """

    serial_number: str
    id: int | None
    from_ms: int
    to_ms: int | None
    rows: int | None
    rows_repaired: int
    reason: str
    state: str
    is_settled: bool


@dataclass(frozen=True, slots=True)
class State:
    """How something stands; the newest with the same key replaces the older ones.

    Attributes:
        key: What, for example "channel/3", "problem/tracker_foreign/SIM-0007" or "bluetooth".
        value: The word for it.
        serial_number: Of the tracker whose presence it tells; None for everything else.
        facts: The other fields.
    """

    key: str
    value: str
    serial_number: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Expiring:
    """What lets us in ends soon.

    Attributes:
        expires_ms: When, epoch ms.
    """

    expires_ms: int


Event = Connected | Disconnected | Trackers | Resumed | Rows | CaughtUp | Gap | State | Expiring


class Reader:
    """Turns messages into events; knows which channel is which tracker."""

    def __init__(self) -> None:
        self._epoch: str | None = None
        self._trackers: dict[int, Tracker] = {}

    def read(self, message: Message, runs: Sequence[Run]) -> Iterator[Event]:
        """What a message says.

        Args:
            message: Of a stream.
            runs: Its samples, decoded, if it has any.

        Raises:
            KeyError: If it is not as the protocol says.
        """
        match message["op"]:
            case "hello":
                is_anew, self._epoch = message["epoch"] != self._epoch, message["epoch"]
                if is_anew:
                    self._trackers.clear()
                yield Connected(message["site"], message["version"], message["epoch"], is_anew)
            case "disconnected":
                yield Disconnected(message["text"], message["retry_s"])
            case "channels":
                told = {channel["ch"]: _tracker(channel) for channel in message["channels"]}
                self._trackers |= told
                yield Trackers(tuple(told.values()))
            case "sub_ok":
                for channel in message["channels"]:
                    yield Resumed(channel["serial_number"], channel["recovered"], channel.get("missing_rows", 0))
            case "snap" | "d":
                for run in runs:
                    yield self._rows(run, is_past=message["op"] == "snap")
                if message.get("end"):
                    yield CaughtUp()
            case "gap":
                yield _gap(message, self._trackers[message["ch"]])
            case "state":
                known = self._trackers.get(message["ch"]) if "ch" in message else None
                facts = {name: fact for name, fact in message.items() if name not in _STATE_FIELDS}
                serial_number = None if known is None else known.serial_number
                yield State(message["key"], message["value"], serial_number, facts)
            case "auth_expiring":
                yield Expiring(message["expires_ms"])

    def _rows(self, run: Run, *, is_past: bool) -> Rows:
        tracker = self._trackers[run.ch]
        return Rows(
            tracker.serial_number,
            tracker.name,
            run.n0,
            run.t_ms,
            run.columns,
            run.is_late,
            run.is_misdated,
            is_past,
        )


_STATE_FIELDS = {"op", "key", "value", "ch"}


def _tracker(channel: Message) -> Tracker:
    return Tracker(
        channel["serial_number"],
        channel["name"],
        channel["number"],
        channel.get("released", True),
        channel.get("withdrawn", 0),
    )


def _gap(message: Message, tracker: Tracker) -> Gap:
    return Gap(
        tracker.serial_number,
        message.get("id"),
        message["from_ms"],
        message["to_ms"],
        message["rows"],
        message.get("rows_repaired", 0),
        message["reason"],
        message["state"],
        message.get("settled", True),
    )

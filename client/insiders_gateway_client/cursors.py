"""What a client remembers of a stream between two connections, and when it tells how far it has come."""

from dataclasses import dataclass, field

from insiders_gateway_client.messages import Message

ACK_EVERY_S = 0.5
"""A gateway that hears nothing for two seconds takes a client for slow."""

ACK_EVERY_BYTES = 64 * 1024

MOST_HAD = 1 << 18
"""Rows of a channel that are kept in mind while others are left out: seven hours, and no gateway remembers as much."""


@dataclass(slots=True)
class Place:
    """Where the reader stands in one channel.

    Attributes:
        cursor: Arrival number to go on from.
        had: Rows behind it that have come all the same, one bit each from that of the number `cursor` + 1 on.
        is_held: Whether rows are being left out, so that the cursor stays while others come.
        missing: Rows up to the cursor that have not come, and of which nothing was told yet.
    """

    cursor: int
    had: int = 0
    is_held: bool = False
    missing: int = 0

    def move(self, cursor: int) -> int:
        """Go on from a later number; how many of the rows up to it are told to be missing by that."""
        count = max(0, cursor - self.cursor)
        missing = self.missing + count - (self.had & _ones(min(count, MOST_HAD))).bit_count()
        self.cursor, self.had, self.missing = self.cursor + count, self.had >> count, 0
        return missing

    def take(self, n0: int, rows: int) -> list[tuple[int, int]]:
        """Take in rows that come; those that have not come before, as pairs of first and end, counted from 0."""
        last = n0 + rows - 1
        before = min(max(0, self.cursor - n0 + 1), rows)  # of the rows, up to the cursor
        known = (self.had >> max(0, n0 - self.cursor - 1)) << before | _ones(before)
        spans = _spans(~known & _ones(rows))
        if self.is_held:
            self.missing = self.move(last - MOST_HAD)
            self.had |= _ones(rows - before) << max(0, n0 - self.cursor - 1)
        else:
            self.move(last)
        return spans


class Cursors:
    """Where the reader stands: what a resume needs.

    Attributes:
        epoch: Run of the gateway under which the numbers were counted.
    """

    def __init__(self) -> None:
        self.epoch: str | None = None
        self._places: dict[int, Place] = {}

    @property
    def by_channel(self) -> dict[int, int]:
        """Arrival number to go on from, by channel number."""
        return {ch: place.cursor for ch, place in self._places.items()}

    def start(self, last_s: float) -> Message:
        """The `from` of a subscription: resume where there is something to resume, else the last seconds."""
        if self.epoch is None or not self._places:
            return {"last_s": last_s}
        return {"epoch": self.epoch, "cursors": [list(pair) for pair in self.by_channel.items()], "last_s": last_s}

    def take(self, message: Message) -> None:
        """Move on by what a message of the server says, and put right in it what somebody who was here before has.

        Of rows that are called missing those are not counted that have come in an earlier connection; and a block of
        which some rows have come gets a field `new`, the spans of the others: see `Place.take`.
        """
        match message["op"]:
            case "hello":
                if message.get("epoch") != self.epoch:
                    self.epoch = message.get("epoch")
                    self._places.clear()
                for place in self._places.values():
                    place.is_held = False
            case "channels":
                for channel in message["channels"]:
                    self._withdraw(channel["ch"], channel.get("withdrawn", 0))
            case "sub_ok":
                for channel in message["channels"]:
                    self._place(channel)
            case "gap" if "after" in message and message["ch"] in self._places:
                place = self._places[message["ch"]]
                place.is_held = message["state"] == "open"
                missing = place.move(message["after"])
                if not place.is_held:
                    message["rows"] = min(message["rows"], missing)
            case "snap" | "d":
                for block in message["blocks"]:
                    self._take_rows(block)

    def _place(self, channel: Message) -> None:
        place = self._places.get(channel["ch"])
        if place is None or channel["recovered"] == "fresh":
            self._places[channel["ch"]] = Place(channel["cursor"])
            return
        missing = place.move(channel["cursor"])
        if "missing_rows" in channel:
            channel["missing_rows"] = min(channel["missing_rows"], missing)

    def _take_rows(self, block: Message) -> None:
        if block["rows"] > MOST_HAD:
            raise ValueError("a message claims more rows than fit into one")
        place = self._places.setdefault(block["ch"], Place(block["n0"] - 1))
        spans = place.take(block["n0"], block["rows"])
        if spans != [(0, block["rows"])]:
            block["new"] = spans

    def _withdraw(self, ch: int, withdrawn: int) -> None:
        """Rows were taken back: what is missing of them is nobody's concern any more."""
        place = self._places.get(ch)
        if place is not None and place.cursor < withdrawn:
            place.move(withdrawn)
            place.is_held = False


@dataclass(slots=True)
class Acks:
    """What was consumed and is not acknowledged yet; times are seconds of one monotonic clock."""

    _seqs: dict[int, int] = field(default_factory=dict)
    _bytes: int = 0
    _last_s: float = float("-inf")

    def consumed(self, message: Message, size: int) -> None:
        """Take in that a message has been worked off; only those with samples count."""
        if message["op"] in {"snap", "d"} and "seq" in message:
            self._seqs[message["sub"]] = message["seq"]
            self._bytes += size

    def wait_s(self, now_s: float) -> float | None:
        """How long until it is time to tell; 0 if it is, None if there is nothing to tell."""
        if not self._seqs:
            return None
        return 0.0 if self._bytes >= ACK_EVERY_BYTES else max(0.0, self._last_s + ACK_EVERY_S - now_s)

    def take(self, now_s: float) -> Message:
        """The message to send now."""
        told: Message = {"op": "ack", "subs": [list(pair) for pair in self._seqs.items()]}
        self._seqs, self._bytes, self._last_s = {}, 0, now_s
        return told


def _ones(count: int) -> int:
    return (1 << count) - 1


def _spans(bits: int) -> list[tuple[int, int]]:
    """Where the ones are, as pairs of first and end."""
    spans, at = list[tuple[int, int]](), 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & bits + 1).bit_length() - 1
        bits >>= ones
        spans.append((at + zeros, at + zeros + ones))
        at += zeros + ones
    return spans

"""What a client remembers of a stream between two connections, and when it tells how far it has come."""

from dataclasses import dataclass, field

from insiders_gateway_client.messages import Message

ACK_EVERY_S = 0.5
"""A gateway that hears nothing for two seconds takes a client for slow."""

ACK_EVERY_BYTES = 64 * 1024


@dataclass(slots=True)
class Cursors:
    """Where the reader stands: what a resume needs.

    Attributes:
        epoch: Run of the gateway under which the numbers were counted.
        by_channel: Arrival number of the last row received, by channel number.
    """

    epoch: str | None = None
    by_channel: dict[int, int] = field(default_factory=dict)

    def start(self, last_s: float) -> Message:
        """The `from` of a subscription: resume where there is something to resume, else the last seconds."""
        if self.epoch is None or not self.by_channel:
            return {"last_s": last_s}
        return {"epoch": self.epoch, "cursors": [list(pair) for pair in self.by_channel.items()], "last_s": last_s}

    def take(self, message: Message) -> None:
        """Move on by what a message of the server says."""
        match message["op"]:
            case "hello" if message.get("epoch") != self.epoch:
                self.epoch = message.get("epoch")
                self.by_channel.clear()
            case "sub_ok":
                for channel in message["channels"]:
                    self.by_channel[channel["ch"]] = channel["cursor"]
            case "snap" | "d":
                for block in message["blocks"]:
                    self.by_channel[block["ch"]] = block["n0"] + block["rows"] - 1


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

"""One client's side of the live protocol, without socket, task or clock.

The server hands in what the client sent and takes out what is due. Answers to requests wait in a small list; the state
of the world is read from the board by revision and samples from the rings by cursor, so neither can pile up here.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.access.caller import Caller
from gateway.access.roles import Role
from gateway.live.board import Board
from gateway.live.limits import LIMITS, Limits
from gateway.live.requests import (
    MAX_SUBSCRIPTIONS,
    ErrorCode,
    RequestError,
    parse_sub,
    parse_unsub,
)
from gateway.live.source import Channels
from gateway.live.subscription import Subscription
from gateway.live.visibility import Sight
from insiders_codecs.errors import DecodeError
from insiders_codecs.live import Codec, Message, decode, encode, schema

TIME_INTERVAL_S = 2.0
CHANNELS_PER_MESSAGE = 32
"""A few kB; a client may bound its messages by the announced limit here too, unless names are absurdly long."""

MAX_ANSWERS = 256
"""Answers that may wait for one client. One that asks that much without reading is cut off."""

CAPABILITIES = ("resume", "latest", "history")
"""What every gateway of this version can; what is served beside that, the server knows."""


THIS_MACHINE = Caller("this machine", "this machine", Role.ADMIN)
"""Who asks where the place alone lets in."""


class CloseCode(IntEnum):
    """Websocket close codes of the protocol."""

    RESTART = 1012
    TOO_SLOW = 4408


@dataclass(frozen=True, slots=True)
class Hub:
    """What all sessions share.

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


class Session:
    """Speaks the protocol with one client; times are seconds of one monotonic clock."""

    def __init__(
        self,
        hub: Hub,
        codec: Codec,
        now_s: float,
        served: Sequence[str] = (),
        caller: Caller = THIS_MACHINE,
        limits: Limits = LIMITS,
    ) -> None:
        """Begin.

        Args:
            hub: What it shares with the others.
            codec: Form of the messages.
            now_s: Now.
            served: What can be asked for over HTTP besides the samples.
            caller: Who it is.
            limits: What they may take.
        """
        self.codec = codec
        self.caller = caller
        self._sight = Sight.of(caller)
        self._limits = limits
        self._capabilities = [*CAPABILITIES, *served]
        self.closing: CloseCode | None = None
        self._hub = hub
        self._subscriptions: dict[int, Subscription] = {}
        self._revision = 0
        self._time_due_s = now_s
        self._is_greeted = False
        self._answers: list[Message] = []

    def receive(self, payload: bytes | str, now_s: float) -> None:
        """Take in one message of the client."""
        try:
            message = decode(payload, self.codec)
        except DecodeError as error:
            self._hub.refusals[ErrorCode.BAD_MESSAGE] += 1
            self._answer({"op": "error", "code": str(ErrorCode.BAD_MESSAGE), "text": f"{error}."})
            return
        try:
            self._obey(message, now_s)
        except RequestError as error:
            self._hub.refusals[error.code] += 1
            answer: Message = {"op": "error", "code": str(error.code), "text": str(error)}
            self._answer(answer | {key: message[key] for key in ("id", "sub") if _is_plain(message.get(key))})

    def say_goodbye(self, code: CloseCode, text: str, retry_after_ms: int, *, is_resumable: bool) -> None:
        """End the session after one last message."""
        self._answers.append(
            {
                "op": "bye",
                "code": int(code),
                "text": text,
                "retry_after_ms": retry_after_ms,
                "resumable": is_resumable,
            }
        )
        self._subscriptions.clear()
        self.closing = code

    def due_s(self) -> float:
        """When there may be something to send, if nothing else happens."""
        return min((self._time_due_s, *(subscription.due_s for subscription in self._subscriptions.values())))

    def messages(self, now_s: float) -> Iterator[bytes]:
        """What is to be sent now, most important first; the caller may take its time between two messages."""
        # Who subscribes from here on has its turn next time, when its answer has been sent.
        subscriptions = tuple(self._subscriptions.values())
        if not self._is_greeted:
            self._is_greeted = True
            yield encode(self._hello(now_s), self.codec)
        if self.closing is None:
            # Before the answers: who is told that a subscription begins has been told what its channels are.
            for news in self._news():
                yield encode(news, self.codec)
        yield from self._drain()
        if self.closing is not None:
            return
        if now_s >= self._time_due_s:
            self._time_due_s = now_s + TIME_INTERVAL_S
            yield encode(self._time(now_s), self.codec)
        for subscription in subscriptions:
            added = subscription.admit(self._channels, self._hub.epoch)
            if added is not None:
                yield encode(added, self.codec)
            for item in subscription.messages(self._channels, now_s):
                yield item if isinstance(item, bytes) else encode(item, self.codec)

    def _obey(self, message: Message, now_s: float) -> None:
        match message["op"]:
            case "sub":
                request = parse_sub(message)
                if request.sub in self._subscriptions:
                    raise RequestError(
                        ErrorCode.SUBSCRIPTION_EXISTS, f"Subscription {request.sub} runs; end it with unsub first."
                    )
                if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
                    raise RequestError(
                        ErrorCode.TOO_MANY_SUBSCRIPTIONS, f"One connection may have {MAX_SUBSCRIPTIONS} subscriptions."
                    )
                subscription = Subscription(request, self.codec, now_s, self._sight)
                answer = subscription.admit(self._channels, self._hub.epoch)
                self._subscriptions[request.sub] = subscription
                if answer is not None:
                    self._answer(answer)
            case "unsub":
                end = parse_unsub(message)
                if self._subscriptions.pop(end.sub, None) is None:
                    raise RequestError(ErrorCode.UNKNOWN_SUBSCRIPTION, f"There is no subscription {end.sub}.")
                answer = {"op": "unsub_ok", "sub": end.sub}
                self._answer(answer if end.id is None else answer | {"id": end.id})
            case _:
                pass  # what a later version may say: by the protocol's rule both sides ignore it

    def _answer(self, message: Message) -> None:
        if self.closing is not None:
            return
        if len(self._answers) >= MAX_ANSWERS:
            self._answers.clear()
            self._hub.refusals["too_slow"] += 1
            self.say_goodbye(
                CloseCode.TOO_SLOW, "Requests came faster than their answers were read.", 1000, is_resumable=True
            )
            return
        self._answers.append(message)

    def _drain(self) -> Iterator[bytes]:
        while self._answers:
            yield encode(self._answers.pop(0), self.codec)

    def _news(self) -> Iterator[Message]:
        board = self._hub.board
        if board.revision == self._revision:
            return
        changed = [message for message in board.since(self._revision) if self._sight.hears(message, self._hub.channels)]
        self._revision = board.revision
        channels = [
            {key: value for key, value in message.items() if key != "op"}
            for message in changed
            if message["op"] == "channels"
        ]
        for start in range(0, len(channels), CHANNELS_PER_MESSAGE):
            portion = channels[start : start + CHANNELS_PER_MESSAGE]
            yield {"op": "channels", "columns": schema(self._sight.columns), "channels": portion}
        yield from (message for message in changed if message["op"] != "channels")

    @property
    def _channels(self) -> Channels:
        return self._sight.channels(self._hub.channels)

    def _clock(self, now_s: float) -> Message:
        utc_ms, source = self._hub.time()
        return {
            "utc_ms": utc_ms,
            "mono_ms": round(now_s * 1000),
            "clock": {"source": source, "synced": self._hub.is_clock_synced()},
        }

    def _hello(self, now_s: float) -> Message:
        return {
            "op": "hello",
            **self._hub.identity(),
            **self._clock(now_s),
            "capabilities": self._capabilities,
            "limits": self._limits.announced(),
            "ring_span_s": self._hub.ring_span_s,
        }

    def _time(self, now_s: float) -> Message:
        followed = sorted({ch for subscription in self._subscriptions.values() for ch in subscription.followed})
        channels = [self._hub.channels[ch] for ch in followed if ch in self._hub.channels]
        ages = [(channel.ch, channel.ages.last_minute(now_s)) for channel in channels]
        return {
            "op": "time",
            **self._clock(now_s),
            "newest": [[channel.ch, channel.ring.newest] for channel in channels],
            "ages": [[ch, age.median_ms] for ch, age in ages if age is not None],
        }


def _is_plain(value: object) -> bool:
    """Whether a client's own mark is fit to be repeated to it."""
    return type(value) is int or (isinstance(value, str) and len(value) <= 64)

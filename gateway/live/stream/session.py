"""One client's side of the live protocol, without socket, task or clock.

What the client sends is handed in, and what is due is sent to its outlet, as far as that takes it. Answers to requests
wait in a small list; the state of the world is read from the board by revision and samples from the rings by cursor, so
neither can pile up here.
"""

from collections import deque
from collections.abc import Iterator
from enum import IntEnum

from gateway.access.caller import Caller
from gateway.access.errors import NotAdmittedError
from gateway.access.roles import Action
from gateway.live.requests import ErrorCode, RequestError, parse_ack, parse_auth, parse_sub, parse_unsub
from gateway.live.stream.ladder import Ladder, Level
from gateway.live.stream.news import News
from gateway.live.stream.pacing import SNAPSHOT_BYTES_PER_S, Bucket, Pace
from gateway.live.stream.shared import Shared
from gateway.live.stream.standing import Standing, about
from gateway.live.stream.subscription import Subscription
from gateway.live.stream.times import next_s
from gateway.live.stream.wire import Outlet
from insiders_codecs.errors import DecodeError
from insiders_codecs.live import Codec, Message, decode, encode

MAX_ANSWERS = 256
"""Answers that may wait for one client. One that asks that much without reading is cut off."""

MAX_ANSWER_BYTES = 128 * 1024
"""Likewise: what the answers to all its subscriptions take at once."""

CAPABILITIES = ("resume", "latest", "history", "ack")
"""What every gateway of this version can; what is served beside that, the server knows."""

ACK_GATHER_S = 1.0
"""How long a client may gather what it acknowledges: that is no lag."""

SUB_PRICE = 4
"""A subscription counts as so many messages: to find where it begins in each channel takes a while."""

NEEDED = {"sub": Action.FOLLOW, "unsub": Action.FOLLOW, "ack": Action.FOLLOW}
"""What one has to be allowed to for each message; `auth` is everybody's, and what is not named is not obeyed."""


class CloseCode(IntEnum):
    """Websocket close codes of the protocol."""

    RESTART = 1012
    NOT_ADMITTED = 4401
    NOT_ALLOWED = 4403
    TOO_SLOW = 4408
    TOO_MUCH = 4429


class Session:
    """Speaks the protocol with one client; times are seconds of one monotonic clock.

    Attributes:
        closing: With which code it ends, once that is said.
        is_deaf: Whether so much was heard that nothing more counts.
    """

    def __init__(
        self, shared: Shared, outlet: Outlet, codec: Codec, now_s: float, caller: Caller | None, address: str = ""
    ) -> None:
        """Begin.

        Args:
            shared: What it has in common with the others.
            outlet: Where its messages go.
            codec: Form of the messages.
            now_s: Now.
            caller: Who it is; None if they have yet to show it.
            address: Where they are.
        """
        self.codec = codec
        self.closing: CloseCode | None = None
        self.is_deaf = False
        self._shared = shared
        self._hub = shared.hub
        self._outlet = outlet
        self._standing = Standing(shared, address, now_s)
        self._bucket = Bucket(shared.limits.max_inbound_per_s, shared.limits.max_inbound_burst, now_s)
        self._ladder = Ladder(now_s)
        self._paces = (Pace(SNAPSHOT_BYTES_PER_S), shared.pace)
        self._news = News(self._hub.board, codec)
        self._subscriptions: dict[int, Subscription] = {}
        self._time_due_s = now_s
        self._greetings = deque[Message]()
        self._answers = deque[bytes]()
        self._answer_bytes = 0
        if caller is None:
            limits = shared.limits.announced()
            self._greetings.append({"op": "hello", **self._hub.identity(), "auth": "required", "limits": limits})
        else:
            self._let_in(caller, now_s)

    @property
    def caller(self) -> Caller | None:
        """Who it is; None as long as nobody knows."""
        return self._standing.caller

    @property
    def is_over(self) -> bool:
        """Whether all has been said, the goodbye included."""
        return self.closing is not None and not self._answers and not self._greetings

    def receive(self, payload: bytes | str, now_s: float) -> bool:
        """Take in one message of the client.

        Returns:
            Whether there is something to say to it.
        """
        if not self.heard(now_s) or self.closing is not None:
            return True
        try:
            message = decode(payload, self.codec)
        except DecodeError as error:
            self._refuse(ErrorCode.BAD_MESSAGE, f"{error}.")
            return True
        try:
            self._obey(message, now_s)
        except RequestError as error:
            self._refuse(error.code, str(error), message)
        return bool(self._answers or self._greetings)

    def heard(self, now_s: float, price: int = 1) -> bool:
        """Count a frame of the client, or what it asks for; False if that was too much."""
        if self._bucket.take(now_s, price):
            return True
        self.is_deaf = True
        text = "Messages came faster than `limits` of `hello` allows: connect anew, and send fewer."
        self.say_goodbye(CloseCode.TOO_MUCH, text, 5000, is_resumable=True)
        return False

    def say_goodbye(self, code: CloseCode, text: str, retry_after_ms: int, *, is_resumable: bool) -> None:
        """End the session after one last message."""
        if self.closing is not None:
            return
        if code is not CloseCode.RESTART:
            self._hub.refusals[code.name.lower()] += 1
        self.closing = code
        for subscription in self._subscriptions.values():
            subscription.end()
        self._subscriptions.clear()
        self._answers.clear()
        bye = {"op": "bye", "code": int(code), "text": text, "retry_after_ms": retry_after_ms}
        self._answers.append(encode(bye | {"resumable": is_resumable}, self.codec))

    def end(self) -> None:
        """Leave nothing behind: the connection is gone."""
        for subscription in self._subscriptions.values():
            subscription.end()
        self._subscriptions.clear()

    def speak(self, now_s: float) -> bool:
        """Say what is to be said besides samples, most important first; False if there may be more."""
        for payload in self._words(now_s):
            self._outlet.send(now_s, payload)
            if not self._outlet.is_ready:
                return False
        return True

    def judge(self, now_s: float, blocked_s: float) -> None:
        """See how slow the client is.

        Args:
            now_s: Now.
            blocked_s: For how long its connection has not taken all that was given to it.
        """
        lag_s, is_excused = 0.0, False
        for subscription in self._subscriptions.values():
            lag_s = max(lag_s, subscription.unacknowledged_s(now_s) - ACK_GATHER_S)
            is_excused = is_excused or subscription.is_in_past
        before = self._ladder.level
        level = self._ladder.step(now_s, lag_s, blocked_s, is_excused=is_excused)
        if level is before or self.closing is not None:
            return
        wants_end = any(it.request.on_slow == "close" for it in self._subscriptions.values())
        if level is Level.LOST or (level is not Level.NORMAL and wants_end):
            text = "Messages came faster than you dealt with them: connect anew, and ask for fewer columns or rows."
            self.say_goodbye(CloseCode.TOO_SLOW, text, 1000, is_resumable=True)
            return
        self._hub.refusals["slow"] += before is Level.NORMAL
        for subscription in self._subscriptions.values():
            subscription.judge(level, now_s)
        self._answer({"op": "state", "key": "connection", "value": level.name.lower()})

    def check_access(self, now_s: float) -> None:
        """See whether the client may still be here."""
        if self.closing is not None:
            return
        ended = self._standing.ended(now_s)
        if ended is not None:
            self.say_goodbye(CloseCode.NOT_ADMITTED, ended, 0, is_resumable=True)
            return
        warning = self._standing.warning()
        if warning is not None:
            self._answer(warning)

    def _words(self, now_s: float) -> Iterator[bytes]:
        """What is to be said; who stops in between loses nothing."""
        while self._greetings:
            yield encode(self._greetings.popleft(), self.codec)
        if self.closing is None and self.caller is not None:
            # Before the answers: who is told that a subscription begins has been told what its channels are.
            yield from self._news.messages(self._standing.sight, self._hub.channels)
        while self._answers:
            payload = self._answers.popleft()
            self._answer_bytes -= len(payload)
            yield payload
        if self.closing is not None or self.caller is None:
            return
        channels = self._standing.sight.channels(self._hub.channels)
        for subscription in self._subscriptions.values():
            added = subscription.admit(channels, self._hub.epoch)
            if added is not None:
                yield encode(added, self.codec)
        if now_s >= self._time_due_s:
            self._time_due_s = next_s(now_s)
            followed = frozenset[int]().union(*(it.followed for it in self._subscriptions.values()))
            yield self._shared.times.message(self.codec, followed, now_s)

    def _obey(self, message: Message, now_s: float) -> None:
        if message["op"] == "auth":
            self._authenticate(message, now_s)
            return
        needed = NEEDED.get(message["op"])
        if needed is None:
            return  # what a later version may say: by the protocol's rule both sides ignore it
        self._standing.check_may(needed)
        match message["op"]:
            case "sub":
                if self.heard(now_s, SUB_PRICE - 1):
                    self._subscribe(message, now_s)
            case "unsub":
                end = parse_unsub(message)
                subscription = self._subscriptions.pop(end.sub, None)
                if subscription is None:
                    raise RequestError(ErrorCode.UNKNOWN_SUBSCRIPTION, f"There is no subscription {end.sub}.")
                subscription.end()
                answer: Message = {"op": "unsub_ok", "sub": end.sub}
                self._answer(answer if end.id is None else answer | {"id": end.id})
            case "ack":
                for sub, seq in parse_ack(message).subs:
                    if sub in self._subscriptions:  # else it may have ended while this was under way
                        self._subscriptions[sub].acknowledge(seq)

    def _subscribe(self, message: Message, now_s: float) -> None:
        request = parse_sub(message)
        if request.sub in self._subscriptions:
            raise RequestError(
                ErrorCode.SUBSCRIPTION_EXISTS, f"Subscription {request.sub} runs; end it with unsub first."
            )
        most = self._shared.limits.max_subscriptions
        if len(self._subscriptions) >= most:
            raise RequestError(ErrorCode.TOO_MANY_SUBSCRIPTIONS, f"One connection may have {most} subscriptions.")
        sight = self._standing.sight
        subscription = Subscription(request, self.codec, now_s, self._shared.groups, self._outlet, self._paces, sight)
        answer = subscription.admit(sight.channels(self._hub.channels), self._hub.epoch)
        subscription.begin(self._ladder.level, now_s)
        self._subscriptions[request.sub] = subscription
        if answer is not None:
            self._answer(answer)

    def _authenticate(self, message: Message, now_s: float) -> None:
        request = parse_auth(message)
        try:
            caller = self._standing.shown(request, now_s)
        except NotAdmittedError as error:
            self.say_goodbye(CloseCode.NOT_ADMITTED, str(error), round(error.wait_s * 1000), is_resumable=True)
            return
        answer: Message = {"op": "auth_ok", **about(caller)}
        answer = answer if request.id is None else answer | {"id": request.id}
        if self.caller is None:
            self._let_in(caller, now_s, answer)
        else:
            self._standing.let_in(caller)
            self._answer(answer)

    def _let_in(self, caller: Caller, now_s: float, answer: Message | None = None) -> None:
        if not caller.may(Action.FOLLOW):
            text = f"A {caller.role} may not follow: ask an admin for another role."
            self.say_goodbye(CloseCode.NOT_ALLOWED, text, 0, is_resumable=True)
            return
        if answer is not None:
            self._greetings.append(answer)
        self._standing.let_in(caller)
        self._time_due_s = now_s
        self._greetings.append(
            {
                "op": "hello",
                **self._hub.identity(),
                **self._shared.times.clock(now_s),
                "capabilities": [*CAPABILITIES, *self._shared.served],
                "limits": self._shared.limits.announced(),
                "ring_span_s": self._hub.ring_span_s,
                "you": about(caller),
            }
        )

    def _refuse(self, code: ErrorCode, text: str, message: Message | None = None) -> None:
        self._hub.refusals[code] += 1
        answer: Message = {"op": "error", "code": str(code), "text": text}
        marks = {key: message[key] for key in ("id", "sub") if _is_plain(message.get(key))} if message else {}
        self._answer(answer | marks)

    def _answer(self, message: Message) -> None:
        payload = encode(message, self.codec)
        if len(self._answers) >= MAX_ANSWERS or self._answer_bytes + len(payload) > MAX_ANSWER_BYTES:
            text = "Requests came faster than their answers were read: connect anew, and read before you ask on."
            self.say_goodbye(CloseCode.TOO_SLOW, text, 1000, is_resumable=True)
        elif self.closing is None:
            self._answers.append(payload)
            self._answer_bytes += len(payload)


def _is_plain(value: object) -> bool:
    """Whether a client's own mark is fit to be repeated to it."""
    return type(value) is int or (isinstance(value, str) and len(value) <= 64)

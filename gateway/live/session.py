"""One client's side of the live protocol, without socket, task or clock.

What the client sends is handed in, and what is due is sent to its outlet, as far as that takes it. Answers to requests
wait in a small list; the state of the world is read from the board by revision and samples from the rings by cursor, so
neither can pile up here.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from gateway.access.audit import DENIED, DONE, LOOKED
from gateway.access.caller import Caller
from gateway.access.errors import NotAdmittedError
from gateway.access.roles import Action, Role
from gateway.live.groups import Groups
from gateway.live.hub import Hub
from gateway.live.ladder import Ladder, Level
from gateway.live.limits import LIMITS, Limits
from gateway.live.news import News
from gateway.live.pacing import SNAPSHOT_BYTES_PER_S, SNAPSHOTS_BYTES_PER_S, Bucket, Pace
from gateway.live.requests import ErrorCode, RequestError, parse_ack, parse_auth, parse_sub, parse_unsub
from gateway.live.subscription import Subscription
from gateway.live.times import Times, next_s
from gateway.live.visibility import Sight
from gateway.live.wire import Outlet
from gateway.secret import Secret
from insiders_codecs.errors import DecodeError
from insiders_codecs.live import MAX_FRAME_BYTES, Codec, Message, decode, encode

MAX_ANSWERS = 256
"""Answers that may wait for one client. One that asks that much without reading is cut off."""

CAPABILITIES = ("resume", "latest", "history", "ack")
"""What every gateway of this version can; what is served beside that, the server knows."""

ACK_GATHER_S = 1.0
"""How long a client may gather what it acknowledges: that is no lag."""

EXPIRY_WARNING_MS = 60_000

ADMISSION = "admission"
"""What the audit log calls it when somebody is not let in."""

NEEDED = {"sub": Action.FOLLOW, "unsub": Action.FOLLOW, "ack": Action.FOLLOW}
"""What one has to be allowed to for each message; `auth` is everybody's, and what is not named is not obeyed."""

THIS_MACHINE = Caller("this machine", "this machine", Role.ADMIN)
"""Who asks where the place alone lets in."""

__all__ = ["CloseCode", "Hub", "Session", "Shared"]


class CloseCode(IntEnum):
    """Websocket close codes of the protocol."""

    RESTART = 1012
    NOT_ADMITTED = 4401
    NOT_ALLOWED = 4403
    TOO_SLOW = 4408
    TOO_MUCH = 4429


class DoorkeeperView(Protocol):
    """Who knows which tokens let in."""

    def admit(self, token: Secret, address: str, now_s: float) -> Caller:
        """Whose token this is; raises `NotAdmittedError`."""

    def holds(self, caller: Caller) -> bool:
        """Whether who was let in still is."""


class AuditView(Protocol):
    """Who takes note of who does what."""

    def note(self, caller: Caller | None, deed: str, subject: str = "", outcome: str = DONE, address: str = "") -> None:
        """Take note."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the sessions of one server have in common.

    Attributes:
        hub: The gateway.
        served: What can be asked for over HTTP besides the samples.
        limits: What one client may take.
        doorkeeper: Knows the tokens; None if there are none.
        audit: Takes note of who looks; None if nobody does.
        groups: All subscriptions.
        pace: Of the past to all clients.
        times: Makes the messages that tell the time.
    """

    hub: Hub
    served: Sequence[str] = ()
    limits: Limits = LIMITS
    doorkeeper: DoorkeeperView | None = None
    audit: AuditView | None = None
    groups: Groups = field(default_factory=Groups)
    pace: Pace = field(default_factory=lambda: Pace(SNAPSHOTS_BYTES_PER_S, MAX_FRAME_BYTES))
    times: Times = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", Times(self.hub))


class Session:
    """Speaks the protocol with one client; times are seconds of one monotonic clock.

    Attributes:
        caller: Who it is; None as long as nobody knows.
        closing: With which code it ends, once that is said.
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
        self.caller: Caller | None = None
        self.closing: CloseCode | None = None
        self._shared = shared
        self._hub = shared.hub
        self._outlet = outlet
        self._address = address
        self._auth_due_s = now_s + shared.limits.auth_s
        self._is_warned = False
        self._bucket = Bucket(shared.limits.max_inbound_per_s, shared.limits.max_inbound_burst, now_s)
        self._ladder = Ladder(now_s)
        self._paces = (Pace(SNAPSHOT_BYTES_PER_S), shared.pace)
        self._news = News(self._hub.board, codec)
        self._subscriptions: dict[int, Subscription] = {}
        self._time_due_s = now_s
        self._greetings = deque[Message]()
        self._answers = deque[Message]()
        if caller is None:
            limits = shared.limits.announced()
            self._greetings.append({"op": "hello", **self._hub.identity(), "auth": "required", "limits": limits})
        else:
            self._let_in(caller, now_s)

    @property
    def is_over(self) -> bool:
        """Whether all has been said, the goodbye included."""
        return self.closing is not None and not self._answers and not self._greetings

    def receive(self, payload: bytes | str, now_s: float) -> bool:
        """Take in one message of the client.

        Returns:
            Whether there is something to say to it.
        """
        if self.closing is not None or not self.heard(now_s):
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

    def heard(self, now_s: float) -> bool:
        """Count a frame of the client; False if it was one too many."""
        if self._bucket.take(now_s):
            return True
        self.say_goodbye(CloseCode.TOO_MUCH, "Messages came faster than `limits` allows.", 5000, is_resumable=True)
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
        self._answers.append(
            {
                "op": "bye",
                "code": int(code),
                "text": text,
                "retry_after_ms": retry_after_ms,
                "resumable": is_resumable,
            }
        )

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
        unacknowledged_s = max((it.unacknowledged_s(now_s) for it in self._subscriptions.values()), default=0.0)
        lag_s = max(0.0, unacknowledged_s - ACK_GATHER_S)
        is_excused = any(it.is_in_past for it in self._subscriptions.values())
        before = self._ladder.level
        level = self._ladder.step(now_s, lag_s, blocked_s, is_excused=is_excused)
        if level is before or self.closing is not None:
            return
        wants_end = any(it.request.on_slow == "close" for it in self._subscriptions.values())
        if level is Level.LOST or (level is not Level.NORMAL and wants_end):
            self.say_goodbye(
                CloseCode.TOO_SLOW, "Messages came faster than you dealt with them.", 1000, is_resumable=True
            )
            return
        self._hub.refusals["slow"] += before is Level.NORMAL
        for subscription in self._subscriptions.values():
            subscription.judge(level, now_s)
        self._answer({"op": "state", "key": "connection", "value": level.name.lower()})

    def check_access(self, now_s: float) -> None:
        """See whether the client may still be here."""
        if self.closing is not None:
            return
        if self.caller is None:
            if now_s >= self._auth_due_s:
                text = f"Show a token within {self._shared.limits.auth_s} s, in an `auth` message."
                self.say_goodbye(CloseCode.NOT_ADMITTED, text, 0, is_resumable=True)
            return
        if self._shared.doorkeeper is not None and not self._shared.doorkeeper.holds(self.caller):
            text = "This device is not let in any more: ask for a new code."
            self.say_goodbye(CloseCode.NOT_ADMITTED, text, 0, is_resumable=True)
            return
        expires_ms = self.caller.expires_ms
        if expires_ms is not None and not self._is_warned and expires_ms - self._hub.utc_ms() <= EXPIRY_WARNING_MS:
            self._is_warned = True
            self._answer({"op": "auth_expiring", "expires_ms": expires_ms})

    def _words(self, now_s: float) -> Iterator[bytes]:
        """What is to be said; who stops in between loses nothing."""
        while self._greetings:
            yield encode(self._greetings.popleft(), self.codec)
        if self.closing is None and self.caller is not None:
            # Before the answers: who is told that a subscription begins has been told what its channels are.
            yield from self._news.messages(self._sight, self._hub.channels)
        while self._answers:
            yield encode(self._answers.popleft(), self.codec)
        if self.closing is not None or self.caller is None:
            return
        channels = self._sight.channels(self._hub.channels)
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
        if self.caller is None:
            raise RequestError(ErrorCode.UNAUTHORIZED, "Show a token first, in an `auth` message.")
        if not self.caller.may(needed):
            raise RequestError(ErrorCode.FORBIDDEN, f"A {self.caller.role} may not do this ({needed}).")
        match message["op"]:
            case "sub":
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
        subscription = Subscription(
            request, self.codec, now_s, self._shared.groups, self._outlet, self._paces, self._sight
        )
        answer = subscription.admit(self._sight.channels(self._hub.channels), self._hub.epoch)
        subscription.begin(self._ladder.level, now_s)
        self._subscriptions[request.sub] = subscription
        if answer is not None:
            self._answer(answer)

    def _authenticate(self, message: Message, now_s: float) -> None:
        request = parse_auth(message)
        doorkeeper = self._shared.doorkeeper
        if doorkeeper is None:
            raise RequestError(ErrorCode.UNAUTHORIZED, "This gateway knows no token.")
        try:
            caller = doorkeeper.admit(Secret(request.token), self._address, now_s)
        except NotAdmittedError as error:
            self._note(None, ADMISSION, DENIED)
            if self.caller is not None:
                raise RequestError(ErrorCode(error.code), str(error)) from None
            self.say_goodbye(CloseCode.NOT_ADMITTED, str(error), round(error.wait_s * 1000), is_resumable=True)
            return
        if self.caller is not None and Sight.of(caller) != self._sight:
            raise RequestError(ErrorCode.FORBIDDEN, "This token shows another part of the team: connect anew with it.")
        answer: Message = {"op": "auth_ok", **_about(caller)}
        answer = answer if request.id is None else answer | {"id": request.id}
        if self.caller is None:
            self._let_in(caller, now_s, answer)
        else:
            self.caller, self._is_warned = caller, False
            self._note(caller, LOOKED)
            self._answer(answer)

    def _let_in(self, caller: Caller, now_s: float, answer: Message | None = None) -> None:
        if not caller.may(Action.FOLLOW):
            text = f"A {caller.role} may not follow: ask an admin for another role."
            self.say_goodbye(CloseCode.NOT_ALLOWED, text, 0, is_resumable=True)
            return
        if answer is not None:
            self._greetings.append(answer)
        self.caller = caller
        self._sight = Sight.of(caller)
        self._time_due_s = now_s
        self._note(caller, LOOKED)
        self._greetings.append(
            {
                "op": "hello",
                **self._hub.identity(),
                **self._shared.times.clock(now_s),
                "capabilities": [*CAPABILITIES, *self._shared.served],
                "limits": self._shared.limits.announced(),
                "ring_span_s": self._hub.ring_span_s,
                "you": _about(caller),
            }
        )

    def _note(self, caller: Caller | None, deed: str, outcome: str = DONE) -> None:
        if self._shared.audit is not None:
            self._shared.audit.note(caller, deed, "", outcome, self._address)

    def _refuse(self, code: ErrorCode, text: str, message: Message | None = None) -> None:
        self._hub.refusals[code] += 1
        answer: Message = {"op": "error", "code": str(code), "text": text}
        marks = {key: message[key] for key in ("id", "sub") if _is_plain(message.get(key))} if message else {}
        self._answer(answer | marks)

    def _answer(self, message: Message) -> None:
        if len(self._answers) >= MAX_ANSWERS:
            self.say_goodbye(
                CloseCode.TOO_SLOW, "Requests came faster than their answers were read.", 1000, is_resumable=True
            )
        elif self.closing is None:
            self._answers.append(message)


def _about(caller: Caller) -> Message:
    """What somebody is told of themselves."""
    scope = caller.scope
    return {
        "person": caller.person,
        "device": caller.device,
        "role": str(caller.role),
        "squads": None if scope.squads is None else sorted(scope.squads),
        "gnss_only": scope.is_gnss_only,
        "expires_ms": caller.expires_ms,
    }


def _is_plain(value: object) -> bool:
    """Whether a client's own mark is fit to be repeated to it."""
    return type(value) is int or (isinstance(value, str) and len(value) <= 64)

"""What the gateway says on its websocket of itself, of the client and of what is wrong.

The messages are built as plain maps, since most are made by the hundred and some a few thousand times a second. This,
`samples` and `states` are their form, field for field: the tests hold what a running gateway says against it.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.access.roles import Role
from gateway.live.limits import Limits
from gateway.live.requests import ErrorCode
from gateway.live.stream.session import CloseCode
from insiders_codecs.live import Codec

Mark = int | str
"""What a client has put on its request, to tell the answers apart."""


class Clock(Struct, frozen=True):
    """Whose the time is.

    Attributes:
        source: The cloud's, carried on by a clock that never jumps, or the wall clock of the gateway's machine.
        synced: Whether that wall clock is known to be right; null if nobody knows.
    """

    source: Literal["cloud", "system"]
    synced: bool | None


class Identity(Struct, frozen=True, kw_only=True):
    """Who a gateway is.

    Attributes:
        server: What it is.
        version: Of its software.
        site: Name of the place, for people.
        epoch: Names a count of arrivals: numbers mean nothing under another one.
        protocols: Subprotocols of the websocket.
        path: Where that is.
    """

    server: Literal["insiders-gateway"]
    version: str
    site: str
    epoch: str
    protocols: tuple[Codec, ...]
    path: str


class You(Struct, frozen=True, kw_only=True):
    """Who the client is.

    Attributes:
        person: Whose device it is.
        device: Which of theirs.
        role: What they are to the gateway.
        squads: Those whose athletes they see; null for all.
        gnss_only: Whether they see neither heart rate nor what else a body tells.
        expires_ms: Until when they are let in, epoch ms; null for ever.
    """

    person: str
    device: str
    role: Role
    squads: tuple[str, ...] | None
    gnss_only: bool
    expires_ms: int | None


class Hello(Identity, frozen=True, kw_only=True, tag_field="op", tag="hello"):
    """Always first, or after `auth_ok` where the client had yet to show who it is.

    Attributes:
        utc_ms: The time by which ages are to be told, epoch ms.
        mono_ms: Counts from some moment that means nothing, but never jumps.
        clock: Whose time `utc_ms` is.
        capabilities: What it can; ignore what you do not know.
        limits: What one client may take; those that you do not know may be ignored.
        ring_span_s: How far back it remembers, in seconds.
        you: Who you are to it.
    """

    utc_ms: int
    mono_ms: int
    clock: Clock
    capabilities: tuple[str, ...]
    limits: Limits
    ring_span_s: float
    you: You


class HelloStranger(Identity, frozen=True, kw_only=True, tag_field="op", tag="hello"):
    """First to who has shown no credential yet: an `auth` message has to come now.

    Attributes:
        auth: That one is needed.
        limits: What one client may take, `auth_s` seconds to show a credential among it.
    """

    auth: Literal["required"]
    limits: Limits


class AuthOk(You, frozen=True, kw_only=True, tag_field="op", tag="auth_ok"):
    """The answer to `auth`; `hello` follows if it was the first.

    Attributes:
        id: Yours.
    """

    id: Mark | UnsetType = UNSET


class AuthExpiring(Struct, frozen=True, tag_field="op", tag="auth_expiring"):
    """A minute before you are let in no longer: show another token, in an `auth` message.

    Attributes:
        expires_ms: Until when you are, epoch ms.
    """

    expires_ms: int


REFUSALS = (
    ErrorCode.BAD_MESSAGE,
    ErrorCode.UNSUPPORTED_OPTION,
    ErrorCode.UNKNOWN_DEVICE,
    ErrorCode.UNKNOWN_COLUMN,
    ErrorCode.UNKNOWN_SUBSCRIPTION,
    ErrorCode.SUBSCRIPTION_EXISTS,
    ErrorCode.TOO_MANY_SUBSCRIPTIONS,
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN,
    ErrorCode.TOO_MANY_ATTEMPTS,
    ErrorCode.STORE_FAILED,
)
"""Of the codes, those that a message can be refused with."""

_CODES: dict[str, Any] = {"enum": [str(code) for code in REFUSALS]}


class Error(Struct, frozen=True, kw_only=True, tag_field="op", tag="error"):
    """A message that cannot be understood or met; the connection goes on.

    Attributes:
        code: Why, for programs.
        text: What is wrong and what to do, for people.
        sub: Yours, where you gave it.
        id: Yours, where you gave it.
    """

    code: Annotated[str, Meta(extra_json_schema=_CODES)]
    text: str
    sub: Mark | UnsetType = UNSET
    id: Mark | UnsetType = UNSET


class Bye(Struct, frozen=True, kw_only=True, tag_field="op", tag="bye"):
    """The last message before the gateway closes.

    Attributes:
        code: The close code that follows.
        text: Why, and what to do.
        retry_after_ms: How long to wait before coming again.
        resumable: Whether it means to keep what makes your cursors hold.
    """

    code: CloseCode
    text: str
    retry_after_ms: int
    resumable: bool


CLOSE_CODES = {
    1000: "You have closed.",
    1002: "You have sent what is no websocket frame.",
    1007: "You have sent a text that is not UTF-8.",
    1009: "Your message was larger than `max_inbound_bytes`.",
    CloseCode.RESTART: "The gateway stops or restarts; after `bye`.",
    CloseCode.NOT_ADMITTED: "You are not let in, or not any longer; after `bye`.",
    CloseCode.NOT_ALLOWED: "Your role may not follow; after `bye`.",
    CloseCode.TOO_SLOW: "You do not read, or deal with, what you have asked for; after `bye`, if you read at all.",
    CloseCode.TOO_MUCH: "You have sent more messages than `limits` allows; after `bye`.",
}
"""What a connection ends with; without any when the network does."""

"""What a client may ask for: its messages, checked and typed."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.access.caller import Caller
from gateway.access.roles import Action
from gateway.live.forms import mismatch
from insiders_codecs.live import Message

MAX_BODY_BYTES = 512 * 1024
"""Of a request over HTTP: what a list for 1000 trackers takes, both sensors of each, with room for long names."""

SubId = Annotated[int, Meta(ge=0, lt=1 << 31)]
RequestId = int | str | None
_T = TypeVar("_T")


class ErrorCode(StrEnum):
    """Stable codes of `error` messages."""

    BAD_MESSAGE = "bad_message"
    BAD_REQUEST = "bad_request"
    MESSAGE_TOO_BIG = "message_too_big"
    BODY_TOO_SLOW = "body_too_slow"
    INTERNAL_ERROR = "internal_error"
    UNSUPPORTED_OPTION = "unsupported_option"
    UNKNOWN_DEVICE = "unknown_device"
    UNKNOWN_COLUMN = "unknown_column"
    UNKNOWN_SUBSCRIPTION = "unknown_subscription"
    SUBSCRIPTION_EXISTS = "subscription_exists"
    TOO_MANY_SUBSCRIPTIONS = "too_many_subscriptions"
    UNKNOWN_SENSOR = "unknown_sensor"
    LINK_NEEDED = "link_needed"
    SENSOR_NOT_IN_THE_AIR = "sensor_not_in_the_air"
    INSPECTION_RUNNING = "inspection_running"
    RADIO_NOT_LISTENING = "radio_not_listening"
    INSPECTION_FAILED = "inspection_failed"
    UNKNOWN_TRACKER = "unknown_tracker"
    FILE_MANAGED = "file_managed"
    SUSPENDED = "suspended"
    SESSION_RUNNING = "session_running"
    SENSOR_TAKEN = "sensor_taken"
    INVALID_SENSOR = "invalid_sensor"
    NOTHING_TO_DO = "nothing_to_do"
    GENERATION_CHANGED = "generation_changed"
    PLAN_CHANGED = "plan_changed"
    NOT_READ_YET = "not_read_yet"
    STORE_FAILED = "store_failed"
    UNKNOWN_RECORDING = "unknown_recording"
    NOT_NOW = "not_now"
    NOT_ASI = "not_asi"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    CUT_OFF = "cut_off"
    NO_ROOM = "no_room"
    DISK_FAILED = "disk_failed"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    TOKEN_IN_URL = "token_in_url"  # noqa: S105  # a code of this list
    BAD_HOST = "bad_host"
    BAD_ORIGIN = "bad_origin"
    TOO_MANY_CLIENTS = "too_many_clients"
    UNKNOWN_GRANT = "unknown_grant"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_ATHLETE = "unknown_athlete"
    RELEASES_OFF = "releases_off"
    NO_AUTHORITY = "no_authority"
    BAD_AUTHORITY = "bad_authority"


class RequestError(ValueError):
    """A request that cannot be met; its text says what to change.

    Attributes:
        code: Why.
        facts: What else a program may want to know, told as further fields.
    """

    def __init__(self, code: ErrorCode, text: str, facts: Mapping[str, str | int] = MappingProxyType({})) -> None:
        super().__init__(text)
        self.code = code
        self.facts = facts


def forbidden(caller: Caller, action: Action) -> RequestError:
    """The refusal of what somebody's role may not do."""
    text = f"A {caller.role} may not do this ({action}): ask an admin for another role."
    return RequestError(ErrorCode.FORBIDDEN, text)


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Where a subscription begins.

    Attributes:
        last_s: With so many seconds of each channel's data before its newest row; 0 is now.
        epoch: With `cursors`: the epoch of the `hello` under which they were counted.
        cursors: Pairs of channel number and the arrival number of the last row that the client has.
    """

    last_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    epoch: str | None = None
    cursors: tuple[tuple[int, Annotated[int, Meta(ge=0)]], ...] | None = None


class Sub(msgspec.Struct, frozen=True, rename={"start": "from"}):
    """A request for samples.

    Attributes:
        sub: Number of the subscription, chosen by the client.
        devices: Serial numbers, or "*" for all, later ones too.
        columns: Names of columns in the order wanted; None for all.
        mode: Every row, or only the rows with the newest value of some column.
        batch_ms: How long rows are gathered into one message, in mode all.
        max_hz: How often at most, in mode latest.
        start: Where to begin.
        on_slow: What becomes of the rows while the client is slow: the newest of each channel and a count of the
            others, all of them later, or an end.
        id: Repeated in the answer.
    """

    sub: SubId
    devices: Literal["*"] | tuple[str, ...] = "*"
    columns: tuple[str, ...] | None = None
    mode: Literal["all", "latest"] = "all"
    batch_ms: Annotated[int, Meta(ge=50, le=2000)] = 200
    max_hz: Annotated[float, Meta(gt=0, le=10)] = 2.0
    start: Start = Start()
    on_slow: Literal["conflate", "drop_oldest", "close"] = "conflate"
    id: RequestId = None


class Unsub(msgspec.Struct, frozen=True):
    """The end of a subscription."""

    sub: SubId
    id: RequestId = None


class Ack(msgspec.Struct, frozen=True):
    """What a client has dealt with.

    Attributes:
        subs: Pairs of subscription and the `seq` of its last message that was drawn, stored, or whatever it is for.
    """

    subs: Annotated[tuple[tuple[SubId, Annotated[int, Meta(ge=0)]], ...], Meta(max_length=64)]


class Auth(msgspec.Struct, frozen=True):
    """A credential, shown after the connection has been made.

    Attributes:
        token: The token.
        id: Repeated in the answer.
    """

    token: Annotated[str, Meta(min_length=1, max_length=200)]
    id: RequestId = None


class Inspect(msgspec.Struct, frozen=True):
    """A request to look closer at a sensor.

    Attributes:
        take_link: Though it takes the only link of a sensor that a tracker may need.
    """

    take_link: bool = False


def parse_sub(message: Message) -> Sub:
    """Check a `sub` message; raises `RequestError`."""
    request = _convert(message, Sub)
    if request.start.cursors is not None and request.start.epoch is None:
        raise RequestError(ErrorCode.BAD_MESSAGE, "Give the epoch under which the cursors were counted.")
    if len(set(request.columns or ())) != len(request.columns or ()) or request.columns == ():
        raise RequestError(ErrorCode.UNKNOWN_COLUMN, "Name each column once, and at least one.")
    return request


def parse_unsub(message: Message) -> Unsub:
    """Check an `unsub` message; raises `RequestError`."""
    return _convert(message, Unsub)


def parse_ack(message: Message) -> Ack:
    """Check an `ack` message; raises `RequestError`."""
    return _convert(message, Ack)


def parse_auth(message: Message) -> Auth:
    """Check an `auth` message; raises `RequestError`."""
    return _convert(message, Auth)


def parse_body(body: bytes, form: type[_T]) -> _T:
    """Check the body of a request over HTTP, which may be empty where nothing is required.

    Raises:
        RequestError: If it is no JSON object, or none of this form.
    """
    try:
        message = msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestError(ErrorCode.BAD_MESSAGE, "Send a JSON object in UTF-8.") from None
    return _convert(message, form)


def parse_query(query: Mapping[str, str], form: type[_T]) -> _T:
    """Check what stands behind the "?" of an address; raises `RequestError`."""
    return _convert(dict(query), form, is_text=True)


def _convert(message: Mapping[str, Any], form: type[_T], *, is_text: bool = False) -> _T:
    # A client marks with "!" what it cannot do without; we must not accept and ignore it.
    if any(key.startswith("!") for key in _field_names(message)):
        raise RequestError(ErrorCode.UNSUPPORTED_OPTION, "This gateway knows none of the required options (!...).")
    try:
        return msgspec.convert(message, form, strict=not is_text)
    except msgspec.ValidationError as error:
        raise RequestError(ErrorCode.BAD_MESSAGE, mismatch(error, form)) from None


def _field_names(message: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a message and of all that is in it; not by recursion, which a stranger's nesting could exhaust."""
    pending: list[object] = [message]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            yield from (key for key in value if isinstance(key, str))
            pending += value.values()
        elif isinstance(value, list):
            pending += value

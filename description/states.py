"""The `state` messages: what is told under each kind of key, made from what the same parts answer over HTTP."""

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gateway.bluetooth.presence import Presence as SensorPresence
from gateway.bluetooth.radio import RadioState
from gateway.bluetooth.report import SensorReport
from gateway.live.stream.ladder import Level
from gateway.pairing.observation import Mode
from gateway.pairing.planning.standing import State as PairingState
from gateway.pairing.report import PairingReport
from gateway.telemetry.channel import Presence
from gateway.uploads.recording import State as RecordingState
from gateway.uploads.report import RecordingReport


def _words(enum: type[StrEnum], *more: str) -> Meta:
    """A text of which these are the words so far: an older reader survives what a newer gateway says."""
    return Meta(examples=[*map(str, enum), *more])


class ChannelState(Struct, frozen=True, kw_only=True, tag_field="op", tag="state"):
    """How alive a channel is.

    Attributes:
        key: `channel/N`.
        value: How.
        ch: Which channel.
        newest_ms: Time of the newest row when it came to this, epoch ms.
        clock_error_ms: By how much the tracker's clock is ahead of the right time; null while it is right.
    """

    key: Annotated[str, Meta(pattern="^channel/")]
    value: Annotated[str, _words(Presence)]
    ch: int
    newest_ms: int | None
    clock_error_ms: int | None


class ProblemState(Struct, frozen=True, kw_only=True, tag_field="op", tag="state"):
    """Something that is wrong.

    Attributes:
        key: `problem/CODE` or `problem/CODE/SUBJECT`.
        value: That it is.
        text: What is wrong, one clause.
        action: What to do, one clause.
        since_ms: Since when, epoch ms.
    """

    key: Annotated[str, Meta(pattern="^problem/")]
    value: Annotated[str, Meta(examples=["open"])]
    text: str
    action: str
    since_ms: int


class RadioStateTold(Struct, frozen=True, kw_only=True, tag_field="op", tag="state"):
    """How the gateway's Bluetooth is.

    Attributes:
        key: `bluetooth`.
        value: How.
        adapter: Which one listens; null if there is none.
        text: How it is, one clause.
        action: What to do about it, one clause; "" if nothing is to be done.
    """

    key: Annotated[str, Meta(pattern="^bluetooth$")]
    value: Annotated[str, _words(RadioState)]
    adapter: str | None
    text: str
    action: str


class PairingsState(Struct, frozen=True, kw_only=True, tag_field="op", tag="state"):
    """How the pairings of all trackers stand.

    Attributes:
        key: `pairings`.
        value: Whether changes are made now.
        mode: What happens when somebody else changes a target.
        paused_by: Who has stopped all writes; null if nobody has.
        session_until_ms: When the session ends if nobody runs any more, epoch ms in steps of a minute; null if there is
            none.
        hash: That of the plan; "" when nothing is to change.
    """

    key: Annotated[str, Meta(pattern="^pairings$")]
    value: Annotated[str, Meta(examples=["running", "session", "suspended"])]
    mode: Annotated[str, _words(Mode)]
    paused_by: str | None
    session_until_ms: int | None
    hash: str


class ConnectionState(Struct, frozen=True, kw_only=True, tag_field="op", tag="state"):
    """How slow the gateway finds you.

    Attributes:
        key: `connection`.
        value: What you get: all that you have asked for; the newest of each channel, now and then; or no rows.
    """

    key: Annotated[str, Meta(pattern="^connection$")]
    value: Annotated[str, Meta(examples=[it.name.lower() for it in Level if it is not Level.LOST])]


class StateOver(Struct, frozen=True, kw_only=True, tag_field="op", tag="state"):
    """The last word under a key.

    Attributes:
        key: Of a problem, a sensor or a recording.
        value: That it is over: `gone`, `forgotten`, or how a recording ended.
    """

    key: Annotated[str, Meta(pattern="^(problem|sensor|recording)/")]
    value: Annotated[str, Meta(examples=["gone", "forgotten", "done", "purged", "discarded"])]


def _told(
    name: str, pattern: str, value: Meta, report: type[Struct], untold: Collection[str], doc: str
) -> type[Struct]:
    """What is told of something: what is answered over HTTP, less what is not told."""
    fields: list[tuple[str, Any]] = [
        ("key", Annotated[str, Meta(pattern=pattern)]),
        ("value", Annotated[str, value]),
        *((it.name, it.type) for it in msgspec.structs.fields(report) if it.name not in untold),
    ]
    attributes = (report.__doc__ or "").partition("Attributes:")[2]
    return msgspec.defstruct(
        name,
        fields,
        namespace={"__doc__": f"{doc}\n\n    Attributes:{attributes}"},
        module=__name__,
        frozen=True,
        kw_only=True,
        tag_field="op",
        tag="state",
    )


SensorState = _told(
    "SensorState",
    "^sensor/",
    _words(SensorPresence),
    SensorReport,
    {"presence", "inspection", "inspected_ms"},
    "A strap or a power meter in the air.",
)
PairingStateTold = _told(
    "PairingStateTold",
    "^pairing/",
    _words(PairingState),
    PairingReport,
    {"state", "read_ms", "events"},
    "How the pairing of one tracker stands.",
)
RecordingStateTold = _told(
    "RecordingStateTold",
    "^recording/",
    _words(RecordingState),
    RecordingReport,
    {"state", "sha256", "next_s", "sources", "trail"},
    "A recording on its way into the cloud.",
)

STATES: tuple[type[Struct], ...] = (
    ChannelState,
    ProblemState,
    RadioStateTold,
    SensorState,
    PairingsState,
    PairingStateTold,
    RecordingStateTold,
    ConnectionState,
    StateOver,
)
"""Every form that a `state` can have; the key tells which, but that of any may be over."""

"""What the gateway answers over HTTP where the code has no form of its own for it: field for field, as `spoken`."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from description.samples import Block, Cells, Column, PackedCells
from description.spoken import Identity, You
from gateway.access.roles import Action


class HelloAnswer(Identity, frozen=True, kw_only=True, tag_field="op", tag="hello"):
    """Who the gateway is, told to everybody.

    Attributes:
        id: Tells this gateway from others, and stays the same.
        tls: Whether it was asked over TLS.
        auth: Whether a credential is needed where it was asked from.
    """

    id: str
    tls: bool
    auth: Literal["open", "required"]


class Me(You, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        id: Of the device that is let in; null where one is let in without a credential.
        may: What they may do.
    """

    id: str | None
    may: tuple[Action, ...]


class Paired(Me, frozen=True, kw_only=True):
    """Who has been let in.

    Attributes:
        authority: PEM of the club's certificate authority; null if there is none.
        token: The credential, told once; with `"as": "cookie"` it is in the cookie only.
    """

    authority: str | None
    token: str | UnsetType = UNSET


class Done(Struct, frozen=True):
    """Nothing but that it is done."""


class History(Struct, frozen=True, kw_only=True, tag_field="op", tag="history"):
    """The rows of a tracker, ordered by time.

    Attributes:
        epoch: Under which `ch` holds.
        ch: Number of its channel.
        serial_number: On its label.
        released: Whether the athlete may be shown; else there is no row.
        schema: The columns, in their order.
        next_from_ms: The `from` of the next question; null if this was all.
        blocks: One with `n0` 0, or none if there is no row.
        columns: As in a message `d`.
    """

    epoch: str
    ch: int
    serial_number: str
    released: bool
    schema: tuple[Column, ...]
    next_from_ms: int | None
    blocks: tuple[Block, ...]
    columns: Cells


class PackedHistory(Struct, frozen=True, kw_only=True, tag_field="op", tag="history"):
    """The rows of a tracker, ordered by time.

    Attributes:
        epoch: Under which `ch` holds.
        ch: Number of its channel.
        serial_number: On its label.
        released: Whether the athlete may be shown; else there is no row.
        schema: The columns, in their order.
        next_from_ms: The `from` of the next question; null if this was all.
        blocks: One with `n0` 0, or none if there is no row.
        columns: As in a message `d` in msgpack.
    """

    epoch: str
    ch: int
    serial_number: str
    released: bool
    schema: tuple[Column, ...]
    next_from_ms: int | None
    blocks: tuple[Block, ...]
    columns: PackedCells


Time = Annotated[str, Meta(pattern="^[0-9]{1,15}$")]


class HistoryQuery(Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """Which rows.

    Attributes:
        device: Serial number of the tracker.
        start: Measured at or after this time, epoch ms.
        end: Measured before this time, epoch ms.
        columns: Names of columns, with commas between them; all of them if it is left out.
    """

    device: str
    start: Time
    end: Time
    columns: str = ""


class GapsQuery(Struct, frozen=True):
    """Which gaps.

    Attributes:
        device: Serial number of a tracker; those of all if it is left out.
    """

    device: str | UnsetType = UNSET


class Error(Struct, frozen=True, kw_only=True, tag_field="op", tag="error"):
    """A refusal.

    Attributes:
        code: Why, for programs.
        text: What is wrong and what to do, for people.
        serial_number: Of the other tracker that it is about.
        session_until_ms: When the session may end that keeps it from being done, epoch ms.
        state: Of the recording.
        retry_after_s: When to come again, as in `Retry-After`.
    """

    code: str
    text: str
    serial_number: str | UnsetType = UNSET
    session_until_ms: int | UnsetType = UNSET
    state: str | UnsetType = UNSET
    retry_after_s: int | UnsetType = UNSET

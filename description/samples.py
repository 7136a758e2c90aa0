"""What the gateway says on its websocket of the trackers: which there are, their rows, and what is missing of them."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from description.spoken import Clock, Mark
from gateway.live.gaps import Gap

Pair = tuple[int, int]

Cells = tuple[tuple[float | None, ...] | None, ...]
"""In JSON: of each column the values of all rows."""

PackedCells = tuple[bytes | None, ...]
"""In msgpack: of each column the packed values of all rows."""


class Column(Struct, frozen=True):
    """A column of samples.

    Attributes:
        name: By which it is asked for.
        unit: Of its values; empty for none.
        dtype: In msgpack: little-endian integers.
        scale: In msgpack: what an integer is to be divided by.
        missing: In msgpack: the integer of what was not measured.
    """

    name: str
    unit: str
    dtype: Literal["<i4", "<i2", "<u2", "|u1"]
    scale: int
    missing: int


class Channel(Struct, frozen=True, kw_only=True):
    """A tracker: the whole truth about it from now on.

    Attributes:
        ch: Its number under this epoch.
        device_id: What the cloud calls it; null while it is not ours.
        withdrawn: Rows up to this number are to be forgotten.
        serial_number: On its label.
        name: Of its athlete; null if nobody in particular wears it, or they may not be shown.
        released: Whether its athlete may be shown.
        number: Of the athlete's shirt.
        rate_hz: Rows a second.
        stale_after_ms: Silence that makes its values old.
    """

    ch: int
    device_id: int | None
    withdrawn: int
    serial_number: str
    name: str | None
    released: bool
    number: int | None
    rate_hz: int
    stale_after_ms: int


class Channels(Struct, frozen=True, tag_field="op", tag="channels"):
    """After `hello`, and whenever one changes; channels that are not listed stay as they were.

    Attributes:
        columns: Every column that there is for you.
        channels: Those that are new or have changed.
    """

    columns: tuple[Column, ...]
    channels: tuple[Channel, ...]


class Verdict(Struct, frozen=True, kw_only=True):
    """What of the beginning that was asked for could be met.

    Attributes:
        ch: Of which channel.
        serial_number: Of its tracker.
        recovered: Every row after your cursor follows; or the oldest are gone; or it begins anew.
        missing_rows: If it is partial: how many are gone.
        cursor: Number of the last row before the first that will be sent.
    """

    ch: int
    serial_number: str
    recovered: Literal["exact", "partial", "fresh"]
    missing_rows: int | UnsetType = UNSET
    cursor: int


class SubOk(Struct, frozen=True, kw_only=True, tag_field="op", tag="sub_ok"):
    """The answer to `sub`, before its samples; another one brings each channel that is added later.

    Attributes:
        sub: Of which subscription.
        columns: Names, in the order of this subscription's messages.
        channels: Those that are followed from now on.
        id: Yours, in the first answer.
    """

    sub: int
    columns: tuple[str, ...]
    channels: tuple[Verdict, ...]
    id: Mark | UnsetType = UNSET


class Block(Struct, frozen=True, kw_only=True):
    """A run of rows of one channel.

    Attributes:
        ch: Which.
        n0: Number of the first row.
        rows: How many.
        t0: Time of the first row, epoch ms.
        dt: Milliseconds from row to row, unless there is `t`.
        t: Time of each row, epoch ms, where they are not evenly apart.
        late: Rows younger than these had arrived before them.
        misdated: The tracker's clock was wrong: the values are real, the times are not.
    """

    ch: int
    n0: int
    rows: int
    t0: int
    dt: int | UnsetType = UNSET
    t: tuple[int, ...] | UnsetType = UNSET
    late: bool | UnsetType = UNSET
    misdated: bool | UnsetType = UNSET


class Rows(Struct, frozen=True, kw_only=True, tag_field="op", tag="d"):
    """Samples as they arrive.

    Attributes:
        sub: Of which subscription.
        seq: Counts `snap` and `d` of this subscription together, from 1.
        blocks: Which rows these are.
        columns: Of each column the values of all rows of all blocks, null for what was not measured; null for a column
            in which nothing was.
    """

    sub: int
    seq: int
    blocks: tuple[Block, ...]
    columns: Cells


class PastRows(Rows, frozen=True, kw_only=True, tag_field="op", tag="snap"):
    """Samples of the past that was asked for.

    Attributes:
        end: This was the last of it.
    """

    end: bool | UnsetType = UNSET


class PackedRows(Struct, frozen=True, kw_only=True, tag_field="op", tag="d"):
    """Samples as they arrive.

    Attributes:
        sub: Of which subscription.
        seq: Counts `snap` and `d` of this subscription together, from 1.
        blocks: Which rows these are.
        columns: Of each column a byte string of little-endian integers as `channels` describes it, one for each row of
            all blocks; nil for a column in which nothing was measured.
    """

    sub: int
    seq: int
    blocks: tuple[Block, ...]
    columns: PackedCells


class PackedPastRows(PackedRows, frozen=True, kw_only=True, tag_field="op", tag="snap"):
    """Samples of the past that was asked for.

    Attributes:
        end: This was the last of it.
    """

    end: bool | UnsetType = UNSET


class Time(Struct, frozen=True, kw_only=True, tag_field="op", tag="time"):
    """Every 2 s: if nothing is heard for 10 s, the connection is dead.

    Attributes:
        utc_ms: As in `hello`.
        mono_ms: As in `hello`.
        clock: As in `hello`.
        newest: Pairs of a channel that you follow and the number of its newest row.
        ages: Pairs of a channel and how old its newest rows were when they arrived: ms, median of the last minute.
    """

    utc_ms: int
    mono_ms: int
    clock: Clock
    newest: tuple[Pair, ...]
    ages: tuple[Pair, ...]


class TrackerGap(Gap, frozen=True, kw_only=True, tag_field="op", tag="gap"):
    """A stretch of a tracker's time without rows; the newest with the same `ch` and `id` counts.

    Attributes:
        ch: Number of the channel.
    """

    ch: int


class SubscriptionGap(Struct, frozen=True, kw_only=True, tag_field="op", tag="gap"):
    """Rows that you were not sent.

    Attributes:
        ch: Of which channel.
        sub: In which subscription.
        after: Your cursor of this channel from then on; while they are being left out it stays there, whatever comes.
        from_ms: Time of the last row before them, epoch ms; null if that is not known.
        to_ms: Time of the first row after them; null if that is not known, or they are still being left out.
        rows: How many; null while they are being left out.
        reason: They were overwritten before you took them; or left out, because you were too slow.
        state: Whether they are still being left out.
    """

    ch: int
    sub: int
    after: int
    from_ms: int | None
    to_ms: int | None
    rows: int | None
    reason: Literal["ring_overrun", "slow_consumer"]
    state: Literal["open", "closed"]


class UnsubOk(Struct, frozen=True, kw_only=True, tag_field="op", tag="unsub_ok"):
    """The answer to `unsub`: nothing of that subscription comes any more.

    Attributes:
        sub: Which.
        id: Yours.
    """

    sub: int
    id: Mark | UnsetType = UNSET

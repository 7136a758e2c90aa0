"""The past few minutes of one tracker, for a program that asks over HTTP."""

from collections.abc import Mapping

from gateway.live.requests import ErrorCode, RequestError
from gateway.live.source import Channels
from gateway.live.visibility import Sight
from insiders_codecs.live import Arrivals, Codec, encode_rows, schema
from insiders_codecs.samples import COLUMN_NAMES

MAX_ROWS = 10_000
"""Rows in one answer: 17 minutes of one tracker, under 1 MB of JSON."""

NO_ARRIVAL = 0
"""Arrival number that says "none": rows of a history answer are ordered by time, not by arrival."""


def answer_history(channels: Channels, epoch: str, query: Mapping[str, str], codec: Codec, sight: Sight) -> bytes:
    """Answer ``GET /api/v1/history``.

    Args:
        channels: All channels.
        epoch: Of this run of the gateway.
        query: ``device`` (serial number), ``from`` and ``to`` (epoch ms, half open), ``columns`` (comma separated
            names, all by default).
        codec: Form of the answer.
        sight: What of it all there is for who asks.

    Returns:
        A message `history` with the rows ascending by time in one block, their schema, whether the athlete is
        ``released`` (else there is no row), and ``next_from_ms`` where the answer was cut, None where it was not.

    Raises:
        RequestError: If the query is incomplete or names what is not there.
    """
    known = {channel.wearer.serial_number: channel for channel in sight.channels(channels).values()}
    channel = known.get(query.get("device", ""))
    if channel is None:
        raise RequestError(ErrorCode.UNKNOWN_DEVICE, "Give device=SERIAL_NUMBER of a tracker of this gateway.")
    from_ms, to_ms = _time(query, "from"), _time(query, "to")
    if from_ms > to_ms:
        raise RequestError(ErrorCode.BAD_MESSAGE, "Give a `from` that is not after `to`.")
    names = query["columns"].split(",") if query.get("columns") else list(sight.column_names)
    if not set(names) <= set(sight.column_names) or len(set(names)) != len(names):
        raise RequestError(ErrorCode.UNKNOWN_COLUMN, f"Columns are {', '.join(sight.column_names)}, each once.")
    columns = [COLUMN_NAMES.index(name) for name in names]
    rows = channel.ring.between(from_ms, to_ms)
    cut = rows.take(slice(0, MAX_ROWS))
    head = {
        "op": "history",
        "epoch": epoch,
        "ch": channel.ch,
        "serial_number": channel.wearer.serial_number,
        "released": channel.is_released,
        "schema": schema(columns),
        "next_from_ms": int(rows.t_ms[MAX_ROWS]) if len(rows) > MAX_ROWS else None,
    }
    return encode_rows(head, [Arrivals(channel.ch, NO_ARRIVAL, cut)] if len(cut) else [], columns, codec)


def _time(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise RequestError(ErrorCode.BAD_MESSAGE, f"Give {name}=TIME in epoch milliseconds, a whole number.")
    return int(text)

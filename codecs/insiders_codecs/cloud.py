"""Rows of the Insiders REST API to sample blocks.

A body is read in two ways. The quick one lets the JSON parser check every field against its type and its range while
it reads, and takes the body only if all of it is as the contract promises. Whatever else arrives is read once more,
field by field: a field that is not a measurement is left out and counted, its sample is kept; only a row without a
usable time is left out whole.

Source: Insiders API 1.22, "Get device raw data": flat rows whose keys contain dots, newest first on the latest-data
endpoint. The names of the power and device columns are inferred from the websocket's groups. Unknown fields are
ignored.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
from msgspec import field
from msgspec.structs import astuple

from insiders_codecs.cloud_fields import Time, in_range, measurement, parse, tidy, time_ms
from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import Column, SampleBlock, empty_block

MAX_REMEMBERED = 16 * 1024
"""Bytes of an answer that a follower keeps to know its rows again: a hundred rows, at 1 Hz five times the usual."""

_RECOGNISED = 256
"""Bytes by which the first known row is looked for: about a row, so that its time is among them."""

_TIME_KEY = "gnss.timestamp"
# In the order of `Column`.
_KEYS = (
    "gnss.latitude",
    "gnss.longitude",
    "gnss.altitude",
    "gnss.speed",
    "ecg.hr",
    "pwr.pwr_instantpower",
    "pwr.pwr_cadence",
    "device.Bat_lvl",
    "device.standstill",
)


class DecodedRows(msgspec.Struct, frozen=True, eq=False):
    """What one body held.

    Attributes:
        block: The samples, ascending by time, one per instant.
        rows_rejected: Rows left out because they have no usable time.
        fields_rejected: Values left out because they are no measurement (wrong type, out of range).
    """

    block: SampleBlock
    rows_rejected: int = 0
    fields_rejected: int = 0


@dataclass(frozen=True, slots=True)
class RowsPage:
    """One page of the paged-data endpoint.

    Attributes:
        count: Rows in all pages together.
        page: Number of this page, from 1.
        next_page: Number of the next page, None on the last.
        rows: The rows of this page.
    """

    count: int
    page: int
    next_page: int | None
    rows: DecodedRows


def decode_rows(body: bytes) -> DecodedRows:
    """Decode the bare array of rows that the latest-data endpoint answers with.

    Raises:
        DecodeError: If the body is no JSON array of objects, holds NaN or Infinity, or is nested too deeply.
    """
    try:
        return DecodedRows(_to_block(_ROWS.decode(body)))
    except _UNREADABLE:
        pass
    document = parse(body)
    if not isinstance(document, list):
        raise DecodeError("the answer is not a list of rows")
    return _clean(document)


class RowsFollower:
    """Reads a tracker's answers of the latest-data endpoint one after the other, and decodes only what is new.

    Each answer but the first begins with rows that came since and goes on as the one before began. Where it does, byte
    for byte and down to its end, only its head is decoded; where it does not, because something late stands further
    back, all of it is. So whoever keeps one row per instant gets the same rows as from `decode_rows`, as long as
    nothing of what this returns is thrown away.
    """

    def __init__(self) -> None:
        self._previous = b""

    def decode(self, body: bytes) -> DecodedRows:
        """Decode what the answer before did not hold, at least; raises what `decode_rows` raises."""
        rows = self._decode_head(body)
        if rows is None:
            rows = decode_rows(body)
        self._previous = body if len(body) <= MAX_REMEMBERED and body.startswith(b"[") else b""
        return rows

    def _decode_head(self, body: bytes) -> DecodedRows | None:
        """The rows before the known ones; None if that is not all that is new."""
        known = self._previous[1 : 1 + _RECOGNISED]
        start = body.find(known, 1)
        stop = body.rfind(b"]")
        if len(known) < _RECOGNISED or start < 0 or not self._previous.startswith(body[start:stop], 1):
            return None
        head = body[:start].rstrip()
        if start > 1:
            if not head.endswith(b","):
                return None
            head = head[:-1]
        try:
            # Both ends of what is skipped have to lie between two rows. The first does if what stands before it is an
            # array of its own; the last does if all of it is one, because then the array ends here.
            rows = decode_rows(head + b"]")
            _ANYTHING.decode(body)
        except (DecodeError, *_UNREADABLE):
            return None
        return rows


def decode_rows_page(body: bytes) -> RowsPage:
    """Decode one page, ``{count, page, next, results}``, of the paged-data endpoint.

    Raises:
        DecodeError: If the body is no such object, holds NaN or Infinity, or is nested too deeply.
    """
    try:
        page = _PAGE.decode(body)
        return RowsPage(page.count, page.page, page.next, DecodedRows(_to_block(page.results)))
    except _UNREADABLE:
        pass
    document = parse(body)
    if not isinstance(document, dict) or not isinstance(document.get("results"), list):
        raise DecodeError("the answer is not a page of rows")
    count, number, following = (document.get(key) for key in ("count", "page", "next"))
    if type(count) is not int or type(number) is not int or not (following is None or type(following) is int):
        raise DecodeError("the page does not say which page it is and which follows")
    return RowsPage(count, number, following, _clean(document["results"]))


# Malformed JSON, what does not fit the types, and nesting without end in a field that nobody reads.
_UNREADABLE = (msgspec.DecodeError, RecursionError)


_Row = msgspec.defstruct(
    "_Row",
    [
        ("t_ms", Time, field(name=_TIME_KEY)),
        *(
            (column.name.lower(), in_range(column), field(name=key, default=math.nan))
            for column, key in zip(Column, _KEYS, strict=True)
        ),
    ],
    gc=False,
)


class _Page(msgspec.Struct):
    count: int
    page: int
    next: int | None
    results: list[_Row]  # type: ignore[valid-type]


_ROWS = msgspec.json.Decoder(list[_Row])  # type: ignore[valid-type]
_PAGE = msgspec.json.Decoder(_Page)
_ANYTHING = msgspec.json.Decoder(msgspec.Raw)
_WIDTH = 1 + len(_KEYS)


def _to_block(rows: Sequence[msgspec.Struct]) -> SampleBlock:
    # One call into numpy for all cells: its cost is per call, not per number. None becomes NaN on the way.
    cells = np.fromiter(chain.from_iterable(map(astuple, rows)), np.float64, len(rows) * _WIDTH)
    return _from_table(cells.reshape(-1, _WIDTH))


def _from_table(table: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> SampleBlock:
    """Columns from a table of (time, values...) rows that is usually newest first."""
    table = table[::-1]
    return tidy(SampleBlock(table[:, 0].astype(np.int64), table[:, 1:].T))


def _clean(rows: Iterable[object]) -> DecodedRows:
    table: list[list[float]] = []
    rows_rejected = fields_rejected = 0
    for row in rows:
        t_ms = time_ms(row.get(_TIME_KEY)) if isinstance(row, dict) else None
        if not isinstance(row, dict) or t_ms is None:
            rows_rejected += 1
            continue
        cells = [float(t_ms)]
        for column, key in zip(Column, _KEYS, strict=True):
            value, is_rejected = measurement(row.get(key), column)
            cells.append(value)
            fields_rejected += is_rejected
        table.append(cells)
    block = _from_table(np.array(table, np.float64)) if table else empty_block()
    return DecodedRows(block, rows_rejected, fields_rejected)

"""Messages of the Insiders live websocket to sample blocks.

A message holds groups of columns where a REST row holds dotted keys: ten positions in lists, and single readings in
the ``ecg``, ``pwr`` and ``device`` groups, each group with times of its own. A reading belongs to the newest position
of its message that is not younger than the reading; without one it becomes a row of its own. So a second reads the
same whichever way it came.

The documented form is read by a typed parser, whatever else arrives field by field, as in the REST decoder.

Source: Insiders API 1.22, "Get device raw data" and "Websocket Protocol". Lists of readings, a single position, and
groups that are missing or empty are not documented, and accepted. Unknown groups and keys are ignored.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import lt
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np

from insiders_codecs.cloud import DecodedRows
from insiders_codecs.cloud_fields import Time, in_range, measurement, parse, tidy, time_ms
from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import Column, SampleBlock, empty_block

_Keys = Mapping[Column, str]

# In the order of `Column`, the first four.
_POSITIONS: _Keys = {
    Column.LATITUDE: "latitude",
    Column.LONGITUDE: "longitude",
    Column.ALTITUDE: "altitude",
    Column.SPEED: "speed",
}
_READINGS: Mapping[str, _Keys] = {
    "ecg": {Column.HEART_RATE: "hr"},
    "pwr": {Column.POWER: "pwr_instantpower", Column.CADENCE: "pwr_cadence"},
    "device": {Column.BATTERY: "Bat_lvl", Column.STANDSTILL: "standstill"},
}


def decode_update(message: bytes | str) -> DecodedRows:
    """Decode one data message.

    Returns:
        Its rows. Rejected are the rows of a group whose lists differ in length, positions without a usable time, and
        readings whose time is unusable, or missing where there is no position either; as fields also values whose
        place is taken by an earlier reading of the same group.

    Raises:
        DecodeError: If the message is no JSON object, holds NaN or Infinity, or is nested too deeply.
    """
    try:
        update = _UPDATE.decode(message)
    except (msgspec.DecodeError, RecursionError, UnicodeError):  # half a surrogate pair in a text is no UTF-8
        block = None
    else:
        block = _documented(update)
    if block is not None:
        return DecodedRows(block)
    document = parse(message)
    if not isinstance(document, dict):
        raise DecodeError("the message is not an object of groups")
    table = _Table()
    table.add_positions(document.get("gnss"))
    for name, keys in _READINGS.items():
        table.add_readings(document.get(name), keys)
    return table.rows()


def _column(column: Column) -> Any:
    return GenericAlias(list, (in_range(column),)) | None


_Positions: Any = msgspec.defstruct(
    "_Positions",
    [("timestamp", list[Time]), *((key, _column(column), None) for column, key in _POSITIONS.items())],
    gc=False,
)


def _reading(keys: _Keys) -> Any:
    fields = [(key, in_range(column), math.nan) for column, key in keys.items()]
    return msgspec.defstruct("_Reading", [("timestamp", Time), *fields], gc=False) | None


_UPDATE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Update",
        [("gnss", _Positions), *((name, _reading(keys), None) for name, keys in _READINGS.items())],
        gc=False,
    )
)


def _documented(update: Any) -> SampleBlock | None:
    """The block of a message in the documented form; None if rows have to be sorted, or made for readings."""
    gnss = update.gnss
    times: list[int] = gnss.timestamp
    rows = len(times)
    if not rows or not all(map(lt, times, times[1:])):
        return None
    missing = [math.nan] * rows
    positions = [column or missing for column in (gnss.latitude, gnss.longitude, gnss.altitude, gnss.speed)]
    if any(len(column) != rows for column in positions):
        return None
    # One list and one call into numpy: its cost is per call, not per number. None becomes NaN on the way.
    cells = [*chain.from_iterable(positions), *missing * (len(Column) - len(positions))]
    for reading, keys in ((update.ecg, _ECG), (update.pwr, _PWR), (update.device, _DEVICE)):
        if reading is None:
            continue
        place = bisect_right(times, reading.timestamp) - 1
        if place < 0:
            return None
        for column, key in keys:
            cells[column * rows + place] = getattr(reading, key)
    values = np.fromiter(cells, np.float64, len(cells)).reshape(len(Column), rows)
    return tidy(SampleBlock(np.array(times, np.int64), values))


_ECG, _PWR, _DEVICE = (tuple((int(column), key) for column, key in keys.items()) for keys in _READINGS.values())


class _Table:
    """Gathers a message's rows, group by group; the positions come first."""

    def __init__(self) -> None:
        self._cells: dict[int, list[float]] = {}
        self._positions: list[int] = []
        self._rows_rejected = 0
        self._fields_rejected = 0

    def rows(self) -> DecodedRows:
        block = empty_block()
        if self._cells:
            values = np.array(list(self._cells.values()), np.float64).T
            block = tidy(SampleBlock(np.array(list(self._cells), np.int64), values))
        return DecodedRows(block, self._rows_rejected, self._fields_rejected)

    def add_positions(self, group: object) -> None:
        for time, *values in self._unpacked(group, _POSITIONS):
            t_ms = time_ms(time)
            if t_ms is None:
                self._rows_rejected += 1
            elif t_ms not in self._cells:
                self._write(t_ms, _POSITIONS, values)
        self._positions = sorted(self._cells)

    def add_readings(self, group: object, keys: _Keys) -> None:
        for time, *values in self._unpacked(group, keys):
            t_ms = self._place(time)
            if t_ms is None:
                self._rows_rejected += 1
            else:
                self._write(t_ms, keys, values)

    def _place(self, time: object) -> int | None:
        """The row a reading belongs to, if there is any."""
        if time is None:
            return self._positions[0] if self._positions else None
        t_ms = time_ms(time)
        if t_ms is None:
            return None
        older = bisect_right(self._positions, t_ms)
        return self._positions[older - 1] if older else t_ms

    def _write(self, t_ms: int, keys: _Keys, values: Sequence[object]) -> None:
        cells = self._cells.setdefault(t_ms, [math.nan] * len(Column))
        for column, value in zip(keys, values, strict=True):
            number, is_rejected = measurement(value, column)
            if math.isnan(cells[column]):
                cells[column] = number
            else:
                is_rejected |= not math.isnan(number)
            self._fields_rejected += is_rejected

    def _unpacked(self, group: object, keys: _Keys) -> Sequence[Sequence[object]]:
        """The group's rows, each its time and its values."""
        if group is None:
            return ()
        if not isinstance(group, dict):
            self._rows_rejected += 1
            return ()
        columns = [_listed(group.get(key)) for key in ("timestamp", *keys.values())]
        rows = max(map(len, columns))
        if any(len(column) not in {0, rows} for column in columns):
            self._rows_rejected += rows
            return ()
        return tuple(zip(*(column or [None] * rows for column in columns), strict=True))


def _listed(value: object) -> list[object]:
    """A column, empty where there is none."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]

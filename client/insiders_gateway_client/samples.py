"""Rows gathered for a look at them: by tracker, in the order of time, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from insiders_gateway_client.events import Connected, Event, Rows, Trackers
from insiders_gateway_client.messages import Run


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Rows of one tracker, in the order of time.

    Attributes:
        serial_number: Of the tracker.
        name: Of its athlete, if that is told.
        t_ms: When each was measured, epoch ms: int64[rows], ascending.
        columns: Values by name of the column, NaN where nothing was measured: float64[rows] each.
        misdated_rows: How many more there were whose times are wrong.
    """

    serial_number: str
    name: str | None
    t_ms: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.float64]]
    misdated_rows: int = 0

    def __len__(self) -> int:
        return len(self.t_ms)

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        return self.columns[column]


@dataclass(slots=True)
class _Gathered:
    name: str | None = None
    rows: list[Rows] = field(default_factory=list)


class Collection:
    """Gathers what comes in a stream."""

    def __init__(self) -> None:
        self._gathered: dict[str, _Gathered] = {}
        self._withdrawn: dict[str, int] = {}

    def take(self, event: Event) -> None:
        """Take in what has happened; what is withdrawn is forgotten."""
        match event:
            case Connected(is_anew=True):
                self._withdrawn.clear()  # numbers of another count
            case Rows():
                gathered = self._gathered.setdefault(event.serial_number, _Gathered())
                gathered.name = event.name
                gathered.rows.append(event)
            case Trackers(trackers):
                for tracker in trackers:
                    known = self._withdrawn.get(tracker.serial_number)
                    self._withdrawn[tracker.serial_number] = tracker.withdrawn
                    if (known is not None and tracker.withdrawn > known) or not tracker.is_released:
                        self._gathered.pop(tracker.serial_number, None)

    def samples(self) -> dict[str, Samples]:
        """What there is, by serial number."""
        return {serial: _samples(serial, gathered) for serial, gathered in self._gathered.items()}


def joined(serial_number: str, name: str | None, runs: Iterable[Run | Rows], misdated_rows: int = 0) -> Samples:
    """Rows as one table: ascending in time, each instant once."""
    parts: Sequence[Run | Rows] = list(runs)
    if not parts:
        return Samples(serial_number, name, np.empty(0, np.int64), {}, misdated_rows)
    t_ms, first = np.unique(np.concatenate([part.t_ms for part in parts]), return_index=True)
    names = dict.fromkeys(column for part in parts for column in part.columns)
    columns = {column: np.concatenate([_column(part, column) for part in parts])[first] for column in names}
    return Samples(serial_number, name, t_ms, columns, misdated_rows)


def _samples(serial_number: str, gathered: _Gathered) -> Samples:
    dated = [rows for rows in gathered.rows if not rows.is_misdated]
    misdated = sum(len(rows) for rows in gathered.rows if rows.is_misdated)
    return joined(serial_number, gathered.name, dated, misdated)


def _column(part: Run | Rows, column: str) -> NDArray[np.float64]:
    return part.columns[column] if column in part.columns else np.full(len(part), np.nan)

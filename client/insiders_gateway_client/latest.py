"""The newest values of every tracker, as they are now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from insiders_gateway_client.messages import Message, Run
from insiders_gateway_client.samples import joined


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest values of one tracker.

    Attributes:
        serial_number: Of the tracker.
        name: Of its athlete, if that is told.
        presence: How it stands: "live", "stale", "lost" and so on.
        values: By name of the column, of those measured lately.
        t_ms: When each of them was measured, epoch ms.
    """

    serial_number: str
    name: str | None
    presence: str
    values: Mapping[str, float]
    t_ms: Mapping[str, int]


class Newest:
    """What is known of each channel, until all of it has been told."""

    def __init__(self) -> None:
        self._channels: dict[int, Message] = {}
        self._presence: dict[int, str] = {}
        self._runs: dict[int, list[Run]] = {}
        self._asked: list[int] = []
        self._is_past_told = self._is_state_told = False

    @property
    def is_complete(self) -> bool:
        """Whether everything that is so now has been told."""
        return self._is_past_told and self._is_state_told

    def take(self, message: Message, runs: Sequence[Run]) -> None:
        """Take in a message of a subscription to the latest values, with its decoded samples."""
        match message["op"]:
            case "channels":
                self._channels |= {channel["ch"]: channel for channel in message["channels"]}
            case "state" if "ch" in message:
                self._presence[message["ch"]] = message["value"]
            case "sub_ok":
                self._asked += [channel["ch"] for channel in message["channels"]]
            case "snap":
                for run in runs:
                    if not run.is_misdated:
                        self._runs.setdefault(run.ch, []).append(run)
                self._is_past_told = bool(message.get("end"))
            case "time":
                self._is_state_told = True  # all states that hold come before

    def by_serial_number(self) -> dict[str, Latest]:
        """What is known then, of the trackers that were asked for."""
        found = {}
        for ch in self._asked:
            channel = self._channels[ch]
            samples = joined(channel["serial_number"], channel["name"], self._runs.get(ch, []))
            values, t_ms = {}, {}
            for column, cells in samples.columns.items():
                measured = np.flatnonzero(~np.isnan(cells))
                if len(measured):
                    values[column], t_ms[column] = float(cells[measured[-1]]), int(samples.t_ms[measured[-1]])
            found[samples.serial_number] = Latest(
                samples.serial_number, samples.name, self._presence.get(ch, ""), values, t_ms
            )
        return found

"""Tells whoever follows the gateway what changes about the sensors, and no more than a person could follow."""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.report import RadioReport, SensorReport

RSSI_STEP_DB = 3
"""A strength that moved by less is not told: nobody acts on it."""

FORGOTTEN_FOR_S = 8.0
"""How long it is said of a sensor that it is forgotten, until nothing is said of it at all: with the time until it is
forgotten and two turns, no more than a minute."""


class StateBoard(Protocol):
    """Where states are told; saying the same again changes nothing."""

    def state_changed(self, key: str, value: str, **details: Any) -> None:
        """Tell a state."""

    def forget_state(self, key: str, value: str = "gone") -> None:
        """Tell that a state is over, by a last value."""

    def drop_state(self, key: str) -> None:
        """Say no more of a state."""


class Publisher:
    """Knows what was told. Times are seconds of one monotonic clock.

    Who calls it every second tells at most one change of each sensor in a second.
    """

    def __init__(self, board: StateBoard) -> None:
        self._board = board
        self._told: dict[str, SensorReport] = {}
        self._drop_at_s: dict[str, float] = {}

    def publish_radio(self, radio: RadioReport) -> None:
        """Tell how the radio stands."""
        self._board.state_changed("bluetooth", radio.state, adapter=radio.adapter, text=radio.text, action=radio.action)

    def publish(self, sensors: Iterable[SensorReport], now_s: float) -> None:
        """Tell what has changed about the sensors, of which these are all; devices of unknown kind are not told."""
        present = {sensor.id: sensor for sensor in sensors if sensor.kind != SensorKind.UNKNOWN}
        for sensor_id, sensor in present.items():
            told = self._told.get(sensor_id)
            if told is None or _is_news(told, sensor):
                self._board.state_changed(_key(sensor_id), sensor.presence, **_details(sensor))
                self._told[sensor_id] = sensor
                self._drop_at_s.pop(sensor_id, None)
        for sensor_id in self._told.keys() - present.keys():
            self._board.forget_state(_key(sensor_id), "forgotten")
            del self._told[sensor_id]
            self._drop_at_s[sensor_id] = now_s + FORGOTTEN_FOR_S
        for sensor_id in [due for due, at_s in self._drop_at_s.items() if at_s <= now_s]:
            self._board.drop_state(_key(sensor_id))
            del self._drop_at_s[sensor_id]


def _is_news(told: SensorReport, sensor: SensorReport) -> bool:
    if _essence(told) != _essence(sensor):
        return True
    if told.rssi_dbm is None or sensor.rssi_dbm is None:
        return told.rssi_dbm != sensor.rssi_dbm
    return abs(told.rssi_dbm - sensor.rssi_dbm) >= RSSI_STEP_DB


def _essence(sensor: SensorReport) -> SensorReport:
    """Without what changes all the time by itself."""
    return msgspec.structs.replace(
        sensor,
        rssi_dbm=None,
        bars=0,
        interval_ms=None,
        first_seen_ms=None,
        last_seen_ms=None,
        inspection=None,
        inspected_ms=None,
    )


def _details(sensor: SensorReport) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(sensor)
    del details["inspection"], details["inspected_ms"], details["presence"]
    return details


def _key(sensor_id: str) -> str:
    return f"sensor/{sensor_id}"

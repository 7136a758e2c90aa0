"""The sensors in the air: what their part needs of the trackers, and what the live server needs of it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import UnsetType

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorsReport
from gateway.bluetooth.sensors import InspectionRefused, Sensors
from gateway.cloud.models import BluetoothConfig, Pairing
from gateway.live.requests import ErrorCode, RequestError
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Sensor
from gateway.telemetry.channel import Channel
from gateway.telemetry.delivery import delivers
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import Column

_COLUMNS = {SensorKind.HEART_RATE: Column.HEART_RATE, SensorKind.POWER: Column.POWER}


class Listening(Protocol):
    """What the cloud says of the trackers' sensors."""

    @property
    def current(self) -> Mapping[str, BluetoothConfig]:
        """Of each of our trackers that was read, by serial number."""

    @property
    def is_complete(self) -> bool:
        """Whether it is known which trackers are ours, and of each of them what it listens to."""

    def desired(self, serial_number: str) -> Desired:
        """What is wanted of a tracker."""


class SensorUsers:
    """The trackers, as the sensors' part sees them: `gateway.bluetooth.evidence.Trackers`.

    Attributes:
        listening: What the cloud says of them; None before anybody asks it.
    """

    def __init__(self, channels: Mapping[int, Channel], listening: Listening | None = None) -> None:
        self._channels = {channel.wearer.serial_number: channel for channel in channels.values()}
        self.listening = listening
        self._now = asyncio.get_running_loop().time

    @property
    def are_known(self) -> bool:
        """Whether it is known of every tracker which sensors it listens to."""
        return self.listening is not None and self.listening.is_complete

    def assignments(self) -> Sequence[Assignment]:
        """Every sensor that one of our trackers listens to, or shall."""
        return [
            assignment
            for serial_number, config in (self.listening.current.items() if self.listening else ())
            if serial_number in self._channels
            for assignment in _assignments(self._channels[serial_number], config)
        ]

    def withheld(self) -> Sequence[tuple[str, str | None]] | None:
        """Address and name of what athletes who may not be shown are to wear; None while any sensor may be theirs."""
        closed = [serial_number for serial_number, channel in self._channels.items() if not channel.is_released]
        if not closed:
            return ()
        if self.listening is None or not (self.are_known or self.listening.current.keys() >= set(closed)):
            return None
        wishes = [self.listening.desired(serial_number) for serial_number in closed]
        wanted = (wish for desired in wishes for wish in (desired.heart_rate, desired.power))
        return [(wish.address, wish.name or None) for wish in wanted if isinstance(wish, Sensor)]

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        """Whether the tracker sends what this kind of sensor measures; None if it sends nothing at all."""
        channel = self._channels.get(serial_number)
        return None if channel is None else delivers(channel, _COLUMNS[kind], self._now())


class ServedSensors:
    """The sensors, as the live server sees them: `gateway.live.source.SensorsView`."""

    def __init__(self, sensors: Sensors) -> None:
        self._sensors = sensors

    def report(self) -> SensorsReport:
        """All of them."""
        return self._sensors.report()

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        """Look closer at one of them; raises `RequestError`."""
        try:
            return await self._sensors.inspect(sensor_id, is_link_taken_knowingly=take_link)
        except InspectionRefused as refused:
            raise RequestError(ErrorCode(refused.code), str(refused)) from None


def _assignments(channel: Channel, config: BluetoothConfig) -> Iterator[Assignment]:
    """A sensor that the tracker listens to, and another that it shall, are two."""
    for kind, current, target in (
        (SensorKind.HEART_RATE, config.current.pairing_1, config.target.pairing_1),
        (SensorKind.POWER, config.current.pairing_2, config.target.pairing_2),
    ):
        applied, wanted = _sensor(current), _sensor(target)
        if applied is not None:
            yield _assignment(channel, kind, *applied, is_applied=True)
        if wanted is not None and (applied is None or wanted[0] != applied[0]):
            yield _assignment(channel, kind, *wanted, is_applied=False)


def _assignment(channel: Channel, kind: SensorKind, address: str, name: str | None, *, is_applied: bool) -> Assignment:
    wearer = channel.wearer
    return Assignment(
        wearer.serial_number, wearer.athlete, wearer.number, kind, address, name, is_applied, channel.is_released
    )


def _sensor(pairing: Pairing | UnsetType | None) -> tuple[str, str | None] | None:
    """Address and name of a sensor; None where the cloud names none, or something that no radio could find."""
    if not isinstance(pairing, Pairing) or not pairing.mac_address:
        return None
    try:
        return normal_form(pairing.mac_address), pairing.name or None
    except DecodeError:
        return None

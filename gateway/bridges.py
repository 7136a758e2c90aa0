"""What one feature needs of another, in the words of the one that needs it; features do not know each other."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from msgspec import UnsetType

from gateway.bluetooth.evidence import Assignment
from gateway.bluetooth.identity import SensorKind
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorsReport
from gateway.bluetooth.sensors import InspectionRefused, Sensors
from gateway.cloud.models import BluetoothConfig, Pairing
from gateway.live.requests import ErrorCode, RequestError, parse_body
from gateway.pairing.broadcasts import Broadcasts
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.observation import Air, Delivery, Ears, Match
from gateway.pairing.pairings import Pairings
from gateway.pairing.proof import LAG_S, SPAN_S, whose
from gateway.pairing.report import PairingReport, PairingsReport, PlanReport, TeamReport
from gateway.pairing.requests import ApplyRequest, ImportRequest, PairingRefused, PersonRequest, SetRequest
from gateway.pairing.session import SessionLock
from gateway.telemetry.channel import Channel, Wearer
from gateway.telemetry.delivery import deliveries, delivers
from gateway.telemetry.movement import runs
from gateway.telemetry.seconds import Seconds
from insiders_codecs.address import normal_form
from insiders_codecs.errors import DecodeError
from insiders_codecs.samples import Column

_LOG = logging.getLogger(__name__)

_COLUMNS = {SensorKind.HEART_RATE: Column.HEART_RATE, SensorKind.POWER: Column.POWER}
_SLOT_COLUMNS = {Slot.HEART_RATE: Column.HEART_RATE, Slot.POWER: Column.POWER}

_TURN_S = 1.0
_PROOFS_PER_TURN = 2
"""Of thirty straps each is compared every fifteen seconds, and a hundred cost no more."""


class Listening(Protocol):
    """What the cloud says of the trackers' sensors."""

    @property
    def current(self) -> Mapping[str, BluetoothConfig]:
        """Of each of our trackers that was read, by serial number."""

    @property
    def is_complete(self) -> bool:
        """Whether it is known which trackers are ours, and of each of them what it listens to."""


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
            for assignment in _assignments(self._channels[serial_number].wearer, config)
        ]

    def delivers(self, serial_number: str, kind: SensorKind) -> bool | None:
        """Whether the tracker sends what this kind of sensor measures; None if it sends nothing at all."""
        channel = self._channels.get(serial_number)
        return None if channel is None else delivers(channel, _COLUMNS[kind], self._now())


class PairingEvidence:
    """The radio and the live data, as the pairings see them: `gateway.pairing.evidence.Evidence`."""

    def __init__(
        self, channels: Mapping[int, Channel], sensors: Sensors, reference_ms: Callable[[], int | None]
    ) -> None:
        """Make it know nothing; needs a running event loop.

        Args:
            channels: The trackers.
            sensors: What the radio knows.
            reference_ms: Epoch ms by a clock that agrees with the trackers', or None while it is not known.
        """
        self._channels = {channel.wearer.serial_number: channel for channel in channels.values()}
        self._sensors = sensors
        self._reference_ms = reference_ms
        self._now = asyncio.get_running_loop().time
        self._seconds = Seconds(self._channels.values())
        self._lock = SessionLock()
        self._broadcasts = Broadcasts()
        self._delivery: dict[Slot, dict[str, Delivery]] = {}
        self._matches: dict[str, Match] = {}

    async def run(self, beat: Callable[[], None]) -> None:
        """Take note once a second, until cancelled; `beat` is called with each turn."""
        is_failing = False
        while True:
            try:
                self.take(self._now())
                is_failing = False
            except Exception:  # noqa: BLE001 - the edge of a task: what strangers send must not end the session
                if not is_failing:
                    _LOG.exception("Unexpected failure while evidence was taken, it goes on")
                is_failing = True
            beat()
            await asyncio.sleep(_TURN_S)

    def ears(self) -> Ears:
        """How the radio is."""
        radio, since_s = self._sensors.radio, self._sensors.radio.listening_since_s
        listening_s = None if since_s is None else self._now() - since_s
        return Ears(str(radio.state), listening_s, "" if radio.is_listening else radio.text, radio.action)

    def air(self, sensors: Collection[Sensor]) -> Mapping[str, Air]:
        """What the radio knows of these sensors, by address."""
        now_s = self._now()
        return {sensor.address: self._air(sensor, now_s) for sensor in sensors}

    def delivery(self, serial_number: str, slot: Slot) -> Delivery:
        """Whether what the sensor in a slot measures comes from the tracker."""
        return self._delivery.get(slot, {}).get(serial_number, Delivery.TRACKER_SILENT)

    def contact_s(self, serial_number: str) -> float | None:
        """When the tracker last brought something newer than before, monotonic seconds; None if it never did."""
        channel = self._channels.get(serial_number)
        return None if channel is None else channel.moved_s

    def session_until_s(self) -> float | None:
        """Until when athletes are taken to train, monotonic seconds; None if they do not."""
        return self._lock.until_s(self._now())

    def matches(self) -> Mapping[str, Match]:
        """Where the heart rate that straps broadcast is found, by the address of the strap."""
        return self._matches

    def take(self, now_s: float) -> None:
        """Take note of what there is at a time of the monotonic clock; to be called once a second."""
        self._seconds.update()
        for slot, column in _SLOT_COLUMNS.items():
            told = deliveries(self._seconds, column, now_s)
            self._delivery[slot] = {
                serial_number: Delivery(delivery) for serial_number, delivery in zip(self._channels, told, strict=True)
            }
        if runs(self._seconds, now_s).any():
            self._lock.moved(now_s)
        second = int(now_s)
        self._broadcasts.heard(self._sensors.heart_rates(), second)
        self._match(second)

    def _match(self, second: int) -> None:
        """Compare some of the broadcasts with what the trackers send, in turn."""
        straps, reference_ms = self._broadcasts.straps(second), self._reference_ms()
        self._matches = {address: match for address, match in self._matches.items() if address in straps}
        if reference_ms is None or not straps:
            return
        end_s = reference_ms // 1000 + 1
        rates = self._seconds.between(Column.HEART_RATE, end_s - SPAN_S - LAG_S, end_s + LAG_S)
        start = second * _PROOFS_PER_TURN
        for place in range(start, start + min(_PROOFS_PER_TURN, len(straps))):
            address = straps[place % len(straps)]
            self._matches[address] = whose(self._broadcasts.series(address, second), tuple(self._channels), rates)

    def _air(self, sensor: Sensor, now_s: float) -> Air:
        found = self._sensors.whereabouts(sensor.address, sensor.name)
        heard = found.sensor
        if heard is None:
            return Air(str(found.presence), was_heard=False, holder=str(found.holder), is_ambiguous=found.is_shared)
        has_new_address = heard.address != sensor.address
        return Air(
            presence=str(found.presence),
            silent_s=now_s - heard.reception.last_seen_s,
            rssi_dbm=heard.reception.rssi_dbm,
            kind=str(heard.kind),
            address_kind=heard.address_kind,
            holder=str(found.holder),
            has_new_address=has_new_address,
            is_ambiguous=found.is_shared,
            new_address=heard.address if has_new_address else None,
        )


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


class ServedPairings:
    """The pairings, as the live server sees them: `gateway.live.source.PairingsView`."""

    def __init__(self, pairings: Pairings) -> None:
        self._pairings = pairings
        self._actions = {
            "adopt": pairings.adopt,
            "suspend": pairings.suspend,
            "resume": pairings.resume,
            "retry": pairings.retry,
        }

    def report(self) -> PairingsReport:
        """How each tracker stands."""
        return self._pairings.report()

    def plan(self) -> PlanReport:
        """What is to change."""
        return self._pairings.plan()

    def team(self) -> TeamReport:
        """What is wanted of all trackers."""
        return self._pairings.team()

    async def explain(self, serial_number: str) -> PairingReport:
        """How one tracker stands, and what has happened to it; raises `RequestError`, as all that follow."""
        with _refusing():
            return await self._pairings.explain(serial_number)

    async def set_(self, serial_number: str, body: bytes) -> PairingReport:
        """Want something of one tracker."""
        with _refusing():
            return await self._pairings.set_(serial_number, parse_body(body, SetRequest))

    async def import_(self, body: bytes) -> PlanReport:
        """Want something of several trackers."""
        with _refusing():
            return await self._pairings.import_(parse_body(body, ImportRequest))

    async def apply(self, body: bytes) -> PlanReport:
        """Approve changes."""
        with _refusing():
            return await self._pairings.apply(parse_body(body, ApplyRequest))

    async def act(self, action: str, serial_number: str | None, body: bytes) -> PairingReport | PairingsReport:
        """Adopt, suspend, resume or retry: one tracker, or all of them."""
        with _refusing():
            return await self._actions[action](serial_number, parse_body(body, PersonRequest))


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except PairingRefused as refused:
        raise RequestError(ErrorCode(refused.code), str(refused)) from None


def _assignments(wearer: Wearer, config: BluetoothConfig) -> Iterator[Assignment]:
    """A sensor that the tracker listens to, and another that it shall, are two."""
    for kind, current, target in (
        (SensorKind.HEART_RATE, config.current.pairing_1, config.target.pairing_1),
        (SensorKind.POWER, config.current.pairing_2, config.target.pairing_2),
    ):
        applied, wanted = _sensor(current), _sensor(target)
        if applied is not None:
            yield _assignment(wearer, kind, *applied, is_applied=True)
        if wanted is not None and (applied is None or wanted[0] != applied[0]):
            yield _assignment(wearer, kind, *wanted, is_applied=False)


def _assignment(wearer: Wearer, kind: SensorKind, address: str, name: str | None, *, is_applied: bool) -> Assignment:
    return Assignment(wearer.serial_number, wearer.athlete, wearer.number, kind, address, name, is_applied)


def _sensor(pairing: Pairing | UnsetType | None) -> tuple[str, str | None] | None:
    """Address and name of a sensor; None where the cloud names none, or something that no radio could find."""
    if not isinstance(pairing, Pairing) or not pairing.mac_address:
        return None
    try:
        return normal_form(pairing.mac_address), pairing.name or None
    except DecodeError:
        return None

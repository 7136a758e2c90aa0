"""The radio and the live data, as the pairings see them."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from gateway.bluetooth.sensors import Sensors
from gateway.cloud.errors import CloudError
from gateway.pairing.documents import Sensor, Slot
from gateway.pairing.evidence.broadcasts import Broadcasts
from gateway.pairing.evidence.proof import LAG_S, SPAN_S, whose
from gateway.pairing.evidence.session import SessionLock
from gateway.pairing.observation import Air, Delivery, Ears, Match, Outage
from gateway.telemetry.channel import Channel
from gateway.telemetry.delivery import deliveries
from gateway.telemetry.movement import runs
from gateway.telemetry.seconds import Seconds
from insiders_codecs.samples import Column

_LOG = logging.getLogger(__name__)

_SLOT_COLUMNS = {Slot.HEART_RATE: Column.HEART_RATE, Slot.POWER: Column.POWER}

_TURN_S = 1.0
_PROOFS_PER_TURN = 2
"""Of thirty straps each is compared every fifteen seconds, and a hundred cost no more."""


class PairingEvidence:
    """The radio and the live data, as the pairings see them: `gateway.pairing.evidence.Evidence`."""

    def __init__(
        self,
        channels: Mapping[int, Channel],
        sensors: Sensors,
        reference_ms: Callable[[], int | None],
        trouble: Callable[[float], CloudError | None] = lambda _: None,
    ) -> None:
        """Make it know nothing; needs a running event loop.

        Args:
            channels: The trackers.
            sensors: What the radio knows.
            reference_ms: Epoch ms by a clock that agrees with the trackers', or None while it is not known.
            trouble: Why the cloud answers nobody at a time of the monotonic clock, or None while it does.
        """
        self._trouble = trouble
        self._channels = {channel.wearer.serial_number: channel for channel in channels.values()}
        self._sensors = sensors
        self._reference_ms = reference_ms
        self._now = asyncio.get_running_loop().time
        self._seconds = Seconds(self._channels.values())
        self._lock = SessionLock(self._now())
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

    def outage(self) -> Outage | None:
        """Why the cloud answers nobody, live data included; None while it does."""
        trouble = self._trouble(self._now())
        return None if trouble is None else Outage(trouble.text, trouble.action)

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
        channel = self._channels.get(serial_number)
        if channel is not None and not channel.is_released:
            return Delivery.UNRELEASED
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
        self._broadcasts.forget(self._sensors.withheld())
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

"""The sensors around the gateway: listens, keeps the book, judges, tells, and looks closer when asked to."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from gateway.bluetooth.cautions import only_link_warning
from gateway.bluetooth.census import Census, Entry, Look
from gateway.bluetooth.closer_look import look_closer
from gateway.bluetooth.evidence import Trackers
from gateway.bluetooth.holder import Holder
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.link import LinkError
from gateway.bluetooth.presence import Presence
from gateway.bluetooth.publisher import Publisher, StateBoard
from gateway.bluetooth.radio import Radio, RadioError
from gateway.bluetooth.receiver import Receiver
from gateway.bluetooth.report import SensorReport, SensorsReport
from gateway.bluetooth.reporting import report_radio, report_sensor
from gateway.bluetooth.sightings import Sensor, Sightings
from gateway.bluetooth.trouble import Problems, Trouble
from gateway.bluetooth.whereabouts import Whereabouts, heart_rates, whereabouts

CONNECT_TIMEOUT_S = 15.0
"""Connecting has to wait for an advertisement, and the slowest sensors send one in 10 s."""

_TURN_S = 1.0
_DRIFT_MS = 500
"""By less the wall clock is only being steered, and times that were told would wobble with it."""

_LOG = logging.getLogger(__name__)


class Refusal(StrEnum):
    """Why a closer look cannot be taken, or has failed."""

    UNKNOWN_SENSOR = "unknown_sensor"
    LINK_NEEDED = "link_needed"
    SENSOR_NOT_IN_THE_AIR = "sensor_not_in_the_air"
    INSPECTION_RUNNING = "inspection_running"
    RADIO_NOT_LISTENING = "radio_not_listening"
    INSPECTION_FAILED = "inspection_failed"


class InspectionRefused(Exception):  # noqa: N818 - a refusal is mostly no error
    """A closer look that cannot be taken, or that failed; its text says what to do.

    Attributes:
        code: Why.
    """

    def __init__(self, code: Refusal, text: str) -> None:
        super().__init__(text)
        self.code = code


class Sensors:
    """What is known of the sensors, for those who ask and for those who follow."""

    def __init__(
        self,
        receiver: Receiver,
        sightings: Sightings,
        trackers: Trackers,
        problems: Problems,
        board: StateBoard,
        utc_ms: Callable[[], int],
    ) -> None:
        """Put it together; needs a running event loop.

        Args:
            receiver: The radio.
            sightings: The book, in which the radio enters what it hears.
            trackers: Whose sensors these are.
            problems: Is told what is wrong with the radio.
            board: Is told the states of radio and sensors.
            utc_ms: The wall clock, epoch ms.
        """
        self._receiver = receiver
        self._sightings = sightings
        self._utc_ms = utc_ms
        self._now = asyncio.get_running_loop().time
        self._census = Census(sightings, trackers)
        self._publisher = Publisher(board)
        self._entries: Mapping[str, Entry] = {}
        self._looked_at: Sensor | None = None
        self._trouble = Trouble(problems)
        self._offset_ms = 0.0  # from the monotonic clock to the epoch

    async def run(self, beat: Callable[[], None]) -> None:
        """Tell what changes, once a second, until cancelled; `beat` is called with each turn."""
        is_failing = False
        while True:
            try:
                self._turn()
                is_failing = False
            except Exception:  # noqa: BLE001 - the edge of a task: what strangers advertise must not end the session
                if not is_failing:
                    _LOG.exception("Unexpected failure while sensors were told, it goes on")
                is_failing = True
            beat()
            await asyncio.sleep(_TURN_S)

    def report(self) -> SensorsReport:
        """All that is known now."""
        now_s, radio = self._now(), self._receiver.radio
        return SensorsReport(
            utc_ms=self._utc_ms(),
            radio=report_radio(radio),
            others=self._sightings.others(now_s),
            sensors=tuple(self._reported(self._census.entries(radio, now_s), now_s)),
        )

    @property
    def radio(self) -> Radio:
        """How the radio is."""
        return self._receiver.radio

    def whereabouts(self, address: str, name: str) -> Whereabouts:
        """Where the sensor is that somebody knows by an address, in normal form, and a name; as of the last second."""
        return whereabouts(address, name, self._sightings, self._entries, self.radio, self._now())

    def heart_rates(self) -> dict[str, int]:
        """What straps of athletes who may be shown broadcast now, bpm, by the address that their trackers look for."""
        return heart_rates(self._entries.values(), self._now())

    def withheld(self) -> frozenset[str]:
        """The addresses that trackers look for of sensors of which nothing may be told."""
        withheld = (entry for entry in self._entries.values() if not entry.is_released)
        return frozenset(assignment.address for entry in withheld for assignment in entry.assignments)

    async def inspect(self, sensor_id: str, *, is_link_taken_knowingly: bool) -> Inspection:
        """Look closer at a sensor: connect, read, listen for some seconds, and let it go.

        Args:
            sensor_id: As in the report.
            is_link_taken_knowingly: Whether to do it even if a tracker gets nothing from the sensor meanwhile.

        Raises:
            InspectionRefused: It cannot be done now, or has failed.
        """
        now_s = self._now()
        entries = {entry.id: entry for entry in self._census.entries(self._receiver.radio, now_s)}
        entry = entries.get(sensor_id)
        if entry is None:
            raise InspectionRefused(Refusal.UNKNOWN_SENSOR, "No sensor has this id; see the list of sensors.")
        sensor = self._admitted(entry, is_link_taken_knowingly=is_link_taken_knowingly)
        with self._looking_at(sensor) as look:
            try:
                async with self._receiver.connected(sensor.address, CONNECT_TIMEOUT_S) as link:
                    try:
                        inspection = await look_closer(
                            link, entry.kind, name=sensor.name, is_measured=entry.is_released
                        )
                    finally:
                        look.until_s = self._now()
            except RadioError:
                raise InspectionRefused(Refusal.RADIO_NOT_LISTENING, _sentence(self._receiver.radio)) from None
            except LinkError as error:
                raise InspectionRefused(
                    Refusal.INSPECTION_FAILED, f"The connection failed ({error}); move closer to it and try again."
                ) from None
        if inspection.is_empty:
            raise InspectionRefused(
                Refusal.INSPECTION_FAILED, "The link broke before it said anything; move closer to it and try again."
            )
        if not (entry.is_released and self._entries.get(sensor_id, entry).is_released):
            inspection = inspection.withheld
        look.inspection, look.inspected_s = inspection, self._now()
        return inspection

    def _turn(self) -> None:
        now_s, radio = self._now(), self._receiver.radio
        self._trouble.update(radio, now_s)
        self._publisher.publish_radio(report_radio(radio))
        entries = self._census.entries(radio, now_s)
        self._entries = {entry.id: entry for entry in entries}
        self._publisher.publish(self._reported(entries, now_s), now_s)
        self._census.forget(entries, now_s)

    def _reported(self, entries: Iterable[Entry], now_s: float) -> Iterator[SensorReport]:
        self._follow_wall_clock(now_s)
        return (report_sensor(entry, now_s, self._epoch_ms) for entry in entries)

    def _epoch_ms(self, at_s: float) -> int:
        """A time of the monotonic clock as one for people: always the same, unless the wall clock jumps."""
        return round(at_s * 1000 + self._offset_ms)

    def _follow_wall_clock(self, now_s: float) -> None:
        offset_ms = self._utc_ms() - now_s * 1000
        if abs(offset_ms - self._offset_ms) > _DRIFT_MS:
            self._offset_ms = offset_ms

    def _admitted(self, entry: Entry, *, is_link_taken_knowingly: bool) -> Sensor:
        """The sensor of an entry, if it may be looked at."""
        radio = self._receiver.radio
        if not radio.is_listening:
            raise InspectionRefused(Refusal.RADIO_NOT_LISTENING, _sentence(radio))
        if self._looked_at is not None:
            which = "This sensor" if self._looked_at is entry.sensor else "Another sensor"
            raise InspectionRefused(
                Refusal.INSPECTION_RUNNING, f"{which} is being looked at; try again in half a minute."
            )
        is_taken = entry.presence is Presence.QUIET and entry.verdict.holder is Holder.TRACKER
        if entry.sensor is None or is_taken or entry.presence not in {Presence.SEEN, Presence.QUIET}:
            action = entry.verdict.action or "to look closer, switch its tracker off first"
            advice = f"; {action}" if entry.tracker is not None or entry.verdict.action else ""
            raise InspectionRefused(Refusal.SENSOR_NOT_IN_THE_AIR, f"{entry.verdict.text}{advice}.")
        warning = only_link_warning(
            entry.sensor.model.links if entry.sensor.model else None,
            entry.tracker,
            is_shared=entry.verdict.holder is Holder.SHARED,
        )
        if warning is not None and not is_link_taken_knowingly:
            raise InspectionRefused(Refusal.LINK_NEEDED, f"{warning}.")
        return entry.sensor

    @contextmanager
    def _looking_at(self, sensor: Sensor) -> Iterator[Look]:
        look = self._census.look(sensor)
        self._looked_at, look.is_linked = sensor, True
        try:
            yield look
        finally:
            self._looked_at, look.is_linked = None, False


def _sentence(radio: Radio) -> str:
    return f"{radio.text}: {radio.action}." if radio.action else f"{radio.text}."

"""The sensors around the gateway: listens, keeps the book, judges, tells, and looks closer when asked to."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from gateway.bluetooth.cautions import only_link_warning
from gateway.bluetooth.census import Census, Closer, Entry, reported
from gateway.bluetooth.closer_look import look_closer
from gateway.bluetooth.evidence import Trackers
from gateway.bluetooth.holder import Holder
from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.link import LinkError
from gateway.bluetooth.presence import Presence
from gateway.bluetooth.publisher import Publisher, StateBoard
from gateway.bluetooth.radio import Radio, RadioError, RadioState
from gateway.bluetooth.receiver import Receiver
from gateway.bluetooth.report import RadioReport, SensorReport, SensorsReport
from gateway.bluetooth.sightings import Sensor, Sightings

CONNECT_TIMEOUT_S = 15.0

TROUBLE_AFTER_S = 3.0
"""A radio that was restarted listens again sooner, and nobody needs to act."""

_TURN_S = 1.0
_DRIFT_MS = 500

_LOG = logging.getLogger(__name__)


class Problems(Protocol):
    """Where people are told what is wrong."""

    def report(self, code: str, text: str, action: str, subject: str = "") -> None:
        """Say that something is wrong."""

    def resolve(self, code: str, subject: str = "") -> None:
        """Say that it is right again."""


class InspectionRefused(Exception):  # noqa: N818 - a refusal is mostly no error
    """A closer look that cannot be taken, or that failed; its text says what to do.

    Attributes:
        code: Stable, for programs.
    """

    def __init__(self, code: str, text: str) -> None:
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
        self._problems = problems
        self._utc_ms = utc_ms
        self._now = asyncio.get_running_loop().time
        self._census = Census(sightings, trackers)
        self._publisher = Publisher(board)
        self._looked_at: Sensor | None = None
        self._trouble: Radio | None = None  # as it was reported
        self._offset_ms = 0.0  # from the monotonic clock to the epoch
        self._deaf_since_s: float | None = None

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
            radio=_radio_report(radio),
            others=self._sightings.others(now_s),
            sensors=tuple(self._reported(self._census.entries(radio, now_s), now_s)),
        )

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
            raise InspectionRefused("unknown_sensor", "There is no such sensor in the air; see the list of sensors.")
        sensor = self._admitted(entry, is_link_taken_knowingly=is_link_taken_knowingly)
        with self._looking_at(sensor) as closer:
            try:
                async with self._receiver.connected(sensor.address, CONNECT_TIMEOUT_S) as link:
                    try:
                        inspection = await look_closer(link, entry.kind, name=sensor.name)
                    finally:
                        closer.until_s = self._now()
            except RadioError:
                raise InspectionRefused("radio_not_listening", _sentence(self._receiver.radio)) from None
            except LinkError as error:
                raise InspectionRefused(
                    "inspection_failed", f"It could not be connected ({error}); move closer to it and try again."
                ) from None
        if _is_empty(inspection):
            raise InspectionRefused(
                "inspection_failed", "The link broke before it said anything; move closer to it and try again."
            )
        closer.inspection, closer.inspected_s = inspection, self._now()
        return inspection

    def _turn(self) -> None:
        now_s, radio = self._now(), self._receiver.radio
        self._report_trouble(radio, now_s)
        self._publisher.publish_radio(_radio_report(radio))
        entries = self._census.entries(radio, now_s)
        self._publisher.publish(self._reported(entries, now_s), now_s)
        self._census.forget(entries, now_s)

    def _reported(self, entries: Iterable[Entry], now_s: float) -> Iterator[SensorReport]:
        self._follow_wall_clock(now_s)
        return (reported(entry, now_s, self._epoch_ms) for entry in entries)

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
            raise InspectionRefused("radio_not_listening", _sentence(radio))
        if self._looked_at is not None:
            which = "This sensor" if self._looked_at is entry.sensor else "Another sensor"
            raise InspectionRefused("inspection_running", f"{which} is being looked at; try again in half a minute.")
        is_taken = entry.presence is Presence.QUIET and entry.verdict.holder is Holder.TRACKER
        if entry.sensor is None or is_taken or entry.presence not in {Presence.SEEN, Presence.QUIET}:
            advice = f"; {entry.verdict.action}" if entry.verdict.action else ""
            raise InspectionRefused("sensor_not_in_the_air", f"{entry.verdict.text}{advice}.")
        warning = only_link_warning(
            entry.sensor.model.links if entry.sensor.model else None,
            entry.tracker,
            is_shared=entry.verdict.holder is Holder.SHARED,
        )
        if warning is not None and not is_link_taken_knowingly:
            raise InspectionRefused("link_needed", f"{warning}.")
        return entry.sensor

    @contextmanager
    def _looking_at(self, sensor: Sensor) -> Iterator[Closer]:
        closer = self._census.closer(sensor)
        self._looked_at, closer.is_linked = sensor, True
        try:
            yield closer
        finally:
            self._looked_at, closer.is_linked = None, False

    def _report_trouble(self, radio: Radio, now_s: float) -> None:
        """A radio that is starting has not recovered yet, and has no new trouble either.

        That nothing at all is heard is no trouble: there may be nobody, as in every night.
        """
        if radio.is_listening or radio.state in {RadioState.DISABLED, RadioState.SILENT}:
            self._deaf_since_s = None
            self._resolve_trouble()
            return
        if self._deaf_since_s is None:
            self._deaf_since_s = now_s
        is_lasting = now_s - self._deaf_since_s >= TROUBLE_AFTER_S
        if is_lasting and radio.state is not RadioState.STARTING and radio != self._trouble:
            if self._trouble is None or self._trouble.state is not radio.state:
                self._resolve_trouble()
            self._problems.report(_code(radio), radio.text, radio.action)
            self._trouble = radio

    def _resolve_trouble(self) -> None:
        if self._trouble is not None:
            self._problems.resolve(_code(self._trouble))
            self._trouble = None


def _code(radio: Radio) -> str:
    return f"bluetooth_{radio.state}"


def _sentence(radio: Radio) -> str:
    return f"{radio.text}: {radio.action}." if radio.action else f"{radio.text}."


def _radio_report(radio: Radio) -> RadioReport:
    return RadioReport(
        state=str(radio.state), adapter=radio.adapter, text=radio.text, action=radio.action, notes=radio.notes
    )


def _is_empty(inspection: Inspection) -> bool:
    """Whether nothing at all was learned, as happens when the link breaks at once."""
    streams = (inspection.heart_rate, inspection.power)
    has_stream = any(stream is not None and stream.measurements for stream in streams)
    return not has_stream and not any(getattr(inspection, field) is not None for field in _SAID)


_SAID = (
    "battery_percent",
    "manufacturer",
    "model",
    "serial_number",
    "firmware",
    "hardware",
    "software",
    "body_location",
    "sensor_location",
    "power_features",
)

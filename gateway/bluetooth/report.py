"""What is told about the sensors in the air: the body of `GET /api/v1/sensors`.

Closed sets are plain strings here, so that an older reader survives what a newer gateway says.
"""

import msgspec

from gateway.bluetooth.inspection import Inspection


class RadioReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway's Bluetooth is.

    Attributes:
        state: A `RadioState`.
        adapter: Which one listens, ``hci0``; None if there is none.
        text: How it is, one clause.
        action: What to do about it, one clause; "" if nothing is to be done.
        notes: What a technician might want to know besides, one clause each.
    """

    state: str
    adapter: str | None
    text: str
    action: str
    notes: tuple[str, ...]


class TrackerReport(msgspec.Struct, frozen=True, kw_only=True):
    """The tracker that a sensor belongs to.

    Attributes:
        serial_number: Of the tracker.
        name: Of its athlete; None if nobody in particular wears it.
        number: Of its athlete's shirt; None if there is none.
        slot: Which of the tracker's two sensors it is, ``heart_rate`` or ``power``.
        is_applied: Whether the tracker listens to it; otherwise it shall, and has not taken it over yet.
    """

    serial_number: str
    name: str | None
    number: int | None
    slot: str
    is_applied: bool


class SensorReport(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor; what is not known is None.

    Attributes:
        id: Stable, fit for a path.
        kind: A `SensorKind`.
        name: As it advertises itself.
        model: As far as its name tells.
        address: Lower case with colons.
        address_kind: An `AddressKind`; None if it was never heard.
        presence: A `Presence`.
        rssi_dbm: How strong it is, or was when it was last heard.
        bars: The same as 0 to 4.
        interval_ms: How often it advertises.
        first_seen_ms: When it was first heard, epoch ms.
        last_seen_ms: When it was last heard, epoch ms.
        battery_percent: When it was last looked at closer.
        heart_rate_bpm: That it broadcasts now.
        is_contact: Whether it broadcasts skin contact now.
        tracker: Whose sensor it is; None if nobody's.
        holder: A `Holder`: who has it, as far as can be told.
        text: The same, one sentence.
        action: What a technician does next, one clause; "" if nothing is to be done.
        warnings: What a person should know before using it, one clause each.
        inspection: What the last closer look has found.
        inspected_ms: When that was, epoch ms.
    """

    id: str
    kind: str
    name: str | None
    model: str | None
    address: str
    address_kind: str | None
    presence: str
    rssi_dbm: int | None
    bars: int
    interval_ms: int | None
    first_seen_ms: int | None
    last_seen_ms: int | None
    battery_percent: int | None
    heart_rate_bpm: int | None
    is_contact: bool | None
    tracker: TrackerReport | None
    holder: str
    text: str
    action: str
    warnings: tuple[str, ...]
    inspection: Inspection | None
    inspected_ms: int | None


class SensorsReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", tag="sensors"):
    """Everything in the air that is worth a line.

    Attributes:
        utc_ms: When this was written, epoch ms.
        radio: How the gateway's Bluetooth is.
        others: How many more devices were heard lately, which are no sensors or hide what they are.
        sensors: Those of trackers first, then the others that are known for sensors, strongest first, then the rest.
    """

    utc_ms: int
    radio: RadioReport
    others: int
    sensors: tuple[SensorReport, ...]

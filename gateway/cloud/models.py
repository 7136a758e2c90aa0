"""What the API answers with, as typed values.

Unknown fields are ignored, because new ones may appear at any time. Only what identifies a thing is required; all else
may be absent or null. Ids are integers and may arrive as strings of digits; times are epoch milliseconds.

Source: Insiders API 1.22, "REST Endpoints".
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from gateway.cloud.times import TimeMs, parse_time

T = TypeVar("T")

OPEN_END_MS = parse_time("2999-01-01T00:00:00Z")
"""Ownerships without an end are written with one in the year 2999."""


class ManagerProfile(Struct, frozen=True):
    """The person behind a manager account."""

    id: int
    first_name: str | None = None
    last_name: str | None = None


class Account(Struct, frozen=True):
    """The account that is logged in."""

    role: str | None = None
    username: str | None = None
    manager_profile: ManagerProfile | None = None
    extra_permissions: dict[str, Any] | list[str] | None = None


class Manager(Struct, frozen=True):
    """A manager account, as the manager operations answer."""

    id: int
    username: str | None = None
    external_id: str | None = None
    email: str | None = None
    manager_profile: ManagerProfile | None = None


class ManagerDetails(Struct, frozen=True, omit_defaults=True):
    """What to write into a manager account; what is left out is not sent."""

    email: str | UnsetType = UNSET
    first_name: str | UnsetType = UNSET
    last_name: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET


class Device(Struct, frozen=True):
    """A tracker as the cloud knows it.

    Attributes:
        id: What every other operation asks for.
        serial_number: What is printed on it.
        device_name: The second half of what a claim needs; opaque.
    """

    id: int
    serial_number: str | None = None
    device_name: str | None = None
    device_type: str | None = None
    firmware_version: str | None = None
    custom_name: str | None = None


class Ownership(Struct, frozen=True):
    """Who owned which device from when to when."""

    id: int
    start_ms: TimeMs = field(name="start_time")
    end_ms: TimeMs | None = field(name="end_time", default=None)
    device: int | None = None
    manager: int | None = None
    device_details: Device | None = None

    @property
    def has_open_end(self) -> bool:
        """Whether it goes on until somebody ends it."""
        return self.end_ms is None or self.end_ms >= OPEN_END_MS


class TimestampAnswer(Struct, frozen=True):
    """When a device measured last; None if it never did."""

    t_ms: TimeMs | None = field(name="timestamp", default=None)


class Range(Struct, frozen=True):
    """A stretch of samples less than five minutes apart from each other.

    Attributes:
        start_ms: First sample.
        stop_ms: Last sample.
        size: Number of rows (inferred from the documented sample).
    """

    start_ms: TimeMs = field(name="start")
    stop_ms: TimeMs = field(name="stop")
    size: int | None = None


class Pairing(Struct, frozen=True, omit_defaults=True):
    """One Bluetooth sensor.

    Attributes:
        mac_address: Lower case with colons.
        name: Free text.
    """

    mac_address: str | None = None
    name: str | None = None


class PairingSet(Struct, frozen=True, omit_defaults=True):
    """The sensors of a tracker: 1 is heart rate, 2 is power; None where there is none, UNSET where nothing is said."""

    pairing_1: Pairing | UnsetType | None = UNSET
    pairing_2: Pairing | UnsetType | None = UNSET


class BluetoothConfig(Struct, frozen=True):
    """What a tracker is paired with.

    Attributes:
        current: What the cloud believes the tracker runs.
        target: What the tracker will be told; a write changes only this.
        status: The cloud's word on the request, "success" being the only documented one.
    """

    current: PairingSet
    target: PairingSet
    status: str | None = None


class JobState(Enum):
    """What a job's state means for who waits."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(Struct, frozen=True):
    """Work the cloud does after an upload.

    Attributes:
        job_id: What to ask for it by.
        state: The cloud's word; see `meaning`.
        details: Undocumented.
    """

    job_id: str
    state: str
    id: int | None = None
    details: Any = None

    @property
    def meaning(self) -> JobState:
        """Every state that does not say it has ended is still running."""
        return _JOB_STATES.get(self.state.upper(), JobState.RUNNING)


_JOB_STATES = {
    "SUCCESS": JobState.DONE,
    "FAILURE": JobState.FAILED,
    "REVOKED": JobState.FAILED,
    "ERROR": JobState.FAILED,
}


class KnownAsi(Job, frozen=True, kw_only=True):
    """A recording that the cloud has, and its work on it.

    Attributes:
        sha256: Of the bytes of the .asi file, hexadecimal.
    """

    sha256: str


class Page(Struct, Generic[T], frozen=True):
    """One page of a list.

    Attributes:
        count: Items on all pages together.
        next_page: Number of the next page, None on the last.
        items: The items that could be read.
        rejected: How many could not.
    """

    count: int
    next_page: int | None
    items: tuple[T, ...]
    rejected: int


def decoder(kind: type[T]) -> Callable[[bytes], T]:
    """A decoder of bodies that hold one `kind`."""
    return msgspec.json.Decoder(kind, strict=False, dec_hook=_convert).decode


def page_decoder(kind: type[T]) -> Callable[[bytes], Page[T]]:
    """A decoder of pages of `kind`: one item that cannot be read does not hide the others."""
    decode_item = msgspec.json.Decoder(kind, strict=False, dec_hook=_convert).decode
    decode_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode

    def decode(body: bytes) -> Page[T]:
        envelope = decode_envelope(body)
        items: list[T] = []
        for raw in envelope.results:
            try:
                items.append(decode_item(raw))
            except (msgspec.ValidationError, RecursionError):
                continue
        return Page(envelope.count, envelope.next, tuple(items), len(envelope.results) - len(items))

    return decode


def decode_bluetooth(body: bytes) -> BluetoothConfig:
    """Decode a Bluetooth configuration; a side that is absent or null says nothing about either sensor."""
    answer = _decode_bluetooth_answer(body)
    return BluetoothConfig(answer.data.current or PairingSet(), answer.data.target or PairingSet(), answer.status)


class _Envelope(Struct):
    results: list[msgspec.Raw]
    count: int
    next: int | None = None


class _BluetoothData(Struct):
    current: PairingSet | None = None
    target: PairingSet | None = None


class _BluetoothAnswer(Struct):
    data: _BluetoothData
    status: str | None = None


def _convert(kind: type, value: object) -> object:
    if kind is TimeMs:
        return parse_time(value)
    raise NotImplementedError(kind)


_decode_bluetooth_answer = decoder(_BluetoothAnswer)

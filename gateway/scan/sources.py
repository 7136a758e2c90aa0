"""Where the sensors of a scan are listened to."""

from typing import Protocol, TypeVar

import msgspec

from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorsReport
from gateway.live.client import StreamError, fetch_sensors, inspect_sensor

_T = TypeVar("_T")


class Source(Protocol):
    """Where sensors are listened to: a gateway, or this machine's own radio."""

    async def report(self) -> SensorsReport:
        """What is in the air; raises `StreamError` if nobody tells."""

    async def settle(self) -> None:
        """Wait until what is in the air can be told."""

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        """Look closer at one; raises `RequestError` if that is refused, `StreamError` if nobody answers."""


class GatewaySource:
    """The sensors near a gateway, asked for over HTTP."""

    def __init__(self, url: str) -> None:
        """Make a source from the address of a gateway's live stream, as `stream_url` gives it."""
        self._url = url

    async def report(self) -> SensorsReport:
        """What is in the air; raises `StreamError`."""
        return self._decode(await fetch_sensors(self._url), SensorsReport)

    async def settle(self) -> None:
        """A gateway has been listening all along."""

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        """Look closer at one; raises `RequestError` and `StreamError`."""
        return self._decode(await inspect_sensor(self._url, sensor_id, take_link=take_link), Inspection)

    def _decode(self, body: bytes, form: type[_T]) -> _T:
        try:
            return msgspec.json.decode(body, type=form)
        except msgspec.DecodeError:
            raise StreamError(f"{self._url} tells sensors in another form: use the same version here") from None

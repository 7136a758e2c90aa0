"""Where the sensors of a scan are listened to."""

from typing import Protocol

from gateway.bluetooth.inspection import Inspection
from gateway.bluetooth.report import SensorsReport
from gateway.terminal.answers import told
from gateway.terminal.questions import fetch_sensors, inspect_sensor


class Source(Protocol):
    """Where sensors are listened to: a gateway, or this machine's own radio."""

    async def report(self) -> SensorsReport:
        """What is in the air; raises `GatewayError` if nobody tells."""

    async def settle(self) -> None:
        """Wait until what is in the air can be told."""

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        """Look closer at one; raises `RefusedError` if that is refused, `GatewayError` if nobody answers."""


class GatewaySource:
    """The sensors near a gateway, asked for over HTTP."""

    def __init__(self, url: str) -> None:
        """Make a source from the address of a gateway."""
        self._url = url

    async def report(self) -> SensorsReport:
        """What is in the air; raises `GatewayError`."""
        return await told(fetch_sensors(self._url), SensorsReport, self._url, "sensors")

    async def settle(self) -> None:
        """A gateway has been listening all along."""

    async def inspect(self, sensor_id: str, *, take_link: bool) -> Inspection:
        """Look closer at one; raises `RefusedError` and `GatewayError`."""
        asked = inspect_sensor(self._url, sensor_id, take_link=take_link)
        return await told(asked, Inspection, self._url, "sensors")

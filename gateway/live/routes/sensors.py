"""The routes of the Bluetooth sensors near the gateway."""

from aiohttp import web

from gateway.access.roles import Action
from gateway.live.door.gate import body_of, json_answer
from gateway.live.door.guard import Guard
from gateway.live.requests import Inspect, parse_body
from gateway.live.source import SensorsView


class SensorRoutes:
    """``/api/v1/sensors`` and what is below it."""

    def __init__(self, sensors: SensorsView) -> None:
        self._sensors = sensors

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        guard.add("GET", "/api/v1/sensors", Action.SEE_SENSORS, self._report)
        guard.add("POST", "/api/v1/sensors/{id}/inspect", Action.INSPECT_SENSORS, self._inspect)

    async def _report(self, _request: web.Request) -> web.Response:
        return json_answer(self._sensors.report())

    async def _inspect(self, request: web.Request) -> web.Response:
        wanted = parse_body(await body_of(request), Inspect)
        return json_answer(await self._sensors.inspect(request.match_info["id"], take_link=wanted.take_link))

"""The routes of the Bluetooth sensors near the gateway."""

from aiohttp import web

from gateway.live.gate import body_of, json_answer
from gateway.live.requests import Inspect, parse_body
from gateway.live.source import SensorsView


class SensorRoutes:
    """``/api/v1/sensors`` and what is below it."""

    def __init__(self, sensors: SensorsView) -> None:
        self._sensors = sensors

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve them."""
        router.add_get("/api/v1/sensors", self._report)
        router.add_post("/api/v1/sensors/{id}/inspect", self._inspect)

    async def _report(self, _request: web.Request) -> web.Response:
        return json_answer(self._sensors.report())

    async def _inspect(self, request: web.Request) -> web.Response:
        wanted = parse_body(await body_of(request), Inspect)
        return json_answer(await self._sensors.inspect(request.match_info["id"], take_link=wanted.take_link))

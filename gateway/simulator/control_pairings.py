"""The control endpoints around pairings: what other people do to targets, trackers and sensors."""

from typing import get_args

from aiohttp import web

from gateway.simulator.bluetooth import SLOTS, Obedience
from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.control_calls import checked, choice, device_of, json_of
from gateway.simulator.errors import Refusal
from gateway.simulator.hands import Hands

_DISTANCES_M = (0.1, 1000)


def add_routes(app: web.Application, cloud: SimulatedCloud) -> None:
    """Serve what is below /simulator/ about pairings and sensors."""
    control = _Control(cloud)
    device, sensor = "/simulator/devices/{device}", "/simulator/sensors"
    app.router.add_routes(
        [
            web.get(f"{device}/pairings", checked(control.pairings)),
            web.post(f"{device}/pairings", checked(control.write)),
            web.post(f"{device}/forget", checked(control.forget)),
            web.post(f"{device}/obedience", checked(control.obedience)),
            web.get(sensor, checked(control.sensors)),
            web.post(f"{sensor}/{{part}}/place", checked(control.place)),
            web.post(f"{sensor}/{{part}}/wear", checked(control.wear)),
        ]
    )


class _Control:
    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    async def pairings(self, request: web.Request) -> web.Response:
        """What the cloud wants a tracker to use, what it knows it to use, and what it really uses."""
        cloud, now_ms = self._cloud, self._cloud.now_ms()
        config = cloud.bluetooth(cloud.device(device_of(request)).device_id)
        documents = {"target": config.target, "current": config.current(now_ms), "used": config.used(now_ms)}
        return web.json_response({**documents, "obedience": config.obedience})

    async def write(self, request: web.Request) -> web.Response:
        """Another controller writes: {"pairing_1": {"mac_address": ..., "name": ...}}; null clears a slot."""
        self._cloud.write_pairings(device_of(request), await json_of(request, *SLOTS))
        return await self.pairings(request)

    async def forget(self, request: web.Request) -> web.Response:
        """The tracker is reset to how it left the factory."""
        self._cloud.forget_pairings(device_of(request))
        return await self.pairings(request)

    async def obedience(self, request: web.Request) -> web.Response:
        """{"how": "at_start" | "never" | "says_so" | "one_slot"}: what the tracker does with a target that it gets."""
        how: Obedience = choice(await json_of(request, "how"), "how", get_args(Obedience))
        self._cloud.set_obedience(device_of(request), how)
        return await self.pairings(request)

    async def sensors(self, _request: web.Request) -> web.Response:
        """Straps and power meters, where they are, who wears them and who holds them."""
        return web.json_response({"sensors": self._hands().sensors()})

    async def place(self, request: web.Request) -> web.Response:
        """{"distance_m": 0.1} puts a sensor at this distance from the gateway: held to it."""
        distance_m = (await json_of(request, "distance_m")).get("distance_m")
        low_m, high_m = _DISTANCES_M
        if isinstance(distance_m, bool) or not isinstance(distance_m, int | float) or not low_m <= distance_m <= high_m:
            raise Refusal(400, {"detail": f"distance_m must be a number of metres from {low_m} to {high_m}."})
        self._hands().place(request.match_info["part"], distance_m)
        return await self.sensors(request)

    async def wear(self, request: web.Request) -> web.Response:
        """{"athlete": 3} lets the athlete at a place of the team, from 0 on, wear a sensor; null takes it off."""
        places = range(len(self._cloud.devices))
        athlete = (await json_of(request, "athlete")).get("athlete", "")
        if athlete is not None and (isinstance(athlete, bool) or not isinstance(athlete, int) or athlete not in places):
            raise Refusal(400, {"detail": f"athlete must be a place of the team, 0 to {places[-1]}, or null."})
        self._hands().wear(request.match_info["part"], athlete)
        return await self.sensors(request)

    def _hands(self) -> Hands:
        hands = self._cloud.hands
        if hands is None:
            raise Refusal(404, {"detail": "There are no sensors in the air here; the demo has some."})
        return hands

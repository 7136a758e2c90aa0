"""The control endpoints of the simulator itself: change the knobs, and let things happen to trackers.

They need no token: the simulator listens on loopback only.
"""

from typing import get_args

from aiohttp import web

from gateway.simulator.cloud import NewOwner, SimulatedCloud
from gateway.simulator.control_calls import checked, choice, device_of, flag, json_of
from gateway.simulator.errors import Refusal
from gateway.simulator.faults import CLOCK_ERROR_MAXIMUM_S


def add_routes(app: web.Application, cloud: SimulatedCloud) -> None:
    """Serve everything below /simulator/."""
    control = _Control(cloud)
    device = "/simulator/devices/{device}"
    app.router.add_routes(
        [
            web.get("/simulator/state", checked(control.state)),
            web.get("/simulator/faults", checked(control.faults)),
            web.patch("/simulator/faults", checked(control.change_faults)),
            web.post("/simulator/tokens/revoke", checked(control.revoke)),
            web.post(f"{device}/network", checked(control.network)),
            web.post(f"{device}/power", checked(control.power)),
            web.post(f"{device}/clock", checked(control.clock)),
            web.post(f"{device}/restart", checked(control.restart)),
            web.post(f"{device}/move", checked(control.move)),
        ]
    )


class _Control:
    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    async def state(self, _request: web.Request) -> web.Response:
        """Trackers, their owners, and the counters."""
        cloud = self._cloud
        trackers = []
        for device in cloud.devices:
            current = cloud.ownerships.current(device.device_id)
            delivery = cloud.delivery(device.device_id)
            owner = cloud.accounts.manager(current.manager_id) if current else None
            trackers.append(
                {
                    **device.as_json(),
                    "owner": owner.username if owner else None,
                    "powered": delivery.powered,
                    "connected": delivery.connected,
                    "online": delivery.online,
                    "clock_error_s": delivery.clock_error_s,
                }
            )
        statuses = {str(status): count for status, count in cloud.statuses.items()}
        return web.json_response(
            {"now_ms": cloud.now_ms(), "devices": trackers, "requests": cloud.requests, "statuses": statuses}
        )

    async def faults(self, _request: web.Request) -> web.Response:
        """All knobs."""
        return web.json_response(self._cloud.faults.model_dump())

    async def change_faults(self, request: web.Request) -> web.Response:
        """Replace some knobs."""
        self._cloud.faults = self._cloud.faults.merged(await json_of(request))
        return await self.faults(request)

    async def revoke(self, request: web.Request) -> web.Response:
        """End all access tokens, and with {"refresh": true} all refresh tokens."""
        self._cloud.accounts.revoke(refresh_tokens=flag(await json_of(request, "refresh"), "refresh", absent=False))
        return web.json_response({})

    async def network(self, request: web.Request) -> web.Response:
        """{"connected": bool} takes a tracker's network or gives it back."""
        self._cloud.set_network(device_of(request), connected=flag(await json_of(request, "connected"), "connected"))
        return web.json_response({})

    async def power(self, request: web.Request) -> web.Response:
        """{"on": bool} switches a tracker."""
        self._cloud.set_power(device_of(request), on=flag(await json_of(request, "on"), "on"))
        return web.json_response({})

    async def clock(self, request: web.Request) -> web.Response:
        """{"error_s": 7200} makes a tracker's clock wrong by whole seconds, 0 right again.

        -619315200 is the GPS week roll-over (1024 weeks ago), minus the present epoch seconds is 1970.
        """
        error_s = (await json_of(request, "error_s")).get("error_s")
        if not isinstance(error_s, int) or isinstance(error_s, bool) or abs(error_s) > CLOCK_ERROR_MAXIMUM_S:
            raise Refusal(
                400, {"detail": f"error_s must be whole seconds, at most {CLOCK_ERROR_MAXIMUM_S} either way."}
            )
        self._cloud.set_clock(device_of(request), error_s=error_s)
        return web.json_response({})

    async def restart(self, request: web.Request) -> web.Response:
        """Off and on again."""
        self._cloud.restart(device_of(request))
        return web.json_response({})

    async def move(self, request: web.Request) -> web.Response:
        """{"to": "ours" | "other" | "nobody"}, to the other manager unless given."""
        to: NewOwner = choice(await json_of(request, "to"), "to", get_args(NewOwner), absent="other")
        self._cloud.move(device_of(request), to)
        return web.json_response({})

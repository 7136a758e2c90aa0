"""The control endpoints of the simulator itself: change the knobs, and let things happen to trackers.

They need no token: the simulator listens on loopback only.
"""

import json
from collections.abc import Awaitable, Callable
from typing import get_args

from aiohttp import web

from gateway.simulator.bluetooth import SLOTS, Obedience
from gateway.simulator.cloud import NewOwner, SimulatedCloud
from gateway.simulator.errors import FaultsError, Refusal
from gateway.simulator.faults import CLOCK_ERROR_MAXIMUM_S

_Answer = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application, cloud: SimulatedCloud) -> None:
    """Serve everything below /simulator/."""
    control = _Control(cloud)
    device = "/simulator/devices/{device}"
    app.router.add_routes(
        [
            web.get("/simulator/state", _checked(control.state)),
            web.get("/simulator/faults", _checked(control.faults)),
            web.patch("/simulator/faults", _checked(control.change_faults)),
            web.post("/simulator/tokens/revoke", _checked(control.revoke)),
            web.post(f"{device}/network", _checked(control.network)),
            web.post(f"{device}/power", _checked(control.power)),
            web.post(f"{device}/clock", _checked(control.clock)),
            web.post(f"{device}/restart", _checked(control.restart)),
            web.post(f"{device}/move", _checked(control.move)),
            web.get(f"{device}/pairings", _checked(control.pairings)),
            web.post(f"{device}/pairings", _checked(control.write_pairings)),
            web.post(f"{device}/forget", _checked(control.forget)),
            web.post(f"{device}/obedience", _checked(control.obedience)),
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
        self._cloud.faults = self._cloud.faults.merged(await _json(request))
        return await self.faults(request)

    async def revoke(self, request: web.Request) -> web.Response:
        """End all access tokens, and with {"refresh": true} all refresh tokens."""
        self._cloud.accounts.revoke(refresh_tokens=_flag(await _json(request, "refresh"), "refresh", absent=False))
        return web.json_response({})

    async def network(self, request: web.Request) -> web.Response:
        """{"connected": bool} takes a tracker's network or gives it back."""
        self._cloud.set_network(_device(request), connected=_flag(await _json(request, "connected"), "connected"))
        return web.json_response({})

    async def power(self, request: web.Request) -> web.Response:
        """{"on": bool} switches a tracker."""
        self._cloud.set_power(_device(request), on=_flag(await _json(request, "on"), "on"))
        return web.json_response({})

    async def clock(self, request: web.Request) -> web.Response:
        """{"error_s": 7200} makes a tracker's clock wrong by whole seconds, 0 right again.

        -619315200 is the GPS week roll-over (1024 weeks ago), minus the present epoch seconds is 1970.
        """
        error_s = (await _json(request, "error_s")).get("error_s")
        if not isinstance(error_s, int) or isinstance(error_s, bool) or abs(error_s) > CLOCK_ERROR_MAXIMUM_S:
            raise Refusal(
                400, {"detail": f"error_s must be whole seconds, at most {CLOCK_ERROR_MAXIMUM_S} either way."}
            )
        self._cloud.set_clock(_device(request), error_s=error_s)
        return web.json_response({})

    async def restart(self, request: web.Request) -> web.Response:
        """Off and on again."""
        self._cloud.restart(_device(request))
        return web.json_response({})

    async def move(self, request: web.Request) -> web.Response:
        """{"to": "ours" | "other" | "nobody"}, to the other manager unless given."""
        body = await _json(request, "to")
        wanted = body.get("to", "other")
        to: NewOwner | None = next((owner for owner in get_args(NewOwner) if owner == wanted), None)
        if to is None:
            raise Refusal(400, {"detail": f"to is one of {', '.join(get_args(NewOwner))}."})
        self._cloud.move(_device(request), to)
        return web.json_response({})

    async def pairings(self, request: web.Request) -> web.Response:
        """What the cloud wants a tracker to use, what it knows it to use, and what it really uses."""
        cloud, now_ms = self._cloud, self._cloud.now_ms()
        config = cloud.bluetooth(cloud.device(_device(request)).device_id)
        documents = {"target": config.target, "current": config.current(now_ms), "used": config.used(now_ms)}
        return web.json_response({**documents, "obedience": config.obedience})

    async def write_pairings(self, request: web.Request) -> web.Response:
        """Another controller writes: {"pairing_1": {"mac_address": ..., "name": ...}}; null clears a slot."""
        self._cloud.write_pairings(_device(request), await _json(request, *SLOTS))
        return await self.pairings(request)

    async def forget(self, request: web.Request) -> web.Response:
        """The tracker is reset to how it left the factory."""
        self._cloud.forget_pairings(_device(request))
        return await self.pairings(request)

    async def obedience(self, request: web.Request) -> web.Response:
        """{"how": "at_start" | "never" | "says_so" | "one_slot"}: what the tracker does with a target it gets."""
        wanted = (await _json(request, "how")).get("how")
        how: Obedience | None = next((known for known in get_args(Obedience) if known == wanted), None)
        if how is None:
            raise Refusal(400, {"detail": f"how is one of {', '.join(get_args(Obedience))}."})
        self._cloud.set_obedience(_device(request), how)
        return await self.pairings(request)


def _checked(handler: _Answer) -> _Answer:
    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        except FaultsError as error:
            return web.json_response({"detail": str(error)}, status=400)

    return answer


async def _json(request: web.Request, *known: str) -> dict[str, object]:
    """The body as an object; with names given, it may hold no others: a misspelt one must not be ignored."""
    content = await request.read()
    try:
        body = json.loads(content) if content else {}
    except ValueError:
        raise Refusal(400, {"detail": "The body is not JSON."}) from None
    if not isinstance(body, dict):
        raise Refusal(400, {"detail": "The body is not a JSON object."})
    if known and not body.keys() <= set(known):
        raise Refusal(400, {"detail": f"The body may hold {', '.join(known)} and nothing else."})
    return body


def _device(request: web.Request) -> int:
    text = request.match_info["device"]
    if not text.isdecimal():
        raise Refusal(404, {"detail": "Not found"})
    return int(text)


def _flag(body: dict[str, object], name: str, *, absent: bool | None = None) -> bool:
    value = body.get(name, absent)
    if not isinstance(value, bool):
        raise Refusal(400, {"detail": f"{name} must be true or false."})
    return value

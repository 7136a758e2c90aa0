"""The routes of the pairings: which sensors each tracker shall listen to, and how far that is."""

from functools import partial

from aiohttp import web

from gateway.live.gate import body_of, json_answer
from gateway.live.source import PairingsView

ACTIONS = ("adopt", "suspend", "resume", "retry")

_ROOT = "/api/v1/pairings"


class PairingRoutes:
    """``/api/v1/pairings`` and what is below it."""

    def __init__(self, pairings: PairingsView) -> None:
        self._pairings = pairings

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Serve them."""
        tracker = f"{_ROOT}/trackers/{{serial_number}}"
        router.add_get(_ROOT, self._report)
        router.add_get(f"{_ROOT}/plan", self._plan)
        router.add_get(f"{_ROOT}/team", self._team)
        router.add_put(f"{_ROOT}/team", self._import)
        router.add_post(f"{_ROOT}/apply", self._apply)
        router.add_get(tracker, self._explain)
        router.add_patch(tracker, self._set)
        for action in ACTIONS:
            router.add_post(f"{_ROOT}/{action}", partial(self._act, action))
            router.add_post(f"{tracker}/{action}", partial(self._act, action))

    async def _report(self, _request: web.Request) -> web.Response:
        return json_answer(self._pairings.report())

    async def _plan(self, _request: web.Request) -> web.Response:
        return json_answer(self._pairings.plan())

    async def _team(self, _request: web.Request) -> web.Response:
        return json_answer(self._pairings.team())

    async def _explain(self, request: web.Request) -> web.Response:
        return json_answer(await self._pairings.explain(request.match_info["serial_number"]))

    async def _set(self, request: web.Request) -> web.Response:
        return json_answer(await self._pairings.set_(request.match_info["serial_number"], await body_of(request)))

    async def _import(self, request: web.Request) -> web.Response:
        return json_answer(await self._pairings.import_(await body_of(request)))

    async def _apply(self, request: web.Request) -> web.Response:
        return json_answer(await self._pairings.apply(await body_of(request)))

    async def _act(self, action: str, request: web.Request) -> web.Response:
        serial_number = request.match_info.get("serial_number")
        return json_answer(await self._pairings.act(action, serial_number, await body_of(request)))

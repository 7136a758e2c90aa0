"""The routes of the pairings: which sensors each tracker shall listen to, and how far that is."""

from functools import partial

from aiohttp import web

from gateway.access.roles import Action
from gateway.live.door.gate import body_of, json_answer
from gateway.live.door.guard import Guard
from gateway.live.routes.authors import author_of
from gateway.live.source import PairingsView

ACTIONS = ("adopt", "suspend", "resume", "retry")

_ROOT = "/api/v1/pairings"


class PairingRoutes:
    """``/api/v1/pairings`` and what is below it."""

    def __init__(self, pairings: PairingsView) -> None:
        self._pairings = pairings

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        tracker = f"{_ROOT}/trackers/{{serial_number}}"
        guard.add("GET", _ROOT, Action.SEE_PAIRINGS, self._report)
        guard.add("GET", f"{_ROOT}/plan", Action.SEE_PAIRINGS, self._plan)
        guard.add("GET", f"{_ROOT}/team", Action.SEE_PAIRINGS, self._team)
        guard.add("PUT", f"{_ROOT}/team", Action.CHANGE_PAIRINGS, self._import)
        guard.add("POST", f"{_ROOT}/apply", Action.CHANGE_PAIRINGS, self._apply)
        guard.add("GET", tracker, Action.SEE_PAIRINGS, self._explain)
        guard.add("PATCH", tracker, Action.CHANGE_PAIRINGS, self._set)
        for action in ACTIONS:
            guard.add("POST", f"{_ROOT}/{action}", Action.CHANGE_PAIRINGS, partial(self._act, action))
            guard.add("POST", f"{tracker}/{action}", Action.CHANGE_PAIRINGS, partial(self._act, action))

    async def _report(self, _request: web.Request) -> web.Response:
        return json_answer(self._pairings.report())

    async def _plan(self, _request: web.Request) -> web.Response:
        return json_answer(self._pairings.plan())

    async def _team(self, _request: web.Request) -> web.Response:
        return json_answer(self._pairings.team())

    async def _explain(self, request: web.Request) -> web.Response:
        return json_answer(await self._pairings.explain(request.match_info["serial_number"]))

    async def _set(self, request: web.Request) -> web.Response:
        serial_number, author = request.match_info["serial_number"], author_of(request)
        return json_answer(await self._pairings.set_(serial_number, await body_of(request), author))

    async def _import(self, request: web.Request) -> web.Response:
        author = author_of(request)
        return json_answer(await self._pairings.import_(await body_of(request), author))

    async def _apply(self, request: web.Request) -> web.Response:
        author = author_of(request)
        return json_answer(await self._pairings.apply(await body_of(request), author))

    async def _act(self, action: str, request: web.Request) -> web.Response:
        serial_number, author = request.match_info.get("serial_number"), author_of(request)
        return json_answer(await self._pairings.act(action, serial_number, await body_of(request), author))

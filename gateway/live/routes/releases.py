"""The routes of the releases: which athletes may be shown."""

from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta, Struct

from gateway.access.releases import Releases
from gateway.access.roles import Action
from gateway.live.door.gate import body_of, json_answer
from gateway.live.door.guard import CALLER, UNNOTED, Guard
from gateway.live.requests import parse_body

_ROOT = "/api/v1/releases"

_Athletes = Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=1000)]


class GiveForm(Struct, frozen=True):
    """Athletes to be released.

    Attributes:
        athletes: Their names, or all of them.
        basis: On what ground.
    """

    athletes: Literal["*"] | _Athletes
    basis: str


class WithdrawForm(Struct, frozen=True):
    """Athletes who are not to be shown any more.

    Attributes:
        athletes: Their names, or all of them.
    """

    athletes: Literal["*"] | _Athletes


class ReleaseRoutes:
    """``/api/v1/releases`` and what is below it."""

    def __init__(self, releases: Releases) -> None:
        self._releases = releases

    def add_to(self, guard: Guard) -> None:
        """Serve them."""
        # They take note of each athlete by themselves.
        guard.add("GET", _ROOT, Action.SEE_RELEASES, self._report)
        guard.add("PUT", _ROOT, Action.GIVE_RELEASES, self._give, deed=UNNOTED)
        guard.add("POST", f"{_ROOT}/withdraw", Action.WITHDRAW_RELEASES, self._withdraw, deed=UNNOTED)

    async def _report(self, _request: web.Request) -> web.Response:
        return json_answer(self._releases.report())

    async def _give(self, request: web.Request) -> web.Response:
        form = parse_body(await body_of(request), GiveForm)
        return json_answer(await self._releases.give(form.athletes, form.basis, request[CALLER]))

    async def _withdraw(self, request: web.Request) -> web.Response:
        form = parse_body(await body_of(request), WithdrawForm)
        return json_answer(await self._releases.withdraw(form.athletes, request[CALLER]))

"""Every address of the gateway with what one has to be allowed to there; what has no such line does not exist."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from aiohttp import hdrs, web

from gateway.access.caller import Caller
from gateway.access.roles import Action
from gateway.live.admission import Admission
from gateway.live.requests import ErrorCode, RequestError

CALLER = web.RequestKey("caller", Caller)
"""Who asks, on every request that has passed the guard; absent only where that may still show itself."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """An address and what may be done there."""

    method: str
    path: str


class Guard:
    """Stands before all handlers.

    Attributes:
        table: What is needed at each address; None where everybody may ask.
    """

    def __init__(self, router: web.UrlDispatcher, admission: Admission) -> None:
        """Make a guard of an application.

        Args:
            router: Gets the routes.
            admission: Tells who asks.
        """
        self.table: dict[Route, Action | None] = {}
        self._router = router
        self._admission = admission

    def add(self, method: str, path: str, action: Action, handler: Handler) -> None:
        """Serve an address to those who may do something."""
        self._add(Route(method, path), action, partial(self._guarded, action, handler, is_later=False))

    def add_in_band(self, path: str, action: Action, handler: Handler) -> None:
        """Serve an address, which one opens, to those who may do something or will show it as soon as it is open."""
        self._add(Route(hdrs.METH_GET, path), action, partial(self._guarded, action, handler, is_later=True))

    def open(self, method: str, path: str, handler: Handler) -> None:
        """Serve an address to everybody: it tells nothing of anybody."""
        self._add(Route(method, path), None, handler)

    async def _guarded(
        self, action: Action, handler: Handler, request: web.Request, *, is_later: bool
    ) -> web.StreamResponse:
        caller = self._admission.caller_of(request)
        if caller is None and not is_later:
            text = "Show a token: `insiders-gateway access create` makes one, `access code` lets a browser in."
            raise RequestError(ErrorCode.UNAUTHORIZED, text)
        if caller is not None:
            if not caller.may(action):
                text = f"A {caller.role} may not do this ({action}): ask an admin for another role."
                raise RequestError(ErrorCode.FORBIDDEN, text)
            request[CALLER] = caller
        return await handler(request)

    def _add(self, route: Route, action: Action | None, handler: Handler) -> None:
        self.table[route] = action
        if route.method == hdrs.METH_GET:
            self._router.add_get(route.path, handler)  # and HEAD
        else:
            self._router.add_route(route.method, route.path, handler)

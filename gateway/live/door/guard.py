"""Every address of the gateway with what one has to be allowed to there; what has no such line does not exist."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from aiohttp import HttpVersion11, hdrs, web

from gateway.access.audit import ADMISSION, DENIED, DONE, Audit
from gateway.access.caller import Caller
from gateway.access.errors import AccessError
from gateway.access.roles import Action
from gateway.live.door.admission import SAFE_METHODS, Admission, address_of
from gateway.live.requests import ErrorCode, RequestError, forbidden

CALLER = web.RequestKey("caller", Caller)
"""Who asks, on every request that has passed the guard; absent only where that may still show itself."""

SUBJECT = web.RequestKey("subject", str)
"""Whom a request is about, for the audit log, where its address does not tell."""

UNNOTED = ""
"""The deed of what is no news, or takes note of itself."""

_GO_ON = "100-continue"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Expected = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Route(NamedTuple):
    """An address and how it is asked."""

    method: str
    path: str


class Guard:
    """Stands before all handlers, and notes who gets past what, and who does not."""

    def __init__(self, router: web.UrlDispatcher, admission: Admission, audit: Audit | None) -> None:
        """Make a guard of an application.

        Args:
            router: Gets the routes.
            admission: Tells who asks.
            audit: Takes note of what is changed and what is refused; None if nobody does.
        """
        self._router = router
        self._admission = admission
        self._audit = audit
        self._table: dict[Route, Action | None] = {}

    @property
    def table(self) -> Mapping[Route, Action | None]:
        """What is needed at each address; None where everybody may ask."""
        return self._table

    def add(self, method: str, path: str, action: Action, handler: Handler, *, deed: str | None = None) -> None:
        """Serve an address to those who may do something.

        Args:
            method: Of the request; GET serves HEAD, too.
            path: As aiohttp takes it.
            action: What they have to be allowed to.
            handler: Answers them.
            deed: What the audit log calls it, `UNNOTED` for nothing; by itself what is changed has the action's name.
        """
        if deed is None:
            deed = UNNOTED if method in SAFE_METHODS else str(action)
        route = Route(method, path)
        self._add(route, action, partial(self._serve, action, handler, deed), partial(self._go_on, action))

    def add_in_band(self, path: str, action: Action, handler: Handler) -> None:
        """Serve an address, which one opens, to those who may do something or will show it as soon as it is open."""
        self._add(Route(hdrs.METH_GET, path), action, partial(self._serve_in_band, action, handler))

    def open(self, method: str, path: str, handler: Handler) -> None:
        """Serve an address to everybody: it tells nothing of anybody."""
        self._add(Route(method, path), None, partial(self._serve_everybody, handler))

    async def _serve(self, action: Action, handler: Handler, deed: str, request: web.Request) -> web.StreamResponse:
        caller = self._check(action, request)
        if deed == UNNOTED:
            return await handler(request)
        outcome = "failed"
        try:
            answer = await handler(request)
            outcome = DONE
        except (RequestError, AccessError) as error:
            outcome = DENIED if error.code == ErrorCode.FORBIDDEN else str(error.code)
            raise
        finally:
            self._note(caller, deed, request, outcome)
        return answer

    async def _go_on(self, action: Action, request: web.Request) -> None:
        """Answer `Expect`: only who may send a body is asked for it."""
        self._check(action, request)
        if request.version != HttpVersion11:
            return
        if request.headers[hdrs.EXPECT].lower() != _GO_ON:
            raise web.HTTPExpectationFailed
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the answer, nothing has gone

    async def _serve_in_band(self, action: Action, handler: Handler, request: web.Request) -> web.StreamResponse:
        caller = self._caller_of(request)
        if caller is not None:
            self._allow(caller, action, request)
        return await handler(request)

    async def _serve_everybody(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except AccessError:
            self._note(None, ADMISSION, request, DENIED)
            raise

    def _check(self, action: Action, request: web.Request) -> Caller:
        caller = self._caller_of(request)
        if caller is None:
            text = "Show a token: `insiders-gateway access create` makes one, `access code` lets a browser in."
            raise RequestError(ErrorCode.UNAUTHORIZED, text)
        self._allow(caller, action, request)
        return caller

    def _caller_of(self, request: web.Request) -> Caller | None:
        try:
            return self._admission.caller_of(request)
        except (AccessError, RequestError):
            self._note(None, ADMISSION, request, DENIED)
            raise

    def _allow(self, caller: Caller, action: Action, request: web.Request) -> None:
        if not caller.may(action):
            self._note(caller, str(action), request, DENIED)
            raise forbidden(caller, action)
        request[CALLER] = caller

    def _note(self, caller: Caller | None, deed: str, request: web.Request, outcome: str) -> None:
        if self._audit is not None:
            subject = request.get(SUBJECT) or " ".join(request.match_info.values())
            self._audit.note(caller, deed, subject, outcome, address_of(request))

    def _add(self, route: Route, action: Action | None, handler: Handler, go_on: _Expected | None = None) -> None:
        self._table[route] = action
        if route.method == hdrs.METH_GET:
            self._router.add_get(route.path, handler, expect_handler=go_on)  # and HEAD
        else:
            self._router.add_route(route.method, route.path, handler, expect_handler=go_on)

"""A cloud whose answers a test writes itself: a real server on loopback that records what it was asked."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.cloud.client import CloudClient, open_cloud
from gateway.cloud.exchange import Limits
from gateway.secret import Secret

PASSWORD = "canary-password"
CLIENT_SECRET = "canary-client-secret"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedCloud:
    """Gives every token request a new token and every other one the answer of `handler`."""

    handler: Handler
    token_handler: Handler
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    tokens: list[dict[str, str]] = field(default_factory=list)
    expires_in: float = 36000

    @property
    def newest_token(self) -> str:
        return f"access-{len(self.tokens)}"

    def open(
        self, limits: Limits | None = None, api_url: str = "", websocket_url: str = ""
    ) -> AbstractAsyncContextManager[CloudClient]:
        return open_cloud(
            api_url=api_url or f"{self.url}v1/",
            token_url=self.url,
            websocket_url=websocket_url or f"{self.url}v1/ws/",
            username="analyst",
            password=Secret(PASSWORD),
            client_id="client",
            client_secret=Secret(CLIENT_SECRET),
            limits=limits,
        )

    async def issue(self, _request: web.Request) -> web.Response:
        number = len(self.tokens)
        return web.json_response(
            {
                "access_token": f"access-{number}",
                "refresh_token": f"refresh-{number}",
                "expires_in": self.expires_in,
                "token_type": "Bearer",
                "scope": "all",
            }
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/oauth2/token/":
            self.tokens.append({name: str(value) for name, value in (await request.post()).items()})
            return await self.token_handler(request)
        body = await request.read()
        self.asked.append(
            Asked(request.method, request.path, dict(request.query), dict(request.headers), body),
        )
        return await self.handler(request)


async def empty_rows(_request: web.Request) -> web.Response:
    return web.json_response([])


@asynccontextmanager
async def scripted_cloud() -> AsyncIterator[ScriptedCloud]:
    """A running one."""
    scripted = ScriptedCloud(empty_rows, empty_rows)
    scripted.token_handler = scripted.issue
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", scripted.answer)
    async with TestServer(app) as server:
        scripted.url = str(server.make_url("/"))
        yield scripted

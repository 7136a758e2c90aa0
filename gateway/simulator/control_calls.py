"""What the control endpoints have in common: how a request is read, and how a wrong one is answered."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from gateway.simulator.errors import FaultsError, Refusal

T = TypeVar("T", bound=str)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def checked(handler: Answer) -> Answer:
    """A handler whose refusals are answers."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        except FaultsError as error:
            return web.json_response({"detail": str(error)}, status=400)

    return answer


async def json_of(request: web.Request, *known: str) -> dict[str, object]:
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


def device_of(request: web.Request) -> int:
    """The tracker in the path."""
    text = request.match_info["device"]
    if not text.isdecimal():
        raise Refusal(404, {"detail": "Not found"})
    return int(text)


def choice(body: dict[str, object], name: str, known: tuple[T, ...], absent: T | None = None) -> T:
    """One of a few words."""
    wanted = body.get(name, absent)
    for word in known:
        if word == wanted:
            return word
    raise Refusal(400, {"detail": f"{name} is one of {', '.join(known)}."})


def flag(body: dict[str, object], name: str, *, absent: bool | None = None) -> bool:
    """A true or false."""
    value = body.get(name, absent)
    if not isinstance(value, bool):
        raise Refusal(400, {"detail": f"{name} must be true or false."})
    return value

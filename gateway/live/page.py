"""The page in a browser: the files of `gateway/web`, and what a browser must not let anybody do there."""

from functools import partial
from importlib.resources import files
from types import MappingProxyType

from aiohttp import web

from gateway.live.guard import Guard

PAGE = MappingProxyType(
    {
        "/recordings": ("recordings.html", "text/html"),
        "/web/recordings.css": ("recordings.css", "text/css"),
        "/web/recordings.js": ("recordings.js", "text/javascript"),
        "/web/cards.js": ("cards.js", "text/javascript"),
        "/web/sending.js": ("sending.js", "text/javascript"),
    }
)
"""Address -> file, and its type."""

# It shows names that strangers have given to files: nothing but its own files may run, and nothing may leave it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def add_page(guard: Guard) -> None:
    """Serve it to everybody, for it holds nothing of anybody; it is read once."""
    for address, (name, form) in PAGE.items():
        body = (files("gateway") / "web" / name).read_bytes()
        guard.open("GET", address, partial(_answer, body, form))


async def _answer(body: bytes, form: str, _request: web.Request) -> web.Response:
    return web.Response(body=body, content_type=form, charset="utf-8", headers=_HEADERS)

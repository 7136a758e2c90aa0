"""The pages in a browser: the files of `gateway/web`, and what a browser must not let anybody do there."""

from functools import partial
from importlib.resources import files
from types import MappingProxyType

from aiohttp import web

from gateway.live.door.admission import SAFE_METHODS
from gateway.live.door.guard import Guard

_FILES = (
    "access.css",
    "base.css",
    "live.css",
    "recordings.css",
    "access.js",
    "athletes.js",
    "cards.js",
    "client.js",
    "devices.js",
    "header.js",
    "http.js",
    "inviting.js",
    "live.js",
    "pair.js",
    "question.js",
    "recordings.js",
    "releases.js",
    "sending.js",
)
_FORMS = {"css": "text/css", "html": "text/html", "js": "text/javascript"}

_PAGES = {"/": "live.html", "/access": "access.html", "/pair": "pair.html", "/recordings": "recordings.html"}

PAGE = MappingProxyType(
    {
        address: (name, _FORMS[name.rpartition(".")[2]])
        for address, name in {**_PAGES, **{f"/web/{name}": name for name in _FILES}}.items()
    }
)
"""Address -> file, and its type."""

# It shows names that strangers have given to files: nothing but its own files may run, and nothing may leave it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Beside those that every answer has."""

_WEB = files("gateway") / "web"
_NOWHERE = (_WEB / "nowhere.html").read_bytes()


def add_page(guard: Guard) -> None:
    """Serve them to everybody, for they hold nothing of anybody; they are read once."""
    for address, (name, form) in PAGE.items():
        guard.open("GET", address, partial(_answer, (_WEB / name).read_bytes(), form))


def nowhere(request: web.BaseRequest) -> web.Response | None:
    """The page of every address that there is not, with a way back; None if no page is wanted."""
    if not _is_for_people(request):
        return None
    return web.Response(status=404, body=_NOWHERE, content_type=_FORMS["html"], charset="utf-8", headers=_HEADERS)


def _is_for_people(request: web.BaseRequest) -> bool:
    """Whether a page is wanted: browsers name HTML without reserve, and programs something else or anything."""
    wanted = {form.strip().lower() for form in request.headers.get("Accept", "").split(",")}
    return request.method in SAFE_METHODS and _FORMS["html"] in wanted and "application/json" not in wanted


async def _answer(body: bytes, form: str, _request: web.Request) -> web.Response:
    return web.Response(body=body, content_type=form, charset="utf-8", headers=_HEADERS)

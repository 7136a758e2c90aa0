"""The document of all that can be asked over HTTP, in OpenAPI 3.1."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from description.addresses import (
    access,
    certificates,
    live_data,
    pages,
    pairings,
    recordings,
    releases,
    sensors,
)
from description.answers import Error
from description.operation import JSON, Content, Operation
from description.schemas import Schema, Schemas
from gateway.access.roles import MAY, Action, Role
from gateway.live.board import Board
from gateway.live.door.admission import cookie_name
from gateway.live.door.guard import Route
from gateway.live.door.names import Entrance
from gateway.live.hub import Hub
from gateway.live.server import LiveServer

PARTS: Mapping[str, Mapping[Route, Operation]] = {
    "live data": live_data.OPERATIONS,
    "sensors": sensors.OPERATIONS,
    "pairings": pairings.OPERATIONS,
    "recordings": recordings.OPERATIONS,
    "access": access.OPERATIONS,
    "releases": releases.OPERATIONS,
    "certificates": certificates.OPERATIONS,
    "pages": pages.OPERATIONS,
}
"""By what they are about, all operations."""

OPERATIONS: Mapping[Route, Operation] = {route: it for part in PARTS.values() for route, it in part.items()}

_TEXT = """\
What can be asked of a gateway over HTTP; live-protocol.md and access.md say what all of it means.

Ignore every field that you do not know: that is how it grows. What can be asked with GET can be asked with HEAD.
An address that is not here is refused with 404 `unknown_path`, or a page that says so where a browser asks; another
method with 405 `method_not_allowed`.

Roles stand with each operation: `x-action` is what one has to be allowed to, the security requirement names the least
role that is. Requests on the gateway's local socket need no credential, nor do any from its own machine where
`open_on_loopback` is set.
"""

_PARAMETERS = {"id": "Its id.", "serial_number": "Of the tracker."}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}}
_HEADERS: Mapping[int, Schema] = {
    HTTPStatus.UNAUTHORIZED: _CHALLENGE,
    HTTPStatus.TOO_MANY_REQUESTS: _RETRY_AFTER,
    HTTPStatus.SERVICE_UNAVAILABLE: _RETRY_AFTER,
}
_TAG = {"ETag": {"description": "Of what is told.", "schema": {"type": "string"}}}
_IF_CHANGED = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of the last answer.",
    "schema": {"type": "string"},
}
_UPGRADED = {"Upgrade": {"description": "`websocket`", "schema": {"type": "string"}}}


def openapi() -> Schema:
    """The document."""
    table = guarded()
    schemas = Schemas(
        said=[Error, *(form for it in OPERATIONS.values() for form in it.said)],
        heard=[form for it in OPERATIONS.values() for form in it.heard],
    )
    queries = {it.query.__name__ for it in OPERATIONS.values() if it.query is not None}  # told field by field
    paths: dict[str, Schema] = {}
    refusals: dict[str, Schema] = {}
    for part, operations in PARTS.items():
        for route, operation in operations.items():
            action = table[route]
            described = _operation(route, operation, action, schemas)
            for status, codes in operation.refusals(is_open=action is None).items():
                name = "_".join((str(status), *codes))
                refusals[name] = _refusal(status, codes, schemas)
                described["responses"][str(status)] = {"$ref": f"#/components/responses/{name}"}
            paths.setdefault(route.path, {})[route.method.lower()] = {"tags": [part], **described}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Insiders Gateway", "version": "1", "description": _TEXT},
        "servers": [
            {
                "url": "{scheme}://{host}:{port}",
                "variables": {
                    "scheme": {"enum": ["https", "http"], "default": "https"},
                    "host": {"default": "gateway.local"},
                    "port": {"default": "8770"},
                },
            }
        ],
        "tags": [{"name": part} for part in PARTS],
        "paths": paths,
        "components": {
            "securitySchemes": _security_schemes(),
            "responses": dict(sorted(refusals.items())),
            "schemas": {name: it for name, it in schemas.components.items() if name not in queries},
        },
    }


def guarded() -> Mapping[Route, Action | None]:
    """What the guard of a gateway that serves everything asks for at each address; None for nothing."""
    nobody: Any = object()  # only asked for their addresses
    hub = Hub({}, Board(), "", "", "", 0.0, lambda: 0, lambda: None)
    server = LiveServer(
        hub, dict, nobody, nobody, nobody, doorkeeper=nobody, audit=nobody, releases=nobody, certificates=nobody
    )
    return server.add_routes(web.UrlDispatcher()).table


def least_role(action: Action) -> Role:
    """The role with the fewest rights that may do something."""
    return min((role for role in Role if action in MAY[role]), key=lambda role: len(MAY[role]))


def _operation(route: Route, operation: Operation, action: Action | None, schemas: Schemas) -> Schema:
    described: Schema = {"operationId": _id(route), "summary": operation.summary}
    if action is None:
        described["security"] = []
    else:
        described["security"] = [{scheme: [str(least_role(action))]} for scheme in _security_schemes()]
        described["x-action"] = str(action)
    if parameters := list(_parameters(route, operation, schemas)):
        described["parameters"] = parameters
    if operation.body is not None:
        form = operation.body.get(JSON)
        is_needed = form is None or bool(schemas.resolved(form).get("required"))
        described["requestBody"] = {"required": is_needed, "content": _content(operation.body, schemas)}
    described["responses"] = dict(_answers(operation, schemas))
    return described


def _parameters(route: Route, operation: Operation, schemas: Schemas) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", route.path):
        text = _PARAMETERS[name]
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
    if operation.query is not None:
        form = schemas.resolved(operation.query)
        required = form.get("required", ())
        for name, schema in form["properties"].items():
            about = {"description": schema["description"]} if "description" in schema else {}
            yield {"name": name, "in": "query", "required": name in required, **about, "schema": _as_text(schema)}
    if operation.unchanged:
        yield _IF_CHANGED


def _as_text(schema: Schema) -> Schema:
    """The schema of what stands in an address, where there is no null: it is left out."""
    form = {key: it for key, it in schema.items() if key != "description"}
    if form.get("default", ...) is None:
        del form["default"]
        (form,) = [it for it in form.pop("anyOf") if it != {"type": "null"}]
    return form


def _answers(operation: Operation, schemas: Schemas) -> Iterator[tuple[str, Schema]]:
    well: Schema = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        well["content"] = _content(operation.answer, schemas)
    if operation.status == HTTPStatus.SWITCHING_PROTOCOLS:
        well["headers"] = _UPGRADED
    if operation.unchanged:
        well["headers"] = _TAG
    yield str(int(operation.status)), well
    if operation.unchanged:
        yield str(int(HTTPStatus.NOT_MODIFIED)), {"description": operation.unchanged, "headers": _TAG}


def _refusal(status: int, codes: list[str], schemas: Schemas) -> Schema:
    told = {"allOf": [schemas.of(Error), {"properties": {"code": {"enum": codes}}}]}
    refusal: Schema = {
        "description": ", ".join(f"`{code}`" for code in codes),
        "content": {JSON: {"schema": told}},
    }
    if status in _HEADERS:
        refusal["headers"] = _HEADERS[status]
    return refusal


def _content(content: Content, schemas: Schemas) -> Schema:
    return {media: {} if form is None else {"schema": schemas.of(form)} for media, form in content.items()}


def _security_schemes() -> Schema:
    cookies = {"cookie_tls": True, "cookie": False}
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The token of a device: for programs."},
        **{
            name: {
                "type": "apiKey",
                "in": "cookie",
                "name": cookie_name(Entrance("", 0, is_tls=is_tls)),
                "description": "As `POST /api/v1/pair` sets it: for browsers, which send an `Origin` besides.",
            }
            for name, is_tls in cookies.items()
        },
    }


def _id(route: Route) -> str:
    place = route.path.removeprefix("/api/v1/")
    return "_".join([route.method.lower(), *re.findall(r"\w+", f"page{place}" if place.startswith("/") else place)])

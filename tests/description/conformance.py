"""Whether what a gateway really says is what its documents say: every field, and no other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgpack
import msgspec

from description.answers import Error
from description.asyncapi import SAID
from description.openapi import OPERATIONS, guarded
from description.operation import MSGPACK, Content, Operation
from description.spoken import REFUSALS
from gateway.access.roles import Action
from gateway.live.door.guard import Route
from insiders_codecs.live import Codec, Message

NOWHERE = {404: ["unknown_path"], 405: ["method_not_allowed"]}
"""How it is answered that there is nothing to ask at an address, or not so: codes by status."""

PAGE_OF_NOWHERE = (404, "text/html")
"""The same for who asks with a browser."""


def faults_of_message(message: Message, codec: Codec) -> list[str]:
    """What is wrong with a message of the websocket."""
    forms = [form for it in SAID[codec] if it.op == message["op"] for form in it.forms]
    if not forms:
        return [f"no document knows the op {message['op']!r}"]
    faults = [f"{message['op']}: {fault}" for fault in faults_of(message, forms)]
    if message["op"] == "error" and message["code"] not in REFUSALS:
        faults.append(f"no document knows the code {message['code']!r}")
    return faults


def faults_of_answer(method: str, path: str, status: int, media: str, body: bytes) -> list[str]:
    """What is wrong with an answer over HTTP; an empty body tells nothing, as after HEAD."""
    operation, codes = operation_at(method, path)
    if operation is not None and status == operation.status:
        faults = _faults_of_content(operation.answer, media, body)
    elif (status == 304 and operation.unchanged) if operation else (status, media) == PAGE_OF_NOWHERE:
        faults = []
    elif status not in codes:
        faults = [f"no document knows the status, with {_code(body)}"]
    elif not body:
        faults = []
    elif _code(body) not in codes[status]:
        faults = [f"no document knows the code {_code(body)}"]
    else:
        faults = faults_of(msgspec.json.decode(body), [Error])
    return [f"{method} {path} -> {status}: {fault}" for fault in faults]


def _faults_of_content(content: Content | None, media: str, body: bytes) -> list[str]:
    if content is None or not body:
        return []
    if media not in content:
        return [f"no document knows that {media} comes"]
    form = content[media]
    if form is None:
        return []
    return faults_of(msgpack.unpackb(body) if media == MSGPACK else msgspec.json.decode(body), [form])


def faults_of(value: Any, forms: Sequence[Any]) -> list[str]:
    """Why a value has none of these forms; an empty list if it has one.

    It has a form if it can be read as that, and nothing is lost or added when that is written again.
    """
    faults = []
    for form in forms:
        try:
            again = msgspec.to_builtins(msgspec.convert(value, form), builtin_types=(bytes,), str_keys=True)
        except msgspec.ValidationError as error:
            faults.append(f"{_name(form)}: {error}")
        else:
            differences = list(_differences(value, again))
            if not differences:
                return []
            faults.append(f"{_name(form)}: {', '.join(differences)}")
    return faults


def operation_at(method: str, path: str) -> tuple[Operation | None, dict[int, list[str]]]:
    """What can be asked at an address, None for nothing, and the codes with which it is refused, by status."""
    route = route_at(method, path)
    if route in OPERATIONS:
        return OPERATIONS[route], OPERATIONS[route].refusals(is_open=_table()[route] is None)
    return None, Operation(summary="").refusals(is_open=True) | NOWHERE


def route_at(method: str, path: str) -> Route:
    """Which of the routes that is; if none, one that is in no table."""
    method = "GET" if method == "HEAD" else method
    known = (route for route, form in _paths() if route.method == method and form.fullmatch(path))
    return next(known, Route(method, path))


@cache
def _table() -> Mapping[Route, Action | None]:
    return guarded()


@cache
def _paths() -> list[tuple[Route, re.Pattern[str]]]:
    # Those without a name in them first, as the router does.
    routes = sorted(OPERATIONS, key=lambda route: "{" in route.path)
    return [(route, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(route.path)))) for route in routes]


def _differences(value: Any, again: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, dict) and isinstance(again, dict):
        for key in value.keys() - again.keys():
            yield f"{place}.{key} is in no document"
        for key in again.keys() - value.keys():
            yield f"{place}.{key} is missing"
        for key in value.keys() & again.keys():
            yield from _differences(value[key], again[key], f"{place}.{key}")
    elif isinstance(value, list | tuple) and isinstance(again, list | tuple) and len(value) == len(again):
        for one, other in zip(value, again, strict=True):
            yield from _differences(one, other, f"{place}[]")
    elif value != again:
        yield f"{place} is another value"


def _code(body: bytes) -> str | None:
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    code = told.get("code") if isinstance(told, dict) else None
    return code if isinstance(code, str) else None


def _name(form: Any) -> str:
    return getattr(form, "__name__", str(form))

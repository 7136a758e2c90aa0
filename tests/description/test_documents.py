"""The documents are what the code says now, whole, and fit together."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from description.__main__ import DOCS, DOCUMENTS, written
from description.asyncapi import HEARD, SAID
from description.openapi import OPERATIONS, guarded, least_role
from description.operation import EVERYWHERE
from description.schemas import Schemas
from description.spoken import CLOSE_CODES, REFUSALS
from gateway.access.roles import MAY, Action, Role
from gateway.live.door import gate
from gateway.live.requests import ErrorCode
from gateway.live.stream.session import NEEDED, CloseCode
from insiders_codecs.live import Codec
from tests.live.house import opened

LIVE = Path(gate.__file__).parents[1]

HTTP_ONLY = {"hello", "gaps", "history", "error"}
"""Ops that answers over HTTP have as well."""


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_are_those_of_the_code(name: str) -> None:
    is_same = (DOCS / name).read_bytes() == written(name)
    assert is_same, f"docs/{name} is not what the code says now: run `python -m description`, and look at what changes"


def within(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
        for inner in document.values():
            yield from within(inner)
    elif isinstance(document, list):
        for inner in document:
            yield from within(inner)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_somewhere_and_every_schema_is_used(name: str) -> None:
    document = DOCUMENTS[name]()
    places = {it["$ref"] for it in within(document) if "$ref" in it}
    for place in places:
        found = document
        for step in place.removeprefix("#/").split("/"):
            found = found[step]
    used = {place.rpartition("/")[2] for place in places if "/schemas/" in place}
    assert document["components"]["schemas"].keys() == used


async def test_every_address_of_a_gateway_is_described_with_whom_it_is_for(tmp_path: Path) -> None:
    document, table = DOCUMENTS["openapi.json"](), guarded()
    assert table.keys() == OPERATIONS.keys()
    async with opened(tmp_path) as house:
        assert table == house.server.add_routes(web.UrlDispatcher()).table
    for route, action in table.items():
        described = document["paths"][route.path][route.method.lower()]
        if action is None:
            assert described["security"] == []
            continue
        assert described["x-action"] == action
        ((role,),) = {tuple(*it.values()) for it in described["security"]}
        assert action in MAY[Role(role)]


def test_the_least_role_is_the_one_with_the_fewest_rights() -> None:
    assert [least_role(it) for it in (Action.FOLLOW, Action.SEE_SENSORS, Action.READ_AUDIT)] == list(Role)


def test_every_operation_has_a_name_of_its_own_and_names_what_stands_in_its_address() -> None:
    document = DOCUMENTS["openapi.json"]()
    names = [it["operationId"] for it in within(document) if "operationId" in it]
    assert len(set(names)) == len(names) == len(OPERATIONS)
    for route in OPERATIONS:
        parameters = document["paths"][route.path][route.method.lower()].get("parameters", [])
        named = {f"{{{it['name']}}}" for it in parameters if it["in"] == "path"}
        assert all(name in route.path for name in named)
        assert route.path.count("{") == len(named)


def test_every_code_is_one_that_something_can_be_refused_with_and_the_other_way_round() -> None:
    told = {code for route, it in OPERATIONS.items() for codes in it.refusals(is_open=False).values() for code in codes}
    assert told | set(REFUSALS) == {*ErrorCode, "bad_subprotocol"}
    assert told >= EVERYWHERE


def test_every_operation_has_the_status_that_the_gate_gives_to_each_of_its_codes() -> None:
    for operation in OPERATIONS.values():
        for status, codes in operation.refusals(is_open=False).items():
            for code in set(codes) - {"bad_subprotocol", ErrorCode.INTERNAL_ERROR}:
                assert status in {gate.STATUSES.get(ErrorCode(code), 400), 417}


def test_every_message_that_is_obeyed_is_described() -> None:
    assert {it.op for it in HEARD} == NEEDED.keys() | {"auth"}


def test_every_message_that_the_code_can_make_is_described() -> None:
    """Read off the source: whatever has a field `op` there."""
    made = set()
    for path in LIVE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Dict):
                made |= {
                    str(value.value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "op" and isinstance(value, ast.Constant)
                }
    for codec in Codec:
        assert {it.op for it in SAID[codec]} == (made - HTTP_ONLY) | {"hello", "error", "snap", "d"}


def test_every_close_code_of_the_protocol_is_described() -> None:
    assert set(CloseCode) <= CLOSE_CODES.keys()
    for channel in DOCUMENTS["asyncapi.json"]()["channels"].values():
        assert channel["x-close-codes"].keys() == {str(int(code)) for code in CLOSE_CODES}


class Inner(msgspec.Struct, frozen=True):
    """Something within.

    Attributes:
        size: How large; None if
            nobody knows.
    """

    size: int | None = None


class Outer(msgspec.Struct, frozen=True, rename={"start": "from"}):
    """Something.

    Attributes:
        start, end: From where, and where to.
        inner: What is within.
    """

    start: int
    end: int = 3
    inner: Inner = Inner()
    more: int | msgspec.UnsetType = msgspec.UNSET


def test_what_is_said_has_all_its_fields_and_what_is_heard_may_leave_some_out() -> None:
    said, heard = Schemas([Outer], []), Schemas([], [Outer])
    assert said.components["Outer"]["required"] == ["from", "end", "inner"]
    assert heard.components["Outer"]["required"] == ["from"]
    assert heard.components["Outer"]["properties"]["end"]["default"] == 3
    assert "default" not in said.components["Outer"]["properties"]["end"]
    assert said.components["Inner"]["required"] == ["size"]


def test_fields_are_described_as_the_docstring_does_by_the_names_that_they_are_sent_with() -> None:
    fields = Schemas([Outer], []).components
    assert fields["Outer"]["description"] == "Something."
    told = {name: it.get("description") for name, it in fields["Outer"]["properties"].items()}
    both = "From where, and where to."
    assert told == {"from": both, "end": both, "inner": "What is within.", "more": None}
    assert fields["Inner"]["properties"]["size"]["description"] == "How large; null if nobody knows."

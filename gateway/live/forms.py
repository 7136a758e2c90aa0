"""What is wrong with a message, in words for the person who has sent it: read off the form that it ought to have."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

_MAX_SHOWN = 40
"""Characters of a name that nobody knows."""

_with_place = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL).fullmatch
_unknown = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL).fullmatch
_missing = re.compile(r"Object missing required field `(.*)`").fullmatch
_steps = re.compile(r"\[\d+\]|[^.\[\]]+").findall

_Schema = Mapping[str, Any]


def mismatch(error: msgspec.ValidationError, form: type) -> str:
    """A sentence with full stop that names the field and what may stand there.

    Args:
        error: Why a message has not this form; msgspec says "Expected `int`, got `str` - at `$.from.last_s`".
        form: A struct. Where a text has to match a pattern, the description of that field says what it means.
    """
    found = _with_place(str(error))
    text, place = (found[1], found[2]) if found else (str(error), "")
    schemas = _schemas(form, place)
    names = ", ".join(name for schema in schemas for name in schema.get("properties", ()))
    if found := _unknown(text):
        return f"There is no field {shown(found[1])} {f'in {place}' if place else 'here'}; fields are {names}."
    if found := _missing(text):
        return f"The field {f'{place}.' if place else ''}{found[1]} is missing; fields are {names}."
    allowed = " or ".join(dict.fromkeys(map(_allowed, schemas)))
    return f"{place or 'The message'}: expected {allowed}."


def shown(name: str) -> str:
    """A name that nobody knows, short and on one line."""
    name = "".join(character if character.isprintable() else "�" for character in name)
    return f'"{name if len(name) <= _MAX_SHOWN else name[: _MAX_SHOWN - 1] + "…"}"'


def _schemas(form: type, place: str) -> list[_Schema]:
    """What may stand at a place of the message."""
    whole = _schema(form)
    schemas = list(_choices(whole, whole))
    for step in _steps(place):
        schemas = [choice for schema in schemas for inner in _inner(schema, step) for choice in _choices(inner, whole)]
    return schemas


@cache
def _schema(form: type) -> _Schema:
    return msgspec.json.schema(form)


def _choices(schema: _Schema, whole: _Schema) -> Iterator[_Schema]:
    if "$ref" in schema:
        yield from _choices(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            yield from _choices(choice, whole)
    else:
        yield schema


def _inner(schema: _Schema, step: str) -> Iterator[_Schema]:
    if not step.startswith("["):
        if step in schema.get("properties", {}):
            yield schema["properties"][step]
    elif "prefixItems" in schema:
        yield schema["prefixItems"][int(step[1:-1])]
    elif "items" in schema:
        yield schema["items"]


def _allowed(schema: _Schema) -> str:
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    match schema["type"]:
        case "integer":
            return f"a whole number{_range(schema, 1)}"
        case "number":
            return f"a number{_range(schema, 0)}"
        case "string" if "description" in schema:
            return str(schema["description"])
        case "string":
            return f"a text{_length(schema, 'characters', 'Length')}"
        case "array":
            return f"a list{_length(schema, 'items', 'Items')}"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case _:
            return f"an object with {', '.join(schema.get('properties', ()))}"


def _range(schema: _Schema, step: int) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is None and "exclusiveMaximum" in schema:
        most = schema["exclusiveMaximum"] - step
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']}" + ("" if most is None else f", {most} at most")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return "" if least is None else f", {least} or more"


def _length(schema: _Schema, what: str, of: str) -> str:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if most is None:
        return ""
    if least == most:
        return f" of {most} {what}"
    return f" of {most} {what} at most" if not least else f" of {least} to {most} {what}"

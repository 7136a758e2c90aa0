"""JSON Schemas of the types that are really encoded and decoded, with what their docstrings say of each field."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect as types

Schema = dict[str, Any]

_PLACE = "#/components/schemas/"

_none = re.compile(r"\bNone\b").sub
_attributes = re.compile(r"^    (\S[^:\n]*): (.*(?:\n {8}.*)*)", re.MULTILINE).findall


class Schemas:
    """The schemas of a document, by name.

    Attributes:
        components: What `#/components/schemas` of the document has.
    """

    def __init__(
        self, said: Iterable[object], heard: Iterable[object], dialect: Callable[[Schema], Schema] = lambda it: it
    ) -> None:
        """Describe types and all that they consist of.

        Args:
            said: What the gateway encodes: unless they say otherwise, all of their fields are there.
            heard: What it decodes: fields with a default may be left out.
            dialect: Applied to every schema that stands in another one, or by itself.
        """
        said, heard = list(said), list(heard)
        whole = dict.fromkeys(_objects([*said, *heard]))
        forms = list(dict.fromkeys([*said, *heard, *whole]))
        places, components = msgspec.json.schema_components(forms, ref_template=f"{_PLACE}{{name}}")
        self._of: dict[object, Schema] = {
            form: _everywhere(place, dialect) for form, place in zip(forms, places, strict=True)
        }
        complete = set(_objects(said))
        for form in whole:
            _explain(components[self._of[form]["$ref"].removeprefix(_PLACE)], form, is_complete=form in complete)
        self.components: dict[str, Schema] = {name: _everywhere(it, dialect) for name, it in components.items()}

    def of(self, form: object) -> Schema:
        """Where the schema of one of the types is, or the schema itself of what has no name."""
        return self._of[form]

    def resolved(self, form: object) -> Schema:
        """The schema of one of the types."""
        place = self.of(form)
        return self.components[place["$ref"].removeprefix(_PLACE)] if "$ref" in place else place


def in_draft_7(schema: Schema) -> Schema:
    """The same for readers of JSON Schema draft 7, which AsyncAPI's own schemas are a superset of."""
    if "prefixItems" in schema:
        schema = {**schema, "items": schema["prefixItems"]}
        del schema["prefixItems"]
    if "$ref" in schema and len(schema) > 1:  # there, nothing counts that stands beside it
        return {"allOf": [{"$ref": schema["$ref"]}], **{key: it for key, it in schema.items() if key != "$ref"}}
    return schema


def _objects(forms: Iterable[object]) -> Iterator[type]:
    """The classes that become objects, at any depth."""
    for node in types.multi_type_info(list(forms)):
        yield from _within(node)


def _within(node: object) -> Iterator[type]:
    if isinstance(node, types.StructType | types.DataclassType):
        yield node.cls
    if isinstance(node, tuple):
        for inner in node:
            yield from _within(inner)
    elif isinstance(node, types.Type | types.Field):
        for name in node.__struct_fields__:
            yield from _within(getattr(node, name))


def _explain(schema: Schema, form: type, *, is_complete: bool) -> None:
    """Say of each field what the docstring of its class says; of what is said, which fields are always there."""
    text, _, attributes = inspect.cleandoc(form.__doc__ or "").partition("\nAttributes:\n")
    if text:
        schema["description"] = text.strip()
    properties = schema["properties"]
    names = _encoded_names(form)
    for named, told in _attributes(attributes):
        for name in named.split(", "):
            if names.get(name, name) in properties:
                field = properties[names.get(name, name)]
                text = _none("null", " ".join(told.split()))
                field["description"] = f"{text} It is {field['description']}." if "description" in field else text
    if is_complete and not getattr(getattr(form, "__struct_config__", None), "omit_defaults", False):
        required = set(schema.get("required", ()))
        schema["required"] = [name for name, it in properties.items() if name in required or "default" in it]
        for it in properties.values():
            it.pop("default", None)


def _encoded_names(form: type) -> dict[str, str]:
    if not issubclass(form, msgspec.Struct):
        return {}
    return {field.name: field.encode_name for field in msgspec.structs.fields(form)}


def _everywhere(schema: Any, dialect: Callable[[Schema], Schema]) -> Any:
    """A schema, and all in it, as we write it."""
    if isinstance(schema, list):
        return [_everywhere(it, dialect) for it in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("contentEncoding") == "base64":  # of msgspec in JSON; bytes are said in msgpack only
        schema = {**{key: it for key, it in schema.items() if key != "contentEncoding"}, "format": "binary"}
    if "pattern" in schema:  # Python's ends of a text are others
        schema = {**schema, "pattern": schema["pattern"].replace(r"\A", "^").replace(r"\Z", "$")}
    return dialect({key: _everywhere(it, dialect) for key, it in schema.items()})

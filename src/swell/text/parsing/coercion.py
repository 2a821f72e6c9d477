"""Makes arguments that a model wrote as text the types that a tool's schema wants. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from swell.schemas.walk import Schema, target
from swell.text.parsing.values import parse_value

_TYPES = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})


def coerced(texts: Mapping[str, str], schema: Schema) -> dict[str, Any]:
    """Values for `texts`, which are arguments of a tool with this schema, by name.

    An argument that may only be a string, or that the schema doesn't declare, stays as it is written. Where other types
    are allowed, too, a text that can be read as one of them becomes one.
    """
    reading = _Reading(schema)
    properties = reading.properties(schema)
    return {name: _coerced(text, reading.types(properties.get(name, _STRING))) for name, text in texts.items()}


def fitted(values: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """`values`, which a model wrote as JSON, with those changed that the schema doesn't allow as they are.

    A text that can be read as one of the types that are allowed becomes one, and a number a text where only that is.
    """
    reading = _Reading(schema)
    properties = reading.properties(schema)
    return {name: _fitted(value, reading.types(properties.get(name))) for name, value in values.items()}


def _fitted(value: Any, types: frozenset[str]) -> Any:
    if isinstance(value, str):
        return value if "string" in types else _coerced(value, types)
    if _type(value) in types or not isinstance(value, int | float):
        return value
    if isinstance(value, float) and value.is_integer() and "integer" in types:
        return int(value)
    return json.dumps(value) if "string" in types else value


def declared(schema: Schema) -> dict[str, Schema]:
    """The schema of each argument that a tool with `schema` declares, also by reference or in parts."""
    return _Reading(schema).properties(schema)


def _coerced(text: str, types: frozenset[str]) -> Any:
    """`text` as a value of one of `types`, else as it is; of any type if a string isn't allowed."""
    if types == {"string"}:
        return text
    word = text.strip()
    if "boolean" in types and word.lower() in ("true", "false"):
        return word.lower() == "true"
    try:
        value = parse_value(text)
    except ValueError:
        return text
    if isinstance(value, float) and value.is_integer() and "number" not in types and "integer" in types:
        return int(value)
    return value if _type(value) in types or "string" not in types else text


def _type(value: object) -> str:
    """The narrowest type of a value; "" for a string, which stays as it is written."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
    return ""


_STRING: Schema = {"type": "string"}
_DEPTH_MAX = 32
"""How deep references and alternatives are followed: deeper than people write them, and not for ever."""


class _Reading:
    """Reads what the schemas within `root` allow. Each is read once, however often it is referred to."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._known: dict[int, frozenset[str]] = {}
        self._collected: set[int] = set()

    def types(self, schema: Schema, depth: int = 0) -> frozenset[str]:
        """The types that a value may have: all types for a schema that names none, or that no value can follow."""
        if not isinstance(schema, dict) or depth > _DEPTH_MAX:
            return _TYPES
        if id(schema) not in self._known:
            self._known[id(schema)] = _TYPES  # until more is known, for schemas that refer to themselves
            self._known[id(schema)] = self._found_types(schema, depth + 1)
        return self._known[id(schema)]

    def _found_types(self, schema: dict[str, Any], depth: int) -> frozenset[str]:
        types = _named(schema.get("type")) & _listed(schema)
        for one in self._parts(schema):
            types &= self.types(one, depth)
        for key in ("anyOf", "oneOf"):
            if alternatives := _list(schema.get(key)):
                types &= frozenset[str]().union(*(self.types(one, depth) for one in alternatives))
        return types or _TYPES

    def properties(self, schema: Schema, depth: int = 0) -> dict[str, Schema]:
        """The arguments that a schema declares; nothing for one that was asked about before."""
        if not isinstance(schema, dict) or depth > _DEPTH_MAX or id(schema) in self._collected:
            return {}
        self._collected.add(id(schema))
        found: dict[str, Schema] = {}
        for one in (*self._parts(schema), *_list(schema.get("anyOf")), *_list(schema.get("oneOf"))):
            found |= self.properties(one, depth + 1)
        own = schema.get("properties")
        return found | own if isinstance(own, dict) else found

    def _parts(self, schema: dict[str, Any]) -> list[Schema]:
        """Further schemas that a value of `schema` must follow."""
        referred = [target(self._root, schema["$ref"])] if "$ref" in schema else []
        return [*referred, *_list(schema.get("allOf"))]


def _named(types: object) -> frozenset[str]:
    """The value of `type`: one, a list, or, as some clients write it, several in one string with commas."""
    names = types.split(",") if isinstance(types, str) else _list(types)
    known = _TYPES & {str(name).strip() for name in names}
    return (known | {"integer"} if "number" in known else known) or _TYPES


def _listed(schema: dict[str, Any]) -> frozenset[str]:
    """The types of the values that are listed; all types if none are."""
    values = [schema["const"]] if "const" in schema else _list(schema.get("enum"))
    return frozenset(_type(value) or "string" for value in values) or _TYPES


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

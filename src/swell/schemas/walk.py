"""The schemas within a JSON schema, which is data as well: not everything in it that looks like one is one. Pure."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

Schema = Any
"""A JSON schema as it was parsed: an object, or a boolean."""

IN_PLACE = ("allOf", "anyOf", "oneOf")
"""What is said about the same value as the schema around it, as in `$ref`."""
_LISTS = (*IN_PLACE, "prefixItems", "items")
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_SINGLE = ("items", "additionalProperties", "contains")


def mapped(schema: dict[str, Any], change: Callable[[str, Schema], Schema]) -> dict[str, Any]:
    """A copy of `schema` whose inner schemas, given with the keyword that they belong to, are changed."""
    return {key: _mapped(key, value, change) for key, value in schema.items()}


def _mapped(key: str, value: Any, change: Callable[[str, Schema], Schema]) -> Any:
    if key in _LISTS and isinstance(value, list):
        return [change(key, one) for one in value]
    if key in _BY_NAME and isinstance(value, dict):
        return {name: change(key, one) for name, one in value.items()}
    return change(key, value) if key in _SINGLE else value


def inner(schema: dict[str, Any]) -> Iterator[Schema]:
    """The schemas directly within `schema`."""
    found = list[Schema]()
    mapped(schema, lambda _key, one: found.append(one))
    return iter(found)


def target(root: Schema, reference: object) -> Schema:
    """What a `$ref` within `root` means; None if it isn't there, elsewhere, or a name and no path."""
    if not isinstance(reference, str) or (reference != "#" and not reference.startswith("#/")):
        return None
    found = root
    for part in unquote(reference[1:]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found

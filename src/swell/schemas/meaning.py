"""What authors of schemas mean where the specification, or llguidance, reads something else or refuses. Pure.

Their programs write keywords without a value as null and whole numbers with a point, speak OpenAPI's dialects or old
drafts', and leave out the type that other keywords are about, as llama.cpp's own grammars let them.
"""

from collections.abc import Iterator
from typing import Any

from swell.schemas.walk import Schema, mapped, target

COUNT_MAX = 2**31 - 1
"""No text has more characters and no list more items; llguidance refuses larger numbers."""
_ANY_VALUE = ("const", "default")
"""Keywords of which null is a value."""
_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_ABOUT = {"object": ("properties", "patternProperties"), "array": ("items", "prefixItems"), "string": ("pattern",)}
_LEAST = ("minLength", "minItems", "minProperties")
_MOST = ("maxLength", "maxItems", "maxProperties")
_BOUNDS = (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))


def meant(schema: Schema) -> Schema:
    """`schema` in the words of today's drafts."""
    return _meant(schema, schema)


def _meant(schema: Schema, root: Schema) -> Schema:
    if not isinstance(schema, dict):
        return schema
    given = {key: value for key, value in schema.items() if value is not None or key in _ANY_VALUE}
    copy = mapped(given, lambda _key, one: _meant(one, root))
    copy |= _types(copy)
    copy = _counts(_exclusive(copy))
    copy |= _named(copy, root)
    return _with_null(copy) if copy.pop("nullable", False) is True else copy


def _types(schema: dict[str, Any]) -> dict[str, Any]:
    """The type in small letters, or that which other keywords are about."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return {"type": [_lowered(one) for one in kind]}
    if kind is not None:
        return {"type": _lowered(kind)}
    if schema.keys() & {"enum", "const", "$ref"} or any("type" in part for part in _choices(schema)):
        return {}
    return next(({"type": name} for name, keys in _ABOUT.items() if schema.keys() & {*keys}), {})


def _lowered(kind: Any) -> Any:
    return kind.lower() if isinstance(kind, str) and kind.lower() in _TYPES else kind


def _choices(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key in ("anyOf", "oneOf"):
        several = schema.get(key)
        yield from (part for part in several if isinstance(part, dict)) if isinstance(several, list) else ()


def _exclusive(schema: dict[str, Any]) -> dict[str, Any]:
    """Draft 4 had a limit and said of it whether it is exclusive."""
    copy = dict(schema)
    for limit, exclusive in _BOUNDS:
        if isinstance(is_exclusive := copy.get(exclusive), bool):
            del copy[exclusive]
            if is_exclusive and limit in copy:
                copy[exclusive] = copy.pop(limit)
    return copy


def _counts(schema: dict[str, Any]) -> dict[str, Any]:
    """Numbers of characters and items are whole; one that nothing reaches is none."""
    copy = dict(schema)
    for key in (*_LEAST, *_MOST):
        count = copy.get(key)
        if isinstance(count, float) and count.is_integer():
            copy[key] = count = int(count)
        if key in _MOST and isinstance(count, int) and count > COUNT_MAX:
            del copy[key]
    return copy


def _named(schema: dict[str, Any], root: Schema) -> dict[str, Any]:
    """`propertyNames`, which llguidance doesn't know, as properties of these names."""
    names, value = schema.get("propertyNames"), schema.get("additionalProperties", True)
    if isinstance(names, dict) and "$ref" in names:
        names = target(root, names["$ref"])
    if not isinstance(names, dict) or value is False or schema.keys() & {"properties", "patternProperties"}:
        return {}
    match names:
        case {"enum": list(known)} if all(isinstance(one, str) for one in known):
            return {"properties": dict.fromkeys(known, value), "additionalProperties": False}
        case {"const": str(known)}:
            return {"properties": {known: value}, "additionalProperties": False}
        case {"pattern": str(pattern)}:
            return {"patternProperties": {pattern: value}, "additionalProperties": False}
    return {}


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI 3.0 calls nullable."""
    if "type" not in schema and "enum" not in schema:
        return {"anyOf": [schema, {"type": "null"}]} if schema.keys() & {"$ref", "allOf", "anyOf", "oneOf"} else schema
    copy = dict(schema)
    if "type" in copy:
        kinds = copy["type"] if isinstance(copy["type"], list) else [copy["type"]]
        copy["type"] = [*kinds, *(["null"] if "null" not in kinds else [])]
    if isinstance(values := copy.get("enum"), list) and None not in values:
        copy["enum"] = [*values, None]
    return copy

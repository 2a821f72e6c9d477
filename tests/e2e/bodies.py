"""Random request bodies, drawn from the routes' own structs: mostly right, with something wrong here and there."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

Json = st.SearchStrategy[Any]
Special = Mapping[str, Json | None]

# fmt: off
TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from((
        "", " ", "auto", "required", "json", "text", "user", "assistant", "system", "tool", "function", "message",
        "json_schema", "json_object", "high", "enabled", "data:image/png;base64,aGk=", "aGk=", '{"a": 1}', "5m",
        "<think>", "</think>", "<tool_call>", "<s>", "\x00", "\ud800", "\u2028", "🦉", "a" * 300,
    )),
)
_INTEGERS = st.sampled_from((0, 1, 2, 3, -1, 21, 2**31, 2**63, 10**30))
# fmt: on
_FLOATS = st.sampled_from((0.0, 1.0, 0.5, -1.0, 1e300, 1e-300))
_SCALARS = st.one_of(st.none(), st.booleans(), _INTEGERS, _FLOATS, TEXTS)
_KEYS = st.sampled_from(
    (
        "type",
        "text",
        "role",
        "content",
        "name",
        "function",
        "image_url",
        "url",
        "input",
        "id",
        "properties",
        "tool_use_id",
    )
)
ANYTHING: Json = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(_KEYS, TEXTS), inner, max_size=3)),
    max_leaves=6,
)
_ODD = 60
"""Of so many values, one is anything at all."""
_BROKEN = 20
"""Of so many bodies, one is no JSON."""


def bodies(struct: type[msgspec.Struct], special: Special) -> Json:
    """Bodies of that type. Fields that `special` names, at any depth, are never left out; None there is as usual."""
    return _value(inspect.type_info(struct), special)


def _value(kind: inspect.Type, special: Special) -> Json:
    match kind:
        case inspect.StructType():
            return _struct(kind, special)
        case inspect.ListType() | inspect.VarTupleType():
            return st.lists(_mostly(_value(kind.item_type, special)), min_size=1, max_size=3)
        case inspect.UnionType():
            return st.one_of([_value(one, special) for one in kind.types])
        case inspect.DictType():
            return st.dictionaries(_KEYS, ANYTHING, max_size=3)
        case inspect.AnyType():
            return ANYTHING
        case inspect.BoolType():
            return st.booleans()
        case inspect.IntType():
            return _INTEGERS
        case inspect.FloatType():
            return _FLOATS
        case inspect.StrType():
            return TEXTS
        case inspect.NoneType():
            return st.none()
    raise AssertionError(kind)


def _struct(kind: inspect.StructType, special: Special) -> Json:
    fields = {field.encode_name: _field(field, special) for field in kind.fields}
    usual = {name: value for name, value in fields.items() if name in special}
    return st.fixed_dictionaries(usual, optional={name: fields[name] for name in fields if name not in usual})


def _field(field: inspect.Field, special: Special) -> Json:
    known = special.get(field.encode_name)
    return _mostly(_value(field.type, special) if known is None else known)


def _mostly(value: Json, other: Json = ANYTHING, odds: int = _ODD) -> Json:
    """`value`, or once in so many times `other`."""
    return st.integers(1, odds).flatmap(lambda number: other if number == odds else value)


def encoded(body: Json) -> st.SearchStrategy[bytes]:
    """`body` as JSON, which sometimes is broken."""
    whole = body.map(lambda value: json.dumps(value).encode())
    cut = st.builds(lambda data, place: data[: place % len(data)], whole, st.integers(0, 500))
    return _mostly(whole, st.one_of(cut, st.binary(max_size=20), st.sampled_from((b"[" * 3000, b""))), _BROKEN)

"""Closed schemas: what declares properties has these only, wherever its description stands."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.closed import with_false_added

from swell.schemas.closing import closed
from swell.schemas.ends import has_document
from swell.schemas.walk import IN_PLACE

NAME, AGE = {"name": {"type": "string"}}, {"age": {"type": "integer"}}
PERSON = {"type": "object", "properties": {**NAME, **AGE}, "required": ["name"]}
CASES: list[tuple[Any, list[Any], list[Any]]] = [
    (PERSON, [{"name": "a"}, {"name": "a", "age": 1}], [{"name": "a", "x": 1}]),
    ({"type": "object"}, [{}, {"x": 1}], []),
    ({"type": "object", "properties": {}}, [{}], [{"x": 1}]),
    ({**PERSON, "additionalProperties": True}, [{"name": "a", "x": 1}], []),
    ({**PERSON, "additionalProperties": {"type": "null"}}, [{"name": "a", "x": None}], [{"name": "a", "x": 1}]),
    ({**PERSON, "unevaluatedProperties": {"type": "null"}}, [{"name": "a", "x": None}], []),
    ({**PERSON, "patternProperties": {"^x-": {}}}, [{"name": "a", "x-1": 1}], [{"name": "a", "y": 1}]),
    ({"type": "object", "patternProperties": {"^x-": {}}}, [{}, {"x-1": 1}], [{"y": 1}]),
    (
        {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "required": ["x-1"]},
        [{"x-1": 1}, {"x-1": 1, "x-2": 2}],
        [{"x-1": "a"}, {"x-2": 1}, {"x-1": 1, "y": 1}],
    ),
    ({"type": "array", "items": PERSON}, [[{"name": "a"}]], [[{"name": "a", "x": 1}]]),
    (
        {"$defs": {"person": PERSON}, "properties": {"one": {"$ref": "#/$defs/person"}}},
        [{"one": {"name": "a"}}],
        [{"one": {"name": "a", "x": 1}}, {"x": 1}],
    ),
    ({"anyOf": [{"type": "null"}, PERSON]}, [None, {"name": "a"}], [{"name": "a", "x": 1}]),
    (  # in one place each, and closed by all of them
        {"allOf": [{"properties": NAME, "required": ["name"]}, {"properties": AGE}], "type": "object"},
        [{"name": "a", "age": 1}, {"name": "a"}],
        [{"name": "a", "x": 1}, {"age": 1}],
    ),
    (
        {"$defs": {"named": {"properties": NAME}}, "allOf": [{"$ref": "#/$defs/named"}], "properties": AGE},
        [{"name": "a", "age": 1}],
        [{"name": "a", "x": 1}, {"name": 1}],
    ),
    (
        {"properties": {"kind": {"enum": ["a", "b"]}}, "anyOf": [{"properties": NAME}, {"properties": AGE}]},
        [{"kind": "a", "name": "a"}, {"kind": "b", "age": 1}],
        [{"kind": "a", "x": 1}],
    ),
    (  # alone it is closed, as a part it is not
        {
            "$defs": {"a/b": {"type": "object", "properties": NAME}},
            "properties": {
                "alone": {"$ref": "#/$defs/a~1b"},
                "part": {"$ref": "#/$defs/a~1b", "properties": AGE},
            },
        },
        [{"alone": {"name": "a"}, "part": {"name": "a", "age": 1}}],
        [{"alone": {"name": "a", "age": 1}}, {"part": {"x": 1}}],
    ),
    (  # itself within itself
        {"properties": {"next": {"$ref": "#"}, **NAME}, "type": "object"},
        [{"next": {"next": {"name": "a"}}}],
        [{"next": {"next": {"x": 1}}}],
    ),
    ({"enum": [{"properties": {"a": 1}}]}, [{"properties": {"a": 1}}], []),
    (True, [1], []),
    ({"$ref": "#/nowhere"}, [], []),
]


@pytest.mark.parametrize(("schema", "good", "bad"), CASES)
def test_it_has_what_is_declared_and_nothing_else(schema: Any, good: list[Any], bad: list[Any]) -> None:
    validator = jsonschema.Draft202012Validator(closed(schema))
    for document in good:
        validator.validate(document)
    for document in bad:
        assert not validator.is_valid(document), document


_keys = st.sampled_from("abc")
_schemas = st.recursive(
    st.sampled_from([{"type": "integer"}, {"type": "null"}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(_keys, inner, max_size=3)}),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner),
    ),
    max_leaves=6,
)


@st.composite
def _documents(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    schema = {**draw(_schemas), "$defs": {"a": draw(_schemas), "b": {"type": "integer"}}}
    values = st.recursive(
        st.integers(0, 1) | st.none(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=2),
    )
    return schema, draw(values)


@given(_documents())
def test_where_each_object_has_one_place_it_is_as_if_the_keyword_stood_there(pair: tuple[dict[str, Any], Any]) -> None:
    schema, document = pair
    expected = with_false_added(schema)
    try:
        is_valid = jsonschema.Draft202012Validator(expected).is_valid(document)
    except RecursionError:  # a reference that means only itself
        return
    assert jsonschema.Draft202012Validator(closed(schema)).is_valid(document) == is_valid


_KEYWORDS = (*IN_PLACE, "properties", "required", "items", "minItems", "prefixItems", "$defs", "$ref", "type", "a")
_anything = st.recursive(
    st.sampled_from([None, True, False, 1, "object", "array", "a", "#", "#/$defs/a", "#/anyOf/0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYWORDS), inner, max_size=4),
    max_leaves=20,
)


@given(_anything)
def test_whatever_is_given_is_closed_as_well_as_it_can_be(value: Any) -> None:
    before = json.dumps(value)
    closed(value)
    assert has_document(value) in (True, False)
    assert json.dumps(value) == before

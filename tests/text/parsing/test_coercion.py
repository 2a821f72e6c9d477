"""Texts of arguments, and what a schema makes of them."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.text.parsing.test_values import VALUES

from swell.text.parsing.coercion import coerced, declared

_DEFS = {
    "Point": {"type": "object", "properties": {"x": {"type": "integer"}}},
    "Loop": {"$ref": "#/$defs/Loop"},
    "Wide": {"anyOf": [{"$ref": "#/$defs/Wide"}, {"oneOf": [{"$ref": "#/$defs/Wide"}, {"$ref": "#/$defs/Wide"}]}]},
}


def _coerced(text: str, schema: Any) -> Any:
    return coerced({"a": text}, {"$defs": _DEFS, "properties": {"a": schema}})["a"]


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, " 7 ", 7),
        ({"type": "integer"}, "7.0", 7),
        ({"type": "integer"}, "seven", "seven"),
        ({"type": "number"}, "7", 7),
        ({"type": "boolean"}, "TRUE", True),
        ({"type": "array"}, "[{'a': True, 'b': None}]", [{"a": True, "b": None}]),
        ({"type": "object"}, '{"a": 1}', {"a": 1}),
        ({"type": ["integer", "null"]}, "None", None),
        ({"type": ["string", "null"]}, "null", None),
        ({"type": ["string", "null"]}, "nullable", "nullable"),
        ({"type": ["string", "array"]}, '["a"]', ["a"]),
        ({"type": ["string", "array"]}, '{"a": 1}', '{"a": 1}'),
        ({"type": ["string", "integer"]}, "007", "007"),
        ({"type": "string, integer"}, "7", 7),
        ({"$ref": "#/$defs/Point"}, '{"x": 1}', {"x": 1}),
        ({"allOf": [{"$ref": "#/$defs/Point"}]}, '{"x": 1}', {"x": 1}),
        ({"allOf": [{"type": ["string", "integer"]}, {"enum": ["1", "2"]}]}, "1", "1"),
        ({"oneOf": [{"type": "integer"}, {"type": "boolean"}]}, "true", True),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Point"}]}, '{"x": 1}', {"x": 1}),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": ["1", "2"]}, "2", "2"),
        ({"enum": [None, "x"]}, "None", None),
        ({"const": 5}, "5", 5),
        ({"const": "5"}, "5", "5"),
        ({}, '{"x": 1}', {"x": 1}),
        ({}, "some words", "some words"),
        (True, "7", 7),
        ({"$ref": "#/$defs/Missing"}, "7", 7),
        ({"$ref": "#/$defs/Loop"}, "7", 7),
        ({"$ref": "#/$defs/Wide"}, "7", 7),
        ({"type": "string", "const": 5}, "5", 5),  # can't be met
    ],
)
def test_the_type_of_the_schema(schema: Any, text: str, value: Any) -> None:
    found = _coerced(text, schema)
    assert (found, type(found)) == (value, type(value))


@given(VALUES)
def test_strings_stay_as_they_are_written(value: Any) -> None:
    text = json.dumps(value)
    for schema in ({"type": "string"}, {"enum": ["a"]}, {"oneOf": [{"type": "string"}, {"const": "x"}]}):
        assert _coerced(text, schema) == text
    assert coerced({"undeclared": text}, {"properties": {}}) == {"undeclared": text}
    assert coerced({"undeclared": text}, None) == {"undeclared": text}


@given(VALUES.filter(lambda value: not isinstance(value, str)), st.sampled_from([json.dumps, repr]))
def test_everything_else_comes_back(value: Any, write: Callable[[Any], str]) -> None:
    text = write(value)
    assume(not re.search(r"\\x|\\U00[01]", text))  # escapes of Python alone, which may as well be part of a path
    assert _coerced(text, {}) == value


def test_arguments_may_be_declared_elsewhere() -> None:
    schema = {
        "$defs": _DEFS,
        "allOf": [{"$ref": "#/$defs/Point"}],
        "anyOf": [{"properties": {"y": {"type": "number"}}}],
        "properties": {"z": True},
    }
    assert declared(schema) == {"x": {"type": "integer"}, "y": {"type": "number"}, "z": True}
    assert coerced({"x": "1"}, schema) == {"x": 1}
    assert declared({"$ref": "#"}) == {}

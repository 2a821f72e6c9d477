"""What schemas mean whose authors speak another dialect, or leave out what everybody knows."""

import json
from typing import Any

import jsonschema
import pytest

from swell.schemas.closing import closed
from swell.schemas.grammars import check
from swell.schemas.meaning import COUNT_MAX, meant

NAME = {"type": "string"}
OBJECT = {"type": "object", "properties": {"a": NAME}}


@pytest.mark.parametrize(
    ("schema", "same"),
    [
        # programs that write each keyword, whether or not there is a value
        ({**OBJECT, "required": None, "title": None, "enum": None, "additionalProperties": None}, OBJECT),
        ({"type": "object", "properties": None}, {"type": "object"}),
        ({"type": "integer", "minimum": None, "maximum": 5}, {"type": "integer", "maximum": 5}),
        ({"const": None}, {"const": None}),
        ({"type": ["string", "null"], "default": None}, {"type": ["string", "null"], "default": None}),
        # types in capitals, as Google writes them
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, OBJECT),
        ({"type": ["STRING", "Null"]}, {"type": ["string", "null"]}),
        ({"type": "any"}, {"type": "any"}),
        # types that go without saying
        ({"properties": {"a": NAME}}, OBJECT),
        ({"anyOf": [{"properties": {"a": NAME}}, {"type": "null"}]}, {"anyOf": [OBJECT, {"type": "null"}]}),
        ({"items": NAME}, {"type": "array", "items": NAME}),
        ({"pattern": "^a$"}, {"type": "string", "pattern": "^a$"}),
        (
            {"properties": {"a": NAME}, "anyOf": [{"type": "object"}, {"type": "null"}]},
            {"properties": {"a": NAME}, "anyOf": [{"type": "object"}, {"type": "null"}]},
        ),
        ({"properties": {"a": NAME}, "anyOf": [{"required": ["a"]}]}, {**OBJECT, "anyOf": [{"required": ["a"]}]}),
        ({"enum": [1], "pattern": "a"}, {"enum": [1], "pattern": "a"}),
        ({"description": "any"}, {"description": "any"}),
        # whole numbers with a point, and numbers that nothing reaches
        ({"type": "string", "minLength": 1.0, "maxLength": 2.0}, {"type": "string", "minLength": 1, "maxLength": 2}),
        ({"type": "array", "maxItems": 1.5}, {"type": "array", "maxItems": 1.5}),
        ({"type": "string", "maxLength": COUNT_MAX + 1}, NAME),
        ({"type": "string", "maxLength": COUNT_MAX}, {"type": "string", "maxLength": COUNT_MAX}),
        # draft 4
        (
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 3, "exclusiveMaximum": False},
            {"type": "integer", "exclusiveMinimum": 0, "maximum": 3},
        ),
        ({"type": "number", "exclusiveMaximum": 2}, {"type": "number", "exclusiveMaximum": 2}),
        # OpenAPI 3.0
        ({**NAME, "nullable": True}, {"type": ["string", "null"]}),
        ({**NAME, "nullable": False}, NAME),
        ({"type": ["string", "null"], "nullable": True}, {"type": ["string", "null"]}),
        ({**NAME, "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"$ref": "#/a", "nullable": True}, {"anyOf": [{"$ref": "#/a"}, {"type": "null"}]}),
        ({"nullable": True}, {}),
        # names of properties
        (
            {"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": NAME},
            {**OBJECT, "propertyNames": {"enum": ["a"]}, "additionalProperties": False},
        ),
        (
            {"type": "object", "propertyNames": {"const": "a"}},
            {**OBJECT, "propertyNames": {"const": "a"}, "properties": {"a": True}, "additionalProperties": False},
        ),
        (
            {"type": "object", "propertyNames": {"pattern": "^a"}, "additionalProperties": NAME},
            {
                "type": "object",
                "propertyNames": {"pattern": "^a"},
                "patternProperties": {"^a": NAME},
                "additionalProperties": False,
            },
        ),
        ({"type": "object", "propertyNames": NAME}, {"type": "object", "propertyNames": NAME}),
        ({**OBJECT, "propertyNames": {"enum": ["a"]}}, {**OBJECT, "propertyNames": {"enum": ["a"]}}),
        # what is no schema
        (True, True),
        (None, None),
        ({"type": 5, "anyOf": 3, "oneOf": [4], "items": "x"}, {"type": 5, "anyOf": 3, "oneOf": [4], "items": "x"}),
    ],
)  # fmt: skip
def test_what_is_meant(schema: Any, same: Any) -> None:
    assert meant(schema) == same
    assert meant({"type": "array", "items": schema}) == (
        {"type": "array"} if schema is None else {"type": "array", "items": same}
    )


def test_names_may_be_defined_elsewhere() -> None:
    colors = {"enum": ["red", "blue"]}
    read = meant({"type": "object", "propertyNames": {"$ref": "#/$defs/color"}, "$defs": {"color": colors}})
    assert read["properties"] == {"red": True, "blue": True}
    assert read["additionalProperties"] is False


def test_data_is_left_alone() -> None:
    schema = {"enum": [{"type": "STRING", "required": None}], "default": {"nullable": True}}
    assert meant(schema) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": NAME}, "required": ["a", "b"]},
        {"type": "object", "properties": {"a": NAME}, "required": None},
        {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True, "maxLength": 1e12}}},
        {"$defs": {"a": {"$anchor": "named", "type": "integer"}}, "$ref": "#named"},
        {"$defs": {"a b": {"type": "integer"}}, "$ref": "#/$defs/a%20b"},
    ],
)
def test_it_can_be_followed(schema: dict[str, Any]) -> None:
    check(json.dumps(schema))


def test_what_is_required_may_go_undeclared() -> None:
    validator = jsonschema.Draft202012Validator(closed({**OBJECT, "required": ["b"]}))
    assert validator.is_valid({"b": 1})
    assert not validator.is_valid({"a": "x"})
    assert not validator.is_valid({"b": 1, "c": 1})

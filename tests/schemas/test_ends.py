"""Schemas whose documents come to an end, and those that have none."""

from typing import Any

import pytest

from swell.schemas.ends import has_document

LIST = {"type": "object", "properties": {"next": {"$ref": "#"}}}
TREE = {"type": "object", "properties": {"left": {"$ref": "#"}}, "required": ["left"]}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        LIST,
        {**LIST, "required": ["other"]},
        {"type": "array", "items": {"$ref": "#"}},
        {"anyOf": [{"type": "null"}, TREE]},
        {"type": ["object", "null"], "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {
            "$defs": {
                "node": {"type": "object", "properties": {"n": {"$ref": "#/$defs/end"}}, "required": ["n"]},
                "end": {"const": 1},
            },
            "$ref": "#/$defs/node",
        },
        {"const": {"$ref": "#"}},
        {"$ref": "#/nowhere"},  # somebody else says so
    ],
)
def test_has_documents(schema: Any) -> None:
    assert has_document(schema)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}]},
        {"allOf": [{"type": "object"}, {"$ref": "#"}]},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        TREE,
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "array", "prefixItems": [{"$ref": "#"}], "minItems": 1},
        {"type": "object", "properties": {"a": TREE}, "required": ["a"]},
    ],
)
def test_has_none(schema: Any) -> None:
    assert not has_document(schema)

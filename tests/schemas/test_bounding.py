"""Integers that end."""

from typing import Any

import pytest

from swell.schemas.bounding import INTEGER_MAX, bounded

BOTH = {"minimum": -INTEGER_MAX, "maximum": INTEGER_MAX}


@pytest.mark.parametrize(
    ("schema", "added"),
    [
        ({"type": "integer"}, BOTH),
        ({"type": ["integer", "null"]}, BOTH),
        ({"type": "integer", "minimum": 0}, {"maximum": INTEGER_MAX}),
        ({"type": "integer", "exclusiveMaximum": 9}, {"minimum": -INTEGER_MAX}),
        ({"type": "integer", "minimum": 0, "maximum": 1}, {}),
        ({"type": "integer", "minimum": 10**30}, {}),
        ({"type": "integer", "minimum": "0"}, {}),
        ({"type": "number"}, {}),
        ({"type": ["integer", "number"]}, {}),
        ({"enum": [10**30]}, {}),
        ({}, {}),
    ],
)
def test_what_is_silent_gets_bounds(schema: dict[str, Any], added: dict[str, Any]) -> None:
    assert bounded(schema) == {**schema, **added}
    assert bounded({"items": schema, "const": {"type": "integer"}}) == {
        "items": {**schema, **added},
        "const": {"type": "integer"},
    }

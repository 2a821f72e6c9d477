"""Schemas that say what they leave unsaid."""

from typing import Any


def with_false_added(schema: Any) -> Any:
    """`schema` where no object has other properties than those that it declares: what whoever was silent meant."""
    if isinstance(schema, list):
        return [with_false_added(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: with_false_added(value) for key, value in schema.items()}
    return {**changed, "additionalProperties": False} if isinstance(schema.get("properties"), dict) else changed

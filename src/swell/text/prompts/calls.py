"""Schemas for tool calls that are demanded of a model."""

from collections.abc import Sequence
from typing import Any

import msgspec

from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Tool


def call_schema(tools: Sequence[Tool], names: Sequence[str]) -> str:
    """The JSON schema of one call of a tool in `names`: its name and its arguments.

    Raises InvalidRequestError for a name that no tool has.
    """
    by_name = {tool.function.name: tool for tool in tools}
    if unknown := [name for name in names if name not in by_name]:
        raise InvalidRequestError(f"there is no tool called {unknown[0]!r}")
    calls = [_call(by_name[name], f"#/anyOf/{index}/properties/arguments") for index, name in enumerate(names)]
    return msgspec.json.encode({"anyOf": calls}).decode()


def _call(tool: Tool, place: str) -> dict[str, Any]:
    arguments = _moved({"type": "object", **tool.function.parameters}, place)
    return {
        "type": "object",
        "properties": {"name": {"const": tool.function.name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Any, place: str) -> Any:
    """`schema` to stand at `place` of another: references point there. Types in a string with commas become a list."""
    if isinstance(schema, list):
        return [_moved(item, place) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, place) for key, value in schema.items()}
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
        moved["$ref"] = place + reference.removeprefix("#")
    if isinstance(types := schema.get("type"), str) and "," in types:
        moved["type"] = [name.strip() for name in types.split(",")]
    return moved

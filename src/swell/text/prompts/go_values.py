"""Messages and tools as templates in Go's language see them: structs, some of which print as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from swell.gotemplate.values import JsonList, JsonMap, JsonRecord, Record, TypedList, TypeNames, Value
from swell.text.prompts.messages import Message, Tool, ToolCall

_EXACT_MAX = 1 << 53
"""Floats hold all integers up to here."""
_PROPERTY_FIELDS = {
    "anyOf": "AnyOf",
    "type": "Type",
    "items": "Items",
    "description": "Description",
    "enum": "Enum",
    "properties": "Properties",
    "required": "Required",
}
_PARAMETERS_FIELDS = {
    "type": "Type",
    "$defs": "Defs",
    "items": "Items",
    "required": "Required",
    "properties": "Properties",
}


def message_value(message: Message) -> Value:
    """A message."""
    calls = TypedList(_call(call) for call in message.tool_calls)
    content: dict[str, Value] = {"role": message.role, "content": message.content}
    rest: dict[str, Value] = {
        "thinking": message.thinking,
        "images": TypedList(message.images),
        "tool_calls": calls,
        "tool_name": message.tool_name,
        "tool_call_id": message.tool_call_id,
    }
    names = ("Role", "Content", "Thinking", "Images", "ToolCalls", "ToolName", "ToolCallID")
    fields = dict(zip(names, (*content.values(), *rest.values()), strict=True))
    return Record("api.Message", fields, [*content.items(), *_present(rest)])


def tool_values(tools: Sequence[Tool]) -> Value:
    """The tools of a request. All parts of them print as JSON."""
    return JsonList(_tool(tool) for tool in tools)


def _call(call: ToolCall) -> Value:
    function = call.function
    arguments = JsonMap(_object(function.arguments))
    values: tuple[Value, ...] = (function.index, function.name, arguments)
    called = Record(
        "api.ToolCallFunction",
        dict(zip(("Index", "Name", "Arguments"), values, strict=True)),
        list(zip(("index", "name", "arguments"), values, strict=True)),
    )
    return Record(
        "api.ToolCall", {"ID": call.id, "Function": called}, [*_present({"id": call.id}), ("function", called)]
    )


def _tool(tool: Tool) -> Value:
    spec = tool.function
    parameters = _parameters({"type": "object", "properties": {}, **spec.parameters})
    function = JsonRecord(
        "api.ToolFunction",
        {"Name": spec.name, "Description": spec.description, "Parameters": parameters},
        [("name", spec.name), *_present({"description": spec.description}), ("parameters", parameters)],
    )
    return JsonRecord(
        "api.Tool", {"Type": tool.type, "Function": function}, [("type", tool.type), ("function", function)]
    )


def _parameters(schema: Mapping[str, Any]) -> Value:
    known: dict[str, Value] = {
        "type": schema["type"] if isinstance(schema["type"], str) else _value(schema["type"]),
        "$defs": _value(schema.get("$defs")),
        "items": _value(schema.get("items")),
        "required": _list(schema.get("required")),
        "properties": _properties(schema["properties"]),
    }
    always = ("type", "properties")
    json = [(name, value) for name, value in known.items() if value or name in always]
    fields = {field: known[name] for name, field in _PARAMETERS_FIELDS.items()}
    return JsonRecord("api.ToolFunctionParameters", fields, [*json, *_others(schema, known)])


def _property(schema: object) -> Value:
    """The schema of an argument. What Ollama leaves out of it comes last in its JSON."""
    if not isinstance(schema, dict):
        return _value(schema)
    types, inner, choices = schema.get("type"), schema.get("properties"), schema.get("anyOf")
    description = schema.get("description")
    known: dict[str, Value] = {
        "anyOf": TypedList(map(_property, choices if isinstance(choices, list) else ())),
        "type": TypeNames(types if isinstance(types, list) else [types] if types else []),
        "items": _value(schema.get("items")),
        "description": description if isinstance(description, str) else "",
        "enum": _list(schema.get("enum")),
        "properties": _properties(inner) if inner else JsonMap(),
        "required": _list(schema.get("required")),
    }
    fields = {field: known[name] for name, field in _PROPERTY_FIELDS.items()}
    return JsonRecord("api.ToolProperty", fields, [*_present(known), *_others(schema, known)])


def _properties(schemas: object) -> Value:
    return JsonMap({name: _property(one) for name, one in schemas.items()}) if isinstance(schemas, dict) else JsonMap()


def _others(schema: Mapping[str, Any], known: Mapping[str, Value]) -> Iterable[tuple[str, Value]]:
    return [(name, _value(value)) for name, value in schema.items() if name not in known]


def _present(values: Mapping[str, Value]) -> list[tuple[str, Value]]:
    return [(name, value) for name, value in values.items() if value]


def _list(value: object) -> list[Value]:
    return TypedList(map(_value, value)) if isinstance(value, list) else TypedList()


def _object(values: Mapping[str, Any]) -> dict[str, Value]:
    return {key: _value(value) for key, value in values.items()}


def _value(value: Any) -> Value:
    """A value from JSON. Go reads all numbers as floats; here integers that these can't hold stay what they are."""
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _EXACT_MAX:
        return float(value)
    return value

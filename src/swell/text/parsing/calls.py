"""Reads what stands inside tool calls, in the forms in which models write it. A reader returns [] for other text."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from swell.text.parsing.coercion import declared, fitted
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall
from swell.text.parsing.values import parse_value

Tools = Mapping[str, Mapping[str, Any]]
"""The tools of a request: the JSON schema of each one's arguments, by its name."""

Read = Callable[[str, Tools], list[ToolCall]]
"""Reads what stands between the tags of a call."""


def read_json(body: str, tools: Tools) -> list[ToolCall]:
    """`{"name": ..., "arguments": {...}}`, or a list of such objects. Other names of the two fields are understood, and
    so are arguments beside the name, and `{NAME: {...}}`."""
    value = parse_json(body)
    calls = [_call(item, tools) or _named_call(item, tools) for item in _items(value)]
    return [] if None in calls else [one for one in calls if one is not None]


def read_named_json(body: str, tools: Tools) -> list[ToolCall]:
    """A list of objects `{NAME: {...}}`, as Apertus writes it."""
    calls = [_apertus_call(item) or _call(item, tools) for item in _items(parse_json(body))]
    return [] if None in calls else [one for one in calls if one is not None]


def _apertus_call(value: Any) -> ToolCall | None:
    name, arguments = next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else (None, None)
    return call(name, _as_object(arguments))


def read_known_json(body: str, tools: Tools) -> list[ToolCall]:
    """As `read_json`, but all calls must be of tools of the request: for JSON that no tags mark as calls."""
    calls = [_call(item, tools) for item in _items(parse_json(body))]
    return [one for one in calls if one is not None] if all(one and one.name in tools for one in calls) else []


def parse_json(text: str) -> Any:
    """The value in `text`, as `parse_value` reads it; None for text that is none."""
    try:
        return parse_value(text)
    except ValueError:
        return None


def _items(value: Any) -> list[Any]:
    """The calls in what stands between the tags: one, a list, or a list with a name."""
    if isinstance(value, dict) and value.keys() == {"tool_calls"}:
        value = value["tool_calls"]
    return value if isinstance(value, list) else [value]


_NAMES = ("name", "tool_name", "function", "tool")
_ARGUMENTS = ("arguments", "parameters", "args", "input")


def _call(value: Any, tools: Tools) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    if isinstance(inner := value.get("function"), dict):
        value = inner
    named = next((key for key in _NAMES if key in value), None)
    if named is None or not isinstance(value[named], str) or not value[named]:
        return None
    name = tool_name(value[named], tools)
    holding = next((key for key in _ARGUMENTS if value.get(key) is not None), "")
    found = _as_object(value[holding]) if holding else {}
    if not found and found is not None:
        beside = {key: one for key, one in value.items() if key not in (named, holding)}
        found = beside if beside.keys() <= declared(tools.get(name)).keys() else found
    return None if found is None else ToolCall(name, fitted(found, tools.get(name)))


def _named_call(value: Any, tools: Tools) -> ToolCall | None:
    """The call of a known tool in `{NAME: {...}}`."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((written, arguments),) = value.items()
    name, found = tool_name(written, tools), _as_object(arguments)
    return ToolCall(name, fitted(found, tools[name])) if name in tools and found is not None else None


def _as_object(value: Any) -> dict[str, Any] | None:
    """The arguments that `value` is: an object, alone in a list, or in a string; None if it isn't any."""
    if isinstance(value, str):
        value = parse_json(value.strip() or "{}")
    if isinstance(value, list) and len(value) <= 1:
        value = value[0] if value else {}
    return value if isinstance(value, dict) else None


def meant_call(
    written: str, value: Any, tools: Tools, name_of: Callable[[str, Collection[str]], str] = tool_name
) -> ToolCall | None:
    """The call of the tool that is `written` with the arguments in `value`; None if these are no object.

    Some models write the whole call in the place of its arguments, with the name in it.
    """
    if (found := _as_object(value)) is None:
        return None
    name = name_of(written, tools)
    inner = name_of(found["name"], tools) if isinstance(found.get("name"), str) else ""
    if inner in tools and (name == inner or name not in tools):
        for key in {"arguments", "parameters"} - declared(tools[inner]).keys():
            if found.keys() <= {"name", key, "id", "type"} and (arguments := _as_object(found.get(key))) is not None:
                return ToolCall(inner, fitted(arguments, tools[inner]))
        if name not in tools:
            return ToolCall(inner, fitted({key: item for key, item in found.items() if key != "name"}, tools[inner]))
    return ToolCall(name, fitted(found, tools.get(name)))


def call(name: object, arguments: object) -> ToolCall | None:
    """A call if these are a name and an object, else None."""
    if isinstance(name, str) and name and isinstance(arguments, dict):
        return ToolCall(name, arguments)
    return None


# --- a name before JSON ----------------------------------------------------------------------------------------

_SOLAR = re.compile(r"[^<]*<\|tool_call:name\|>(?P<name>[^<]+)<\|tool_call:args\|>(?P<json>.*)", re.DOTALL)


def read_solar(body: str, _tools: Tools) -> list[ToolCall]:
    """A call of Solar Open: an id, a name, then JSON."""
    found = _SOLAR.fullmatch(body)
    one = found and call(found["name"].strip(), parse_json(found["json"]))
    return [one] if one else []

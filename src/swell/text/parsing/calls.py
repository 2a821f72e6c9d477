"""From the inside of a tool call, as models write it, to calls. Every reader returns no calls for what is none."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from swell.text.parsing.parts import ToolCall
from swell.text.parsing.values import parse_value

Tools = Mapping[str, Mapping[str, Any]]
"""The tools of a request: the JSON schema of each one's arguments, by its name."""

Read = Callable[[str, Tools], list[ToolCall]]
"""Reads what stands between the tags of a call."""


def read_json(body: str, _tools: Tools) -> list[ToolCall]:
    """`{"name": ..., "arguments": {...}}`, or a list of such objects. Other names for the two are understood."""
    value = parse_json(body)
    calls = [_call(item) for item in (value if isinstance(value, list) else [value])]
    return [] if None in calls else [call for call in calls if call is not None]


def read_named_json(body: str, _tools: Tools) -> list[ToolCall]:
    """A list of objects `{NAME: {...}}`, as Apertus writes it."""
    value = parse_json(body)
    calls = [
        call(*item.popitem()) if isinstance(item, dict) and len(item) == 1 else None
        for item in (value if isinstance(value, list) else [value])
    ]
    return [] if None in calls else [one for one in calls if one is not None]


def read_known_json(body: str, tools: Tools) -> list[ToolCall]:
    """As `read_json`, for JSON that nothing marks as a call: it must name tools of the request."""
    calls = read_json(body, tools)
    return calls if all(call.name in tools for call in calls) else []


def parse_json(text: str) -> Any:
    """The value, as `parse_value` reads it, or None for text that is none."""
    try:
        return parse_value(text)
    except ValueError:
        return None


def _call(value: Any) -> ToolCall | None:
    if not isinstance(value, dict):
        return None
    if isinstance(inner := value.get("function"), dict):
        value = inner
    name = next((value[key] for key in ("name", "tool_name", "function") if key in value), None)
    arguments: Any = next((value[key] for key in ("arguments", "parameters") if key in value), None)
    if isinstance(arguments, str):
        arguments = parse_json(arguments.strip() or "{}")
    elif arguments in (None, []):
        arguments = {}
    return call(name, arguments)


def call(name: object, arguments: object) -> ToolCall | None:
    """A call if these are a name and an object."""
    if isinstance(name, str) and name and isinstance(arguments, dict):
        return ToolCall(name, arguments)
    return None


# --- a name before JSON ----------------------------------------------------------------------------------------

_DEEPSEEK = re.compile(
    r"\s*<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>(?P<old>[^\n<]+)\n```json\n(?P<fenced>.*?)\n```"
    r"|(?P<new>[^<]+)<｜tool▁sep｜>(?P<plain>.*?))\s*<｜tool▁call▁end｜>\s*",
    re.DOTALL,
)
_KIMI = re.compile(
    r"\s*<\|tool_call_begin\|>\s*(?:functions\.)?(?P<new>[^\s:<]+)(?::\d+)?\s*<\|tool_call_argument_begin\|>"
    r"(?P<plain>.*?)<\|tool_call_end\|>\s*(?P<old>)(?P<fenced>)",
    re.DOTALL,
)
_SOLAR = re.compile(
    r"(?P<old>)(?P<fenced>)[^<]*<\|tool_call:name\|>(?P<new>[^<]+)<\|tool_call:args\|>(?P<plain>.*)", re.DOTALL
)


def read_deepseek(body: str, _tools: Tools) -> list[ToolCall]:
    """Calls of DeepSeek V3, R1 (JSON in a fence) and V3.1."""
    return _read_sequence(_DEEPSEEK, body)


def read_kimi(body: str, _tools: Tools) -> list[ToolCall]:
    """Calls of Kimi K2: `functions.NAME:INDEX`, then JSON."""
    return _read_sequence(_KIMI, body)


def read_solar(body: str, _tools: Tools) -> list[ToolCall]:
    """A call of Solar Open: an id, a name, then JSON."""
    return _read_sequence(_SOLAR, body)


def _read_sequence(pattern: re.Pattern[str], body: str) -> list[ToolCall]:
    calls = []
    position = 0
    while position < len(body):
        found = pattern.match(body, position)
        one = found and call(
            (found["old"] or found["new"]).strip(), parse_json(found["fenced"] or found["plain"] or "")
        )
        if not found or one is None:
            return []
        calls.append(one)
        position = found.end()
    return calls

"""Reads what stands inside tool calls, in the forms in which models write it. A reader returns [] for other text."""

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
    """`{"name": ..., "arguments": {...}}`, or a list of such objects. Other names of the two fields are understood."""
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
    """As `read_json`, but all calls must be of tools of the request: for JSON that no tags mark as calls."""
    calls = read_json(body, tools)
    return calls if all(call.name in tools for call in calls) else []


def parse_json(text: str) -> Any:
    """The value in `text`, as `parse_value` reads it; None for text that is none."""
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
    """A call if these are a name and an object, else None."""
    if isinstance(name, str) and name and isinstance(arguments, dict):
        return ToolCall(name, arguments)
    return None


# --- a name before JSON ----------------------------------------------------------------------------------------

_DEEPSEEK = (
    re.compile(
        r"\s*<｜tool▁call▁begin｜>function<｜tool▁sep｜>(?P<name>[^\n<]+)\n```json\n(?P<json>.*?)\n```"
        r"\s*<｜tool▁call▁end｜>\s*",
        re.DOTALL,
    ),
    re.compile(
        r"\s*<｜tool▁call▁begin｜>(?P<name>[^<]+)<｜tool▁sep｜>(?P<json>.*?)\s*<｜tool▁call▁end｜>\s*", re.DOTALL
    ),
)
_KIMI = re.compile(
    r"\s*<\|tool_call_begin\|>\s*(?:functions\.)?(?P<name>[^\s:<]+)(?::\d+)?\s*<\|tool_call_argument_begin\|>"
    r"(?P<json>.*?)<\|tool_call_end\|>\s*",
    re.DOTALL,
)
_SOLAR = re.compile(r"[^<]*<\|tool_call:name\|>(?P<name>[^<]+)<\|tool_call:args\|>(?P<json>.*)", re.DOTALL)


def read_deepseek(body: str, _tools: Tools) -> list[ToolCall]:
    """Calls of DeepSeek V3, R1 (JSON in a fence) and V3.1."""
    return _read_sequence(body, *_DEEPSEEK)


def read_kimi(body: str, _tools: Tools) -> list[ToolCall]:
    """Calls of Kimi K2: `functions.NAME:INDEX`, then JSON."""
    return _read_sequence(body, _KIMI)


def read_solar(body: str, _tools: Tools) -> list[ToolCall]:
    """A call of Solar Open: an id, a name, then JSON."""
    return _read_sequence(body, _SOLAR)


def _read_sequence(body: str, *patterns: re.Pattern[str]) -> list[ToolCall]:
    """The calls of which `body` consists; the first of `patterns` that matches finds the name and the JSON of each."""
    calls = []
    position = 0
    while position < len(body):
        found = next((found for pattern in patterns if (found := pattern.match(body, position))), None)
        one = found and call(found["name"].strip(), parse_json(found["json"]))
        if not found or one is None:
            return []
        calls.append(one)
        position = found.end()
    return calls

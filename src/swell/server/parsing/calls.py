"""From the inside of a tool call, as models write it, to calls. Every reader returns no calls for what is none."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from swell.server.parsing.parts import ToolCall
from swell.server.parsing.values import parse_value

Tools = Mapping[str, Mapping[str, Any]]
"""The tools of a request: the JSON schema of each one's arguments, by its name."""

Read = Callable[[str, Tools], list[ToolCall]]
"""Reads what stands between the tags of a call."""

_PYTHON_NAMES = {"true": True, "false": False, "null": None}


def read_json(body: str, _tools: Tools) -> list[ToolCall]:
    """`{"name": ..., "arguments": {...}}`, or a list of such objects. Other names for the two are understood."""
    value = parse_json(body)
    calls = [_call(item) for item in (value if isinstance(value, list) else [value])]
    return [] if None in calls else [call for call in calls if call is not None]


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


def read_deepseek(body: str, _tools: Tools) -> list[ToolCall]:
    """Calls of DeepSeek V3, R1 (JSON in a fence) and V3.1."""
    return _read_sequence(_DEEPSEEK, body)


def read_kimi(body: str, _tools: Tools) -> list[ToolCall]:
    """Calls of Kimi K2: `functions.NAME:INDEX`, then JSON."""
    return _read_sequence(_KIMI, body)


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


_GEMMA = re.compile(r"\s*call:([\w.-]+)\s*(\{.*\})\s*", re.DOTALL)
_GEMMA_STRING = re.compile(r'<\|"\|>(.*?)<\|"\|>|<escape>(.*?)<escape>', re.DOTALL)
_GEMMA_KEY = re.compile(r"([{,]\s*)([A-Za-z_][\w.-]*)\s*:")


def read_gemma(body: str, _tools: Tools) -> list[ToolCall]:
    """`call:NAME{key:value}` of Gemma 4 and FunctionGemma: JSON without quotes, strings between marks."""
    if (found := _GEMMA.fullmatch(body)) is None:
        return []
    strings: list[str] = []

    def keep(string: re.Match[str]) -> str:
        strings.append(string[1] if string[1] is not None else string[2])
        return f'"{len(strings) - 1}"'

    bare = _GEMMA_STRING.sub(keep, found[2])
    value = parse_json(_GEMMA_KEY.sub(r'\1"\2":', bare))
    return _listed(call(found[1], _with_strings(value, strings)))


def _with_strings(value: Any, strings: Sequence[str]) -> Any:
    """`value` with every string, which is a number, replaced by the string of that number."""
    if isinstance(value, dict):
        return {key: _with_strings(item, strings) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_strings(item, strings) for item in value]
    return strings[int(value)] if isinstance(value, str) and value.isdecimal() and int(value) < len(strings) else value


# --- Python ----------------------------------------------------------------------------------------------------


def read_python(body: str, tools: Tools) -> list[ToolCall]:
    """`f(a="x")`, one per line or in a list, as Gemma 3, Llama 4 and LFM2 write it; values are literals."""
    try:
        statements = ast.parse(body.strip()).body
        expressions = [one.value if isinstance(one, ast.Expr) else None for one in statements]
        if len(expressions) == 1 and isinstance(only := expressions[0], ast.List):
            expressions = list(only.elts)
        return [_python_call(one, tools) for one in expressions]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []


def _python_call(node: ast.expr | None, tools: Tools) -> ToolCall:
    """Raises ValueError if it is none."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        raise ValueError("not a call")
    name = ast.unparse(node.func)
    if name == "print" and name not in tools and len(node.args) == 1:
        return _python_call(node.args[0], tools)
    name = name if name in tools else name.removesuffix(".call")
    names = list(tools.get(name, {}).get("properties", {}))
    if len(node.args) > len(names) or any(keyword.arg is None for keyword in node.keywords):
        raise ValueError("an argument without a name")
    arguments = {name: _literal(value) for name, value in zip(names, node.args, strict=False)}
    arguments |= {str(keyword.arg): _literal(keyword.value) for keyword in node.keywords}
    msgspec.json.encode(arguments)  # raises for what JSON doesn't have
    return ToolCall(name, arguments)


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in _PYTHON_NAMES:
        return _PYTHON_NAMES[node.id]
    return ast.literal_eval(node)


def _listed(one: ToolCall | None) -> list[ToolCall]:
    return [] if one is None else [one]

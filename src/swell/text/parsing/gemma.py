"""Calls of Gemma 4 and FunctionGemma: `call:NAME{KEY:VALUE}`, with strings between marks. Pure."""

import re

from swell.text.parsing.arguments import ArgumentsReader, Style
from swell.text.parsing.calls import Tools, read_known_json
from swell.text.parsing.enclosed import JSON_QUOTES, Quotes
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall

MARKS = ('<|"|>', "<escape>")
QUOTES = (*(Quotes(mark, mark) for mark in MARKS), JSON_QUOTES)
_STYLES = {"{": Style(bracket="}", marks=MARKS), "(": Style(bracket=")", marks=MARKS)}
_HEAD = re.compile(r"\s*(call:\s*)?([\w.:/-]+)\s*([{(]?)")


def read_gemma(body: str, tools: Tools) -> list[ToolCall]:
    """The calls that stand between the tags, or JSON."""
    return [call for call, _ in _read(body, tools)] or read_known_json(body, tools)


def read_cut_gemma(body: str, tools: Tools) -> list[ToolCall]:
    """The calls behind an opening tag that isn't closed; none if one of them lacks its end, since it was cut off."""
    calls = _read(body, tools)
    return [] if any(lacks_ends for _, lacks_ends in calls) else [call for call, _ in calls]


def _read(body: str, tools: Tools) -> list[tuple[ToolCall, bool]]:
    """The calls, and of each whether it lacks a bracket, a quote or a mark."""
    calls = []
    position, body = 0, body.rstrip()
    try:
        while position < len(body):
            head = _HEAD.match(body, position)
            name = "" if head is None else tool_name(head[2], tools)
            if head is None or not (head[1] or name in tools):
                return []
            if not head[3]:
                calls.append((ToolCall(name, {}), True))
                position = head.end()
                continue
            arguments = ArgumentsReader(body, head.end(), _STYLES[head[3]], tools.get(name, {}))
            calls.append((ToolCall(name, arguments.read()), arguments.lacks_ends))
            while not arguments.has_bare_strings and arguments.following() in ("}", "]"):
                arguments.position += 1
            position = arguments.position
    except (ValueError, RecursionError):
        return []
    return calls

"""Calls of Mistral: `[TOOL_CALLS]`, then a JSON list, or a name and an object as newer models write it."""

import re

from swell.text.parsing.blocks import Block, Found, Json
from swell.text.parsing.brackets import Brackets
from swell.text.parsing.calls import Tools, meant_call, parse_json, read_json
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall

OPENING, ARGUMENTS, CALL_ID = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"

_LIST = re.compile(r"\[TOOL_CALLS\]\s*(?:```\w{0,20}\s*)?(?=[{\[])")
_HEAD = re.compile(
    r"(?P<tag>\[TOOL_CALLS\])?\s*(?P<name>[\w.:/-]{1,200})\s*(?:\[CALL_ID\]\s*\w*\s*)?"
    r"(?P<mark>\[ARGS\])?\s*(?:```\w{0,20}\s*)?"
)
_BEGUN = re.compile(
    r"(?:\[TOOL_CALLS\])?\s*(?:`{0,3}\w{0,20}\s*|[\w.:/-]{0,200}\s*(?:\[[A-Z_]{0,10}\]?\s*\w*\s*){0,2}`{0,3}\w{0,20}\s*)"
)
"""What may become one of these two."""
_BEGUN_MAX = 400


class Mistral:
    """Reads a list, or one call: from its tag on, or from its name on if that and `[ARGS]` are all that marks it."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._list: Block | None = None
        self._head: re.Match[str] | None = None
        self._value: Brackets | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        if self._list is None and self._head is None:
            if not is_final and len(text) < _BEGUN_MAX and _BEGUN.fullmatch(text):
                return None
            if found := _LIST.match(text):
                self._list = Json(found[0], read_json, self._tools)
            self._head = _HEAD.match(text)
        if self._list is not None:
            return self._list.look(text, is_final=is_final)
        if self._head is None:
            return Found(len(OPENING), [])
        return self._read(text, self._head, is_final=is_final)

    def _read(self, text: str, head: re.Match[str], *, is_final: bool) -> Found | None:
        """The call, which ends with its arguments."""
        start = head.end()
        if self._value is None:
            if not text.startswith(("{", '"') if head["mark"] else "{", start):
                return Found(start, self._without_arguments(text, head))
            self._value = Brackets(start)
        if (end := self._value.find(text)) is None:
            return Found(len(text), []) if is_final else None
        call = meant_call(head["name"], parse_json(text[start:end]), self._tools)
        return Found(end, [] if call is None else [call])

    def _without_arguments(self, text: str, head: re.Match[str]) -> list[ToolCall]:
        """The call of a known tool, if a mark is followed by nothing, or by the next call."""
        is_last = head.end() == len(text) or text.startswith(OPENING, head.end())
        name = tool_name(head["name"], self._tools)
        return [ToolCall(name, {})] if head["mark"] and is_last and name in self._tools else []

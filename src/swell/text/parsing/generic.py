"""Calls that aren't written as their model's template shows it, or of models whose template shows only a tag."""

import re
from typing import Any

from swell.text.parsing.blocks import Block, Found
from swell.text.parsing.brackets import Brackets
from swell.text.parsing.calls import Tools, meant_call, parse_json
from swell.text.parsing.enclosed import PYTHON_QUOTES, Enclosed, Enclosure
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall
from swell.text.parsing.python import read_cut_python, read_python
from swell.text.stream import any_of


class NamedCall:
    """The name of a tool, and an object with arguments, in any order and with anything around them."""

    def __init__(self, opening: str, tools: Tools) -> None:
        self._start = self._searched = len(opening)
        self._names = sorted(tools)
        self._longest = max(map(len, tools), default=0)
        self._pattern = any_of(tools)
        self._object: Brackets | None = None
        self._object_end: int | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        name = self._pattern.search(text, self._searched)
        if name is None:
            self._searched = max(self._searched, len(text) - self._longest)
        if name is None or (not is_final and name.end() == len(text) and self._may_go_on(name[0])):
            return Found(len(text), []) if is_final else None
        start = text.find("{", self._start)
        if self._object is None and start >= 0:
            self._object = Brackets(start)
        if self._object is not None and self._object_end is None:
            self._object_end = self._object.find(text)
        if self._object is None or self._object_end is None:
            return Found(len(text), []) if is_final else None
        value = parse_json(text[self._object.start : self._object_end])
        end = max(name.end(), self._object_end)
        return Found(end, [ToolCall(name[0], _arguments(value, name[0]))] if isinstance(value, dict) else [])

    def _may_go_on(self, name: str) -> bool:
        return any(one != name and one.startswith(name) for one in self._names)


class Unopened:
    """Reads with `block` a call that may lack its opening tag. Then it must end with `closing`."""

    def __init__(self, opening: str, closing: str, block: Block) -> None:
        self._opening = opening
        self._closing = closing
        self._block = block

    def look(self, text: str, *, is_final: bool) -> Found | None:
        if text.startswith(self._opening):
            return self._block.look(text, is_final=is_final)
        if (found := self._block.look(self._opening + text, is_final=is_final)) is None:
            return None
        length = max(found.length - len(self._opening), 1)
        is_closed = text[:length].rstrip().endswith(self._closing)
        return Found(length, found.calls if is_closed else [])


class NameFirst:
    """Reads a call between tags that begins with a tool's name, before JSON or before arguments as in Python.

    Whatever else there is between the tags is left to `otherwise`.
    """

    _HEAD = re.compile(r"\s*(?P<name>[\w.:/-]{1,200})\s{0,200}(?P<bracket>[{(])")
    _BEGUN = re.compile(r"\s*[\w.:/-]{0,200}\s{0,200}")

    def __init__(self, opening: str, closing: str, tools: Tools, *, otherwise: Block) -> None:
        self._opening = opening
        self._closing = closing
        self._tools = tools
        self._otherwise = otherwise
        self._chosen: Block | None = None
        self._name = ""
        self._value: Brackets | None = None
        self._end: int | None = None
        """Where the value ends, once that is known."""

    def look(self, text: str, *, is_final: bool) -> Found | None:
        if self._chosen is None and self._value is None:
            start = len(self._opening)
            if not is_final and self._BEGUN.fullmatch(text, start):
                return None
            head = self._HEAD.match(text, start)
            if head is None or tool_name(head["name"], self._tools) not in self._tools:
                self._chosen = self._otherwise
            elif head["bracket"] == "{":
                self._name, self._value = head["name"], Brackets(head.end() - 1, (self._opening, self._closing))
            else:
                tags = self._opening, self._closing
                self._chosen = Enclosed(Enclosure(*tags, PYTHON_QUOTES, read_python, read_cut_python), self._tools)
        if self._value is None:
            return None if self._chosen is None else self._chosen.look(text, is_final=is_final)
        return self._read(text, self._value, is_final=is_final)

    def _read(self, text: str, value: Brackets, *, is_final: bool) -> Found | None:
        if self._end is None:
            self._end = value.find(text)
        if (end := self._end) is None:
            return Found(len(text), []) if is_final else None
        rest = text[end : end + 200].lstrip(" \t\r\n}")
        if not is_final and len(rest) < len(self._closing) and self._closing.startswith(rest):
            return None
        call = meant_call(self._name, parse_json(value.closed(text, end)), self._tools)
        is_all = rest.startswith(self._closing) or not text[end:].strip()
        return Found(end, [call] if call is not None and is_all else [])


def _arguments(value: dict[str, Any], name: str) -> dict[str, Any]:
    """The arguments of the tool `name` in an object: what is called so, at any depth, or the object itself."""
    found = _find(value, name)
    if found is not None:
        return found
    return {} if value == {"name": name} else value


def _find(value: Any, name: str) -> dict[str, Any] | None:
    if isinstance(value, dict):
        for key in ("arguments", "parameters"):
            if value.get("name") == name and (found := _as_object(value.get(key))) is not None:
                return found
        if (found := _as_object(value.get(name))) is not None:
            return found
        value = list(value.values())
    if isinstance(value, list):
        return next((found for one in value if (found := _find(one, name)) is not None), None)
    return None


def _as_object(value: Any) -> dict[str, Any] | None:
    value = parse_json(value) if isinstance(value, str) else value
    return value if isinstance(value, dict) else None

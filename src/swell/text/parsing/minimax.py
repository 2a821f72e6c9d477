"""Calls of MiniMax M3: elements that may hold others, a mark before each of their tags, so that values hold no tags."""

import re
from typing import Any

from swell.text.parsing.calls import Tools, call
from swell.text.parsing.coercion import declared, fitted
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall
from swell.text.parsing.values import parse_value

MARK = "]<]minimax[>["
OPENING, CLOSING = f"{MARK}<tool_call>", f"{MARK}</tool_call>"

_TAG = re.compile(re.escape(MARK) + r"<(?P<end>/?)(?P<name>[^<>\s]+)(?:\s+name=[\"']?(?P<tool>[^\"'<>]+)[\"']?)?\s*>")
_DEPTH_MAX = 100


class _Element:
    """An element with the text and the elements in it."""

    def __init__(self, name: str, tool: str | None = None) -> None:
        self.name = name
        self.tool = tool
        self.text = ""
        self.inner: list[_Element] = []

    def value(self, schema: Any = None) -> Any:
        """Its text, which may be JSON unless `schema` wants a string; its items as a list; or an object."""
        if not self.inner:
            return self._plain(schema)
        if all(one.name == "item" for one in self.inner):
            return [one.value(_part(schema, "items")) for one in self.inner]
        return self.members(_part(schema, "properties"))

    def members(self, schemas: Any) -> dict[str, Any]:
        """The values of the elements in it by their names; those of the same name are a list."""
        values: dict[str, list[Any]] = {}
        for one in self.inner:
            values.setdefault(one.name, []).append(one.value(_part(schemas, one.name)))
        return {name: found[0] if len(found) == 1 else found for name, found in values.items()}

    def _plain(self, schema: Any) -> Any:
        if _part(schema, "type") == "string":
            return self.text
        try:
            return parse_value(self.text)
        except ValueError:
            return self.text


def read_minimax(body: str, tools: Tools) -> list[ToolCall]:
    """The calls between the tags; none if an element isn't closed, or if there is text between the calls."""
    root = _tree(body)
    if root is None or root.text.strip():
        return []
    calls = [_call(one, tools) for one in root.inner]
    return [] if None in calls else [one for one in calls if one is not None]


def _call(element: _Element, tools: Tools) -> ToolCall | None:
    if element.tool is None or (element.inner and element.text.strip()):
        return None
    name = tool_name(element.tool, tools)
    return call(name, fitted(element.members(declared(tools.get(name))), tools.get(name)))


def _tree(body: str) -> _Element | None:
    """The elements in `body`, in one that stands around all; None if their tags don't fit."""
    root = _Element("")
    around, position = [root], 0
    for tag in _TAG.finditer(body):
        around[-1].text += body[position : tag.start()]
        position = tag.end()
        if not tag["end"]:
            around[-1].inner.append(_Element(tag["name"], tag["tool"]))
            around.append(around[-1].inner[-1])
        elif around[-1].name == tag["name"] and len(around) > 1:
            around.pop()
        else:
            return None
        if len(around) > _DEPTH_MAX:
            return None
    root.text += body[position:]
    return root if len(around) == 1 else None


def _part(schema: Any, key: str) -> Any:
    return schema.get(key) if isinstance(schema, dict) else None

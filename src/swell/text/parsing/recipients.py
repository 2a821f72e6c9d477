"""Calls of Functionary 3.2: `>>>NAME`, and from the next line on a JSON object."""

import re

from swell.text.parsing.blocks import Block, Found, Json
from swell.text.parsing.calls import Tools, call, parse_json
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall


class Recipient:
    """A call if the name is that of a tool: `>>>` is also what Python's prompt looks like."""

    OPENING = ">>>"
    _LINE = re.compile(r">>>([\w.:/-]{1,200}) {0,4}\n")
    _BEGUN = re.compile(r">>>[\w.:/-]{0,200} {0,4}")

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._arguments: Block | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        if self._arguments is None:
            line = self._LINE.match(text)
            if line is None and not is_final and self._BEGUN.fullmatch(text):
                return None
            name = "" if line is None else tool_name(line[1], self._tools)
            if line is None or name not in self._tools:
                return Found(len(self.OPENING), [])
            self._arguments = Json(line[0], lambda body, _: _listed(name, body), self._tools)
        return self._arguments.look(text, is_final=is_final)


def _listed(name: str, body: str) -> list[ToolCall]:
    """The call of `name` with the arguments in `body`; no calls if these are no object."""
    one = call(name, parse_json(body))
    return [] if one is None else [one]

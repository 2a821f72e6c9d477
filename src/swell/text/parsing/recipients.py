"""Calls of Functionary 3.2: `>>>NAME`, and from the next line on a JSON object."""

import re

from swell.text.parsing.blocks import Arguments, Found
from swell.text.parsing.calls import Tools
from swell.text.parsing.names import tool_name


class Recipient:
    """A call if the name is that of a tool: `>>>` is also what Python's prompt looks like."""

    OPENING = ">>>"
    _HEAD = re.compile(r">>>([\w.:/-]{1,200}) {0,4}\n\s{0,200}(?=\{)")
    _BEGUN = re.compile(r">>>[\w.:/-]{0,200} {0,4}(?:\n\s{0,200})?")

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._arguments: Arguments | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        if self._arguments is None:
            head = self._HEAD.match(text)
            if head is None and not is_final and self._BEGUN.fullmatch(text):
                return None
            name = "" if head is None else tool_name(head[1], self._tools)
            if head is None or name not in self._tools:
                return Found(len(self.OPENING), [])
            self._arguments = Arguments(name, head.end())
        return self._arguments.look(text, is_final=is_final)

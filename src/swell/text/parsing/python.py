"""Calls that look like Python's: `f(a="x")`, one per line or in a list, of Gemma 3, Llama 4, LFM2 and Olmo 3. Pure.

Values are literals of Python or JSON; names of tools and arguments may be words that Python doesn't allow there.
"""

import re
from collections.abc import Callable, Sequence

from swell.text.parsing.arguments import ArgumentsReader, Style
from swell.text.parsing.blocks import Block, Found
from swell.text.parsing.calls import Tools, read_json
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall
from swell.text.stream import match_end

_STYLE = Style(bracket=")")
_HEAD = re.compile(r"\s*([A-Za-z_][\w.:/-]*)\s*\(")
_BLANK = re.compile(r"\s*")


def read_python(body: str, tools: Tools) -> list[ToolCall]:
    """The calls that stand between the tags. LFM2 can be told to write JSON there."""
    return _CallsReader(body, tools).read() or read_json(body, tools)


def read_cut_python(body: str, tools: Tools) -> list[ToolCall]:
    """The calls behind an opening tag that isn't closed; none if one of them lacks its end, since it was cut off."""
    calls = _CallsReader(body, tools)
    found = calls.read()
    return [] if calls.lacks_ends else found or read_json(body, tools)


def read_known_python(body: str, tools: Tools) -> list[ToolCall]:
    """As `read_cut_python`, but all calls must be of tools of the request: what stands there may be a program."""
    found = read_cut_python(body, tools)
    return found if all(call.name in tools for call in found) else []


class _CallsReader:
    """Reads all calls of `body`, or none if it holds anything else."""

    def __init__(self, body: str, tools: Tools) -> None:
        self._body = body
        self._tools = tools
        self._position = 0
        self._outer: Sequence[str] = ()
        self.lacks_ends = False

    def read(self) -> list[ToolCall]:
        calls = []
        try:
            if self._take("["):
                self._outer = ("]",)
            while self._following() not in ("", "]"):
                calls.append(self._call())
                self._take(",") or self._take(";")
            if self._outer and not self._take("]"):
                self.lacks_ends = True
        except (ValueError, RecursionError):
            return []
        return [] if self._following() else calls

    def _call(self) -> ToolCall:
        head = _HEAD.match(self._body, self._position)
        if head is None:
            raise ValueError("no call")
        name = self._name(head[1])
        self._position = head.end()
        if name == "print" and name not in self._tools:
            call = self._call()
            self._take(")")
            return call
        arguments = ArgumentsReader(self._body, head.end(), _STYLE, self._tools.get(name, {}), self._outer)
        call = ToolCall(name, arguments.read())
        self._position = arguments.position
        self.lacks_ends |= arguments.lacks_ends
        return call

    def _name(self, written: str) -> str:
        return tool_name(written if written in self._tools else written.removesuffix(".call"), self._tools)

    def _following(self) -> str:
        """The next character that isn't blank; "" at the end."""
        self._position = match_end(_BLANK, self._body, self._position)
        return self._body[self._position : self._position + 1]

    def _take(self, character: str) -> bool:
        """Step over `character` if it is next; whether it was."""
        found = self._following() == character
        self._position += found
        return found


class BareList:
    """A list of calls of known tools that no tags mark. It ends where its bracket is closed.

    Text that doesn't begin with a bracket and the name of a tool is left to the block `otherwise`.
    """

    _HEAD = re.compile(r"\[\s*([\w.:/-]{0,200})\s*(.?)", re.DOTALL)
    _MARKS = re.compile(r"""\\.|["'\[\](){}]""", re.DOTALL)

    def __init__(self, tools: Tools, otherwise: Block) -> None:
        self._tools = tools
        self._otherwise = otherwise
        self._look: Callable[..., Found | None] = self._look_at_head
        self._position = 0
        self._depth = 0
        self._quote = ""

    def look(self, text: str, *, is_final: bool) -> Found | None:
        return self._look(text, is_final=is_final)

    def _look_at_head(self, text: str, *, is_final: bool) -> Found | None:
        head = self._HEAD.match(text)
        if head and not head[2] and not is_final:
            return None
        is_call = head is not None and head[2] == "(" and tool_name(head[1], self._tools) in self._tools
        self._look = self._look_at_list if is_call else self._otherwise.look
        return self._look(text, is_final=is_final)

    def _look_at_list(self, text: str, *, is_final: bool) -> Found | None:
        end = self._end(text)
        if end is None:
            if not is_final:
                return None
            end = len(text)
        return Found(end, read_known_python(text[:end], self._tools))

    def _end(self, text: str) -> int | None:
        """The position after the closing bracket of the list; looks only at what it hasn't looked at before."""
        for mark in self._MARKS.finditer(text, self._position):
            self._position = mark.end()
            if self._quote:
                self._quote = "" if mark[0] == self._quote else self._quote
            elif mark[0] in ('"', "'"):
                self._quote = mark[0]
            elif mark[0] in "[](){}":
                self._depth += 1 if mark[0] in "[({" else -1
                if self._depth == 0:
                    return mark.end()
        self._position = max(self._position, len(text) - text.endswith("\\"))
        return None

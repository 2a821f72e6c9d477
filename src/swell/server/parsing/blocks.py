"""Where a tool call begins and ends in the stream of text."""

import re
from typing import NamedTuple, Protocol

from swell.server.parsing.calls import Read, Tools, call, parse_json, read_json
from swell.server.parsing.parts import ToolCall


class Found(NamedTuple):
    """The first `length` characters are settled: they are `calls`, or text where there are none."""

    length: int
    calls: list[ToolCall]


class Block(Protocol):
    """What may be a call, from its opening tag on."""

    def look(self, text: str, *, is_final: bool) -> Found | None:
        """Settles what `text`, which grows from call to call, begins with; None while more is needed."""
        ...


class Tagged:
    """Ends at a closing tag, or where the output ends."""

    def __init__(self, opening: str, closing: str, read: Read, tools: Tools, *, keeps_tags: bool = False) -> None:
        """`keeps_tags`: the tags belong to what is read."""
        self._opening = opening
        self._closing = closing
        self._read = read
        self._tools = tools
        self._keeps_tags = keeps_tags
        self._searched = len(opening)

    def look(self, text: str, *, is_final: bool) -> Found | None:
        """A closing tag inside a JSON string, say of a file that is written, doesn't count."""
        while (end := text.find(self._closing, self._searched)) >= 0:
            body = text[len(self._opening) : end]
            self._searched = end + len(self._closing)
            if not _is_within_string(body):
                return Found(self._searched, self._read(self._whole(body), self._tools))
        self._searched = max(self._searched, len(text) - len(self._closing) + 1)
        if not is_final:
            return None
        return Found(len(text), self._read(self._whole(text[len(self._opening) :]), self._tools))

    def _whole(self, body: str) -> str:
        return self._opening + body + self._closing if self._keeps_tags else body


_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _is_within_string(body: str) -> bool:
    """Whether JSON that breaks off here breaks off inside a string."""
    return body.lstrip().startswith(("{", "[")) and '"' in _STRINGS.sub("", body)


class Json:
    """A JSON value right after the opening tag, which may be empty; ends where the value ends."""

    def __init__(self, opening: str, read: Read, tools: Tools) -> None:
        self._opening = opening
        self._read = read
        self._tools = tools
        self._end: _JsonEnd | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        start = len(self._opening)
        if self._end is None:
            rest = text[start:].lstrip()
            if rest:
                if rest[0] not in "{[":
                    return Found(start or len(text), [])
                self._end = _JsonEnd(len(text) - len(rest))
        end = None if self._end is None else self._end.find(text)
        if end is None:
            return Found(len(text), []) if is_final else None
        return Found(end, self._read(text[start:end], self._tools))


class Mistral:
    """`[TOOL_CALLS]` with a JSON list, or with a name and an object as newer models write it."""

    OPENING = "[TOOL_CALLS]"
    _NAME = re.compile(r"\s*([\w.-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*")
    _NAME_MAX = 200

    def __init__(self, tools: Tools) -> None:
        self._list = Json(self.OPENING, read_json, tools)
        self._end: _JsonEnd | None = None
        self._name: str | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        rest = text[len(self.OPENING) :]
        if not rest.strip() or rest.lstrip()[0] in "{[":
            return self._list.look(text, is_final=is_final)
        if self._end is None:
            name, brace, _ = rest.partition("{")
            found = self._NAME.fullmatch(name)
            if (brace and found is None) or len(name) > self._NAME_MAX or (is_final and not brace):
                return Found(len(self.OPENING), [])
            if not brace or found is None:
                return None
            self._name, self._end = found[1], _JsonEnd(len(self.OPENING) + len(name))
        start, end = self._end.start, self._end.find(text)
        if end is None:
            return Found(len(text), []) if is_final else None
        one = call(self._name, parse_json(text[start:end]))
        return Found(end, [] if one is None else [one])


class _JsonEnd:
    """Looks for the end of the JSON object or list that begins at `start` of a text that grows."""

    _MARKS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)

    def __init__(self, start: int) -> None:
        self.start = start
        self._position = start
        self._depth = 0
        self._is_in_string = False

    def find(self, text: str) -> int | None:
        """The position after the end; None while the value is incomplete. Reads only what it hasn't read before."""
        for mark in self._MARKS.finditer(text, self._position):
            self._position = mark.end()
            if mark[0] == '"':
                self._is_in_string = not self._is_in_string
            elif not self._is_in_string and mark[0] in "{}[]":
                self._depth += 1 if mark[0] in "{[" else -1
                if self._depth == 0:
                    return mark.end()
        self._position = max(self._position, len(text) - text.endswith("\\"))
        return None

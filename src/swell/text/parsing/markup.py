"""Calls whose arguments are plain text between tags. A tag within a value isn't escaped: its place tells what it is.

A tag closes a value only if the text goes on as it must after the end of a value: with more closing tags, the next
argument, the next call, or not at all. In every other place it is part of the value, and so is what closes a call that
the value itself contains. Where the text can be read in two ways there is no call.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from swell.text.parsing.blocks import Found
from swell.text.parsing.brackets import Brackets
from swell.text.parsing.calls import Tools, parse_json
from swell.text.parsing.coercion import coerced, declared
from swell.text.parsing.parts import ToolCall


@dataclass(frozen=True)
class Markup:
    """How a format marks calls and their arguments.

    `tags` finds a tag. Its last group says what it is: `block` opens a block of calls, `name` a call of that name,
    `key` an argument of that name, and `end1` to `end3` close what has that `_TagLevel`. A line break that a tag
    matches is no part of a value. `begun` matches the end of a text that may become a tag when it grows; at most
    `_BEGUN_MAX` characters.
    """

    tags: re.Pattern[str]
    begun: re.Pattern[str]


_NAME = re.compile(r"\w(?:[\w.:/-]*\w)?")
_BEGUN_MAX = 1000
_TAG_BEGUN = r"(?:<[^<>\n]{0,200})?\Z"
_LINE_BREAK = r"(?:\r?\n)?"

FUNCTION = Markup(
    re.compile(
        r"(?P<block><(?:seed:)?tool_call>)"
        r"|<function(?:\s+name)?\s*=\s*[\"']?(?P<name>[^<>\s\"']{1,200})[\"']?(?:\s*>|(?=\s{1,9}<parameter))"
        rf"|{_LINE_BREAK}<parameter(?:\s+name)?\s*=\s*[\"']?(?P<key>[^<>\n\"']{{1,200}})[\"']?\s*?(?:>{_LINE_BREAK}|\r?\n)"
        rf"|{_LINE_BREAK}(?:(?P<end1></parameter(?:=[^<>\n]{{1,200}})?>)|(?P<end2></function(?:=[^<>\n]{{1,200}}|_invocation)?>)"
        r"|(?P<end3></(?:seed:)?tool_call>))"
    ),
    re.compile(r"\r?\n?(?:<function[^<>\n]{0,200}\s{1,9})?" + _TAG_BEGUN),
)
"""`<function=NAME>` and `<parameter=KEY>` of Qwen 3 Coder, Nemotron and Seed. Names may be quoted, or lack `>`."""

KEYS = Markup(
    re.compile(
        r"<tool_call>\s{0,9}(?P<name>[^\s<]{1,200})(?=\s{0,9}<)"
        r"|(?P<block><tool_call>)"
        rf"|{_LINE_BREAK}<arg_key>(?P<key>[^<]{{1,200}})(?:</?arg_key>\s{{0,9}}){{0,4}}<arg_value>"
        rf"|(?P<end1></arg_value>)|{_LINE_BREAK}(?P<end3></tool_call>)"
    ),
    re.compile(
        r"\r?\n?(?:<tool_call>\s{0,9}[^\s<]{0,200}\s{0,9}|<arg_key>[^<]{0,200}(?:</?arg_key>\s{0,9}){0,4})?"
        + _TAG_BEGUN
    ),
)
"""A name, then `<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`, of GLM."""


class _TagLevel(IntEnum):
    """What a tag closes, from the inside out."""

    ARGUMENT = 1
    CALL = 2
    BLOCK = 3


@dataclass
class _ClosingTags:
    """Closing tags from `start` to `end` of the text, from the inside out, with nothing between them."""

    start: int
    end: int
    first: _TagLevel
    last: _TagLevel
    of_inner: bool
    """Whether they close what tags in the value have opened."""

    @property
    def is_complete(self) -> bool:
        """Whether they close the argument and at least its call."""
        return self.first == _TagLevel.ARGUMENT < self.last


@dataclass
class _Value:
    """A value that begins at `start` of the text and hasn't certainly ended."""

    key: str
    start: int
    follows_unclosed: bool
    """Whether no tag closed the value before it, so that its own opening tag may be part of that."""
    inner: list[_TagLevel] = field(default_factory=list)
    """What tags in the value have opened and not closed, the innermost last."""
    closing: _ClosingTags | None = None
    """The closing tags after which only blank space came so far."""
    has_text: bool = False
    """Whether anything but blank space was read."""
    ends: list[_ClosingTags] = field(default_factory=list)
    """Closing tags at which the call has ended, unless the text after them is part of the value."""
    has_inner_blocks: bool = False
    """Whether another block came after closing tags of an inner one: these may have been the value's own."""

    def close(self, level: _TagLevel, start: int, end: int) -> None:
        """A closing tag stands from `start` to `end` of the text."""
        depth = len(self.inner)
        while self.inner and self.inner[-1] <= level:
            self.inner.pop()
        is_inner = len(self.inner) < depth
        closing = self.closing
        if closing is not None and (closing.last < level or (closing.last == level and closing.of_inner == is_inner)):
            closing.end, closing.last = end, level
        else:
            self.closing = _ClosingTags(start, end, level, level, is_inner)

    def open(self, level: _TagLevel) -> None:
        """An opening tag follows that is part of the value."""
        self.closing, self.has_text = None, True
        self.inner.append(level)

    def go_on(self) -> None:
        """Other text follows: closing tags before it are part of the value, or were the end of the call."""
        self.has_text = True
        if self.closing is not None and self.closing.is_complete and not self.closing.of_inner:
            self.ends.append(self.closing)
        self.closing = None

    def end(self) -> _ClosingTags | None:
        """What closed the value if the text ends here or another block begins; None if that isn't certain."""
        closing = self.closing
        if closing is not None and closing.of_inner and (self.ends or self.has_inner_blocks):
            return None
        if closing is not None and (closing.is_complete or not self.ends):
            return closing
        return self.ends[0] if len(self.ends) == 1 else None


class MarkedCall:
    """A block that reads one call, from its own opening tag or that of its block on."""

    def __init__(self, markup: Markup, tools: Tools) -> None:
        self._markup = markup
        self._tools = tools
        self._position = 0
        """Up to where the text is read."""
        self._name = ""
        self._declared: Collection[str] = ()
        self._texts: dict[str, str] = {}
        self._value: _Value | None = None
        self._mentioned: set[str] = set()
        """Names of arguments whose opening tags stand amid a value and may be part of it."""
        self._object: Brackets | None = None
        """The JSON object with all arguments that may stand in place of tags."""
        self._given: dict[str, Any] | None = None
        """The arguments in that object, once it is complete."""

    def look(self, text: str, *, is_final: bool) -> Found | None:
        while True:
            if self._object is not None and self._given is None:
                if (end := self._object.find(text)) is None:
                    return Found(len(text), []) if is_final else None
                self._position, self._given = end, parse_json(text[self._object.start : end])
                if not isinstance(self._given, dict):
                    return Found(end, [])
            tag, limit = self._next_tag(text, is_final=is_final)
            start, self._position = self._position, limit
            if (other := text[start:limit]) and not other.isspace():
                if found := self._read_other(text, limit - len(other.lstrip())):
                    return found
                if self._object is not None and self._given is None:
                    continue
            if tag is None:
                return self._finish(text) if is_final else None
            self._position = tag.end()
            if found := self._read_tag(text, tag):
                return found

    def _next_tag(self, text: str, *, is_final: bool) -> tuple[re.Match[str] | None, int]:
        """The next tag and where it begins; or None and where the text ends, or what may become a tag begins."""
        tag = self._markup.tags.search(text, self._position)
        limit = len(text)
        if not is_final and (begun := self._markup.begun.search(text, max(self._position, limit - _BEGUN_MAX))):
            limit = begun.start()
        if tag is not None and tag.start() < limit and (is_final or text[tag.end() : tag.end() + 2] not in ("", "\r")):
            return tag, tag.start()
        return None, limit if tag is None else min(limit, tag.start())

    def _read_other(self, text: str, start: int) -> Found | None:
        """Read text that is no tag and begins at `start`. Like all `_read` methods it returns what that settles."""
        if self._value is not None:
            self._value.go_on()
        elif self._name and text[start] == "{":
            self._object = Brackets(start)
            self._position = start
        else:
            return Found(max(start, 1), [])
        return None

    def _read_tag(self, text: str, tag: re.Match[str]) -> Found | None:
        match tag.lastgroup:
            case "name":
                return self._read_call(text, tag)
            case "block":
                closing = None if self._value is None else self._value.closing
                # a closing tag before it counts only if a call follows
                return self._read_block(text, tag) if closing is None or closing.of_inner else None
            case "key":
                return self._read_argument(text, tag)
        level = _TagLevel(int(str(tag.lastgroup)[-1]))
        if self._value is not None:
            self._value.close(level, tag.start(), tag.end())
            return None
        if self._name and level == _TagLevel.ARGUMENT:
            return None  # closed twice
        return Found(tag.end(), self._calls() if self._name else [])

    def _read_call(self, text: str, tag: re.Match[str]) -> Found | None:
        if (value := self._value) is not None:
            if self._is_call(tag["name"], value.closing):
                if found := self._read_block(text, tag):
                    return found
            else:
                value.go_on()
            value.open(_TagLevel.CALL)
            return None
        if not self._name:
            self._name = tag["name"]
            self._declared = declared(self._tools.get(self._name))
        elif tag["name"] != self._name or self._given is not None:
            return self._read_block(text, tag)
        return None

    def _is_call(self, name: str, closing: _ClosingTags | None) -> bool:
        """Whether the call of `name` that `closing` tags precede can be one; else it is part of a value."""
        if closing is not None and closing.is_complete:
            return _NAME.fullmatch(name) is not None
        return name in self._tools

    def _read_block(self, text: str, tag: re.Match[str]) -> Found | None:
        """Read a tag with which another block begins, after the call or within a value."""
        if (value := self._value) is None:
            if not self._name:
                return None
            return Found(tag.start(), [] if self._given is None else self._calls())
        if value.closing is not None and value.closing.of_inner:
            value.has_inner_blocks = True
        elif value.closing is not None or value.ends:
            return self._end(text, value, tag.start())
        value.closing = None
        return None

    def _read_argument(self, text: str, tag: re.Match[str]) -> Found | None:
        key = tag["key"].strip()
        if (value := self._value) is None:
            if not self._name or self._given is not None:
                return Found(tag.end(), [])
            self._value = _Value(key, tag.end(), follows_unclosed=False)
            return None
        is_given = key == value.key or key in self._texts
        is_own = not is_given and key in self._declared and _TagLevel.CALL not in value.inner
        if value.closing is not None and (is_own or not value.closing.of_inner):
            if is_given:
                return Found(tag.end(), [])
            self._next_value(text, value.closing.start, _Value(key, tag.end(), follows_unclosed=False))
            return None
        if value.closing is None and not value.inner:
            if key == value.key and not value.has_text:
                value.start = tag.end()  # opened twice
                return None
            if key == value.key and value.follows_unclosed:
                return Found(tag.end(), [])
            if not is_given and (not self._declared or key in self._declared):
                if tag[0].startswith("\n"):
                    self._next_value(text, tag.start(), _Value(key, tag.end(), follows_unclosed=True))
                else:
                    self._mentioned.add(key)
                return None
        value.open(_TagLevel.ARGUMENT)
        return None

    def _next_value(self, text: str, end: int, following: _Value | None) -> None:
        if self._value is not None:
            self._texts[self._value.key] = text[self._value.start : end]
        self._value = following

    def _finish(self, text: str) -> Found:
        if self._value is not None:
            return self._end(text, self._value, len(text))
        return Found(len(text), [] if self._given is None else self._calls())

    def _end(self, text: str, value: _Value, position: int) -> Found:
        """The call, if it ends before `position` of the text for certain; else all up to there is text."""
        if (closing := value.end()) is None:
            return Found(position, [])
        self._next_value(text, closing.start, None)
        return Found(closing.end, [] if self._mentioned - self._texts.keys() else self._calls())

    def _calls(self) -> list[ToolCall]:
        texts = coerced(self._texts, self._tools.get(self._name))
        return [ToolCall(self._name, texts if self._given is None else self._given)]

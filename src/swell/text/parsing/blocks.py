"""Where tool calls end in a text that grows."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from swell.text.parsing.brackets import Brackets
from swell.text.parsing.calls import Read, Tools, call, parse_json
from swell.text.parsing.parts import ToolCall
from swell.text.stream import match_end


class Found(NamedTuple):
    """What the first `length` characters of a text are: `calls`, or plain text if there are none."""

    length: int
    calls: list[ToolCall]


class Block(Protocol):
    """Reads what may be calls, from their opening tag on. Each block is used once."""

    def look(self, text: str, *, is_final: bool) -> Found | None:
        """What `text` begins with; None while more of it is needed.

        `text` is that of the time before with more at its end; `is_final` means that no more follows.
        """
        ...


class Json:
    """Calls in a JSON value right after the opening tag, which may be empty. They end where the value ends."""

    def __init__(self, opening: str, read: Read, tools: Tools) -> None:
        self._opening = opening
        self._read = read
        self._tools = tools
        self._value: Brackets | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        start = len(self._opening)
        if self._value is None:
            rest = text[start:].lstrip()
            if rest:
                if rest[0] not in "{[":
                    return Found(start or len(text), [])
                self._value = Brackets(len(text) - len(rest))
        end = None if self._value is None else self._value.find(text)
        if end is None and is_final and self._value is not None and self._value.lacks_only_the_last(text):
            end = len(text)
        if self._value is None or end is None:
            return Found(len(text), []) if is_final else None
        return Found(end, self._read(self._value.closed(text, end), self._tools))


class Arguments:
    """The JSON object with the arguments of `name`, from `start` on.

    One that lacks its end makes no call, even if only the last bracket is missing: there may have been more arguments.
    """

    def __init__(self, name: str, start: int) -> None:
        self._name = name
        self._value = Brackets(start)

    def look(self, text: str, *, is_final: bool) -> Found | None:
        start, end = self._value.start, self._value.find(text)
        if end is None:
            return Found(len(text), []) if is_final else None
        one = call(self._name, parse_json(text[start:end]))
        return Found(end, [] if one is None else [one])


_BLANK = re.compile(r"\s*")


class TaggedJson:
    """Calls in JSON values between tags, perhaps in a fence, up to the closing tag or before the next opening one.

    What means nothing between the values is skipped: tags written twice, commas, brackets too many. Whole calls also
    end before other text, unless that looks like more of them. If a string is never closed, a tag in it may be the end.
    """

    _AFTER = re.compile(r"[\s;,}\]]*")
    _FENCE = re.compile(r"(?:```\w{0,20}\s*)?")

    def __init__(self, opening: str, closing: str, read: Read, tools: Tools) -> None:
        self._opening = opening
        self._closing = closing
        self._read = read
        self._tools = tools
        self._calls: list[ToolCall] = []
        self._position = self._whole = len(opening)
        """Up to where all is read, and where the last call ends."""
        self._value: Brackets | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        while True:
            if self._value is None and (found := self._begin(text)):
                return found
            if self._value is None:
                return Found(len(text), self._calls) if is_final else None
            end = self._value.find(text)
            if end is None and not is_final:
                return None
            if end is None and not self._value.lacks_only_the_last(text):
                return self._unclosed(text, self._value.start)
            end = len(text) if end is None else end
            calls = self._read(self._value.closed(text, end), self._tools)
            if not calls:
                return Found(end, [])
            self._calls += calls
            self._position = self._whole = end
            self._value = None

    def _unclosed(self, text: str, start: int) -> Found:
        """The calls in `text`, which is all there is, and of which the last value begins at `start` and has no end."""
        place = text.find(self._closing, start)
        if place >= 0 and (calls := self._read(text[start:place], self._tools)):
            return Found(place + len(self._closing), self._calls + calls)
        return Found(self._whole, self._calls) if self._calls else Found(len(text), [])

    def _begin(self, text: str) -> Found | None:
        """Begin the next value, or return what was found where there is none. Does neither while that isn't certain."""
        start = self._position
        while True:
            start = self._position = match_end(self._AFTER if self._calls else _BLANK, text, start)
            if not text.startswith(self._opening, start) or self._calls:
                break
            start += len(self._opening)
        start = match_end(_BLANK, text, match_end(self._FENCE, text, start))
        rest = text[start : start + max(len(self._opening), len(self._closing))]
        if rest.startswith(self._closing):
            return Found(start + len(self._closing), self._calls)
        if rest.startswith(self._opening):
            return Found(start, self._calls)
        if rest[:1] in ("{", "["):
            self._value = Brackets(start, (self._opening, self._closing))
        elif not any(tag.startswith(rest) for tag in (self._opening, self._closing, "```")):
            is_more = rest[:1] in ('"', "'", ":") or "," in text[self._whole : start]
            return Found(start, []) if is_more or not self._calls else Found(self._whole, self._calls)
        return None


class BlockChoice:
    """Chooses the block by what follows `opening`, which may be written twice; if nothing fits, the block for ""."""

    def __init__(self, opening: str, blocks: Mapping[str, Callable[[], Block]]) -> None:
        self._opening = opening
        self._blocks = blocks
        self._position = len(opening)
        self._chosen: Block | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        while self._chosen is None:
            self._position = match_end(_BLANK, text, self._position)
            rest = text[self._position : self._position + max(map(len, (self._opening, *self._blocks)))]
            if self._opening and rest.startswith(self._opening):
                self._position += len(self._opening)
            elif not is_final and any(
                len(rest) < len(one) and one.startswith(rest) for one in (self._opening, *self._blocks)
            ):
                return None
            else:
                self._chosen = next(begin for start, begin in self._blocks.items() if rest.startswith(start))()
        return self._chosen.look(text, is_final=is_final)

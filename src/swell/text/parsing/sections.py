"""Calls of DeepSeek and Kimi: between tags a name, a tag, and a JSON object with the arguments.

Models leave out some of the tags, or write them as plain text, slightly otherwise. A call whose arguments are whole is
one, whatever is missing around it; a tag within a string of its arguments ends nothing.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from swell.text.parsing.blocks import Found
from swell.text.parsing.brackets import Brackets
from swell.text.parsing.calls import Tools, meant_call, parse_json
from swell.text.parsing.names import numbered_name, tool_name
from swell.text.parsing.parts import ToolCall
from swell.text.stream import any_of, match_end

_NAME_MAX = 300


@dataclass(frozen=True)
class SectionTags:
    """The tags of a family of models, each in all ways to write it, the right one first.

    `openings` and `closings` stand around all calls, `begins` and `ends` around each, `separators` after a name.
    `kind` may stand in the place of a name, which then follows the separator. `name` finds the tool that is meant.
    """

    openings: tuple[str, ...]
    begins: tuple[str, ...]
    separators: tuple[str, ...]
    ends: tuple[str, ...]
    closings: tuple[str, ...]
    name: Callable[[str, Collection[str]], str]
    kind: str = ""

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """All that may stand around arguments."""
        return (*self.openings, *self.begins, *self.ends, *self.closings)

    @cached_property
    def separator(self) -> re.Pattern[str]:
        return any_of(self.separators)

    @cached_property
    def begin(self) -> re.Pattern[str]:
        return any_of(self.begins)

    @cached_property
    def closing(self) -> re.Pattern[str]:
        return any_of(self.closings)

    @cached_property
    def passed(self) -> re.Pattern[str]:
        """What means nothing before a call."""
        return re.compile(rf"(?:[\s;,}}\]]|{any_of(self.openings).pattern})*")

    @cached_property
    def ended(self) -> re.Pattern[str]:
        """What may stand between the arguments of a call and the tag that ends it."""
        return re.compile(r"[\s;,}\]]*(?:```)?\s*")

    @cached_property
    def end(self) -> re.Pattern[str]:
        return any_of(self.ends)


@dataclass
class _SectionCall:
    """A call that begins at `start` of the text. Its arguments follow the name."""

    start: int
    name: str = ""
    value: Brackets | None = None
    given: ToolCall | None = field(default=None)


_BLANK = re.compile(r"\s*")
_FENCE = re.compile(r"```\w{0,20}\s*")
_KIND_NAME = re.compile(r"\s*([\w.:/-]*)\s*")


class SectionBlock:
    """Reads all calls up to the closing tag, or as far as there are calls."""

    def __init__(self, section: SectionTags, tools: Tools) -> None:
        self._section = section
        self._tools = tools
        self._calls: list[ToolCall] = []
        self._position = 0
        """Up to where the text is read."""
        self._end = 0
        """Where the last whole call ends."""
        self._call: _SectionCall | None = None

    def look(self, text: str, *, is_final: bool) -> Found | None:
        step: Callable[..., Found | bool | None]
        while True:
            if self._call is None:
                step = self._between
            elif not self._call.name:
                step = self._head
            elif self._call.given is None:
                step = self._arguments
            else:
                step = self._after
            found = step(text, is_final=is_final)
            if found is not True:
                return found or None

    # Each step returns what was found, True if there is another step, and None if that isn't certain.

    def _between(self, text: str, *, is_final: bool) -> Found | bool | None:
        section = self._section
        self._position = match_end(section.passed, text, self._position)
        if closing := section.closing.match(text, self._position):
            return Found(closing.end(), self._calls)
        if begin := section.begin.match(text, self._position):
            self._call = _SectionCall(self._position)
            self._position = begin.end()
            return True
        if not is_final and _may_become(section.tags, text, self._position):
            return None
        return self._nothing_more(max(self._position, 1))

    def _head(self, text: str, *, is_final: bool) -> Found | bool | None:
        section, start = self._section, self._position
        separator = section.separator.search(text, start, start + _NAME_MAX)
        if separator is None:
            return self._nothing_more(start) if is_final or len(text) - start > _NAME_MAX else None
        written, end = text[start : separator.start()].strip(), separator.end()
        if written == section.kind:
            inner = _KIND_NAME.match(text, end)
            if inner is not None and not is_final and _may_become(section.separators, text, inner.end()):
                return None
            if inner is not None and inner[1]:
                written, end = inner[1], match_end(section.separator, text, inner.end())
        if not written or self._call is None:
            return self._nothing_more(end)
        self._call.name, self._position = written, end
        return True

    def _arguments(self, text: str, *, is_final: bool) -> Found | bool | None:
        call = self._call
        if call is None:
            return None
        if call.value is None:
            start = match_end(_BLANK, text, self._position)
            if not is_final and _may_become(("```",), text, start):
                return None
            start = match_end(_FENCE, text, start)
            rest = text[start : start + 1]
            if rest in ("{", "[", '"'):
                call.value = Brackets(start, self._section.tags)
            elif not rest and not is_final:
                return None
            else:
                return self._no_arguments(text, start, is_final=is_final)
        if (end := call.value.find(text)) is None:
            return self._nothing_more(len(text)) if is_final else None
        value = parse_json(call.value.closed(text, end))
        call.given = meant_call(call.name, value, self._tools, self._section.name)
        self._position = end
        return self._nothing_more(end) if call.given is None else True

    def _no_arguments(self, text: str, start: int, *, is_final: bool) -> Found | bool | None:
        """A call without arguments, if a tag follows."""
        if text.startswith(self._section.tags, start) and self._call is not None:
            self._call.given = ToolCall(self._section.name(self._call.name, self._tools), {})
            self._position = start
            return True
        if not is_final and _may_become(self._section.tags, text, start):
            return None
        return self._nothing_more(start)

    def _after(self, text: str, *, is_final: bool) -> Found | bool | None:
        """After the arguments: the call counts if it is closed, or at least nothing but tags follows."""
        end = match_end(self._section.ended, text, self._position)
        if text.startswith(self._section.tags, end) or (is_final and end == len(text)):
            if self._call is not None and self._call.given is not None:
                self._calls.append(self._call.given)
            closed = match_end(self._section.end, text, end)
            self._position = self._end = closed
            self._call = None
            return True
        if not is_final and _may_become((*self._section.tags, "```"), text, end):
            return None
        return self._nothing_more(end)

    def _nothing_more(self, position: int) -> Found:
        """The whole calls so far; if there are none, all up to `position` is text."""
        return Found(self._end, self._calls) if self._calls else Found(position, [])


def _may_become(tags: Sequence[str], text: str, start: int) -> bool:
    """Whether `text` ends with the beginning of one of `tags`, or with nothing, that begins at `start`."""
    return len(text) - start < _NAME_MAX and any(tag.startswith(text[start:]) for tag in tags)


def _written(*tags: str) -> Iterator[str]:
    """`tags` with the bars and joints that models write in place of the right ones."""
    for tag, bar, joint in product(tags, "｜|", ("▁", "_", " ", r"\_")):
        yield tag.replace("｜", bar).replace("▁", joint)


DEEPSEEK = SectionTags(
    tuple(_written("<｜tool▁calls▁begin｜>", "<｜tool▁calls｜>")),
    tuple(_written("<｜tool▁call▁begin｜>")),
    tuple(_written("<｜tool▁sep｜>")),
    tuple(_written("<｜tool▁call▁end｜>")),
    tuple(_written("<｜tool▁calls▁end｜>")),
    tool_name,
    kind="function",
)
"""DeepSeek V3 and R1 (`function`, then the name and JSON in a fence) and V3.1."""

KIMI = SectionTags(
    ("<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"),
    ("<|tool_call_begin|>",),
    ("<|tool_call_argument_begin|>",),
    ("<|tool_call_end|>",),
    ("<|tool_calls_section_end|>", "<|tool_call_section_end|>"),
    numbered_name,
)
"""Kimi K2: `functions.NAME:INDEX`, then JSON."""

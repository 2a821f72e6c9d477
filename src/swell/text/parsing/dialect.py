"""How a model writes thoughts and calls, as its chat template shows it."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from swell.sampling import ThinkingPreamble
from swell.text.parsing import harmony
from swell.text.parsing.calls import Tools, read_json
from swell.text.parsing.formats import ToolFormat, tool_formats
from swell.text.parsing.frames import Frame, FrameParser, frame_of
from swell.text.parsing.harmony import HarmonyParser
from swell.text.parsing.parser import Chain, Parser, Plain
from swell.text.parsing.parts import Part, Text
from swell.text.parsing.thinking import TagParser, ThinkingAgain, ThinkingTags, thinking_tags
from swell.text.parsing.tools import ToolParser


@dataclass(frozen=True)
class Dialect:
    """That of a model that thinks between tags, or not at all."""

    tags: ThinkingTags | None = None
    formats: tuple[ToolFormat, ...] = ()

    @property
    def thinks(self) -> bool:
        return self.tags is not None

    @property
    def calls_tools(self) -> bool:
        return bool(self.formats)

    def controls(self, tools: Tools) -> list[str]:
        """The control tokens whose text the parser needs if these tools may be called."""
        thinking = () if self.tags is None else (self.tags.opening, self.tags.closing)
        calling = (control for one in self.formats for control in one.controls) if tools else ()
        return [*thinking, *calling]

    def without_thinking(self, prompt: str) -> str:
        """`prompt` for a model that must not think: a thought that its template has opened is closed."""
        if self.tags is None or not self.tags.are_open_in(prompt):
            return prompt
        return f"{prompt.rstrip()}\n\n{self.tags.closing}\n\n"

    def continued(self, prompt: str, answer: str) -> str:
        """`prompt` with the beginning of the answer, which the model is to carry on without thinking."""
        return self.without_thinking(prompt) + answer

    def preamble(self, prompt: str, *, thinking: bool) -> ThinkingPreamble | None:
        """What may stand before output that must follow a grammar; None if nothing may."""
        if self.tags is None or not thinking:
            return None
        opening = "" if self.tags.are_open_in(prompt) else self.tags.opening
        return ThinkingPreamble(opening=opening, closings=[self.tags.closing])

    def parser(self, prompt: str, tools: Tools) -> Parser:
        """A parser of the output that follows `prompt`."""
        calls: Parser = ToolParser(self.formats, tools) if tools and self.formats else Plain()
        if self.tags is None:
            return calls
        formats = self.formats if tools else ()
        thinking = TagParser(self.tags, is_open=self.tags.are_open_in(prompt), formats=formats, tools=tools)
        return ThinkingAgain(Chain(thinking, calls), self.tags)


@dataclass(frozen=True)
class Framed(Dialect):
    """That of a model that writes more around its thoughts, answers and calls than their tags."""

    frame: Frame = field(kw_only=True)

    def controls(self, tools: Tools) -> list[str]:
        return [*super().controls(tools), *self.frame.controls]

    def continued(self, prompt: str, answer: str) -> str:
        prompt, opening = self.without_thinking(prompt), self.frame.answer
        begun = next(length for length in range(len(opening), -1, -1) if prompt.endswith(opening[:length]))
        return f"{prompt}{opening[begun:]}{answer}"

    def preamble(self, prompt: str, *, thinking: bool) -> ThinkingPreamble | None:
        preamble = super().preamble(prompt, thinking=thinking)
        if preamble is None:
            return None
        return ThinkingPreamble(
            opening=preamble.opening, closings=[one + self.frame.answer for one in preamble.closings]
        )

    def parser(self, prompt: str, tools: Tools) -> Parser:
        parser = Chain(super().parser(prompt, tools), FrameParser(self.frame))
        if self.frame.begun and prompt.endswith(self.frame.begun):
            parser.feed(self.frame.begun)
        return parser


class Harmony(Dialect):
    """That of gpt-oss. Even a short answer has a head, so thinking can be hidden but not prevented."""

    @property
    def thinks(self) -> bool:
        return True

    @property
    def calls_tools(self) -> bool:
        return True

    def controls(self, tools: Tools) -> list[str]:
        return list(harmony.CONTROLS)

    def continued(self, prompt: str, answer: str) -> str:
        return f"{prompt}{harmony.ANSWER_HEADS[0]}{answer}"

    def preamble(self, prompt: str, *, thinking: bool) -> ThinkingPreamble | None:
        if harmony.ANSWER_HEADS[0] in prompt.rpartition(harmony.START)[2]:  # the answer is begun
            return None
        return ThinkingPreamble(opening="", closings=list(harmony.ANSWER_HEADS))

    def parser(self, prompt: str, tools: Tools) -> Parser:
        return HarmonyParser(tools)


@lru_cache(maxsize=64)
def dialect_of(template: str) -> Dialect:
    """The dialect of a model with this chat template; "" for a model that has none."""
    template = _filled(template)
    if harmony.START in template and harmony.CHANNEL in template:
        return Harmony()
    if frame := frame_of(template):
        return Framed(frame.tags, tool_formats(template), frame=frame)
    return Dialect(thinking_tags(template), tool_formats(template))


_SET = re.compile(r"set (\w{1,40}) = '([^'\n]{1,40})'")
_FORMAT = re.compile(r"'([^'\n{}]{1,80})\{\}([^'\n{}]{0,80})'\.format\((\w{1,40})\)")


def _filled(template: str) -> str:
    """`template` with the tags whole that it makes of a text and a name, like Hunyuan 3: `'<tag{}>'.format(NAME)`."""
    if ".format(" not in template:
        return template
    values = {found[1]: found[2] for found in _SET.finditer(template)}
    return _FORMAT.sub(
        lambda found: f"'{found[1]}{values[found[3]]}{found[2]}'" if found[3] in values else found[0], template
    )


class ForcedCall:
    """Reads an answer that is one JSON document, the call that was demanded; as text if it can't be read."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._held = ""

    def feed(self, text: str) -> list[Part]:
        self._held += text
        return []

    def finish(self) -> list[Part]:
        calls = read_json(self._held, self._tools)
        return [*calls] or ([Text(self._held)] if self._held else [])

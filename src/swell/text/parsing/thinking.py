"""Reasoning between two tags, before the answer."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swell.text.parsing.blocks import Block, Found
from swell.text.parsing.calls import Tools
from swell.text.parsing.formats import ToolFormat
from swell.text.parsing.parser import Parser
from swell.text.parsing.parts import Part, Text, Thought
from swell.text.parsing.tools import any_of
from swell.text.stream import partial_length


@dataclass(frozen=True)
class ThinkingTags:
    """What reasoning stands between, and what the answer after it may stand between."""

    opening: str
    closing: str
    answer_opening: str = ""
    answer_closing: str = ""

    def are_open_in(self, prompt: str) -> bool:
        """Whether the template has written the opening tag already, so that the model begins by thinking."""
        return prompt.rstrip().endswith(self.opening)


_KNOWN = (
    ThinkingTags("<think>", "</think>", "<response>", "</response>"),  # Granite 3.3
    ThinkingTags("<think>", "</think>", "<answer>", "</answer>"),  # Hunyuan
    ThinkingTags("<think>", "</think>"),
    ThinkingTags("<|channel>thought", "<channel|>"),  # Gemma 4
    ThinkingTags("[THINK]", "[/THINK]"),  # Mistral
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    ThinkingTags("<seed:think>", "</seed:think>"),
    ThinkingTags("<thought>", "</thought>"),  # EXAONE
    ThinkingTags("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ThinkingTags("Here is my thought process:", "Here is my response:"),  # Granite 3.2
    ThinkingTags("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),  # Apriel 1.6
    ThinkingTags("<think:opensource>", "</think:opensource>"),  # Hunyuan 3
)


def thinking_tags(template: str) -> ThinkingTags | None:
    """The tags that a chat template writes, or at which it cuts reasoning away; None if it has none that are known.

    Both must stand in the template, except that some only split at `</think>` and leave the opening tag to the model.
    """
    for tags in _KNOWN:
        opens = tags.opening in template or tags.closing == "</think>"
        if opens and tags.closing in template and tags.answer_closing in template:
            return tags
    return None


class TagParser:
    """Tells the thought between the tags from the answer after it.

    Blank space around the tags belongs to neither. If other text comes before the opening tag, the model doesn't think,
    and everything is answer. If a thought is never closed, but the output ends with calls of `tools` in one of the
    `formats`, the thought ends before these, and they are answer.
    """

    def __init__(
        self, tags: ThinkingTags, *, is_open: bool, formats: Sequence[ToolFormat] = (), tools: Tools | None = None
    ) -> None:
        self._tags = tags
        self._tools = tools or {}
        self._marked = {one.opening: one for one in formats if one.opening}
        self._openings = any_of(self._marked)
        self._closings = [tag for one in formats for tag in one.closings]
        self._passed = re.compile(rf"(?:\s|{any_of(self._closings).pattern})*")
        """What may follow a call."""
        self._held = ""
        self._calls = ""
        """Calls before `_held`, with the blank space around: they are answer if nothing but calls follows."""
        self._block: Block | None = None
        """Reads the call that `_held` may begin with."""
        self._searched = 0
        """How many characters of `_held` were searched for the closing tag."""
        self._state: Callable[[], Part | None] = self._before_thought if is_open else self._before_tag

    def feed(self, text: str) -> list[Part]:
        self._held += text
        parts: list[Part] = []
        while True:
            state = self._state
            if part := state():
                parts.append(part)
            if self._state == state:
                return parts

    def finish(self) -> list[Part]:
        """An opening tag that is incomplete is answer; a thought that was never closed stays a thought."""
        held, self._held = self._held, ""
        if self._state == self._call:
            return [Text(self._calls + held) if self._ends_with_calls(held) else Thought(self._calls + held)]
        if self._state == self._wrapped_answer and held.strip() == self._tags.answer_closing:
            return []
        return [Thought(held) if self._state == self._thought else Text(held)] if held else []

    # Each state takes what is certain from what is held, and may set the next state.

    def _before_tag(self) -> None:
        text = self._held.lstrip()
        if text.startswith(self._tags.opening):
            self._held = text.removeprefix(self._tags.opening)
            self._state = self._before_thought
        elif not self._tags.opening.startswith(text):
            self._state = self._answer

    def _before_thought(self) -> None:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._thought

    def _thought(self) -> Part | None:
        closing, opening = self._held.find(self._tags.closing), self._openings.search(self._held)
        if opening is not None and not 0 <= closing < opening.start():
            length = len(self._held[: opening.start()].rstrip())
            thought, self._calls = self._held[:length], self._held[length : opening.start()]
            self._begin_call(opening)
        elif closing >= 0:
            thought, self._held = self._held[:closing].rstrip(), self._held[closing + len(self._tags.closing) :]
            self._state = self._before_answer
        else:
            length = len(self._held) - partial_length(self._held, (self._tags.closing, *self._marked))
            length = len(self._held[:length].rstrip())  # blank space counts only if more thought follows
            thought, self._held = self._held[:length], self._held[length:]
        return Thought(thought) if thought else None

    def _begin_call(self, opening: re.Match[str]) -> None:
        self._held = self._held[opening.start() :]
        self._block = self._marked[opening[0]].begin(self._tools)
        self._searched = 0
        self._state = self._call

    def _call(self) -> Part | None:
        """State: in an open thought, after the opening tag of what may be a call."""
        while True:
            if (closing := self._held.find(self._tags.closing, self._searched)) >= 0:
                thought = (self._calls + self._held[:closing]).rstrip()
                self._held = self._held[closing + len(self._tags.closing) :]
                self._state = self._before_answer
                return Thought(thought)
            self._searched = max(0, len(self._held) - len(self._tags.closing) + 1)
            if self._block is not None:
                if (found := self._block.look(self._held, is_final=False)) is None:
                    return None
                settled, self._held = self._held[: found.length], self._held[found.length :]
                self._calls += settled
                self._block, self._searched = None, 0
                if not self._are_known(found):
                    self._state = self._thought
                    return Thought(self._calls)
            start = 0 if (passed := self._passed.match(self._held)) is None else passed.end()
            rest = self._held[start:]
            if opening := self._openings.match(self._held, start):
                self._calls += self._held[:start]
                self._begin_call(opening)
                continue
            if any(tag.startswith(rest) for tag in (self._tags.closing, *self._marked, *self._closings)):
                return None
            self._state = self._thought
            return Thought(self._calls)

    def _are_known(self, found: Found) -> bool:
        return bool(found.calls) and all(call.name in self._tools for call in found.calls)

    def _ends_with_calls(self, held: str) -> bool:
        if self._block is not None:
            found = self._block.look(held, is_final=True)
            if found is None or not self._are_known(found):
                return False
            held = held[found.length :]
        return self._passed.fullmatch(held) is not None

    def _before_answer(self) -> None:
        self._held = self._held.lstrip()
        wrapping = self._tags.answer_opening
        if wrapping and self._held.startswith(wrapping):
            self._held = self._held.removeprefix(wrapping)
            self._state = self._before_wrapped_answer
        elif not wrapping.startswith(self._held):
            self._state = self._answer

    def _answer(self) -> Part | None:
        text, self._held = self._held, ""
        return Text(text) if text else None

    def _before_wrapped_answer(self) -> None:
        self._held = self._held.lstrip()
        if self._held:
            self._state = self._wrapped_answer

    def _wrapped_answer(self) -> Part | None:
        """Like an answer, but the closing tag at its very end isn't shown."""
        tag = self._tags.answer_closing
        stripped = self._held.rstrip()
        is_closed = stripped.endswith(tag)
        length = len(stripped) - (len(tag) if is_closed else partial_length(stripped, (tag,)))
        length = len(stripped[:length].rstrip())
        text, self._held = self._held[:length], self._held[length:]
        return Text(text) if text else None


class ThinkingAgain:
    """What `parser` gives, with further thoughts taken out of the answer. There are none before the first thought.

    An opening tag that isn't closed before the next call or the end of the output is answer.
    """

    def __init__(self, parser: Parser, tags: ThinkingTags) -> None:
        self._parser = parser
        self._tags = tags
        self._held: str | None = None
        """Text of the answer that may turn out to be a thought; None before the first thought."""
        self._searched = 0
        """How many characters of `_held` were searched for the closing tag."""

    def feed(self, text: str) -> list[Part]:
        return self._parted(self._parser.feed(text))

    def finish(self) -> list[Part]:
        return [*self._parted(self._parser.finish()), *self._rest()]

    def _parted(self, parts: Sequence[Part]) -> list[Part]:
        parted: list[Part] = []
        for part in parts:
            if isinstance(part, Text) and self._held is not None:
                self._held += part.text
                while found := self._next():
                    parted.append(found)
            else:
                parted += [*self._rest(), part]
                self._held = "" if isinstance(part, Thought) else self._held
        return parted

    def _next(self) -> Part | None:
        """Takes what is certain from what is held."""
        held = self._held or ""
        start = held.find(self._tags.opening)
        if start == 0:
            end = held.find(self._tags.closing, self._searched)
            if end < 0:
                self._searched = max(0, len(held) - len(self._tags.closing) + 1)
                return None
            self._held, self._searched = held[end + len(self._tags.closing) :], 0
            return Thought(held[len(self._tags.opening) : end].strip())
        length = len(held) - partial_length(held, (self._tags.opening,)) if start < 0 else start
        self._held = held[length:]
        return Text(held[:length]) if length else None

    def _rest(self) -> list[Part]:
        rest, self._searched = self._held, 0
        self._held = None if rest is None else ""
        return [Text(rest)] if rest else []

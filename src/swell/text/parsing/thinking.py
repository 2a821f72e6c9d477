"""Reasoning between two tags, before the answer."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swell.text.parsing.blocks import Block, Found
from swell.text.parsing.calls import Tools
from swell.text.parsing.formats import ToolFormat
from swell.text.parsing.parser import Parser
from swell.text.parsing.parts import Part, Text, Thought
from swell.text.stream import any_of, match_end, partial_length


@dataclass(frozen=True)
class ThinkingTags:
    """What reasoning stands between, and what the answer after it may stand between."""

    opening: str
    closing: str
    answer_opening: str = ""
    answer_closing: str = ""
    short_opening: str = ""
    """The beginning of `opening`, if models also write only that."""

    @property
    def are_words(self) -> bool:
        """Whether they are ordinary words, which an answer may hold."""
        return " " in self.closing

    def are_open_in(self, prompt: str) -> bool:
        """Whether the template has written the opening tag already, so that the model begins by thinking."""
        return prompt.rstrip().endswith(self.opening)


_KNOWN = (
    ThinkingTags("<think>", "</think>", "<response>", "</response>"),  # Granite 3.3
    ThinkingTags("<think>", "</think>", "<answer>", "</answer>"),  # Hunyuan
    ThinkingTags("<think>", "</think>"),
    ThinkingTags("<|channel>thought", "<channel|>", short_opening="<|channel>"),  # Gemma 4
    ThinkingTags("[THINK]", "[/THINK]"),  # Mistral
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"),  # Cohere
    ThinkingTags("<|START_THINKING|>", "<|END_THINKING|>"),
    ThinkingTags("<seed:think>", "</seed:think>"),
    ThinkingTags("<thought>", "</thought>"),  # EXAONE
    ThinkingTags("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ThinkingTags("Here is my thought process:", "Here is my response:"),  # Granite 3.2
    ThinkingTags("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),  # Apriel 1.6
    ThinkingTags("<think:opensource>", "</think:opensource>"),  # Hunyuan 3
    ThinkingTags("<mm:think>", "</mm:think>"),  # MiniMax M3
    ThinkingTags("<longcat_think>", "</longcat_think>"),
    ThinkingTags("<thinking>", "</thinking>"),
    ThinkingTags("<reasoning>", "</reasoning>"),
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
    and everything is answer. Tags that are written twice are passed over, and so is a closing one before all else; one
    in backticks is only mentioned. If a thought is never closed, but the output ends with calls of `tools` in one of
    the `formats`, the thought ends before these, and they are answer.
    """

    def __init__(
        self, tags: ThinkingTags, *, is_open: bool, formats: Sequence[ToolFormat] = (), tools: Tools | None = None
    ) -> None:
        self._tags = tags
        self._tools = tools or {}
        self._marked = {opening: one for one in formats for opening in one.openings(self._tools)}
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
        if self._state == self._thought:
            held = held.removesuffix(self._tags.closing)
        return [Thought(held) if self._state == self._thought else Text(held)] if held else []

    # Each state takes what is certain from what is held, and may set the next state.

    def _before_tag(self) -> None:
        text, tags = self._held.lstrip(), self._tags
        if text.startswith(tags.opening):
            self._held = text.removeprefix(tags.opening)
            self._state = self._before_thought
        elif text.startswith(tags.closing) or (tags.answer_opening and text.startswith(tags.answer_opening)):
            self._held = text.removeprefix(tags.closing)
            self._state = self._before_answer
        elif not any(tag.startswith(text) for tag in (tags.opening, tags.closing, tags.answer_opening)):
            short = tags.short_opening
            self._state = self._before_thought if short and text.startswith(short) else self._answer
            self._held = text.removeprefix(short) if self._state == self._before_thought else self._held

    def _before_thought(self) -> None:
        self._held = _without(self._tags.opening, self._held)
        if not self._tags.opening.startswith(self._held):
            self._state = self._thought

    def _closing(self) -> int:
        """Where the thought that is held is closed; -1 if it isn't, or if that isn't certain."""
        tag, place = self._tags.closing, -1
        while (place := self._held.find(tag, place + 1)) > 0 and self._held[place - 1] == "`":
            following = self._held[place + len(tag) : place + len(tag) + 1]
            if following != "`":
                return place if following else -1
        return place

    def _thought(self) -> Part | None:
        closing, opening = self._closing(), self._openings.search(self._held)
        if opening is not None and not 0 <= closing < opening.start():
            length = len(self._held[: opening.start()].rstrip())
            thought, self._calls = self._held[:length], self._held[length : opening.start()]
            self._begin_call(opening)
        elif closing >= 0:
            thought, self._held = self._held[:closing].rstrip(), self._held[closing + len(self._tags.closing) :]
            self._state = self._before_answer
        else:
            mention = f"`{self._tags.closing}`"
            length = len(self._held) - partial_length(self._held, (self._tags.closing, mention, *self._marked))
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
        wrapping, closing = self._tags.answer_opening, self._tags.closing
        self._held = _without(closing, self._held)
        if closing.startswith(self._held):
            return
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


def _without(tag: str, text: str) -> str:
    """`text` without any `tag` and blank space at its beginning."""
    return text[match_end(re.compile(rf"(?:\s|{re.escape(tag)})*"), text) :]


class ThinkingAgain:
    """What `parser` gives, with further thoughts taken out of the answer. There are none before the first thought.

    An opening tag that isn't closed before the next call or the end of the output is answer. A closing tag that closes
    nothing is left out, unless it stands in quotes.
    """

    def __init__(self, parser: Parser, tags: ThinkingTags) -> None:
        self._parser = parser
        self._tags = tags
        self._either = any_of((tags.opening,) if tags.are_words else (tags.opening, tags.closing))
        self._has_thought = False
        self._mentioned = 0
        """How many opening tags in the answer aren't closed."""
        self._held = ""
        """Text of the answer that may turn out to be a thought or a tag."""
        self._before = ""
        """The character before it."""
        self._searched = 0
        """How many characters of `_held` were searched for the closing tag."""

    def feed(self, text: str) -> list[Part]:
        return self._parted(self._parser.feed(text))

    def finish(self) -> list[Part]:
        return [*self._parted(self._parser.finish()), *self._rest()]

    def _parted(self, parts: Sequence[Part]) -> list[Part]:
        parted: list[Part] = []
        for part in parts:
            if isinstance(part, Text):
                self._held += part.text
                while (found := self._next()) is not None:
                    parted.append(found)
            else:
                parted += [*self._rest(), part]
                self._has_thought |= isinstance(part, Thought)
        return [part for part in parted if not isinstance(part, Text) or part.text]

    def _next(self) -> Part | None:
        """Takes what is certain from what is held."""
        found = self._either.search(self._held)
        start = None if found is None else found.start()
        if found is None or start:
            certain = len(self._held) - partial_length(self._held, (self._tags.opening, self._tags.closing))
            length = certain if start is None else start
            return self._text(length) if length else None
        if found[0] == self._tags.closing:
            return self._stray(is_final=False)
        return self._thought() if self._has_thought else self._mention()

    def _thought(self) -> Part | None:
        opening, closing = self._tags.opening, self._tags.closing
        end = self._held.find(closing, self._searched)
        if end < 0:
            self._searched = max(0, len(self._held) - len(closing) + 1)
            return None
        thought = Thought(self._held[len(opening) : end].strip())
        self._held, self._searched = self._held[end + len(closing) :], 0
        return thought

    def _mention(self) -> Part:
        self._mentioned += 1
        return self._text(len(self._tags.opening))

    def _stray(self, *, is_final: bool) -> Part | None:
        """What is held begins with a closing tag."""
        length = len(self._tags.closing)
        is_open, following = self._mentioned > 0, self._held[length : length + 1]
        if is_open or (self._before in _QUOTES and following == self._before):
            self._mentioned -= is_open
            return self._text(length)
        if self._before in _QUOTES and not following and not is_final:
            return None
        self._held = self._held[length:]
        return Text("")

    def _text(self, length: int) -> Text:
        text, self._held = self._held[:length], self._held[length:]
        self._before = text[-1:]
        return Text(text)

    def _rest(self) -> list[Part]:
        rest: list[Part] = []
        if self._held.startswith(self._tags.closing) and not self._tags.are_words:
            rest += filter(None, [self._stray(is_final=True)])
        rest.append(self._text(len(self._held)))
        self._searched = 0
        return [part for part in rest if isinstance(part, Text) and part.text]


_QUOTES = ("`", '"', "'")

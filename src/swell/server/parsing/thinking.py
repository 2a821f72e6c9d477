"""Reasoning between two tags, before the answer."""

from collections.abc import Callable
from dataclasses import dataclass

from swell.server.parsing.parts import Part, Text, Thought
from swell.server.text import partial_length


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
    """The tags that a chat template writes, or cuts reasoning away at; None where it knows none.

    Both must be there, except that some templates only split at `</think>`, and leave the opening to the model.
    """
    for tags in _KNOWN:
        opens = tags.opening in template or tags.closing == "</think>"
        if opens and tags.closing in template and tags.answer_closing in template:
            return tags
    return None


class TagParser:
    """Takes apart what stands between the tags and what follows.

    Blank space around the tags belongs to neither. Text before the opening tag means that the model doesn't think;
    from there on everything is answer.
    """

    def __init__(self, tags: ThinkingTags, *, is_open: bool) -> None:
        self._tags = tags
        self._held = ""
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
        """An opening tag that was never completed is answer; reasoning that was never closed stays reasoning."""
        held, self._held = self._held, ""
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
        thought, closing, rest = self._held.partition(self._tags.closing)
        if closing:
            self._held = rest
            self._state = self._before_answer
        else:
            length = len(self._held) - partial_length(self._held, (self._tags.closing,))
            length = len(self._held[:length].rstrip())  # blank space counts only if more thought follows
            thought, self._held = self._held[:length], self._held[length:]
        thought = thought.rstrip()
        return Thought(thought) if thought else None

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

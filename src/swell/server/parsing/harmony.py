"""Harmony, the format of gpt-oss: messages on channels, for reasoning, for tools and for the answer."""

import re

from swell.server.parsing.calls import call, parse_json
from swell.server.parsing.parts import Part, Text, Thought
from swell.server.text import partial_length

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
_BREAKS = (*_ENDS, START, CHANNEL)

CONTROLS = (START, CHANNEL, MESSAGE, CONSTRAIN, *_ENDS)
ANSWER_HEADS = tuple(
    f"{CHANNEL}final{constraint}{MESSAGE}"
    for constraint in ("", f"{CONSTRAIN}json", f" {CONSTRAIN}json", " json", f" {CONSTRAIN} json")
)
"""What stands before an answer."""

_CHANNEL_NAME = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")


class HarmonyParser:
    """Reads what follows `<|start|>assistant`.

    A message is a head, `<|message|>` and a body. The head names the channel, and for a call the tool. What doesn't
    begin with a head is taken for an answer.
    """

    def __init__(self) -> None:
        self._held = ""
        self._head: str | None = ""
        """Of the message whose body is read; "" is an answer without a head; None while a head is read."""
        self._is_begun = False

    def feed(self, text: str) -> list[Part]:
        self._held += text
        parts: list[Part] = []
        while self._held:
            if not self._is_begun and not self._begin():
                break
            before = self._held, self._head
            self._read(parts)
            if (self._held, self._head) == before:
                break
        return parts

    def finish(self) -> list[Part]:
        """A call must be complete to be one; a head without a body is text."""
        held, self._held = self._held, ""
        if self._head is None:
            return [Text(held)] if held.strip() else []
        return self._body_parts(held)

    def _begin(self) -> bool:
        """Decides whether the output begins with a head; False if that isn't certain."""
        start = self._held.lstrip()
        heads = (START, CHANNEL, "to=")
        if any(start.startswith(head) for head in heads):
            self._head = None
        elif any(head.startswith(start) for head in heads):
            return False
        self._is_begun = True
        return True

    def _read(self, parts: list[Part]) -> None:
        if self._head is None:
            self._read_head()
        elif _RECIPIENT.search(self._head):
            self._read_call(parts)
        else:
            self._read_body(parts)

    def _read_head(self) -> None:
        head, mark, rest = self._held.partition(MESSAGE)
        if mark:
            self._head, self._held = head + mark, rest

    def _read_body(self, parts: list[Part]) -> None:
        end = _first(self._held)
        length = len(self._held) - partial_length(self._held, _BREAKS) if end is None else end
        parts += self._body_parts(self._held[:length])
        self._held = self._held[length:]
        if end is not None:
            self._leave_body()

    def _read_call(self, parts: list[Part]) -> None:
        """Nothing is certain before the end of the body."""
        end = _first(self._held)
        if end is not None:
            parts += self._body_parts(self._held[:end])
            self._held = self._held[end:]
            self._leave_body()

    def _leave_body(self) -> None:
        self._head = None
        for mark in _ENDS:
            self._held = self._held.removeprefix(mark)

    def _body_parts(self, body: str) -> list[Part]:
        head = self._head or ""
        if recipient := _RECIPIENT.search(head):
            found = call(recipient[1].removeprefix("functions."), parse_json(body))
            return [Text(head + body) if found is None else found]
        if not body:
            return []
        channel = _CHANNEL_NAME.search(head)
        return [Thought(body) if channel and channel[1] == "analysis" else Text(body)]


def _first(text: str) -> int | None:
    """Where a body ends in `text`."""
    ends = [index for index in (text.find(mark) for mark in _BREAKS) if index >= 0]
    return min(ends) if ends else None

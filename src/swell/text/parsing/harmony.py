"""Harmony, the format of gpt-oss: messages on channels, for reasoning, for tools and for the answer."""

import json
import re
from collections.abc import Collection

from swell.text.parsing.brackets import Brackets
from swell.text.parsing.calls import Tools, meant_call, parse_json
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import Part, Text, Thought, ToolCall
from swell.text.stream import partial_length

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
_ENDS = ("<|end|>", "<|call|>", "<|return|>")

CONTROLS = (START, CHANNEL, MESSAGE, CONSTRAIN, *_ENDS)
ANSWER_HEADS = tuple(
    f"{CHANNEL}final{constraint}{MESSAGE}"
    for constraint in ("", f"{CONSTRAIN}json", f" {CONSTRAIN}json", " json", f" {CONSTRAIN} json")
)
"""What stands before an answer."""

_MARKS = (*_ENDS, START, CHANNEL, MESSAGE)
_MARK = re.compile("|".join(map(re.escape, _MARKS)))
_CHANNEL_NAME = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")


class HarmonyParser:
    """Reads what follows `<|start|>assistant`.

    A message is a head, `<|message|>` and a body. The head names the channel, and for a call the tool. Output that
    doesn't begin with a head is an answer. Every character is looked at once: the text of a head or a call is kept
    until that is complete, and only what may become a mark is looked at again with the next piece.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._held = ""
        self._head: str | None = ""
        """The head of the message whose body is read; "" for an answer without one; None while a head is read."""
        self._kept: list[str] = []
        self._strings = _Strings()
        """Knows whether the call that is read breaks off inside a string."""
        self._is_begun = False

    def feed(self, text: str) -> list[Part]:
        text, self._held = self._held + text, ""
        if not self._is_begun and not self._begin(text):
            self._held = text
            return []
        parts: list[Part] = []
        position = 0
        for mark in _MARK.finditer(text):
            parts += self._take(text[position : mark.start()])
            parts += self._pass(mark[0])
            position = mark.end()
        rest = text[position:]
        length = len(rest) - partial_length(rest, _MARKS)
        self._held = rest[length:]
        return [*parts, *self._take(rest[:length])]

    def finish(self) -> list[Part]:
        """A head without a body is text."""
        parts = self._take(self._held)
        return [*parts, *self._leave("")]

    def _begin(self, text: str) -> bool:
        """Decides whether the output begins with a head; False if that isn't certain."""
        start = text.lstrip()
        heads = (START, CHANNEL, "to=")
        if start.startswith(heads):
            self._head = None
        elif any(head.startswith(start) for head in heads):
            return False
        self._is_begun = True
        return True

    @property
    def _is_call(self) -> bool:
        return self._head is not None and _RECIPIENT.search(self._head) is not None

    def _take(self, text: str) -> list[Part]:
        """The parts in `text`, which has no marks. Of heads and calls there are none before their end."""
        if not text:
            return []
        if self._head is None or self._is_call:
            self._kept.append(text)
            self._strings.feed(text)
            return []
        channel = _CHANNEL_NAME.findall(self._head)
        return [Thought(text) if channel and channel[-1] == "analysis" else Text(text)]

    def _pass(self, mark: str) -> list[Part]:
        """The parts that are complete with `mark`."""
        if self._head is None and mark in (MESSAGE, CHANNEL):
            self._kept.append(mark)
            if mark == MESSAGE:
                self._head, self._kept, self._strings = "".join(self._kept), [], _Strings()
            return []
        if mark == MESSAGE and self._is_call and not "".join(self._kept).strip():
            return []  # a head may end twice
        if mark == MESSAGE or (self._head is not None and self._strings.are_open):
            return self._take(mark)
        parts = self._leave(mark if mark in _ENDS else "")
        self._kept = [] if mark in _ENDS else [mark]
        return parts

    def _leave(self, end: str) -> list[Part]:
        """The message that ends here, made of what was kept. One that can't be read is text as it was written."""
        head, kept = self._head, "".join(self._kept)
        self._head, self._kept = None, []
        if head is None:
            return [Text(kept + end)] if kept.strip() else []
        if (recipient := _RECIPIENT.findall(head)) == []:
            return []
        found = self._call(recipient[-1], kept, is_closed=end != "")
        return [Text(head + kept + end) if found is None else found]

    def _call(self, recipient: str, body: str, *, is_closed: bool) -> ToolCall | None:
        """The call; None for a body that can't be read.

        An empty body means no arguments, unless the output broke off before arguments that the tool must have.
        """
        name = _name(recipient, self._tools)
        if not body.strip():
            return ToolCall(name, {}) if is_closed or not self._tools.get(name, {}).get("required") else None
        return meant_call(recipient, _arguments(body, is_closed=is_closed), self._tools, _name)


class _Strings:
    """Whether JSON that comes in pieces breaks off inside a string. Other text has no strings."""

    _QUOTES = re.compile(r'\\(?:.|\Z)|"', re.DOTALL)

    def __init__(self) -> None:
        self._is_json: bool | None = None
        self._held = ""
        self.are_open = False

    def feed(self, text: str) -> None:
        if self._is_json is None and text.strip():
            self._is_json = text.lstrip().startswith(("{", "["))
        if not self._is_json:
            return
        text, self._held = self._held + text, ""
        for quote in self._QUOTES.finditer(text):
            if quote[0] == '"':
                self.are_open = not self.are_open
            elif quote[0] == "\\":
                self._held = "\\"


def _name(recipient: str, tools: Collection[str]) -> str:
    return tool_name(recipient.removeprefix("functions."), tools)


_DECODER = json.JSONDecoder(strict=False)
_FENCED = re.compile(r"\s*```\w{0,20}\s(?P<inside>.*?)(?:```\s*)?\Z", re.DOTALL)


def _arguments(body: str, *, is_closed: bool) -> object:
    """The JSON object in `body`. Models also write it as the only item of a list, in a fence, and with brackets too
    many, or too few before a mark that ends the message."""
    fenced = _FENCED.match(body)
    text = body if fenced is None else fenced["inside"]
    value = parse_json(text)
    if value is None:
        value = parse_json(_without_ends(text.strip()))
    if value is None and is_closed:
        value = parse_json(_with_ends(text.strip()))
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _without_ends(text: str) -> str:
    """`text` without the brackets that follow a whole value."""
    try:
        _, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return text
    return text if text[end:].strip("]} \t\r\n") else text[:end]


def _with_ends(text: str) -> str:
    """`text` with the brackets that it lacks at its end."""
    value = Brackets(0)
    return value.closed(text, len(text)) if value.find(text) is None else text

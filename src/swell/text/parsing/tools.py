"""Takes tool calls out of the answer."""

import re
from collections.abc import Sequence
from enum import Enum, auto

from swell.text.parsing.blocks import Block
from swell.text.parsing.calls import Tools
from swell.text.parsing.formats import BARE, ToolFormat, with_fallbacks
from swell.text.parsing.parts import Part, Text
from swell.text.stream import any_of, match_end, partial_length


class _Place(Enum):
    """Where in the answer the parser is."""

    START = auto()
    AFTER_CALL = auto()
    AFTER_FENCED_CALL = auto()
    IN_TEXT = auto()


class ToolParser:
    """Takes calls out of the answer, and the blank space around them. What turns out to be no call stays text.

    At the start and after a call, JSON that names a tool of the request is a call even if nothing marks it.
    """

    def __init__(self, formats: Sequence[ToolFormat], tools: Tools) -> None:
        formats = with_fallbacks(formats)
        self._marked = {opening: one for one in formats for opening in one.openings(tools)}
        self._openings = any_of(self._marked)
        self._closings = sorted({tag for one in formats for tag in one.closings})
        closing = any_of(self._closings).pattern
        self._passed = {
            _Place.START: _BLANK,
            _Place.AFTER_CALL: re.compile(rf"(?:[{_SEPARATORS}]|{closing})*"),
            _Place.AFTER_FENCED_CALL: re.compile(rf"(?:[{_SEPARATORS}]|{_FENCE}(?=\W)|{closing})*"),
            _Place.IN_TEXT: _BLANK,
        }
        """What means nothing before a call, by the place where it stands."""
        self._left_over = re.compile(rf"{_FENCE}(?!\w)|{closing}")
        """The tags among that which mean nothing after a call either."""
        self._tools = tools
        self._place = _Place.START
        self._held = ""
        self._blank = ""
        """Text before `_held` that is shown only if no call follows."""
        self._shown = ""
        """The end of what was shown last."""
        self._ignored: tuple[str, ...] = ()
        """Tags that may stand within the calls behind an opening tag that could not be read."""
        self._block: Block | None = None

    def feed(self, text: str) -> list[Part]:
        self._held += text
        return self._take(is_final=False)

    def finish(self) -> list[Part]:
        parts = self._take(is_final=True)
        if not self._is_left_over():
            self._answer(parts, self._held)
        return parts

    def _is_left_over(self) -> bool:
        """Whether nothing with a meaning came since the last call."""
        rest = self._left_over.sub("", self._blank + self._held)
        return self._is_after_call and re.fullmatch(f"[{_SEPARATORS}]*", rest) is not None

    @property
    def _is_after_call(self) -> bool:
        return self._place in (_Place.AFTER_CALL, _Place.AFTER_FENCED_CALL)

    def _take(self, *, is_final: bool) -> list[Part]:
        parts: list[Part] = []
        while self._held:
            if self._block is None:
                parts += self._text(is_final=is_final)
                if self._block is None:
                    return parts
            found = self._block.look(self._held, is_final=is_final)
            if found is None:
                return parts
            settled, self._held = self._held[: found.length], self._held[found.length :]
            self._block = None
            if found.calls:
                parts += found.calls
                self._shown, self._ignored = "", ()
                self._place = _Place.AFTER_FENCED_CALL if _FENCE in self._blank else _Place.AFTER_CALL
                self._blank = ""
                continue
            opened = self._openings.match(settled)
            if opened and (form := self._marked[opened[0]]).opening == opened[0]:
                self._ignored = form.others
            if self._held or not (is_final and self._is_after_call and settled in self._marked):
                self._answer(parts, settled)  # a tag with nothing behind it is left over, too
        return parts

    def _text(self, *, is_final: bool) -> list[Part]:
        """Take the text before the next call, and begin that call if there is one."""
        parts: list[Part] = []
        self._move_blank(match_end(self._passed[self._place], self._held))
        if is_final and self._is_left_over():
            return parts
        if self._place != _Place.IN_TEXT and (not (is_final or self._is_certain()) or self._begin_bare()):
            return parts
        if found := self._opening():
            end = found.start()
        else:
            end = len(self._held) - partial_length(self._held, self._marked)
            end = len(self._held) if is_final else end
        before = self._held[:end].rstrip()
        if before:
            self._answer(parts, before)
            self._held, end = self._held[len(before) :], end - len(before)
        self._move_blank(end)
        if found:
            self._block = self._marked[found[0]].begin(self._tools)
        return parts

    def _opening(self) -> re.Match[str] | None:
        """The text that begins the next call, unless it is only mentioned or part of a word."""
        for found in self._openings.finditer(self._held):
            if found[0] in self._ignored:
                continue
            before = self._held[max(found.start() - 3, 0) : found.start()]
            before = (self._shown + self._blank[-3:] + before)[-3:]
            is_word = found[0][0] == "{" or found[0][0].isalnum()
            if not (before[-1:] == "`" and before != _FENCE) and not (is_word and _WORD.match(before[-1:])):
                return found
        return None

    def _begin_bare(self) -> bool:
        """Begin a call that nothing marks, or that stands in a fence; whether there is one."""
        start = match_end(_FENCE_LINE, self._held)
        marked = self._openings.match(self._held, start)
        if marked and not marked[0].startswith("{"):
            form = self._marked[marked[0]]
        elif self._held[start : start + 1] in ("{", "["):
            form = BARE
        else:
            return False
        if form is not BARE and start == 0:
            return False
        self._move_blank(start)
        self._block = form.begin(self._tools)
        return True

    def _is_certain(self) -> bool:
        """Whether what is held begins neither a fence nor a tag."""
        rest = self._held[match_end(_FENCE_LINE, self._held) :]
        return not any(tag.startswith(rest) for tag in (_FENCE, *self._marked, *self._closings))

    def _move_blank(self, length: int) -> None:
        self._blank += self._held[:length]
        self._held = self._held[length:]

    def _answer(self, parts: list[Part], text: str) -> None:
        blank = self._left_over.sub("", self._blank) if self._is_after_call else self._blank
        text = text if self._is_after_call and not blank.strip() else blank + text
        parts += [Text(text)] if text else []
        self._shown = text[-3:]
        self._blank, self._place = "", _Place.IN_TEXT


_BLANK = re.compile(r"\s*")
_SEPARATORS = r"\s;,}\]"
_FENCE = "```"
_WORD = re.compile(r"[\w\"'>-]")
_FENCE_LINE = re.compile(r"(?:```\w{0,20}\s{0,200})?")

"""Calls between two tags, of which the closing one may also stand within a string."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swell.text.parsing.blocks import Found
from swell.text.parsing.calls import Read, Tools
from swell.text.stream import partial_length


class Quotes(NamedTuple):
    """What a string stands between. `escape` is a pattern for what doesn't end it; "" if nothing can be escaped."""

    opening: str
    closing: str
    escape: str = ""


JSON_QUOTES = Quotes('"', '"', r"\\.")
PYTHON_QUOTES = (JSON_QUOTES, Quotes("'", "'", r"\\."))


@dataclass(frozen=True)
class Enclosure:
    """How a format encloses its calls, and the strings in them.

    `read` gets what stands between the tags, and the tags, too, if it `reads_tags`. `read_cut` gets what has no closing
    tag and so may have been cut off; None: `read` does.
    """

    opening: str
    closing: str
    quotes: Sequence[Quotes]
    read: Read
    read_cut: Read | None = None
    reads_tags: bool = False


_DOUBTS_MAX = 4
"""How many closing tags within strings are tried as the end; no more, so that a call is read in linear time."""


class Enclosed:
    """Calls that end at the first closing tag outside of strings.

    If no such tag comes, all that follows may be calls. If what ends there can't be read, some string was never closed,
    and a tag within it is the end.
    """

    def __init__(self, enclosure: Enclosure, tools: Tools) -> None:
        opening, closing, quotes = enclosure.opening, enclosure.closing, enclosure.quotes
        self._start = 0 if enclosure.reads_tags else len(opening)
        self._kept = len(closing) if enclosure.reads_tags else 0
        self._closing = closing
        self._read = enclosure.read
        self._read_cut = enclosure.read_cut or enclosure.read
        self._tools = tools
        tag = f"(?P<tag>{re.escape(closing)})"
        self._outside = re.compile("|".join([tag, *(f"({re.escape(one.opening)})" for one in quotes)]))
        self._inside = [
            re.compile("|".join([tag, re.escape(one.closing), *([one.escape] if one.escape else [])]), re.DOTALL)
            for one in quotes
        ]
        self._marks = [closing, *(mark for one in quotes for mark in one[:2])]
        self._longest = max(map(len, self._marks))
        self._string: int | None = None
        """The kind of the string that is open, as an index of `quotes`."""
        self._doubtful: list[int] = []
        """Where closing tags begin that stand in strings."""
        self._position = len(opening)

    def look(self, text: str, *, is_final: bool) -> Found | None:
        # within what may be the beginning of a mark nothing is looked for: Gemma's mark of a string holds a quote
        end = len(text) - (0 if is_final else partial_length(text, self._marks))
        while (found := self._pattern().search(text, self._position)) is not None and found.start() < end:
            self._position = found.end()
            if found["tag"] is None:
                self._turn(found)
            elif self._string is None:
                return self._settled(text, found.start())
            elif len(self._doubtful) < _DOUBTS_MAX:
                self._doubtful.append(found.start())
        self._position = max(self._position, len(text) - self._longest + 1)
        return self._settled(text, None) if is_final else None

    def _pattern(self) -> re.Pattern[str]:
        return self._outside if self._string is None else self._inside[self._string]

    def _turn(self, found: re.Match[str]) -> None:
        """A string begins or ends at `found`, or goes on after something escaped."""
        if self._string is None:
            self._string = (found.lastindex or 0) - 2  # the first group is the tag
        elif not found[0].startswith("\\"):
            self._string = None

    def _settled(self, text: str, end: int | None) -> Found:
        """The calls up to the closing tag at `end`, None if there is none, or up to the first one within a string that
        makes them readable."""
        if end is None and (whole := self._read_cut(text[self._start :], self._tools)):
            return Found(len(text), whole)
        for place in [*([] if end is None else [end]), *self._doubtful]:
            if calls := self._read(text[self._start : place + self._kept], self._tools):
                return Found(place + len(self._closing), calls)
        return self._unread(text, end)

    def _unread(self, text: str, end: int | None) -> Found:
        """Text up to the first tag that may be the end, or all of it."""
        ends = [*self._doubtful, *([] if end is None else [end])]
        return Found(ends[0] + len(self._closing) if ends else len(text), [])

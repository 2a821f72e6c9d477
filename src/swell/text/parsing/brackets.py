"""Where a JSON value ends in a text that grows."""

import re
from collections.abc import Sequence

from swell.text.stream import partial_length

_CLOSED_BY = {"{": "}", "[": "]"}


class Brackets:
    """Looks for the end of the JSON object, list or string that begins at `start`; looks at every character once.

    `stops` are tags that end it, too, unless they stand in a string, although brackets are still open.
    """

    def __init__(self, start: int, stops: Sequence[str] = ()) -> None:
        self.start = start
        self._stops = tuple(stops)
        self._marks = re.compile("|".join((r"\\.", r"""["'{}\[\]]""", *map(re.escape, stops))), re.DOTALL)
        self._position = start
        self._open: list[str] = []
        """The closing brackets of what is open, the innermost last."""
        self._quote = ""
        """The quote of the string around `_position`; "" outside of strings."""

    def find(self, text: str) -> int | None:
        """The position after the end; None while the value is incomplete. `text` is that of the last call or more."""
        for mark in self._marks.finditer(text, self._position):
            if not self._quote and mark[0] in self._stops:
                return mark.start()
            self._position = mark.end()
            if self._quote:
                self._quote = "" if mark[0] == self._quote else self._quote
                if not self._quote and not self._open:
                    return mark.end()
            elif mark[0] in ('"', "'"):
                self._quote = mark[0]
            elif mark[0] in _CLOSED_BY:
                self._open.append(_CLOSED_BY[mark[0]])
            elif mark[0] in self._open:
                while self._open.pop() != mark[0]:
                    pass  # an inner one wasn't closed
                if not self._open:
                    return mark.end()
        held = partial_length(text, self._stops)
        self._position = max(self._position, len(text) - max(held, text.endswith("\\")))
        return None

    def closed(self, text: str, end: int) -> str:
        """The value up to `end`, with the closing brackets that it lacks."""
        return text[self.start : end] + "".join(reversed(self._open))

    def lacks_only_the_last(self, text: str) -> bool:
        """Whether `text` ends after an inner value, so that nothing but the outermost bracket need be missing."""
        return not self._quote and len(self._open) == 1 and text.rstrip().endswith(("}", "]"))

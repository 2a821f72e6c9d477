"""Looking for texts and patterns in a text that comes in pieces."""

import bisect
import re
from collections.abc import Iterable
from functools import lru_cache


def partial_length(text: str, markers: Iterable[str]) -> int:
    """Length of the longest end of `text` that begins a marker without completing it; 0 if there are no markers."""
    ordered, longest = _ordered(tuple(markers))
    for length in range(min(longest - 1, len(text)), 0, -1):
        end = text[-length:]
        place = bisect.bisect_right(ordered, end)  # the first marker that `end` may begin
        if place < len(ordered) and ordered[place].startswith(end):
            return length
    return 0


@lru_cache(maxsize=64)
def _ordered(markers: tuple[str, ...]) -> tuple[list[str], int]:
    """`markers` in the order of strings, and the length of the longest one: there are many if tools have names."""
    return sorted(markers), max(map(len, markers), default=0)


def match_end(pattern: re.Pattern[str], text: str, position: int = 0) -> int:
    """Where a match of `pattern` that begins at `position` ends; `position` if there is none."""
    found = pattern.match(text, position)
    return position if found is None else found.end()


def any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Matches one of `texts`, the longest if there are several."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or r"(?!)")

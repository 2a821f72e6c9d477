"""Looking for texts and patterns in a text that comes in pieces."""

import re
from collections.abc import Sequence


def partial_length(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of `text` that begins a marker without completing it. `markers` mustn't be empty."""
    longest = max(len(marker) for marker in markers) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(len(marker) > length and marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0


def match_end(pattern: re.Pattern[str], text: str, position: int = 0) -> int:
    """Where a match of `pattern` that begins at `position` ends; `position` if there is none."""
    found = pattern.match(text, position)
    return position if found is None else found.end()

"""Looking for texts in a text that comes in pieces."""

from collections.abc import Sequence


def partial_length(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of `text` that begins one of `markers` without completing it; there must be some."""
    longest = max(len(marker) for marker in markers) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(len(marker) > length and marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0

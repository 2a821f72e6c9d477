"""What is learned from the sizes of turns. Pure functions over numbers."""

from collections import Counter
from collections.abc import Sequence

import msgspec

SIZES_MIN = 8
"""Of fewer turns, one odd one would decide."""
_PERCENT = 90
"""So many of a hundred turns shall fit what is granted first; the others grow, which costs them little."""


class SizeBin(msgspec.Struct, frozen=True, array_like=True):
    """So many turns had at most `up_to_tokens`, a power of two, and more than half as many."""

    up_to_tokens: int
    turns: int


class SizeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of a model's latest turns: half of them had at most `median_tokens`, nine of ten `usual_tokens`.

    `bins` go from the smallest to the largest, empty ones between them included.
    """

    turns: int
    median_tokens: int
    usual_tokens: int
    largest_tokens: int
    bins: tuple[SizeBin, ...]


def learned_grant(sizes: Sequence[int], *, block_tokens: int, window_tokens: int) -> int | None:
    """The whole blocks that hold what nine of ten turns needed, as far as a window goes; None of too few turns."""
    if len(sizes) < SIZES_MIN:
        return None
    blocks = max(-(-percentile(sizes, _PERCENT) // block_tokens), 1)
    return min(blocks * block_tokens, window_tokens)


def summary(sizes: Sequence[int]) -> SizeSummary | None:
    """`sizes` for people; None of none."""
    if not sizes:
        return None
    counts = Counter(_bin(tokens) for tokens in sizes)
    return SizeSummary(
        turns=len(sizes),
        median_tokens=percentile(sizes, 50),
        usual_tokens=percentile(sizes, _PERCENT),
        largest_tokens=max(sizes),
        bins=tuple(SizeBin(1 << power, counts[power]) for power in range(min(counts), max(counts) + 1)),
    )


def percentile(sizes: Sequence[int], percent: int) -> int:
    """The smallest of `sizes` that so many percent of them don't exceed. There must be one."""
    return sorted(sizes)[max(-(-len(sizes) * percent // 100), 1) - 1]


def _bin(tokens: int) -> int:
    """The power of two that isn't less."""
    return max(tokens - 1, 0).bit_length()

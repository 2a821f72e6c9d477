"""What to measure within a time. Pure functions."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from swell.bench.dialogue import GENERATED_TOKENS, window_of
from swell.cache import StoreKind

PEER = "llama.cpp server"
ELASTIC = (StoreKind.RESERVED.value, StoreKind.COPIED.value)
FIXED = (StoreKind.EAGER.value, PEER)
SUBJECTS = (*ELASTIC, *FIXED)
GROWTH_BLOCK_TOKENS = 4  # so small that there are many growths in little time
SPEED_STEPS = 16
TOKEN_COUNTS = (512, 1024, 2048, 4096, 8192)

TURNS, QUICK_TURNS = 10, 2
TURN_COUNTS = (2048, 4096, 8192)

_TURNS_SHARE = 0.3
"""Of the whole time, at most, for conversations."""
_ELASTIC_SHARE = 0.7
"""Of the time; the rest is for caches whose memory is the same however full they are."""
_PREPARATION_S = 2.0
"""To start a process, load the model and create the cache."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadingCost:
    """Seconds to read one token: `token_s`, and `depth_s` for each token before it."""

    token_s: float
    depth_s: float

    def reading_s(self, tokens: int) -> float:
        """Seconds to fill one slot from empty."""
        return self.token_s * tokens + self.depth_s * tokens * tokens / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Series:
    """One process: `subject` with `slots`, filled to each of `token_counts`, ascending."""

    subject: str
    slots: int
    token_counts: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Effort:
    """How much to do beside the series: growths while generating, how deep, runs for speed, creations."""

    growths: int
    deep_tokens: int
    repetitions: int
    creations: int


LEAST_EFFORT = Effort(growths=4, deep_tokens=256, repetitions=2, creations=1)
"""Shows that all works, and no more."""

_EFFORTS = (
    Effort(growths=128, deep_tokens=2048, repetitions=12, creations=3),
    Effort(growths=64, deep_tokens=1024, repetitions=8, creations=3),
    Effort(growths=32, deep_tokens=512, repetitions=6, creations=2),
)
_EFFORT_SHARE = 0.3
"""Of the whole time, at most."""
_SINGLE_COST = 3
"""What a token alone costs, against one in a batch."""


def effort(cost: ReadingCost, budget_s: float) -> Effort:
    """The largest that leaves most of the time to the series."""
    for one in _EFFORTS:
        fills_s = 4 * cost.reading_s(one.deep_tokens)  # two stores each for growth and for speed
        singles = 2 * one.growths * GROWTH_BLOCK_TOKENS + 4 * one.repetitions * SPEED_STEPS
        if fills_s + singles * _SINGLE_COST * cost.token_s <= budget_s * _EFFORT_SHARE:
            return one
    return LEAST_EFFORT


def fit_cost(marks: Sequence[tuple[int, float]]) -> ReadingCost:
    """The cost that fits best to `marks`: (tokens, seconds since the mark before).

    The first mark only says where the measuring begins, because the first batch also reads the weights from disk.
    Raises ValueError for fewer than two.
    """
    if len(marks) < 2:
        raise ValueError("a cost takes two marks at least")
    points = []
    for (start, _), (end, duration_s) in itertools.pairwise(marks):
        points.append(((start + end) / 2, duration_s / (end - start)))
    mean_depth = sum(depth for depth, _ in points) / len(points)
    mean_s = sum(token_s for _, token_s in points) / len(points)
    variance = sum((depth - mean_depth) ** 2 for depth, _ in points)
    covariance = sum((depth - mean_depth) * (token_s - mean_s) for depth, token_s in points)
    depth_s = max(0.0, covariance / variance) if variance else 0.0
    return ReadingCost(token_s=max(mean_s - depth_s * mean_depth, 0.0), depth_s=depth_s)


def token_counts(window_tokens: int) -> tuple[int, ...]:
    """The counts that fit the window; the window itself where none does."""
    return tuple(count for count in TOKEN_COUNTS if count <= window_tokens) or (window_tokens,)


def turn_counts(window_tokens: int, cost: ReadingCost, budget_s: float) -> tuple[int, ...]:
    """With how many tokens the conversations begin: those that fit the window and the time."""
    fitting = [count for count in TURN_COUNTS if window_of(count, TURNS) <= window_tokens]
    counts = [count for count in fitting if _turns_s(count, cost) <= budget_s * _TURNS_SHARE]
    return tuple(counts or [min(TURN_COUNTS[0], window_tokens) // 4])


def _turns_s(prompt_tokens: int, cost: ReadingCost) -> float:
    """Seconds for a conversation with two subjects, of which each reads all of it and generates one by one."""
    generated = TURNS * GENERATED_TOKENS * _SINGLE_COST * (cost.token_s + cost.depth_s * prompt_tokens)
    return 2 * (cost.reading_s(window_of(prompt_tokens, TURNS)) + generated)


def plan(
    subjects: Sequence[str],
    slot_counts: Sequence[int],
    counts: Sequence[int],
    costs: Mapping[str, ReadingCost],
    budget_s: float,
) -> list[Series]:
    """The series of all subjects at all slot counts, each as far as the time allows; `math.inf` allows all.

    The elastic stores come first and are always filled alike. Even where there is no time to fill anything, a series
    says what was there right after creation.
    """
    elastic = [subject for subject in subjects if subject in ELASTIC]
    fixed = [subject for subject in subjects if subject not in ELASTIC]
    left_s = budget_s - _PREPARATION_S * len(subjects) * len(slot_counts)
    chosen: dict[tuple[str, int], tuple[int, ...]] = {}
    for group, share in ((elastic, _ELASTIC_SHARE if fixed else 1.0), (fixed, 1.0)):
        allowed_s = left_s * share
        reached, used_s = _fill(group, slot_counts, counts, costs, allowed_s)
        chosen |= {(subject, slots): done for slots, done in reached.items() for subject in group}
        left_s -= used_s
    return [
        Series(subject=subject, slots=slots, token_counts=chosen[subject, slots])
        for slots in slot_counts
        for subject in subjects
    ]


def _fill(
    group: Sequence[str],
    slot_counts: Sequence[int],
    counts: Sequence[int],
    costs: Mapping[str, ReadingCost],
    allowed_s: float,
) -> tuple[dict[int, tuple[int, ...]], float]:
    """Counts reached for each number of slots, and the seconds they take: small sums of tokens first."""
    reached: dict[int, tuple[int, ...]] = dict.fromkeys(slot_counts, ())
    used_s = 0.0
    for count, slots in sorted(((count, slots) for count in counts for slots in slot_counts), key=math.prod):
        position = counts.index(count)
        if len(reached[slots]) != position:
            continue  # a smaller count didn't fit already
        before = counts[position - 1] if position else 0
        step_s = slots * sum(costs[subject].reading_s(count) - costs[subject].reading_s(before) for subject in group)
        if used_s + step_s <= allowed_s:
            used_s += step_s
            reached[slots] += (count,)
    return reached, used_s

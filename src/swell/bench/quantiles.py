"""Statistics of durations. Pure functions."""

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

from swell.bench.results import BenchStep

_NEIGHBOURS = 8
"""Steps on each side whose median is what a step would have taken."""


class Spread(NamedTuple):
    """Median, 99th percentile and maximum of `size` values, in their unit; all 0 when there are none."""

    size: int
    p50: float
    p99: float
    maximum: float


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all don't exceed. Raises ValueError without values."""
    if not values:
        raise ValueError("no values have no percentile")
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 1000) // 1000)  # in whole thousandths: 0.99 of 100 is 99, not 99.00000001
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(0, 0.0, 0.0, 0.0)
    return Spread(len(values), statistics.median(values), percentile(values, 0.99), max(values))


def added_s(steps: Sequence[BenchStep], chosen: Callable[[BenchStep], bool]) -> list[float]:
    """For each chosen step, its duration minus the median of its neighbours without growth; steps without any are
    left out."""
    added: list[float] = []
    for index, step in enumerate(steps):
        if not chosen(step):
            continue
        around = [*steps[max(0, index - _NEIGHBOURS) : index], *steps[index + 1 : index + 1 + _NEIGHBOURS]]
        usual = [other.duration_s for other in around if not other.has_grown]
        if usual:
            added.append(step.duration_s - statistics.median(usual))
    return added

"""Statistics of durations."""

import pytest

from swell.bench.quantiles import added_s, percentile, spread
from swell.bench.results import BenchStep


def step(duration_s: float, *, grown: bool = False) -> BenchStep:
    return BenchStep(0, duration_s, 0.0, 0.0, grown, False)


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.99, 99), (100, 0.5, 50), (101, 0.99, 100), (1, 0.99, 1), (4, 1.0, 4)]
)
def test_percentiles_are_values_that_occurred(count: int, share: float, expected: int) -> None:
    assert percentile([float(value) for value in range(count, 0, -1)], share) == expected


def test_no_values() -> None:
    assert spread([]) == (0, 0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_spread() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == (4, 2.5, 10.0, 10.0)


def test_what_a_growth_adds_is_measured_against_its_neighbours() -> None:
    steps = [step(1.0), step(1.2), step(5.0, grown=True), step(1.0), step(1.1), step(9.0, grown=True)]
    assert added_s(steps, lambda one: one.has_grown) == pytest.approx([3.95, 7.95])
    assert max(added_s(steps, lambda one: not one.has_grown)) == pytest.approx(0.2)


def test_neighbours_are_near() -> None:
    steps = [*[step(100.0)] * 50, *[step(1.0)] * 8, step(2.0, grown=True), *[step(1.0)] * 8, *[step(100.0)] * 50]
    assert added_s(steps, lambda one: one.has_grown) == [1.0]


def test_a_growth_without_neighbours_is_left_out() -> None:
    assert added_s([step(1.0, grown=True), step(2.0, grown=True)], lambda one: one.has_grown) == []

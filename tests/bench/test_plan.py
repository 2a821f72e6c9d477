"""What is measured within a time."""

import itertools
import math

import pytest

from swell.bench.plan import (
    ELASTIC,
    LEAST_EFFORT,
    PEER,
    SUBJECTS,
    ReadingCost,
    effort,
    fit_cost,
    plan,
    token_counts,
    turn_counts,
)

COUNTS = (512, 1024, 2048, 4096, 8192)
SLOTS = (1, 4, 8)
COSTS = dict.fromkeys(SUBJECTS, ReadingCost(token_s=0.005, depth_s=2e-7)) | {
    PEER: ReadingCost(token_s=0.015, depth_s=2e-7)
}


def needed_s(budget_s: float) -> float:
    """What the plan for a budget takes, by its own costs."""
    series = plan(SUBJECTS, SLOTS, COUNTS, COSTS, budget_s)
    return sum(one.slots * COSTS[one.subject].reading_s(max(one.token_counts, default=0)) for one in series)


def test_a_cost_is_found_in_what_it_causes() -> None:
    cost = ReadingCost(token_s=0.004, depth_s=3e-7)
    tokens = [256, 512, 1024, 1280]
    marks = [(256, 99.0)]
    for start, end in itertools.pairwise(tokens):
        marks.append((end, cost.reading_s(end) - cost.reading_s(start)))
    found = fit_cost(marks)
    assert found.token_s == pytest.approx(0.004)
    assert found.depth_s == pytest.approx(3e-7)


def test_a_cost_is_never_negative() -> None:
    noisy = fit_cost([(256, 1.0), (512, 2.0), (768, 1.0)])
    assert noisy.depth_s == 0.0
    assert noisy.token_s == pytest.approx(3.0 / 512)
    assert fit_cost([(64, 1.0), (192, 1.28)]) == ReadingCost(token_s=0.01, depth_s=0.0)
    with pytest.raises(ValueError, match="two marks"):
        fit_cost([(256, 1.0)])


def test_conversations_are_as_long_as_the_window_and_the_time_allow() -> None:
    cost = COSTS[SUBJECTS[0]]
    assert turn_counts(16_384, cost, math.inf) == (2048, 4096, 8192)
    assert turn_counts(8192, cost, math.inf) == (2048, 4096)
    assert turn_counts(8192, cost, 10.0) == turn_counts(2048, cost, math.inf) == (512,)
    assert turn_counts(512, cost, math.inf) == (128,)


def test_without_a_limit_everything_is_filled() -> None:
    series = plan(SUBJECTS, SLOTS, COUNTS, COSTS, math.inf)
    assert [(one.slots, one.subject) for one in series] == [(slots, subject) for slots in SLOTS for subject in SUBJECTS]
    assert {one.token_counts for one in series} == {COUNTS}


@pytest.mark.parametrize("budget_s", [60.0, 300.0, 480.0, 900.0])
def test_a_plan_keeps_to_its_time_and_fills_the_elastic_stores_alike(budget_s: float) -> None:
    series = plan(SUBJECTS, SLOTS, COUNTS, COSTS, budget_s)
    assert needed_s(budget_s) <= budget_s
    assert needed_s(budget_s) < needed_s(2 * budget_s)
    for slots in SLOTS:
        reached = {one.subject: one.token_counts for one in series if one.slots == slots}
        assert len({reached[subject] for subject in ELASTIC}) == 1
        assert all(done == COUNTS[: len(done)] for done in reached.values())


def test_without_time_there_is_creation_at_least() -> None:
    assert [one.token_counts for one in plan(SUBJECTS, (1,), COUNTS, COSTS, -5.0)] == [()] * len(SUBJECTS)


def test_counts_fit_the_window() -> None:
    assert token_counts(8192) == COUNTS
    assert token_counts(2050) == (512, 1024, 2048)
    assert token_counts(300) == (300,)


def test_little_time_is_little_effort() -> None:
    quick = ReadingCost(token_s=0.005, depth_s=1e-7)
    assert effort(quick, math.inf) == effort(quick, 600)
    assert effort(quick, 600).growths >= 100, "a 99th percentile takes so many"
    assert effort(quick, 1) == LEAST_EFFORT
    busy = ReadingCost(token_s=0.02, depth_s=4e-7)
    assert effort(busy, 600).deep_tokens < effort(quick, 600).deep_tokens

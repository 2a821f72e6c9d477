"""The ladder as a pure function: its order, and that it ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import KvGrowError
from swell.supervisor.causes import Cause
from swell.turns.recovery.ladder import (
    PROGRESS_TOKENS,
    Attempt,
    RecoveryStep,
    Situation,
    back_off_s,
    is_suspect,
    next_recovery_step,
    possible_cells,
)

EVERYTHING = Situation(idle_models=1, busy_requests=2, has_other_placement=True, has_smaller_cache=True, attempts_max=9)
NOTHING = Situation(idle_models=0, busy_requests=0, has_other_placement=False, has_smaller_cache=False, attempts_max=4)
situations = st.builds(
    Situation,
    idle_models=st.integers(0, 3),
    busy_requests=st.integers(0, 3),
    has_other_placement=st.booleans(),
    has_smaller_cache=st.booleans(),
    attempts_max=st.integers(0, 8),
)


def climb(cause: Cause, situation: Situation) -> list[RecoveryStep]:
    """All rungs in one situation, to the last."""
    tried: list[RecoveryStep] = []
    while RecoveryStep.GIVE_UP not in tried:
        tried.append(next_recovery_step(cause, tried, situation))
    return tried


def test_a_refused_growth_walks_from_the_cheapest_to_the_dearest() -> None:
    rungs = climb(Cause.GROWTH_REFUSED, EVERYTHING)
    assert rungs.count(RecoveryStep.OTHER_PLACEMENT) == 2
    assert list(dict.fromkeys(rungs)) == [
        RecoveryStep.EVICT_IDLE,
        RecoveryStep.WAIT,
        RecoveryStep.OTHER_PLACEMENT,
        RecoveryStep.SMALLER_CACHE,
        RecoveryStep.WINDOW_END,
        RecoveryStep.GIVE_UP,
    ]


def test_a_refused_growth_with_nothing_to_gain_ends_the_window() -> None:
    assert climb(Cause.GROWTH_REFUSED, NOTHING) == [RecoveryStep.WINDOW_END, RecoveryStep.GIVE_UP]


def test_a_lost_runner_is_replaced_a_number_of_times() -> None:
    assert climb(Cause.RUNNER_KILLED, EVERYTHING) == [RecoveryStep.RELOAD] * 9 + [RecoveryStep.GIVE_UP]


def test_after_a_kill_for_want_of_memory_idle_models_go_first() -> None:
    assert climb(Cause.OUT_OF_MEMORY, EVERYTHING)[:3] == [
        RecoveryStep.EVICT_IDLE,
        RecoveryStep.RELOAD,
        RecoveryStep.WAIT,
    ]


def test_with_nothing_to_gain_a_kill_for_want_of_memory_is_one_like_others() -> None:
    assert climb(Cause.OUT_OF_MEMORY, NOTHING) == [RecoveryStep.RELOAD] * 4 + [RecoveryStep.GIVE_UP]


@given(st.sampled_from(Cause), st.integers(0, 10**6), st.integers(0, 10**6))
def test_what_was_tried_is_forgotten_after_a_token_or_after_more_where_a_runner_died(
    cause: Cause, generated: int, more: int
) -> None:
    needed = PROGRESS_TOKENS if cause.is_death else 1
    assert Attempt(RecoveryStep.RELOAD, cause, generated).is_forgotten(generated + more) is (more >= needed)


@given(st.lists(st.sampled_from(Cause), max_size=9), st.integers(0, 9))
def test_nobody_is_suspected_for_less_than_a_death_or_left_among_others_with_its_last_attempt_used(
    causes: list[Cause], attempts_max: int
) -> None:
    deaths = sum(cause.is_death for cause in causes)
    found = is_suspect([Attempt(RecoveryStep.RELOAD, cause, 0) for cause in causes], attempts_max)
    assert found is (deaths >= 1 if attempts_max <= 1 else deaths >= 2)


@given(st.sampled_from(Cause), situations)
def test_it_always_ends_and_never_has_more_attempts_than_allowed(cause: Cause, situation: Situation) -> None:
    rungs = climb(cause, situation)
    assert (
        len([rung for rung in rungs if rung not in (RecoveryStep.WINDOW_END, RecoveryStep.GIVE_UP)])
        <= situation.attempts_max
    )
    assert rungs.count(RecoveryStep.WINDOW_END) <= (cause is Cause.GROWTH_REFUSED)


@given(st.lists(st.sampled_from(RecoveryStep), max_size=20))
def test_the_wait_before_a_rung_is_bounded_and_none_before_the_first(tried: list[RecoveryStep]) -> None:
    assert 0 <= back_off_s(tried) <= 4
    assert back_off_s([]) == 0


@pytest.mark.parametrize(("free_bytes", "cells"), [(0, 100), (500, 150), (999, 199), (1000, 100), (5000, 100)])
def test_a_refused_growth_knows_how_far_memory_would_have_gone(free_bytes: int, cells: int) -> None:
    """As much as is needed was refused, too, where devices say that there is more than they then give."""
    refused = KvGrowError(from_cells=100, to_cells=200, max_cells=8192, needed_bytes=1000, free_bytes=free_bytes)
    assert possible_cells(refused) == cells

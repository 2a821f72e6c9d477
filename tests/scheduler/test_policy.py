"""The policy by its promises, for any loaded models and any numbers."""

import dataclasses

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.errors import ContextError, LoadDiedError, LoadTimeoutError, ModelLoadError, SwellError
from swell.scheduler.policy import (
    Demand,
    Evict,
    LoadNow,
    RunnerState,
    ShrinkIdle,
    Wait,
    is_shortage,
    next_step,
)
from swell.scheduler.runner_key import RunnerKey, RunnerRole

BYTES = st.integers(0, 1 << 40)
KEYS = st.builds(RunnerKey, st.sampled_from("abcdef"), st.sampled_from(RunnerRole))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Demand, list[RunnerState]]:
    runners = []
    for key in draw(st.lists(KEYS, unique=True, max_size=6)):
        is_leaving = draw(st.booleans())
        runners.append(
            RunnerState(
                key=key,
                users=0 if is_leaving else draw(st.integers(0, 2)),
                last_use=draw(st.integers(0, 20)),
                is_leaving=is_leaving,
                unstored_bytes=draw(st.integers(0, 1 << 20)),
            )
        )
    demand = Demand(
        key=draw(KEYS),
        needed_bytes=draw(BYTES),
        free_bytes=draw(st.integers(-(1 << 20), 1 << 40)),
        models_max=draw(st.integers(1, 5)),
        may_shrink=draw(st.booleans()),
    )
    return demand, runners


def others(demand: Demand, runners: list[RunnerState]) -> set[str]:
    """The models that are there beside the one that is wanted."""
    return {one.key.model for one in runners} - {demand.key.model}


@given(situations())
def test_only_the_longest_unused_idle_model_is_evicted_and_never_a_busy_one(
    situation: tuple[Demand, list[RunnerState]],
) -> None:
    demand, runners = situation
    step = next_step(demand, runners)
    if isinstance(step, Evict):
        victim = next(one for one in runners if one.key == step.key)
        assert victim.is_idle
        if victim.key != demand.key:
            assert victim.last_use == min(one.last_use for one in runners if one.is_idle)


@given(situations())
def test_a_load_keeps_to_the_count_and_to_memory_unless_it_is_the_only_one(
    situation: tuple[Demand, list[RunnerState]],
) -> None:
    demand, runners = situation
    if isinstance(next_step(demand, runners), LoadNow) and runners:
        assert len(others(demand, runners)) < demand.models_max
        assert demand.needed_bytes <= demand.free_bytes
        assert demand.key not in [one.key for one in runners]


@given(situations())
def test_nothing_is_evicted_without_need(situation: tuple[Demand, list[RunnerState]]) -> None:
    demand, runners = situation
    is_new = demand.key not in [one.key for one in runners]
    if is_new and len(others(demand, runners)) < demand.models_max and demand.needed_bytes <= demand.free_bytes:
        assert next_step(demand, runners) == LoadNow()


@given(situations())
def test_it_waits_only_for_what_will_come(situation: tuple[Demand, list[RunnerState]]) -> None:
    """For one that leaves by itself, or for a busy one, which is closed meanwhile."""
    demand, runners = situation
    step = next_step(demand, runners)
    if isinstance(step, Wait):
        if step.closed is None:
            assert any(one.is_leaving for one in runners)
        else:
            assert next(one for one in runners if one.key == step.closed).users > 0
            idle = [one.key for one in runners if one.is_idle]
            assert demand.key in [one.key for one in runners] or not idle


@given(situations())
def test_every_situation_comes_to_a_load(situation: tuple[Demand, list[RunnerState]]) -> None:
    """If each step is carried out, requests end and memory doesn't come back, it ends in a load."""
    demand, runners = situation
    for _ in range(3 * len(runners) + 2):
        match next_step(demand, runners):
            case LoadNow():
                return
            case ShrinkIdle():
                freed = sum(one.unstored_bytes for one in runners if one.is_idle)
                demand = Demand(
                    key=demand.key,
                    needed_bytes=demand.needed_bytes,
                    free_bytes=demand.free_bytes + freed,
                    models_max=demand.models_max,
                    may_shrink=False,
                )
            case Evict(key):
                runners = [one for one in runners if one.key != key]
            case Wait(None):
                runners = [one for one in runners if not one.is_leaving]
            case Wait(closed):
                runners = [
                    RunnerState(key=one.key, users=0, last_use=one.last_use) if one.key == closed else one
                    for one in runners
                ]
    raise AssertionError("it never loads")


def test_idle_models_shrink_before_one_is_evicted() -> None:
    idle = RunnerState(key=RunnerKey("a"), users=0, last_use=1, unstored_bytes=50)
    demand = Demand(key=RunnerKey("b"), needed_bytes=100, free_bytes=60, models_max=3)
    assert next_step(demand, [idle]) == ShrinkIdle()
    assert next_step(dataclasses.replace(demand, free_bytes=40), [idle]) == Evict(idle.key)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ContextError(1, 1, "no"), True),
        (LoadDiedError("signal: killed", -9), True),
        (LoadDiedError("signal: aborted", -6), False),
        (LoadTimeoutError("slow"), False),
        (ModelLoadError("x", "broken"), False),
    ],
)
def test_what_more_memory_may_cure(error: SwellError, expected: bool) -> None:
    assert is_shortage(error) is expected

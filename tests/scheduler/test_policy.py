"""The policy by its promises, for any loaded models and any numbers."""

import dataclasses
from pathlib import Path

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
    may_queue,
    next_step,
)
from swell.scheduler.ward import RunnerKey, Ward

BYTES = st.integers(0, 1 << 40)
KEYS = st.builds(RunnerKey, st.sampled_from("abcdef").map(Path), st.sampled_from(Ward))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Demand, list[RunnerState]]:
    residents = []
    for key in draw(st.lists(KEYS, unique=True, max_size=6)):
        is_leaving = draw(st.booleans())
        residents.append(
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
    return demand, residents


def others(demand: Demand, residents: list[RunnerState]) -> set[Path]:
    """The models that are there beside the one that is wanted."""
    return {one.key.path for one in residents} - {demand.key.path}


@given(situations())
def test_only_the_longest_unused_idle_model_is_evicted_and_never_a_busy_one(
    situation: tuple[Demand, list[RunnerState]],
) -> None:
    demand, residents = situation
    step = next_step(demand, residents)
    if isinstance(step, Evict):
        victim = next(one for one in residents if one.key == step.key)
        assert victim.is_idle
        if victim.key != demand.key:
            assert victim.last_use == min(one.last_use for one in residents if one.is_idle)


@given(situations())
def test_a_load_keeps_to_the_count_and_to_memory_unless_it_is_the_only_one(
    situation: tuple[Demand, list[RunnerState]],
) -> None:
    demand, residents = situation
    if isinstance(next_step(demand, residents), LoadNow) and residents:
        assert len(others(demand, residents)) < demand.models_max
        assert demand.needed_bytes <= demand.free_bytes
        assert demand.key not in [one.key for one in residents]


@given(situations())
def test_nothing_is_evicted_without_need(situation: tuple[Demand, list[RunnerState]]) -> None:
    demand, residents = situation
    is_new = demand.key not in [one.key for one in residents]
    if is_new and len(others(demand, residents)) < demand.models_max and demand.needed_bytes <= demand.free_bytes:
        assert next_step(demand, residents) == LoadNow()


@given(situations())
def test_it_waits_only_for_what_will_come(situation: tuple[Demand, list[RunnerState]]) -> None:
    """For one that leaves by itself, or for a busy one, which is closed meanwhile."""
    demand, residents = situation
    step = next_step(demand, residents)
    if isinstance(step, Wait):
        if step.closed is None:
            assert any(one.is_leaving for one in residents)
        else:
            assert next(one for one in residents if one.key == step.closed).users > 0
            idle = [one.key for one in residents if one.is_idle]
            assert demand.key in [one.key for one in residents] or not idle


@given(situations())
def test_every_situation_comes_to_a_load(situation: tuple[Demand, list[RunnerState]]) -> None:
    """If each step is carried out, requests end and memory doesn't come back, it ends in a load."""
    demand, residents = situation
    for _ in range(3 * len(residents) + 2):
        match next_step(demand, residents):
            case LoadNow():
                return
            case ShrinkIdle():
                freed = sum(one.unstored_bytes for one in residents if one.is_idle)
                demand = Demand(
                    key=demand.key,
                    needed_bytes=demand.needed_bytes,
                    free_bytes=demand.free_bytes + freed,
                    models_max=demand.models_max,
                    may_shrink=False,
                )
            case Evict(key):
                residents = [one for one in residents if one.key != key]
            case Wait(None):
                residents = [one for one in residents if not one.is_leaving]
            case Wait(closed):
                residents = [
                    RunnerState(key=one.key, users=0, last_use=one.last_use) if one.key == closed else one
                    for one in residents
                ]
    raise AssertionError("it never loads")


def test_idle_models_shrink_before_one_is_evicted() -> None:
    idle = RunnerState(key=RunnerKey(Path("a")), users=0, last_use=1, unstored_bytes=50)
    demand = Demand(key=RunnerKey(Path("b")), needed_bytes=100, free_bytes=60, models_max=3)
    assert next_step(demand, [idle]) == ShrinkIdle()
    assert next_step(dataclasses.replace(demand, free_bytes=40), [idle]) == Evict(idle.key)


def test_the_first_in_line_does_not_count_as_waiting() -> None:
    assert may_queue(0, 0, is_first=True)
    assert not may_queue(0, 0, is_first=False)
    assert may_queue(511, 512, is_first=False)
    assert not may_queue(512, 512, is_first=False)


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

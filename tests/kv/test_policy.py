import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.kv.policy import GrowthPolicy, default_slots, initial_grant, most_cells, next_grant

CELLS = st.integers(1, 300_000)
POLICIES = st.builds(GrowthPolicy, initial_cells=CELLS, block_cells=CELLS, max_cells=CELLS)


def policy(initial: int = 2048, block: int = 1024, most: int = 8192) -> GrowthPolicy:
    return GrowthPolicy(initial_cells=initial, block_cells=block, max_cells=most)


@pytest.mark.parametrize(
    ("granted", "needed", "expected"),
    [
        (2048, 1, 2048),
        (2048, 2048, 2048),
        (2048, 2049, 3072),
        (2048, 5000, 5120),
        (5120, 5121, 6144),
        (8000, 8192, 8192),
    ],
)
def test_grows_by_as_many_blocks_as_are_needed(granted: int, needed: int, expected: int) -> None:
    assert next_grant(granted, needed, policy()) == expected


def test_more_than_the_maximum_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="8193"):
        next_grant(2048, 8193, policy())


@given(growth=POLICIES, needed=st.lists(CELLS, max_size=20))
def test_a_grant_always_suffices_and_never_exceeds_the_maximum(growth: GrowthPolicy, needed: list[int]) -> None:
    granted = initial_grant(growth)
    for cells in needed:
        if cells > growth.max_cells:
            continue
        before, granted = granted, next_grant(granted, cells, growth)
        assert before <= granted <= growth.max_cells
        assert cells <= granted
        assert granted == before or granted - max(before, cells) < growth.block_cells


@pytest.mark.parametrize("field", ["initial_cells", "block_cells", "max_cells"])
def test_every_number_is_positive(field: str) -> None:
    numbers = {"initial_cells": 1, "block_cells": 1, "max_cells": 1, field: 0}
    with pytest.raises(ValueError, match="positive"):
        GrowthPolicy(**numbers)


@given(cells=st.integers(1, 10_000_000))
def test_default_slots_stay_cheap(cells: int) -> None:
    slots = default_slots(cells)
    assert slots == 1 or slots * cells <= 262_144


@pytest.mark.parametrize(
    ("trained", "weights_bytes", "cells"),
    [
        (0, 0, 1),
        (131_072, 1000, 131_072),
        (4_194_304, 4_900_000_000, 4_194_304),  # an 8B model that was taught so long a window
        (10_485_760, 61_000_000_000, 10_485_760),  # Llama 4 Scout
        (2**32 - 1, 1000, 1_048_576),
        (2**32 - 1, 4_000_000_000, 10_000_000),
    ],
)
def test_a_window_is_as_long_as_trained_or_as_the_model_is_large(trained: int, weights_bytes: int, cells: int) -> None:
    assert most_cells(trained, weights_bytes) == cells

"""What is learned from sizes, of any there may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.sizes.learning import SIZES_MIN, learned_grant, percentile, summary

SIZES = st.lists(st.integers(1, 2**31 - 1) | st.integers(1, 5000), min_size=1, max_size=100)
BLOCKS, WINDOWS = st.integers(1, 2**31 - 1) | st.integers(1, 4096), st.integers(1, 2**31 - 1) | st.integers(1, 9000)


@given(sizes=SIZES, block=BLOCKS, window=WINDOWS)
def test_a_grant_is_whole_blocks_for_nine_of_ten_turns_or_a_window(sizes: list[int], block: int, window: int) -> None:
    grant = learned_grant(sizes, block_tokens=block, window_tokens=window)
    if len(sizes) < SIZES_MIN:
        assert grant is None
        return
    assert grant is not None
    assert 0 < grant <= window
    if grant < window:
        assert grant % block == 0
        assert sum(size <= grant for size in sizes) * 10 >= len(sizes) * 9
        assert sum(size <= grant - block for size in sizes) * 10 < len(sizes) * 9, "a block less is not enough"


@given(sizes=SIZES, block=BLOCKS, window=WINDOWS, more=st.integers(1, 1000))
def test_larger_turns_are_never_granted_less(sizes: list[int], block: int, window: int, more: int) -> None:
    known = sizes * SIZES_MIN
    before = learned_grant(known, block_tokens=block, window_tokens=window)
    after = learned_grant([size + more for size in known], block_tokens=block, window_tokens=window)
    assert before is not None
    assert after is not None
    assert after >= before


@given(sizes=SIZES, percent=st.integers(1, 100))
def test_a_percentile_is_one_of_them(sizes: list[int], percent: int) -> None:
    found = percentile(sizes, percent)
    assert found in sizes
    assert sum(size <= found for size in sizes) * 100 >= percent * len(sizes)
    assert sum(size < found for size in sizes) * 100 < percent * len(sizes)


@given(sizes=SIZES)
def test_a_summary_counts_each_turn_once(sizes: list[int]) -> None:
    found = summary(sizes)
    assert found is not None
    assert found.turns == len(sizes) == sum(one.turns for one in found.bins)
    assert found.median_tokens <= found.usual_tokens <= found.largest_tokens == max(sizes)
    bounds = [one.up_to_tokens for one in found.bins]
    assert bounds == [bounds[0] << step for step in range(len(bounds))]
    assert found.bins[0].turns > 0 < found.bins[-1].turns
    for one in found.bins:
        assert one.turns == sum(one.up_to_tokens // 2 < size <= one.up_to_tokens for size in sizes)


def test_of_no_turns_there_is_nothing_to_say() -> None:
    assert summary([]) is None


@pytest.mark.parametrize(("odd", "grant"), [(0, 1024), (10, 1024), (11, 9216)])
def test_a_few_odd_ones_dont_count(odd: int, grant: int) -> None:
    sizes = [900] * (100 - odd) + [9000] * odd
    assert learned_grant(sizes, block_tokens=1024, window_tokens=100_000) == grant

"""The latest sizes in memory: bounded, in order, by model."""

from hypothesis import given
from hypothesis import strategies as st

from swell.sizes.recent import MODELS_MAX, SIZES_MAX, RecentSizes, TurnSize

TURNS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2**31 - 1)), max_size=300)


def added(turns: list[tuple[str, int]], sizes: RecentSizes | None = None) -> RecentSizes:
    sizes = sizes or RecentSizes()
    for model, tokens in turns:
        sizes.add(TurnSize(model, tokens, 0))
    return sizes


@given(turns=TURNS)
def test_the_latest_of_each_model_are_kept_in_order(turns: list[tuple[str, int]]) -> None:
    sizes = added(turns)
    for model in "abc":
        assert list(sizes.of(model)) == [tokens for name, tokens in turns if name == model][-SIZES_MAX:]


@given(earlier=TURNS, later=TURNS)
def test_what_is_read_late_is_as_if_it_were_read_first(
    earlier: list[tuple[str, int]], later: list[tuple[str, int]]
) -> None:
    sizes = added(later)
    sizes.add_earlier(TurnSize(model, tokens, 0) for model, tokens in earlier)
    expected = added(later, added(earlier))
    assert [list(sizes.of(model)) for model in "abc"] == [list(expected.of(model)) for model in "abc"]


def test_of_many_models_those_that_answered_last_are_kept() -> None:
    sizes = added([("first", 1), *((str(number), 1) for number in range(MODELS_MAX - 1)), ("first", 2), ("last", 1)])
    assert list(sizes.of("first")) == [1, 2]
    assert list(sizes.of("0")) == []
    assert list(sizes.of("last")) == [1]
    sizes.clear()
    assert list(sizes.of("first")) == []

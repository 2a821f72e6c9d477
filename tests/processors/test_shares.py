import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.processors.shares import Demands, fair_share

demands = st.lists(st.integers(1, 600), max_size=20)


@given(st.integers(1, 512), st.integers(1, 600), demands)
def test_a_share_is_what_is_wanted_at_most_and_never_less_than_an_equal_part(
    threads: int, wanted: int, others: list[int]
) -> None:
    share = fair_share(threads, wanted, others)
    assert 1 <= share <= wanted
    assert share >= min(wanted, threads // (len(others) + 1))


@given(st.integers(1, 512), st.lists(st.integers(1, 600), min_size=1, max_size=20))
def test_shares_together_are_no_more_than_there_is_unless_each_is_one(threads: int, wanted: list[int]) -> None:
    shares = [fair_share(threads, one, wanted[:at] + wanted[at + 1 :]) for at, one in enumerate(wanted)]
    assert sum(shares) <= max(threads, len(wanted)) or all(share == 1 for share in shares)


@pytest.mark.parametrize(
    ("threads", "wanted", "others", "share"),
    [
        (2, 2, [], 2),
        (2, 2, [2], 1),
        (2, 2, [2, 2], 1),
        (8, 8, [1], 7),
        (8, 8, [1, 8], 3),
        (8, 8, [8, 8, 8], 2),
        (8, 3, [8], 3),
        (2, 512, [], 2),
    ],
)
def test_shares(threads: int, wanted: int, others: list[int], share: int) -> None:
    assert fair_share(threads, wanted, others) == share


def test_others_see_who_computes() -> None:
    server = Demands.create(4)
    runner = Demands(os.dup(server.fileno()))
    runner.want(2, 8)
    assert server.others(0) == [8]
    assert runner.others(2) == []
    runner.want(2, 0)
    assert server.others(0) == []
    for one in (runner, server, server):
        one.close()

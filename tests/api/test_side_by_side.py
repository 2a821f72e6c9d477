"""Several generators as one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from swell.api.http.side_by_side import side_by_side


class Counting:
    """Generators, and which of them were closed."""

    def __init__(self) -> None:
        self.open = 0

    async def upto(self, count: int, *, fails: bool = False) -> AsyncGenerator[int, None]:
        self.open += 1
        try:
            for number in range(count):
                await asyncio.sleep(0)
                yield number
            if fails:
                raise ValueError("no more")
        finally:
            self.open -= 1


@pytest.mark.parametrize("counts", [[3], [2, 0, 3], [0, 0]])
def test_gives_all_that_each_gives_in_order(counts: list[int]) -> None:
    source = Counting()

    async def gather() -> list[tuple[int, int]]:
        return [pair async for pair in side_by_side([source.upto(count) for count in counts])]

    pairs = asyncio.run(gather())
    for index, count in enumerate(counts):
        assert [number for at, number in pairs if at == index] == list(range(count))
    assert source.open == 0


@pytest.mark.parametrize("others", [0, 2])
def test_an_error_ends_all(others: int) -> None:
    source = Counting()

    async def gather() -> None:
        generators = [source.upto(1, fails=True), *(source.upto(1000) for _ in range(others))]
        async with aclosing(side_by_side(generators)) as pairs:
            async for _ in pairs:
                pass

    with pytest.raises(ValueError, match="no more"):
        asyncio.run(gather())
    assert source.open == 0


@pytest.mark.parametrize("count", [1, 3])
def test_closing_it_closes_all(count: int) -> None:
    source = Counting()

    async def leave() -> None:
        async with aclosing(side_by_side([source.upto(1000) for _ in range(count)])) as pairs:
            await anext(pairs)
        assert source.open == 0

    asyncio.run(leave())

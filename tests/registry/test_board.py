"""The lines of one transfer, as its readers see them."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import settle

from swell.errors import NotInRegistryError, SwellError
from swell.registry.board import ProgressBoard
from swell.store.progress import Progress

A, B = ("sha256:a", "sha256:b")


def at(completed: int, digest: str = A) -> Progress:
    return Progress(f"pulling {digest}", digest, 1000, completed)


async def read(board: ProgressBoard) -> list[Progress]:
    return [line async for line in board.lines()]


def test_a_reader_that_keeps_up_sees_every_line() -> None:
    async def run() -> list[Progress]:
        board = ProgressBoard()
        reader = asyncio.create_task(read(board))
        for completed in range(3):
            board.put(at(completed))
            await settle()
        board.end()
        return await reader

    assert asyncio.run(run()) == [at(0), at(1), at(2)]


def test_a_slow_reader_sees_the_latest_and_holds_nobody_up() -> None:
    async def run() -> list[Progress]:
        board = ProgressBoard()
        board.put(Progress("pulling manifest"))
        for completed in range(100_000):
            board.put(at(completed))
        board.put(at(5, B))
        assert len(board._lines) == 3
        board.end()
        return await read(board)

    assert asyncio.run(run()) == [Progress("pulling manifest"), at(99_999), at(5, B)]


def test_every_reader_gets_an_error_of_its_own_after_the_lines() -> None:
    async def run() -> None:
        board = ProgressBoard()
        board.put(at(1))
        error = NotInRegistryError("")
        board.end(error)
        seen: list[SwellError] = []
        for _ in range(2):
            lines = board.lines()
            assert await anext(lines) == at(1)
            with pytest.raises(NotInRegistryError) as raised:
                await anext(lines)
            seen.append(raised.value)
        assert len({id(one) for one in (error, *seen)}) == 3

    asyncio.run(run())


@given(st.lists(st.tuples(st.sampled_from([A, B, ""]), st.booleans()), max_size=30))
def test_every_reader_ends_with_the_last_line_of_each_blob(steps: list[tuple[str, bool]]) -> None:
    """Whenever it reads, and in the order in which the last lines came."""

    async def run() -> list[Progress]:
        board = ProgressBoard()
        reader = asyncio.create_task(read(board))
        for number, (digest, pause) in enumerate(steps):
            board.put(at(number, digest) if digest else Progress("status"))
            if pause:
                await settle()
        board.end()
        return await reader

    seen = asyncio.run(run())
    given_lines = [at(number, digest) if digest else Progress("status") for number, (digest, _) in enumerate(steps)]
    last = {line.digest: line for line in given_lines}
    assert {line.digest: line for line in seen} == last
    assert all(line in given_lines for line in seen)

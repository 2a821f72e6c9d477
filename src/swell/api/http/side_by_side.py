"""Several generators as one."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    """A generator has no more, or failed."""

    error: Exception | None


async def side_by_side(generators: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """What all `generators` give, as it comes, with their numbers. An error in one ends all; so does closing this."""
    if len(generators) == 1:
        async with aclosing(generators[0]) as only:
            async for item in only:
                yield 0, item
        return
    queue: asyncio.Queue[tuple[int, T] | _End] = asyncio.Queue(maxsize=1)  # nobody runs ahead of a slow client
    tasks = [asyncio.create_task(_feed(queue, *numbered)) for numbered in enumerate(generators)]
    got: tuple[int, T] | _End = _End(None)
    try:
        unfinished = len(tasks)
        while unfinished:
            got = await queue.get()
            if not isinstance(got, _End):
                yield got
            elif got.error is not None:
                raise got.error
            else:
                unfinished -= 1
    finally:
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            del got, queue, task, tasks  # they hold errors, which hold this frame


async def _feed(queue: asyncio.Queue[tuple[int, T] | _End], index: int, generator: AsyncGenerator[T, None]) -> None:
    try:
        async with aclosing(generator):
            async for item in generator:
                await queue.put((index, item))
    except Exception as error:
        await queue.put(_End(error))
    else:
        await queue.put(_End(None))

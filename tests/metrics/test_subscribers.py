"""Bounded queues: who reads in time misses nothing, who doesn't is told how much."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import settle

from swell.metrics.subscribers import Missed, Subscribers


@given(bursts=st.lists(st.integers(0, 12), max_size=20), length_max=st.integers(1, 8))
def test_a_reader_gets_each_item_once_in_order_or_is_told_that_it_was_lost(
    bursts: Sequence[int], length_max: int
) -> None:
    """Between two bursts the reader reads all there is."""

    async def run() -> None:
        subscribers = Subscribers[int](length_max)
        seen: list[int | Missed] = []
        with subscribers.subscribe() as subscription:

            async def read() -> None:
                async for item in subscription:
                    seen.append(item)

            reading = asyncio.create_task(read())
            await settle()
            published = 0
            for burst in bursts:
                for _ in range(burst):
                    subscribers.publish(published)
                    published += 1
                await settle()
            subscribers.close()
            await reading
        items = [item for item in seen if not isinstance(item, Missed)]
        assert items == sorted(set(items))
        assert len(items) + sum(item.items for item in seen if isinstance(item, Missed)) == published
        assert sum(item.items for item in seen if isinstance(item, Missed)) == sum(
            max(burst - length_max, 0) for burst in bursts
        )

    asyncio.run(run())


def test_a_reader_that_has_left_is_given_nothing_and_a_late_one_ends() -> None:
    async def run() -> None:
        subscribers = Subscribers[int](3)
        with subscribers.subscribe():
            assert len(subscribers) == 1
        assert len(subscribers) == 0
        subscribers.publish(1)
        subscribers.close()
        with subscribers.subscribe() as late:
            assert [item async for item in late] == []

    asyncio.run(run())

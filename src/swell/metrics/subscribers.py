"""Items for many readers, each with a bounded queue of its own: a slow one holds nobody up and takes no memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Missed(NamedTuple):
    """So many items were lost, the oldest that a reader hadn't read."""

    items: int


class Subscription(Generic[T]):
    """One reader's queue. To be iterated over by one task: items in order, and Missed where some were lost. Who `take`s
    from it instead isn't told.
    """

    def __init__(self, length_max: int) -> None:
        self._items = deque[T](maxlen=length_max)
        self._missed = 0
        self._is_closed = False
        self._ready = asyncio.Event()

    def put(self, item: T) -> None:
        """Add `item`; if the queue is full, the oldest one is lost."""
        self._missed += len(self._items) == self._items.maxlen
        self._items.append(item)
        self._ready.set()

    def take(self) -> list[T]:
        """All that is in the queue now."""
        items = list(self._items)
        self._items.clear()
        return items

    def close(self) -> None:
        """Nothing will follow what is in the queue."""
        self._is_closed = True
        self._ready.set()

    async def __aiter__(self) -> AsyncIterator[T | Missed]:
        while True:
            if self._missed:
                missed, self._missed = self._missed, 0
                yield Missed(missed)
            elif self._items:
                yield self._items.popleft()
            elif self._is_closed:
                return
            else:
                self._ready.clear()
                await self._ready.wait()


class Subscribers(Generic[T]):
    """All readers. Used from the event loop only."""

    def __init__(self, length_max: int) -> None:
        """Each may have `length_max` items unread."""
        self._length_max = length_max
        self._subscriptions: set[Subscription[T]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def publish(self, item: T) -> None:
        """Give `item` to all who read now."""
        for subscription in self._subscriptions:
            subscription.put(item)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription[T]]:
        """Inside, a queue of what is published from now on."""
        subscription = Subscription[T](self._length_max)
        if self._is_closed:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all subscriptions, those to come too."""
        self._is_closed = True
        for subscription in self._subscriptions:
            subscription.close()

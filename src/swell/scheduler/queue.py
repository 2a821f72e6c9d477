"""The line of requests whose model isn't loaded as they need it."""

import asyncio
import contextlib
from collections.abc import Iterator

from swell.errors import ServerBusyError
from swell.scheduler.runner_key import RunnerKey


class QueuedRequest:
    """A request's place in the line, until it leaves."""

    def __init__(self, queue: "RequestQueue") -> None:
        self._queue = queue

    @property
    def is_first(self) -> bool:
        """Whether it may act: load, evict, close a model to newcomers."""
        return self._queue.first is self

    def close(self, key: RunnerKey | None) -> None:
        """Keep newcomers away from one runner, so that it becomes idle, while this request is first; None: from none.

        AssertionError for a request that isn't first.
        """
        assert self.is_first, "only the first in line acts"
        self._queue.closed = key

    async def change(self) -> None:
        """Returns after the next change: of the line, of a model, or of what one holds."""
        await self._queue.change()


class RequestQueue:
    """Requests in the order of their arrival. Only the first acts, the others wait until they are first.

    So each decision rests on the numbers of its moment, and nobody is overtaken for ever: whoever came later waits
    behind, also for a model that the first has closed to newcomers. Used from the event loop only.
    """

    def __init__(self, waiting_max: int) -> None:
        """At most `waiting_max` requests wait; the first one doesn't, it is being worked on."""
        self.closed: RunnerKey | None = None
        """The runner that takes no new requests until the first in line has what it needs."""
        self._waiting_max = waiting_max
        self._line: list[QueuedRequest] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    @property
    def first(self) -> QueuedRequest | None:
        """Who may act; None if nobody is in line."""
        return self._line[0] if self._line else None

    def admit(self, joined: int, *, acts_at_once: bool) -> None:
        """Raises ServerBusyError if a request would have to wait and too many do.

        `joined` requests wait for a load that another one began. `acts_at_once`: this one would not wait if nobody is
        in line.
        """
        waiting = joined + max(0, len(self._line) - 1)
        if not (acts_at_once and not self._line) and waiting >= self._waiting_max:
            raise ServerBusyError

    @contextlib.contextmanager
    def join(self) -> Iterator[QueuedRequest]:
        """Inside, a place at the end of the line. Who leaves it, in whatever way, leaves nothing behind."""
        place = QueuedRequest(self)
        self._line.append(place)
        try:
            yield place
        finally:
            if place.is_first:
                self.closed = None
            self._line.remove(place)
            self.notify()

    @property
    def changed(self) -> asyncio.Event:
        """Set by the next `notify`; for those who look at something before they wait, so that they miss no change."""
        return self._changed

    async def change(self) -> None:
        """Returns after the next `notify`."""
        await self._changed.wait()

    def notify(self) -> None:
        """Something has changed: everybody looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

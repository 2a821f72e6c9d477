"""What a runner says of one generation, on its way to the only one who listens."""

import asyncio

from swell.errors import SwellError
from swell.protocol.messages import Emitted, Finished, Prefilled, TokenLikelihood

Event = Prefilled | Emitted | TokenLikelihood | Finished

UNREAD_MAX = 16_384
"""Events that a stream holds: 3 MB, or 30 MB with the most alternatives there may be. Without a limit it could become
all that ten windows hold, which is gigabytes."""


class GenerationStream:
    """Events of one generation on their way to its only reader.

    To be iterated over: each time, all events that have come since the last time, in order, at least one. A Likelihood
    follows its token, Finished is the last. Raises the error that the stream ended with, after the events before it.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._error: SwellError | None = None
        self._reader: asyncio.Future[None] | None = None
        self.is_finished = False
        """Whether the reader was given the last event, or the error."""
        self.growths = 0
        """How often the grant of its slot was raised for it."""

    @property
    def is_full(self) -> bool:
        """Whether its reader is too far behind; somebody should break it off with an UnreadError."""
        return len(self._events) >= UNREAD_MAX

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._wake()

    def fail(self, error: SwellError) -> None:
        self._error = error
        self._wake()

    def __aiter__(self) -> "GenerationStream":
        return self

    async def __anext__(self) -> list[Event]:
        if self.is_finished:
            raise StopAsyncIteration
        if not self._events and self._error is None:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        events, self._events = self._events, []
        if not events and self._error is not None:
            self.is_finished = True
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # it holds this frame
        self.is_finished = isinstance(events[-1], Finished)
        return events

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

"""Answers in pieces, sent as they come."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import ClassVar, Generic, NamedTuple, Self, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from swell.api.http.disconnects import while_connected
from swell.api.http.errors import status_of
from swell.metrics.request_record import current_request
from swell.turns.events import PromptRead

log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Heading(NamedTuple):
    """Headers of an answer, which come before its first piece, if at all."""

    headers: Mapping[str, str]

    @classmethod
    def of(cls, prompted: PromptRead) -> Self:
        """Says what of the prompt was dropped; the APIs' own fields have no place for it."""
        dropped = {"swell-dropped-messages": prompted.dropped_messages, "swell-dropped-tokens": prompted.dropped_tokens}
        return cls({name: str(count) for name, count in dropped.items() if count})


Replies = AsyncGenerator[Heading | Item, None]
"""An answer in pieces, or lines."""


async def gather(replies: Replies[Item]) -> tuple[list[Item], Mapping[str, str]]:
    """All pieces of an answer, and its headers."""
    gathered: list[Item] = []
    headers: dict[str, str] = {}
    async with aclosing(replies):
        async for reply in replies:
            if isinstance(reply, Heading):
                headers.update(reply.headers)
            else:
                gathered.append(reply)
    return gathered, headers


class Stream(Response, Generic[Item]):
    """An answer in pieces, one per item, sent as they come.

    The status isn't sent before the first item is there, so an error until then is answered like any other; a later
    one becomes the last piece. `items` is used and closed in one single task.
    """

    stream_headers: ClassVar[Mapping[str, str]]

    def __init__(self, items: Replies[Item]) -> None:
        super().__init__(headers=self.stream_headers)
        del self.headers["content-length"]
        self._items = items
        self._started = False

    @abstractmethod
    def encode(self, item: Item) -> bytes:
        """The piece for `item`."""

    @abstractmethod
    def encode_error(self, error: Exception) -> bytes:
        """The piece that says with which error the stream ended."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await while_connected(receive, self._send_all(send))
        except ClientDisconnect:
            log.debug("the client left %s", scope["path"])
            current_request().leave()
            if not self._started:
                raise

    async def _send_all(self, send: Send) -> None:
        await self._send_items(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_items(self, send: Send) -> None:
        async with aclosing(self._items):
            try:
                async for item in self._items:
                    if isinstance(item, Heading):
                        self.headers.update(item.headers)
                        continue
                    await self._send(send, self.encode(item))
            except Exception as error:
                if not self._started:
                    raise
                current_request().interrupt(type(error).__name__)
                if status_of(error) >= 500:
                    log.error("a stream ended with an error: %s", error, exc_info=error)
                await self._send(send, self.encode_error(error))

    async def _send(self, send: Send, piece: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": piece, "more_body": True})


class PingedStream(Stream[Item]):
    """An answer that doesn't fall silent: while nothing comes for long, a ping is sent.

    The answer begins with it at the latest: an error that comes after it has no status any more, and headers that are
    known only then are left out.
    """

    def __init__(self, items: Replies[Item], ping: Callable[[], bytes], silence_s: float) -> None:
        super().__init__(items)
        self._ping = ping
        self._silence_s = silence_s
        self._sending = asyncio.Lock()
        self._is_silent = True

    async def _send_items(self, send: Send) -> None:
        pinging = asyncio.create_task(self._keep_alive(send))
        try:
            await super()._send_items(send)
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)

    async def _send(self, send: Send, piece: bytes) -> None:
        async with self._sending:  # a ping may be on its way
            self._is_silent = False
            await super()._send(send, piece)

    async def _keep_alive(self, send: Send) -> None:
        """A silence ends after two turns at the latest: that costs a piece less than to note the time would."""
        while True:
            self._is_silent = True
            await asyncio.sleep(self._silence_s)
            if self._is_silent:
                await self._send(send, self._ping())

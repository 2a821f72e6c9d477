"""Work that ends when the client goes away.

Neither uvicorn nor Starlette ends a request's task when its client disconnects; somebody has to wait for the
"http.disconnect" message. Starlette's StreamingResponse does so only once it streams, which is after a prefill that may
take minutes, and a plain endpoint never does. Here all work on a request, from the wait for a model to the last line,
is one task beside a second one that waits for that message.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from swell.api.http.errors import status_of, text_of
from swell.api.ollama.replies import NDJSON_TYPE, ErrorReply, Reply, line

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Item = TypeVar("Item")


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled, and waited for, if the client goes away: ClientDisconnect.

    The request's body must have been read: any message that `receive` still has is thrown away.
    """
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (task, watcher):
            one.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)
    if task.cancelled():
        watcher.result()  # raises if the watcher was cancelled too: then it wasn't the client who ended the work
        raise ClientDisconnect
    return task.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Heading(NamedTuple):
    """Headers of an answer. Comes before its first line, if at all."""

    headers: Mapping[str, str]


Replies = AsyncGenerator[Heading | Item, None]
"""An answer in pieces, or lines."""


async def gather(replies: Replies[Item]) -> tuple[list[Item], Mapping[str, str]]:
    """All of an answer, and its headers."""
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
            log.info("the client left %s", scope["path"])
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
                if status_of(error) >= 500:
                    log.error("a stream ended with an error: %s", error, exc_info=error)
                await self._send(send, self.encode_error(error))

    async def _send(self, send: Send, piece: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": piece, "more_body": True})


class LineStream(Stream[Reply]):
    """An answer in lines of JSON; an error becomes the last line."""

    stream_headers: ClassVar = {"content-type": NDJSON_TYPE}

    def encode(self, item: Reply) -> bytes:
        return line(item)

    def encode_error(self, error: Exception) -> bytes:
        return line(ErrorReply(text_of(error)))

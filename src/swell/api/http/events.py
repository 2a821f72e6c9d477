"""Server-sent events, as the endpoints of OpenAI and Anthropic stream them."""

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from starlette.types import Send

from swell.api.http.json import encode
from swell.api.http.streams import Replies, Stream

PING_S = 15.0
"""Clients and proxies give up what is silent for longer than 30 to 60 s; to read a long prompt takes minutes."""
COMMENT = b": keep-alive\n\n"
"""What readers of events skip."""


class Event(NamedTuple):
    """One event: anything msgspec can encode, or bytes that are sent as they are; and its name if it has one."""

    data: Any
    name: str = ""

    def encode(self) -> bytes:
        name = b"event: %s\n" % self.name.encode() if self.name else b""
        data = self.data if isinstance(self.data, bytes) else encode(self.data)
        return b"%sdata: %s\n\n" % (name, data)


class EventStream(Stream[Event]):
    """An answer in events; `error_event` makes the last one of an error.

    While nothing comes for long a `ping` is sent, with which the answer begins at the latest: an error that comes after
    it has no status any more, and headers that are known only then are left out.
    """

    # Proxies must neither keep events nor hold them back.
    stream_headers: ClassVar = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }

    def __init__(
        self, events: Replies[Event], error_event: Callable[[Exception], Event], *, ping: bytes = COMMENT
    ) -> None:
        super().__init__(events)
        self._error_event = error_event
        self._ping = ping
        self._sending = asyncio.Lock()
        self._is_silent = True

    def encode(self, item: Event) -> bytes:
        return item.encode()

    def encode_error(self, error: Exception) -> bytes:
        return self.encode(self._error_event(error))

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
        """A silence ends after two turns at the latest: that costs an event less than to note the time would."""
        while True:
            self._is_silent = True
            await asyncio.sleep(PING_S)
            if self._is_silent:
                await self._send(send, self._ping)

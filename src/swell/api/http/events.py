"""Server-sent events, as the endpoints of OpenAI and Anthropic stream them."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from swell.api.http.json import encode
from swell.api.http.streams import PingedStream, Replies

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


class EventStream(PingedStream[Event]):
    """An answer in events; `error_event` makes the last one of an error."""

    # Proxies must neither keep events nor hold them back.
    stream_headers: ClassVar = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }

    def __init__(
        self, events: Replies[Event], error_event: Callable[[Exception], Event], *, ping: bytes = COMMENT
    ) -> None:
        super().__init__(events, lambda: ping, PING_S)
        self._error_event = error_event

    def encode(self, item: Event) -> bytes:
        return item.encode()

    def encode_error(self, error: Exception) -> bytes:
        return self.encode(self._error_event(error))

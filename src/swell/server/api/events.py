"""Server-sent events, as the endpoints of OpenAI and Anthropic stream them."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

from swell.server.api.disconnects import Replies, Stream
from swell.server.api.responses import encode


class Event(NamedTuple):
    """One event: anything msgspec can encode, or bytes that are sent as they are; and its name if it has one."""

    data: Any
    name: str = ""


class EventStream(Stream[Event]):
    """An answer in events; `error_event` makes the last one of an error."""

    # Proxies must neither keep events nor hold them back.
    stream_headers: ClassVar = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }

    def __init__(self, events: Replies[Event], error_event: Callable[[Exception], Event]) -> None:
        super().__init__(events)
        self._error_event = error_event

    def encode(self, item: Event) -> bytes:
        name = b"event: %s\n" % item.name.encode() if item.name else b""
        data = item.data if isinstance(item.data, bytes) else encode(item.data)
        return b"%sdata: %s\n\n" % (name, data)

    def encode_error(self, error: Exception) -> bytes:
        return self.encode(self._error_event(error))

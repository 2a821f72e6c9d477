"""GET /api/events and GET /metrics: what happens, for views and for Prometheus. Ollama has neither."""

from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.errors import text_of
from swell.api.http.events import Event, EventStream
from swell.api.http.services import observing
from swell.api.http.streams import Replies
from swell.api.ollama.errors import ErrorReply
from swell.observe.live import Live

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def events(request: Request) -> Response:
    """Server-sent events: a `snapshot`, then `event` for what happens and `numbers` for what has changed, without end.

    `lost` says how many messages a client has missed that reads too slowly.
    """
    return EventStream(_messages(observing(request).live), lambda error: Event(ErrorReply(text_of(error)), "error"))


async def _messages(live: Live) -> Replies[Event]:
    async with aclosing(live.messages()) as messages:
        async for message in messages:
            yield Event(message.data, message.name)


async def metrics(request: Request) -> Response:
    """All that was counted and measured."""
    return Response(observing(request).scrape(), headers={"content-type": _METRICS_TYPE})

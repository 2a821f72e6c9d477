"""Every request gets a name, which its answer carries, and a record of how it went."""

from collections.abc import Awaitable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from swell.metrics.observer import Metrics
from swell.metrics.request_record import RequestRecord, begin_request, request_id

_ANTHROPIC = "/v1/messages"


class RequestMiddleware:
    """Stands before everything else, so that refusals have a name, too.

    What it does to `send` is a plain function: a coroutine of its own for every token would cost ten times as much.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        record = RequestRecord(request_id(headers.get("x-request-id")), scope["method"], headers.get("traceparent", ""))
        begin_request(record)
        try:
            await self._app(scope, receive, _announcing(record, scope["path"], send))
        except BaseException as error:
            record.fail(error)
            raise
        finally:
            self._metrics.report(record.finished())


def _announcing(record: RequestRecord, path: str, send: Send) -> Send:
    """`send`, which says the request's name at the beginning of an answer. Anthropic's clients read it elsewhere."""
    named = [(b"x-request-id", record.id.encode())]
    if path.startswith(_ANTHROPIC):
        named.append((b"request-id", record.id.encode()))

    def announce(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            record.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *named]}
        return send(message)

    return announce

"""Endpoints as ASGI applications, and the routes to them.

Starlette would answer errors, too, but with three functions of its own around `send`, which every token of a stream
then passes: 5 of 85 µs per token, measured.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from swell.api.http.errors import ErrorAnswer
from swell.api.http.services import PARTS, Parts
from swell.errors import NoSuchPathError, RequestError, WrongMethodError
from swell.metrics.request_record import current_request

log = logging.getLogger(__name__)


_SLASHES = re.compile("/{2,}")


class Endpoint:
    """A function from a request to its answer; its errors are answered as `answer_error` says.

    Those of a stream that has begun are the stream's own business.
    """

    def __init__(
        self, function: Callable[[Request], Awaitable[Response]], answer_error: ErrorAnswer, parts: Parts
    ) -> None:
        self._function = function
        self.answer_error = answer_error
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PARTS] = self._parts
        try:
            response = await self._function(Request(scope, receive, send))
            await response(scope, receive, send)
        except Exception as error:
            _note(error)
            if not isinstance(error, RequestError | ClientDisconnect):  # it isn't the client's doing
                log.error("%s %s failed: %s", scope["method"], scope["path"], error, exc_info=error)
            await self.answer_error(error)(scope, receive, send)


def _note(error: Exception) -> None:
    """In the request's record."""
    record = current_request()
    record.fail(error)
    if isinstance(error, ClientDisconnect):
        record.leave()


class ExactRoute(Route):
    """A route for exactly these methods; Starlette adds HEAD to every GET, the contract doesn't."""

    def __init__(self, path: str, methods: Sequence[str], endpoint: Endpoint) -> None:
        super().__init__(path, endpoint)
        self._methods = methods
        self._answer_error = endpoint.answer_error

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        current_request().endpoint = self.path
        if scope["method"] in self._methods:
            await self.app(scope, receive, send)
        else:
            response = self._answer_error(WrongMethodError())
            response.headers["allow"] = ", ".join(self._methods)
            await response(scope, receive, send)


class UnknownPath:
    """Answers where there is no route: in the words of the API whose paths begin like that, else as Go's router.

    A path with slashes in a row, as comes of an address that ends with one, is looked for without them first.
    """

    def __init__(self, answers: Mapping[str, ErrorAnswer]) -> None:
        """`answers` by the beginnings of paths; the first that matches counts."""
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _SLASHES.sub("/", scope["path"])
        if path != scope["path"]:
            await scope["router"].app({**scope, "path": path}, receive, send)
            return
        error = NoSuchPathError()
        found = (answer(error) for start, answer in self._answers.items() if f"{scope['path']}/".startswith(start))
        await next(found, PlainTextResponse(str(error), 404))(scope, receive, send)

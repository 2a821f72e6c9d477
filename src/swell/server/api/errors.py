"""Errors as HTTP answers."""

import logging
from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ExceptionHandler

from swell.errors import (
    InvalidFormatError,
    InvalidOptionError,
    InvalidTemplateError,
    KvGrowError,
    LegacyInputTooLongError,
    ModelNotFoundError,
    NoEmbeddingsError,
    RequestError,
    ServerBusyError,
    ServerStoppingError,
    SwellError,
)
from swell.server.api.responses import ErrorReply, json_response

log = logging.getLogger(__name__)

_STATUS: dict[type[Exception], int] = {
    ModelNotFoundError: 404,
    InvalidOptionError: 500,  # Ollama's choice, kept for its clients
    InvalidFormatError: 500,  # likewise
    InvalidTemplateError: 500,  # likewise
    LegacyInputTooLongError: 500,  # likewise
    NoEmbeddingsError: 501,
    ServerBusyError: 503,
    ServerStoppingError: 503,
    RequestError: 400,
    KvGrowError: 400,  # memory is what limits the window here: as for a prompt that is too long
    ClientDisconnect: 499,  # nobody reads it; nginx's number for this, as Ollama uses it
    Exception: 500,
}

_ROUTING_TEXTS = {404: "404 page not found", 405: "405 method not allowed"}


def status_of(error: Exception) -> int:
    """The HTTP status for `error`: that of the nearest class in the table."""
    return next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


def text_of(error: Exception) -> str:
    """What the client is told. An error may have no text of its own."""
    return "request canceled" if isinstance(error, ClientDisconnect) else str(error) or type(error).__name__


ErrorAnswer = Callable[[Exception], Response]
"""Makes the answer to an error in the words of one API."""


def native_answer(error: Exception) -> Response:
    """As Ollama's own endpoints answer."""
    return json_response(ErrorReply(text_of(error)), status_of(error))


def handlers(answers: Mapping[str, ErrorAnswer]) -> dict[type[Exception], ExceptionHandler]:
    """For `Starlette(exception_handlers=...)`. `answers` are the APIs by how their paths begin, the longest first."""

    async def answer_error(request: Request, error: Exception) -> Response:
        """What isn't the client's doing is logged with its traceback."""
        path = request.url.path
        if not isinstance(error, RequestError | ClientDisconnect):
            log.error("%s %s failed: %s", request.method, path, error, exc_info=error)
        answer = next((answer for prefix, answer in answers.items() if path.startswith(prefix)), native_answer)
        return answer(error)

    return {
        HTTPException: answer_routing_error,
        ClientDisconnect: answer_error,
        # Not only Exception: what that handler answers is raised once more by Starlette, for the log.
        SwellError: answer_error,
        Exception: answer_error,
    }


async def answer_routing_error(_request: Request, error: Exception) -> Response:
    """Unknown paths and wrong methods are answered in plain text, as Go's router does."""
    assert isinstance(error, HTTPException)
    return PlainTextResponse(_ROUTING_TEXTS.get(error.status_code, error.detail), error.status_code, error.headers)

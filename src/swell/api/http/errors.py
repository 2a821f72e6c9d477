"""Errors as HTTP answers."""

from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from swell.errors import (
    BodyTooLargeError,
    CloudDisabledError,
    InvalidFormatError,
    InvalidOptionError,
    InvalidTemplateError,
    KvGrowError,
    LegacyInputTooLongError,
    ModelNotFoundError,
    NoEmbeddingsError,
    NoSuchPathError,
    NotSignedInError,
    RequestError,
    ServerBusyError,
    ServerStoppingError,
    UnsupportedEncodingError,
    WrongMethodError,
)

_STATUS: dict[type[Exception], int] = {
    ModelNotFoundError: 404,
    NoSuchPathError: 404,
    WrongMethodError: 405,
    InvalidOptionError: 500,  # Ollama's choice, kept for its clients
    InvalidFormatError: 500,  # likewise
    InvalidTemplateError: 500,  # likewise
    LegacyInputTooLongError: 500,  # likewise
    BodyTooLargeError: 413,
    CloudDisabledError: 403,
    NotSignedInError: 401,
    UnsupportedEncodingError: 415,
    NoEmbeddingsError: 501,
    ServerBusyError: 503,
    ServerStoppingError: 503,
    RequestError: 400,
    KvGrowError: 400,  # memory is what limits the window here: as for a prompt that is too long
    ClientDisconnect: 499,  # nobody reads it; nginx's number for this, as Ollama uses it
    Exception: 500,
}


def status_of(error: Exception) -> int:
    """The HTTP status for `error`: that of the nearest class in the table."""
    return next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)


def text_of(error: Exception) -> str:
    """What the client is told. An error may have no text of its own."""
    return "request canceled" if isinstance(error, ClientDisconnect) else str(error) or type(error).__name__


ErrorAnswer = Callable[[Exception], Response]
"""Makes the answer to an error in the words of one API."""

"""Errors in Ollama's words."""

import msgspec
from starlette.responses import Response

from swell.api.http.errors import status_of, text_of
from swell.api.http.json import json_response


class ErrorReply(msgspec.Struct):
    """An error, as a body or as the last line of a stream."""

    error: str


def error_answer(error: Exception) -> Response:
    """The answer to a request that failed."""
    return json_response(ErrorReply(text_of(error)), status_of(error))

"""Errors in OpenAI's words."""

import msgspec
from starlette.responses import Response

from swell.server.api.errors import text_of
from swell.server.api.events import Event
from swell.server.api.v1 import v1_response, v1_status_of

_TYPES = {400: "invalid_request_error", 404: "not_found_error", 413: "invalid_request_error"}


class ErrorDetail(msgspec.Struct, kw_only=True):
    """What went wrong. `param` and `code` are never known, but clients look for them."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(msgspec.Struct):
    error: ErrorDetail


def error_answer(error: Exception) -> Response:
    """The answer to a request that failed."""
    return v1_response(_body(error), v1_status_of(error))


def error_event(error: Exception) -> Event:
    """The last event of a stream that failed; the official client raises it."""
    return Event(_body(error))


def _body(error: Exception) -> ErrorBody:
    return ErrorBody(ErrorDetail(message=text_of(error), type=_TYPES.get(v1_status_of(error), "api_error")))

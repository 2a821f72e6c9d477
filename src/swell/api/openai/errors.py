"""Errors in OpenAI's words."""

import msgspec
from starlette.responses import Response

from swell.api.http.errors import text_of
from swell.api.http.events import Event
from swell.api.v1 import v1_response, v1_status_of
from swell.errors import ContextOverflowError

_TYPES = {
    400: "invalid_request_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
}


class ErrorDetail(msgspec.Struct, kw_only=True):
    """What went wrong. `param` is never known, but clients look for it; `code` as `code_of` says."""

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


def code_of(error: Exception) -> str | None:
    """The error's `code`, if it has one. Clients that see this one shorten the conversation and try again."""
    return "context_length_exceeded" if isinstance(error, ContextOverflowError) else None


def _body(error: Exception) -> ErrorBody:
    kind = _TYPES.get(v1_status_of(error), "api_error")
    return ErrorBody(ErrorDetail(message=text_of(error), type=kind, code=code_of(error)))

"""Errors in Anthropic's words."""

import msgspec
from starlette.responses import Response

from swell.api.http.errors import text_of
from swell.api.http.events import Event
from swell.api.v1 import v1_response, v1_status_of
from swell.errors import PromptTooLongError
from swell.metrics.request_record import current_request

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


class ErrorDetail(msgspec.Struct, kw_only=True):
    type: str
    message: str


class ErrorBody(msgspec.Struct, kw_only=True):
    type: str = "error"
    error: ErrorDetail
    request_id: str


def error_answer(error: Exception) -> Response:
    """The answer to a request that failed."""
    return v1_response(_body(error), v1_status_of(error))


def error_event(error: Exception) -> Event:
    """The last event of a stream that failed; the official client raises it."""
    return Event(_body(error), "error")


def _body(error: Exception) -> ErrorBody:
    detail = ErrorDetail(type=_TYPES.get(v1_status_of(error), "api_error"), message=_message(error))
    return ErrorBody(error=detail, request_id=current_request().id)


def _message(error: Exception) -> str:
    """Clients know a prompt that is too long, and by how much, from Anthropic's own words: then they shorten it."""
    if isinstance(error, PromptTooLongError):
        most_tokens = error.window_tokens - 1  # one is left to generate
        return f"prompt is too long: {error.prompt_tokens} tokens > {most_tokens} maximum; {text_of(error)}"
    return text_of(error)

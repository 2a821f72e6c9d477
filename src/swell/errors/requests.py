"""Errors that a client can do something about: the request is wrong, or comes at the wrong time."""

from swell.errors.base import SwellError, error_dataclass


class RequestError(SwellError):
    """The client must do something; the text says what."""


@error_dataclass
class InvalidRequestError(RequestError):
    reason: str

    def __str__(self) -> str:
        return self.reason


@error_dataclass
class NoSuchPathError(RequestError):
    def __str__(self) -> str:
        return "404 page not found"


@error_dataclass
class WrongMethodError(RequestError):
    def __str__(self) -> str:
        return "405 method not allowed"


@error_dataclass
class BodyTooLargeError(RequestError):
    limit_bytes: int

    def __str__(self) -> str:
        return f"the body of the request is longer than {self.limit_bytes} bytes; SWELL_BODY_LIMIT sets the limit"


@error_dataclass
class InvalidOptionError(RequestError):
    name: str
    expected: str

    def __str__(self) -> str:
        return f'option "{self.name}" must be of type {self.expected}'


@error_dataclass
class InvalidFormatError(RequestError):
    format: str

    def __str__(self) -> str:
        return f'invalid format: "{self.format}"; expected "json" or a valid JSON Schema object'


@error_dataclass
class InvalidTemplateError(RequestError):
    reason: str

    def __str__(self) -> str:
        return f"template error: {self.reason}"


@error_dataclass
class ServerBusyError(RequestError):
    def __str__(self) -> str:
        return "server busy, please try again.  maximum pending requests exceeded"


@error_dataclass
class ServerStoppingError(RequestError):
    def __str__(self) -> str:
        return "the server is stopping; send the request again when it is back"

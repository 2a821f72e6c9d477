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
class UnsupportedEncodingError(RequestError):
    encoding: str

    def __str__(self) -> str:
        return f"a body in {self.encoding} can't be read; send it as it is, or in gzip or deflate"


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
class GoTemplateError(RequestError):
    """A template in Go's language, at one of its lines, which are counted from 1."""

    reason: str
    line: int

    def __str__(self) -> str:
        return f"template error: line {self.line}: {self.reason}"


@error_dataclass
class InvalidTemplateError(GoTemplateError):
    """It can't be read."""


@error_dataclass
class TemplateRunError(GoTemplateError):
    """It can't be carried out."""


@error_dataclass
class ServerBusyError(RequestError):
    def __str__(self) -> str:
        return "server busy, please try again.  maximum pending requests exceeded"


@error_dataclass
class NoReplicaError(ServerBusyError):
    def __str__(self) -> str:
        return "no replica of the fleet can be reached, please try again"


@error_dataclass
class ServerStoppingError(RequestError):
    def __str__(self) -> str:
        return "the server is stopping; send the request again when it is back"

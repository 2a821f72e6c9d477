"""Errors of texts that are to be Modelfiles; the words are Ollama's."""

from swell.errors.base import SwellError, error_dataclass


class ModelfileError(SwellError):
    """A text is no Modelfile."""


@error_dataclass
class ModelfileLineError(ModelfileError):
    """`line` is where the instruction begins, from 1."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"(line {self.line}): {self.reason}"


@error_dataclass
class NoModelError(ModelfileError):
    def __str__(self) -> str:
        return "no FROM line"


@error_dataclass
class InvalidParameterError(SwellError):
    reason: str

    def __str__(self) -> str:
        return self.reason

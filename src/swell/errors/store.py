"""Errors of the store of models."""

from collections.abc import Sequence

from swell.errors.base import SwellError, error_dataclass
from swell.errors.requests import RequestError


@error_dataclass
class StoreError(SwellError):
    """A file of the store, or a model in it, can't be read or written."""

    subject: str
    reason: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


@error_dataclass
class MissingLayersError(SwellError):
    """A model can't have its name, because blobs of it aren't in the store."""

    subject: str
    digests: Sequence[str]

    def __str__(self) -> str:
        return f"{self.subject}: layers of it are missing: {', '.join(self.digests)}"


@error_dataclass
class InvalidDigestError(RequestError):
    def __str__(self) -> str:
        return "invalid digest format"


@error_dataclass
class DigestMismatchError(RequestError):
    """A blob isn't what it was said to be."""

    expected: str
    found: str

    def __str__(self) -> str:
        return f'digest mismatch, expected "{self.expected}", got "{self.found}"'

"""Errors of the file of turns' sizes."""

from swell.errors.base import SwellError, error_dataclass


@error_dataclass
class SizeFileError(SwellError):
    """The file can't be read or written, or it isn't one that this version knows."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"

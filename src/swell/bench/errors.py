"""What can go wrong in a benchmark."""

from dataclasses import dataclass

from swell.errors import SwellError


@dataclass(eq=False, repr=False)
class BenchError(SwellError):
    """A measurement could not be taken; `what` is its process and `reason` the end of what that wrote."""

    what: str
    reason: str

    def __str__(self) -> str:
        return f"unable to measure {self.what}: {self.reason}"

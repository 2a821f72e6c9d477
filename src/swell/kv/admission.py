"""Admission: whether memory may be promised to a cache, decided on the books and on what the system says now."""

import dataclasses
import sys
from typing import Protocol


class Admission(Protocol):
    """What a store asks before it grows."""

    def claim(self, additional_bytes: int) -> int | None:
        """Promise `additional_bytes`. None when that is granted, else how many could be."""

    def spare_bytes(self) -> int:
        """How much could be promised now."""

    def release(self, released_bytes: int) -> None:
        """Take back a promise, or the memory behind it."""

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        """What of the promises the system has handed out already, and what else this process will still take."""


@dataclasses.dataclass
class OpenAdmission:
    """Grants everything: for a store that has all it will ever have, and for tests."""

    granted_bytes: int = 0

    def spare_bytes(self) -> int:
        return sys.maxsize

    def claim(self, additional_bytes: int) -> int | None:
        self.granted_bytes += additional_bytes
        return None

    def release(self, released_bytes: int) -> None:
        self.granted_bytes -= released_bytes

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        """Of no interest here."""

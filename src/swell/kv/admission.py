"""Admission: whether memory may be promised to a cache, decided on the books and on what the system says now."""

import dataclasses
import sys
from typing import Protocol


class Admission(Protocol):
    """What a store asks before it grows."""

    @property
    def granted_bytes(self) -> int:
        """What this store was granted and has not released."""

    def claim(self, additional_bytes: int) -> int | None:
        """Promise `additional_bytes`. None where that is granted, else how many bytes could be: nothing has changed."""

    def spare_bytes(self) -> int:
        """How many bytes could be promised now."""

    def release(self, released_bytes: int) -> None:
        """Give back some of what was promised. No more than the rest may be in use: `note` that before."""

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        """Say how much of what is promised the system has handed out already, and what else this process will take."""


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
        """What is in use doesn't matter where everything is granted."""

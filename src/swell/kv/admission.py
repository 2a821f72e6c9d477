"""Admission: whether memory may be promised to a cache, decided on the books and on what the system says now."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

NOWHERE: Mapping[str, int] = MappingProxyType({})
"""Bytes on devices, by their names, of what lies in host memory."""


class Refusal(NamedTuple):
    """Of a claim: so much of it could be granted. `device` has no room for more; "": host memory, or the budget."""

    free_bytes: int
    device: str = ""


class Admission(Protocol):
    """What a store asks before it grows."""

    @property
    def granted_bytes(self) -> int:
        """What this store was granted anywhere, and has not released."""

    def claim(self, additional_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> Refusal | None:
        """Promise `additional_bytes`, of which `device_bytes` lie on devices and the rest in host memory. None where
        that is granted; else nothing has changed.
        """

    def release(self, released_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> None:
        """Give back some of what was promised. No more than the rest may be in use: `note` that before."""

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        """Say how much of what is promised in host memory the system has handed out already, and what else this process
        will take there.
        """


@dataclasses.dataclass
class OpenAdmission:
    """Grants everything: for a store that has all it will ever have, and for tests."""

    granted_bytes: int = 0

    def claim(self, additional_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> Refusal | None:
        self.granted_bytes += additional_bytes
        return None

    def release(self, released_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> None:
        self.granted_bytes -= released_bytes

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        """What is in use doesn't matter where everything is granted."""

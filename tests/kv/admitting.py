"""Admissions over a ledger and memory that tests set."""

import dataclasses

from swell.kv.memory_admission import MemoryAdmission
from swell.memory.ledger import Ledger

ENTRIES = 3
_TOTAL_BYTES = 1_000_000_000


@dataclasses.dataclass
class SetMemory:
    """As much free memory as it is told."""

    bytes: int

    def free_bytes(self) -> int:
        return self.bytes

    def total_bytes(self) -> int:
        return _TOTAL_BYTES


def admission_of(
    ledger: Ledger, free: int, *, entry: int = 0, budget: int | None = None, headroom: int = 0
) -> MemoryAdmission:
    return MemoryAdmission(ledger, entry, SetMemory(free), budget_bytes=budget, headroom_bytes=headroom)

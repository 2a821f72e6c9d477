"""The memory of a worker, in books that all of its processes share."""

from swell.memory.ledger import Ledger
from swell.memory.probe import FreeMemory


class SharedAccount:
    """The view of the process with number `entry`. `limit_bytes` None: as much as the machine has."""

    def __init__(self, ledger: Ledger, entry: int, probe: FreeMemory, limit_bytes: int | None) -> None:
        self._ledger = ledger
        self._entry = entry
        self._probe = probe
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0

    def claim(self, size_bytes: int) -> bool:
        """Take so much, or nothing."""
        if not self._ledger.claim(self._entry, size_bytes, self._limit_bytes, self._probe.free_bytes):
            return False
        self._note(size_bytes)  # it is written at once: weights and zeros for a cache
        return True

    def release(self, size_bytes: int) -> None:
        """Give back what was taken."""
        self._note(-size_bytes)
        self._ledger.release(self._entry, size_bytes)

    def free_bytes(self) -> int:
        """What could be taken now."""
        free = self._probe.free_bytes()
        if self._limit_bytes is None:
            return free
        return max(0, min(self._limit_bytes - self._ledger.total_granted_bytes(), free))

    def total_bytes(self) -> int:
        """What could be taken if nothing were."""
        total = self._probe.total_bytes()
        return total if self._limit_bytes is None else min(self._limit_bytes, total)

    def _note(self, additional_bytes: int) -> None:
        self._taken_bytes += additional_bytes
        self._ledger.note_used(self._entry, self._taken_bytes)

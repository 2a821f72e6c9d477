"""The memory that a worker lends, in a ledger that all of its processes share."""

from swell.memory.ledger import Ledger
from swell.memory.probe import FreeMemory


class SharedAccount:
    """What the process with that `entry` of the ledger took.

    All processes together take up to `limit_bytes`; with None as much as is free.
    """

    def __init__(self, ledger: Ledger, entry: int, probe: FreeMemory, limit_bytes: int | None) -> None:
        self._ledger = ledger
        self._entry = entry
        self._probe = probe
        self._limit_bytes = limit_bytes
        self._taken_bytes = 0

    def claim(self, size_bytes: int) -> bool:
        """Take `size_bytes`; False, and nothing is taken, if there is not so much."""
        if not self._ledger.claim(self._entry, size_bytes, self._limit_bytes, self._probe.free_bytes):
            return False
        self._note(size_bytes)  # it is written at once: weights and zeros for a cache
        return True

    def release(self, size_bytes: int) -> None:
        """Give back `size_bytes` of what was taken."""
        self._note(-size_bytes)
        self._ledger.release(self._entry, size_bytes)

    def free_bytes(self) -> int:
        """How many bytes could be taken now."""
        free = self._probe.free_bytes()
        if self._limit_bytes is None:
            return free
        return max(0, min(self._limit_bytes - self._ledger.total_granted_bytes(), free))

    def total_bytes(self) -> int:
        """How many bytes could be taken if nothing were."""
        total = self._probe.total_bytes()
        return total if self._limit_bytes is None else min(self._limit_bytes, total)

    def _note(self, additional_bytes: int) -> None:
        self._taken_bytes += additional_bytes
        self._ledger.note_used(self._entry, self._taken_bytes)

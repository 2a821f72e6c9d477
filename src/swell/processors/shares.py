"""A table in shared memory in which every runner says how many threads it wants, and the fair division among them.

Each entry is one number that only one process writes, so there is no lock. The server clears the entry of a runner that
ended.
"""

import mmap
import os
from collections.abc import Sequence

from swell.files import anonymous_file

_NUMBER_BYTES = 8


class Demands:
    """One process's view of the table. An entry is 0 while its runner computes nothing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._mapping = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        self._numbers = memoryview(self._mapping).cast("Q")

    @classmethod
    def create(cls, entries: int) -> "Demands":
        """A new table of zeros. Raises OSError if there is no memory for it."""
        descriptor = anonymous_file("swell-demands")
        os.truncate(descriptor, entries * _NUMBER_BYTES)
        return cls(descriptor)

    def fileno(self) -> int:
        """The descriptor that a runner must inherit to see the same table."""
        return self._descriptor

    def want(self, entry: int, threads: int) -> None:
        """Say that the runner of `entry` computes with up to `threads`; 0 is that it doesn't compute."""
        self._numbers[entry] = threads

    def others(self, entry: int) -> list[int]:
        """What all other runners want that are computing. Costs 3 µs with 256 entries."""
        numbers = self._numbers.tolist()
        numbers[entry] = 0
        return [number for number in numbers if number]

    def close(self) -> None:
        """Unmap the table. May be called again; nothing else may be called afterwards."""
        if self._descriptor >= 0:
            self._numbers.release()
            self._mapping.close()
            os.close(self._descriptor)
            self._descriptor = -1


def fair_share(threads: int, wanted: int, others: Sequence[int]) -> int:
    """How many of `threads` a runner gets that wants `wanted`, beside what `others` want; at least one.

    A runner that wants less than an equal part gets what it wants. The rest is divided equally among those that want
    more.
    """
    left, waiting = threads, len(others) + 1
    for demand in sorted(others):
        part = left / waiting
        if demand > part or demand >= wanted:
            break
        left -= demand
        waiting -= 1
    return max(1, min(wanted, int(left / waiting)))

"""The books of the memory that all runners of a server hold or were promised, kept by them without asking the server.

They are numbers in memory that all processes map. There is no lock, so a process that is frozen or killed at any point
keeps nobody waiting. Each number is written by one process, its runner, or the server once that one is dead, and none
is ever seen half written.

Nothing is promised twice. Let G be all that is granted, U what of it is in use, and F what is free. Runners turn F into
U and back, so all grants can be used as long as G <= F + U.

- A claim is written down first, and only then all grants are added up. Of several at the same time, the one written
  down last sees all others. If they are too much together, at least that one is taken back. (Two within the same 10 µs
  may both be; they are repeated, as after any refusal.)
- What is granted on devices is memory of theirs, of which F says nothing. It counts where all grants have a limit.
- F is measured before, and nobody can tell afterwards what U was at that moment. So U is kept as two numbers that only
  rise: ever taken and ever given back. What was taken before the measurement, less what is given back after it, is not
  more than was in use meanwhile, whatever others write and give back.
"""

import mmap
import os
from collections.abc import Callable
from typing import NamedTuple

from swell.errors import UnexpectedError
from swell.files import anonymous_file

_COLUMNS = 5  # granted, ever taken, ever given back, mapped, granted on devices
_NUMBER_BYTES = 8
_ENTRY_BYTES = _COLUMNS * _NUMBER_BYTES
_LOOKS = 3
_NEGATIVE = 1 << 63  # from here on an unsigned number is one that was taken below zero


class Entry(NamedTuple):
    """A runner may write `granted_bytes`, and has `used_bytes` of them. Besides, it reads `mapped_bytes` of a file all
    the time, which the kernel takes for cache that it may drop. On devices it was granted `device_bytes`.
    """

    granted_bytes: int
    used_bytes: int
    mapped_bytes: int = 0
    device_bytes: int = 0

    @property
    def cache_bytes(self) -> int:
        """What is granted anywhere."""
        return self.granted_bytes + self.device_bytes

    @property
    def unused_bytes(self) -> int:
        """What is promised and was not written yet."""
        return max(0, self.granted_bytes - self.used_bytes)


class Ledger:
    """One process's view of the books. Reading never waits; an entry is written by one thread only.

    Entries outside of the books raise IndexError, negative amounts ValueError.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._mapping = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        # native numbers are moved whole; `struct` with a byte order would write them byte by byte
        self._numbers = memoryview(self._mapping).cast("Q")
        self._entries = entries = len(self._numbers) // _COLUMNS
        columns = (self._numbers[start : start + entries] for start in range(0, len(self._numbers), entries))
        self._granted, self._taken, self._returned, self._mapped, self._on_devices = columns

    @classmethod
    def create(cls, entries: int) -> "Ledger":
        """New books, all zero, for the server. Raises OSError if there is no memory for them."""
        if entries < 1:
            raise ValueError(f"a ledger of {entries} entries")
        descriptor = anonymous_file("swell-ledger")
        os.truncate(descriptor, entries * _ENTRY_BYTES)
        return cls(descriptor)

    @classmethod
    def open(cls, descriptor: int) -> "Ledger":
        """The books behind an inherited descriptor, which belongs to the ledger from now on.

        Raises OSError if it is no file, ValueError if it is not a ledger's.
        """
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes == 0 or size_bytes % _ENTRY_BYTES:
            raise ValueError(f"a file of {size_bytes} bytes is no ledger")
        return cls(descriptor)

    def fileno(self) -> int:
        """What a runner must inherit, by `pass_fds`, to open the same books."""
        return self._descriptor

    def claim(
        self,
        entry: int,
        additional_bytes: int,
        limit_bytes: int | None,
        free_bytes: Callable[[], int] | None = None,
        device_bytes: int = 0,
    ) -> bool:
        """Grant more to an entry, and `device_bytes` more on devices, unless the total of all entries would exceed the
        limit; None is no limit.

        Nor if less is spare in host memory, where `free_bytes` is given. False if so, and then nothing has changed.
        What takes nothing is always granted. Costs 15 µs with 256 entries, and what `free_bytes` does.
        """
        index = self._index(entry, min(additional_bytes, device_bytes))
        if additional_bytes == device_bytes == 0:
            return True
        there_bytes = None if free_bytes is None or additional_bytes == 0 else self._there_bytes(free_bytes)
        self._on_devices[index] += device_bytes
        self._granted[index] += additional_bytes
        os.sched_yield()  # a full memory barrier, as the kernel's schedule() is: written for all before this one reads
        is_within_limit = limit_bytes is None or self.total_granted_bytes() <= limit_bytes
        if is_within_limit and (there_bytes is None or self._spoken_for_bytes() <= there_bytes):
            return True
        self._granted[index] -= additional_bytes
        self._on_devices[index] -= device_bytes
        return False

    def release(self, entry: int, released_bytes: int, device_bytes: int = 0) -> None:
        """Take back what was granted; `note_used` what is left in use before.

        Raises ValueError, and changes nothing, if so much was never granted.
        """
        index = self._index(entry, min(released_bytes, device_bytes))
        granted, on_devices = self._granted[index], self._on_devices[index]
        if released_bytes > granted:
            raise ValueError(f"entry {entry} can't release {released_bytes} bytes, it has {granted}")
        if device_bytes > on_devices:
            raise ValueError(f"entry {entry} can't release {device_bytes} bytes on devices, it has {on_devices}")
        self._granted[index] = granted - released_bytes
        self._on_devices[index] = on_devices - device_bytes

    def note_used(self, entry: int, used_bytes: int) -> None:
        """Say how much of its grant an entry has in use: more after it was written, less before it is given back."""
        index = self._index(entry, used_bytes)
        more_bytes = used_bytes - self.entry(entry).used_bytes
        if more_bytes > 0:
            self._taken[index] += more_bytes
        else:
            self._returned[index] -= more_bytes

    def note_mapped(self, entry: int, mapped_bytes: int) -> None:
        """Say how much of a file an entry has mapped and reads all the time."""
        self._mapped[self._index(entry, mapped_bytes)] = mapped_bytes

    def clear(self, entry: int) -> None:
        """Take back everything from a runner that has died."""
        index = self._index(entry)
        self._returned[index] = self._taken[index]
        self._granted[index] = 0
        self._mapped[index] = 0
        self._on_devices[index] = 0

    def entry(self, entry: int) -> Entry:
        index = self._index(entry)
        used_bytes = self._taken[index] - self._returned[index]
        return Entry(self._granted[index], used_bytes, self._mapped[index], self._on_devices[index])

    def total_granted_bytes(self) -> int:
        """What all are granted anywhere, with claims that are just being decided."""
        return sum(self._granted.tolist()) + sum(self._on_devices.tolist())

    def spare_bytes(self, free_bytes: Callable[[], int]) -> int:
        """What may still be granted of what `free_bytes` says is free: that less what is granted and not in use, and
        less what is mapped, in memory or not. Negative where there isn't enough even for those.
        """
        return self._there_bytes(free_bytes) - self._spoken_for_bytes()

    def check(self) -> None:
        """Raise UnexpectedError if an entry uses more than it was granted, or was taken below zero."""
        for number in range(self._entries):
            # one after the other is read, and somebody may write between: what is really wrong stays so
            seen = [self.entry(number) for _ in range(_LOOKS)]
            if not any(0 <= entry.used_bytes <= entry.granted_bytes < _NEGATIVE for entry in seen):
                granted, used, *_ = seen[-1]
                raise UnexpectedError(f"ledger entry {number} is wrong: {granted} bytes granted, {used} used")

    def close(self) -> None:
        """Leave the books, which others keep. May be called twice; nothing else may be called afterwards."""
        if self._descriptor < 0:
            return
        for view in (
            *(self._granted, self._taken, self._returned, self._mapped, self._on_devices),
            self._numbers,
        ):
            view.release()
        self._mapping.close()
        os.close(self._descriptor)
        self._descriptor = -1

    def _index(self, entry: int, amount_bytes: int = 0) -> int:
        if not 0 <= entry < self._entries:
            raise IndexError(f"entry {entry} of {self._entries}")
        if amount_bytes < 0:
            raise ValueError(f"{amount_bytes} bytes are negative")
        return entry

    def _there_bytes(self, free_bytes: Callable[[], int]) -> int:
        """What is free, and what was ever taken before."""
        taken_bytes = sum(self._taken.tolist())
        return taken_bytes + free_bytes()

    def _spoken_for_bytes(self) -> int:
        """What was ever given back, is granted, and is mapped."""
        return sum(self._returned.tolist()) + sum(self._granted.tolist()) + sum(self._mapped.tolist())

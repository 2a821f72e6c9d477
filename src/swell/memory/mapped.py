"""The files that are mapped into this process."""

import ctypes
import mmap
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_SHARED_AND_READ = "r--s"
"""How llama.cpp maps weights, and nothing else in a process of ours is mapped."""

_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def drop_mapped_pages() -> None:
    """Take the pages of mapped weights out of this process. Those that are needed come back when they are read.

    The kernel keeps them as its cache while it has room.
    """
    for line in _MAPS.read_text("utf-8", "replace").splitlines():
        addresses, permissions, *_ = line.split(maxsplit=2)
        if permissions == _SHARED_AND_READ:
            start, end = (int(address, 16) for address in addresses.split("-"))
            _madvise(start, end - start, mmap.MADV_DONTNEED)

"""Where a mapping lies."""

import ctypes
import mmap


def address_of(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))

"""The allocator of the C library."""

import ctypes

_MMAP_THRESHOLD = -3
"""`M_MMAP_THRESHOLD` in glibc's malloc.h."""
_LARGE_BYTES = 1 << 20


def give_back_large_blocks() -> None:
    """Let blocks of 1 MB or more go back to the kernel as soon as they are freed.

    By itself glibc keeps blocks of up to 32 MB once it has seen one of that size, and what is small and lasts is then
    put between them: after 300 bodies of up to 16 MB the server held 106 MB, of which 33 were nobody's; 86 with this.
    Where the C library isn't glibc nothing is done.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, _LARGE_BYTES)

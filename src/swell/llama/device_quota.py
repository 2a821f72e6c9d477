"""What this process takes of devices, counted; where there is a limit, allocations beyond it fail, as they do where a
device has no more.

Backends hand out buffers through a function pointer (`layout.BufferType`), which is replaced. What frees a buffer can't
be: by it some backends know their own buffers. So whoever frees buffers says so, one by one or, for all that llama.cpp
has allocated for a model or a context, with those that were noted while it was made.
"""

import contextlib
import ctypes
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from swell.llama import layout
from swell.llama.library import VOID, function

log = logging.getLogger(__name__)


class DeviceQuota(Protocol):
    """How much of a device may be taken, and what has been."""

    @property
    def limit_bytes(self) -> int | None:
        """How much all processes together may take; None for no limit."""

    @property
    def taken_bytes(self) -> int:
        """What this process has taken."""

    @property
    def all_taken_bytes(self) -> int:
        """What all have."""

    def claim(self, size_bytes: int) -> bool:
        """Take `size_bytes`; False, and nothing is taken, where that is more than there may be."""

    def release(self, size_bytes: int) -> None:
        """Give back `size_bytes` of what was taken."""


_type_of_device = function("ggml_backend_dev_buffer_type", [VOID], VOID)
_kept: list[Any] = []
"""Callbacks, for as long as the process lives: C holds only the pointers."""
_taken: dict[int, tuple[DeviceQuota, int]] = {}
"""Of every buffer of a governed device, by its address: whose quota it has taken how much of, in bytes."""
_noting: list[list[int]] = []
"""Those that are given the buffers that are allocated now."""


def govern_buffers(name: str, device: int, quota: DeviceQuota) -> None:
    """Let llama.cpp's `device`, called `name`, allocate what `quota` grants, for the rest of the process.

    Only after `layout.check` succeeded.
    """
    interface = layout.BufferType.from_address(_type_of_device(device)).iface
    take = layout.AllocBuffer(interface.alloc_buffer)

    def allocate(buffer_type: int, size_bytes: int) -> int | None:
        if not quota.claim(size_bytes):
            taken_bytes = quota.all_taken_bytes
            log.warning("%s: refused %d bytes: of %s, %d are taken", name, size_bytes, quota.limit_bytes, taken_bytes)
            return None
        buffer: int | None = take(buffer_type, size_bytes)
        if not buffer:
            quota.release(size_bytes)
            return None
        note_freed([buffer])  # what was there before is gone: llama.cpp has made its memory to compute in anew
        _taken[buffer] = quota, size_bytes
        for noting in _noting:
            noting.append(buffer)
        return buffer

    callback = layout.AllocBuffer(allocate)
    _kept.append(callback)
    interface.alloc_buffer = ctypes.cast(callback, VOID)


@contextlib.contextmanager
def noting_buffers() -> Iterator[list[int]]:
    """Yields a list to which the buffers are added that are allocated within the block."""
    buffers: list[int] = []
    _noting.append(buffers)
    try:
        yield buffers
    finally:
        _noting.remove(buffers)


def freeing(free: Callable[[Any], object], buffers: Iterable[int]) -> Callable[[Any], None]:
    """`free`, for something with which `buffers` are freed."""

    def free_all(pointer: Any) -> None:
        free(pointer)
        note_freed(buffers)

    return free_all


def note_freed(buffers: Iterable[int]) -> None:
    """Say that buffers are freed. Those that no quota knows are passed over."""
    for buffer in buffers:
        if (taken := _taken.pop(buffer, None)) is not None:
            quota, size_bytes = taken
            quota.release(size_bytes)

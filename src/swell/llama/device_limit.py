"""A limit on the memory of llama.cpp's CPU device, which a worker offers to clients: beyond it allocations fail.

By itself that device allocates whatever it is asked for and reports all of the machine's memory as free. Here its
allocation function and the one that reports its memory are replaced, in the same structs that the Reserved store relies
on. A limit on the process (RLIMIT_AS) would not do: it also refuses small allocations, on which C++ ends the process,
and then llama.cpp ends the client's.
"""

import ctypes
import logging
from collections.abc import Callable
from typing import Any, Protocol

from swell.llama import layout, library, processor
from swell.llama.library import VOID
from swell.memory.allocator import give_back_large_blocks

log = logging.getLogger(__name__)

_kept: list[Any] = []
"""Callbacks, for as long as the process lives: C holds only the pointers."""


class MemoryQuota(Protocol):
    """How much memory the device may have."""

    def claim(self, size_bytes: int) -> bool:
        """Take `size_bytes`; False, and nothing is taken, where there is not so much."""

    def release(self, size_bytes: int) -> None:
        """Give back `size_bytes` of what was taken."""

    def free_bytes(self) -> int:
        """How many bytes could be taken now."""

    def total_bytes(self) -> int:
        """How many bytes could be taken if nothing were."""


def limit_device_memory(quota: MemoryQuota) -> int:
    """Let the CPU device allocate what `quota` grants, and report that as its memory; returns llama.cpp's device.

    Holds for the rest of the process. Raises KvLayoutError if llama.cpp's structs are not what they should be.
    """
    library.start()
    layout.check()
    # llama.cpp's server receives each tensor in a buffer of its size: 30 MB stayed after a small model, measured
    give_back_large_blocks()
    device = processor.device()
    layout.check_device(device)
    interface = layout.BufferType.from_address(layout.cpu_buffer_type()).iface
    take = layout.AllocBuffer(interface.alloc_buffer)
    give: list[Callable[[int], None]] = []  # the one function that frees such buffers, once it is known
    sizes: dict[int, int] = {}  # in bytes, of the buffers that were allocated and not freed

    def free(buffer: int) -> None:
        give[0](buffer)
        quota.release(sizes.pop(buffer))

    def allocate(buffer_type: int, size_bytes: int) -> int | None:
        if not quota.claim(size_bytes):
            log.warning("refused %d bytes; %d are free", size_bytes, quota.free_bytes())
            return None
        buffer = take(buffer_type, size_bytes)
        if not buffer:
            quota.release(size_bytes)
            return None
        sizes[buffer] = size_bytes
        struct = layout.Buffer.from_address(buffer)
        if not give:
            give.append(layout.FreeBuffer(struct.iface.free_buffer))
        struct.iface.free_buffer = ctypes.cast(free_callback, VOID)
        return int(buffer)

    def report(_device: int, free: Any, total: Any) -> None:
        free[0], total[0] = quota.free_bytes(), quota.total_bytes()

    free_callback, allocate_callback = layout.FreeBuffer(free), layout.AllocBuffer(allocate)
    report_callback = layout.GetMemory(report)
    _kept.extend((free_callback, allocate_callback, report_callback))
    interface.alloc_buffer = ctypes.cast(allocate_callback, VOID)
    layout.DeviceInterface.from_address(device).get_memory = ctypes.cast(report_callback, VOID)
    return device

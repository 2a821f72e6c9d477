"""The devices llama.cpp can compute on."""

import ctypes
import dataclasses

from swell.devices import DeviceKind, DeviceMemory, within
from swell.llama import library, rpc
from swell.llama.device_quota import DeviceQuota, govern_buffers
from swell.llama.library import VOID, function
from swell.memory.resident import process_resident

_count = function("ggml_backend_dev_count", [], ctypes.c_size_t)
_get = function("ggml_backend_dev_get", [ctypes.c_size_t], VOID)
_name = function("ggml_backend_dev_name", [VOID], ctypes.c_char_p)
_type = function("ggml_backend_dev_type", [VOID], ctypes.c_int)
_memory = function(
    "ggml_backend_dev_memory", [VOID, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)], None
)
_buffer_type = function("ggml_backend_dev_buffer_type", [VOID], VOID)
_allocate = function("ggml_backend_buft_alloc_buffer", [VOID, ctypes.c_size_t], VOID)
_clear = function("ggml_backend_buffer_clear", [VOID, ctypes.c_uint8], None)
_free = function("ggml_backend_buffer_free", [VOID], None)
_TRIAL_BYTES = 16 << 20


_KINDS = {1: DeviceKind.GPU, 2: DeviceKind.INTEGRATED_GPU}
"""`enum ggml_backend_dev_type`; the others take no layers."""


@dataclasses.dataclass(frozen=True)
class Device:
    """A device that can take layers; `pointer` is llama.cpp's. `quota` governs its buffers, if anything does.

    `is_in_process`: its memory is this process's own, so that the kernel counts it there, too.
    """

    name: str
    kind: DeviceKind
    pointer: int
    quota: DeviceQuota | None = None
    is_in_process: bool = False

    def memory(self) -> DeviceMemory:
        """What its driver reports now, within its quota. A worker answers once it has computed what it is computing."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        _memory(self.pointer, free, total)
        found = DeviceMemory(name=self.name, kind=self.kind, free_bytes=free.value, total_bytes=total.value)
        return found if self.quota is None else within(found, self.quota.limit_bytes, self.quota.all_taken_bytes)

    def governed(self, quota: DeviceQuota) -> "Device":
        """The same device, whose buffers `quota` governs from now on, for the rest of the process.

        Only after `layout.check` succeeded.
        """
        is_in_process = self.kind is not DeviceKind.WORKER and _writes_to_process(self.pointer)
        govern_buffers(self.name, self.pointer, quota)
        return dataclasses.replace(self, quota=quota, is_in_process=is_in_process)


def _writes_to_process(pointer: int) -> bool:
    """Whether what is written to a device's memory takes some of this process's. So it is with processors that are used
    as if they were GPUs. The first buffer doesn't count: with it a driver may begin to work.
    """
    buffer_type, grown = _buffer_type(pointer), 0
    for _ in range(2):
        before = process_resident().total_bytes
        buffer = _allocate(buffer_type, _TRIAL_BYTES)
        if not buffer:
            return False
        _clear(buffer, 1)
        grown = process_resident().total_bytes - before
        _free(buffer)
    return _TRIAL_BYTES * 3 // 4 < grown < _TRIAL_BYTES * 2


def local_devices() -> list[Device]:
    """The machine's devices beside its processor, in llama.cpp's order, under its names ("CUDA0")."""
    library.start()
    found = []
    for index in range(_count()):
        pointer = _get(index)
        if kind := _KINDS.get(_type(pointer)):
            found.append(Device(library.text(_name(pointer)), kind, pointer))
    return found


def worker_devices(address: str) -> list[Device]:
    """The devices of the worker at `address`: the first is called as it, others get a number ("host:port#1").

    As `rpc.connect` says, it may end the process.
    """
    names = (f"{address}#{index}" if index else address for index in range(2**16))
    return [
        Device(name, DeviceKind.WORKER, pointer) for name, pointer in zip(names, rpc.connect(address), strict=False)
    ]

"""The devices llama.cpp can compute on."""

import ctypes
import dataclasses

from swell.devices import DeviceKind, DeviceMemory
from swell.llama import library, rpc
from swell.llama.library import VOID, function

_count = function("ggml_backend_dev_count", [], ctypes.c_size_t)
_get = function("ggml_backend_dev_get", [ctypes.c_size_t], VOID)
_name = function("ggml_backend_dev_name", [VOID], ctypes.c_char_p)
_type = function("ggml_backend_dev_type", [VOID], ctypes.c_int)
_memory = function(
    "ggml_backend_dev_memory", [VOID, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)], None
)


_KINDS = {1: DeviceKind.GPU, 2: DeviceKind.INTEGRATED_GPU}
"""`enum ggml_backend_dev_type`; the others take no layers."""


@dataclasses.dataclass(frozen=True)
class Device:
    """A device that can take layers; `pointer` is llama.cpp's."""

    name: str
    kind: DeviceKind
    pointer: int

    def memory(self) -> DeviceMemory:
        """What its driver reports now. A worker answers once it has computed what it is computing."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        _memory(self.pointer, free, total)
        return DeviceMemory(name=self.name, kind=self.kind, free_bytes=free.value, total_bytes=total.value)


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

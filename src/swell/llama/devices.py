"""The devices llama.cpp can compute on."""

import ctypes
import dataclasses
from enum import Enum

from swell.llama import library
from swell.llama.library import VOID, function

_count = function("ggml_backend_dev_count", [], ctypes.c_size_t)
_get = function("ggml_backend_dev_get", [ctypes.c_size_t], VOID)
_name = function("ggml_backend_dev_name", [VOID], ctypes.c_char_p)
_description = function("ggml_backend_dev_description", [VOID], ctypes.c_char_p)
_type = function("ggml_backend_dev_type", [VOID], ctypes.c_int)
_memory = function(
    "ggml_backend_dev_memory", [VOID, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)], None
)


class DeviceKind(Enum):
    """`enum ggml_backend_dev_type`."""

    CPU = 0
    GPU = 1
    INTEGRATED_GPU = 2
    ACCELERATOR = 3
    META = 4


@dataclasses.dataclass(frozen=True)
class Device:
    """One device; its memory is what its driver reports now."""

    name: str
    description: str
    kind: DeviceKind
    free_bytes: int
    total_bytes: int


def devices() -> list[Device]:
    """All devices, in llama.cpp's order."""
    library.start()
    return [_describe(_get(index)) for index in range(_count())]


def _describe(pointer: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _memory(pointer, free, total)
    return Device(
        name=library.text(_name(pointer)),
        description=library.text(_description(pointer)),
        kind=DeviceKind(_type(pointer)),
        free_bytes=free.value,
        total_bytes=total.value,
    )

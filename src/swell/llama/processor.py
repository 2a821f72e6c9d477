"""llama.cpp's CPU backend of a context: caught when it is made, since a context hands it out to nobody.

It is needed for two things: `swell worker` changes the number of threads while llama.cpp serves a client, and a context
avoids the one computation whose result depends on the number of threads. Flash attention over 512 cells and more, for
a single token, gives each thread a part of the cells and adds up what they found, so that rounding differs from one
number of threads to another. The backend's reference implementation gives each thread whole heads instead. Measured on
SmolLM2-135M (9 heads, 2 threads): 1.14 times as fast at 256 tokens, 1.00 at 1024, 0.95 at 4096.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from functools import cache

from swell.errors import KvLayoutError
from swell.llama import layout, library
from swell.llama.library import VOID, function

_CPU = 0  # GGML_BACKEND_DEVICE_TYPE_CPU
_device_by_type = function("ggml_backend_dev_by_type", [ctypes.c_int], VOID)
set_threads = function("ggml_backend_cpu_set_n_threads", [VOID, ctypes.c_int], None)
set_reference = function("ggml_backend_cpu_set_use_ref", [VOID, ctypes.c_bool], None)


def device() -> int:
    """This machine's processor as llama.cpp's device."""
    library.start()
    found: int = _device_by_type(_CPU)
    return found


@cache
def refusal() -> str | None:
    """Why backends can't be caught with this library; None when they can."""
    if not sys.platform.startswith("linux"):
        return f"llama.cpp's structs can't be checked on {sys.platform}"
    try:
        layout.check_device(device())
    except KvLayoutError as error:
        return str(error)
    return None


@contextlib.contextmanager
def catching_backends() -> Iterator[list[int]]:
    """Within the block, CPU backends that llama.cpp makes are noted; yields those made so far.

    One thread at a time. None are noted where `refusal` says so.
    """
    backends: list[int] = []
    if refusal() is not None:
        yield backends
        return
    interface = layout.DeviceInterface.from_address(device())
    original = interface.init_backend
    make = layout.InitBackend(original)

    def note(device_address: int, parameters: bytes | None) -> int | None:
        backend: int | None = make(device_address, parameters)
        if backend:
            backends.append(backend)
        return backend

    callback = layout.InitBackend(note)
    interface.init_backend = ctypes.cast(callback, VOID)
    try:
        yield backends
    finally:
        interface.init_backend = original

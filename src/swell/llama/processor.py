"""llama.cpp's CPU backend of a context: caught when it is made, since a context hands it out to nobody.

It is needed for two things: `swell worker` changes the number of threads while llama.cpp serves a client, and both it
and a context avoid the one computation whose result depends on the number of threads. Flash attention over 512 cells
and more, for a single token, gives each thread a part of the cells and adds up what they found, so that rounding
differs from one number of threads to another. The backend's reference implementation gives each thread whole heads
instead. Measured on SmolLM2-135M (9 heads, 2 threads): 1.14 times as fast at 256 tokens, 1.00 at 1024, 0.95 at 4096.
"""

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Protocol

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
def catching_backends(catch: Callable[[int], None]) -> Iterator[None]:
    """Within the block, `catch` is given each CPU backend that llama.cpp makes.

    One thread at a time. It is given none where `refusal` says so.
    """
    if refusal() is not None:
        yield
        return
    interface = layout.DeviceInterface.from_address(device())
    original = interface.init_backend
    make = layout.InitBackend(original)

    def note(device_address: int, parameters: bytes | None) -> int | None:
        backend: int | None = make(device_address, parameters)
        if backend:
            catch(backend)
        return backend

    callback = layout.InitBackend(note)
    interface.init_backend = ctypes.cast(callback, VOID)
    try:
        yield
    finally:
        interface.init_backend = original


_node_count = function("ggml_graph_n_nodes", [VOID], ctypes.c_int)
_node = function("ggml_graph_node", [VOID, ctypes.c_int], VOID)
_kept: list[object] = []
"""Callbacks, for as long as the process lives: C holds only the pointers."""


class GraphThreads(Protocol):
    """How many threads compute a graph."""

    def begin(self) -> int:
        """The number of threads for the graph that is computed next."""

    def end(self) -> None:
        """Called when the graph is computed."""


def govern(backend: int, threads: GraphThreads) -> None:
    """Have `backend` ask for the number of threads before each graph it computes, and never split attention.

    For the rest of the process. Costs about 30 µs per graph, 1 ms if there is no attention in it.
    """
    layout.check_backend(backend)
    interface = layout.GgmlBackend.from_address(backend).iface
    compute = layout.GraphCompute(interface.graph_compute)

    def governed(address: int, graph: int) -> int:
        set_threads(address, threads.begin())
        set_reference(address, _attends_for_one_token(graph))
        status: int = compute(address, graph)
        threads.end()
        return status

    callback = layout.GraphCompute(governed)
    _kept.append(callback)
    interface.graph_compute = ctypes.cast(callback, VOID)


def _attends_for_one_token(graph: int) -> bool:
    """Whether the first attention in `graph`, and so all of them, is that of a single token."""
    for index in range(_node_count(graph)):
        tensor = layout.GgmlTensor.from_address(_node(graph, index))
        if tensor.op == _attention_op():
            query = layout.GgmlTensor.from_address(tensor.src[0])
            return bool(query.ne[1] == query.ne[3] == 1)
    return False


@cache
def _attention_op() -> int:
    """The number of flash attention among llama.cpp's operations."""
    return layout.operation_of_attention()

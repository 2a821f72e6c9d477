"""llama.cpp's RPC backend: using devices of other processes, and serving this process's device to others.

It is in the library only if that was built with `GGML_RPC`. On the client's side llama.cpp ends the process when a
connection breaks: `swell.runner.workers` watches the connections, and `on_abort` lets it say why.
"""

import contextlib
import ctypes
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from swell.errors import LibraryError
from swell.llama import library, processor
from swell.llama.library import VOID, function

NOT_BUILT_IN = "it was built without RPC, which workers need (docs/workers.md says how to build it)"


def _rpc_function(name: str, argument_types: Sequence[Any], result_type: Any) -> Any:
    """Raises LibraryError if the library was built without RPC."""
    try:
        return function(name, argument_types, result_type)
    except LibraryError as error:
        raise LibraryError(NOT_BUILT_IN) from error


def require() -> None:
    """Raise LibraryError if the library was built without RPC."""
    _rpc_function("ggml_backend_rpc_reg", [], VOID)


def is_built_in() -> bool:
    """Whether the library was built with RPC."""
    try:
        require()
    except LibraryError:
        return False
    return True


def connect(address: str) -> list[int]:
    """The devices of the worker at `address` (`host:port`), as pointers; the connection stays until the process ends.

    Raises LibraryError if the library was built without RPC. llama.cpp ends the process if what answers there is no
    worker, and waits without a limit for an answer.
    """
    library.start()
    add_server = _rpc_function("ggml_backend_rpc_add_server", [ctypes.c_char_p], VOID)
    open_connection = _rpc_function("ggml_backend_rpc_init", [ctypes.c_char_p, ctypes.c_uint32], VOID)
    count = function("ggml_backend_reg_dev_count", [VOID], ctypes.c_size_t)
    get = function("ggml_backend_reg_dev_get", [VOID, ctypes.c_size_t], VOID)
    registry = add_server(address.encode())
    if not registry:
        return []
    open_connection(address.encode(), 0)  # never freed: otherwise every call would connect anew
    return [get(registry, index) for index in range(count(registry))]


def serve(device: int, listener: socket.socket, threads: int, graph_threads: processor.GraphThreads) -> None:
    """Compute on `device` for the clients of `listener`, one after the other; never returns.

    It begins with `threads`; `graph_threads` is asked before each graph. Raises LibraryError where the server ends or
    the library was built without RPC.

    llama.cpp insists on opening a listening socket of its own. That one is on loopback, and is replaced by `listener`
    as soon as it is there: so several processes can accept clients on one address.
    """
    start_server = _rpc_function(
        "ggml_backend_rpc_start_server",
        [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(VOID)],
        None,
    )
    known = set(_listening())
    threading.Thread(target=_replace_listener, args=(known, listener), daemon=True).start()
    with processor.catching_backends(lambda backend: processor.govern(backend, graph_threads)):
        start_server(b"127.0.0.1:0", None, threads, 1, (VOID * 1)(device))
    raise LibraryError("its RPC server ended")


def on_abort(call: Callable[[bytes], None]) -> None:
    """From now on `call` is given the message with which llama.cpp is about to end this process.

    It ends when `call` returns.
    """
    callback = _AbortCallback(call)
    _kept.append(callback)
    _set_abort_callback(ctypes.cast(callback, VOID))


_AbortCallback = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
_set_abort_callback = function("ggml_set_abort_callback", [VOID], VOID)
_kept: list[object] = []
"""Callbacks, for as long as the process lives: C holds only the pointers."""


def _replace_listener(known: set[int], listener: socket.socket) -> None:
    """Put `listener` in the place of the listening socket that is not `known`.

    llama.cpp either waits for a client on the old one already, or will wait on the new one. In the first case a client
    that leaves at once makes it accept the next one, on the new socket.
    """
    while not (opened := set(_listening()) - known):
        time.sleep(0.001)
    (descriptor,) = opened
    with socket.socket(fileno=os.dup(descriptor)) as old:
        address = old.getsockname()
        os.dup2(listener.fileno(), descriptor)
        with contextlib.suppress(OSError):
            socket.create_connection(address, timeout=1).close()


def _listening() -> Iterator[int]:
    """Descriptors of this process that are listening sockets."""
    for number, duplicate in sockets():
        if duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            yield number


def sockets() -> Iterator[tuple[int, socket.socket]]:
    """Every socket of this process: its descriptor, and a duplicate that is closed when the next one is asked for."""
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as duplicate:
            yield int(name), duplicate

"""The shared library: llama-cpp-python's low-level module, and functions it has no binding for.

Importing the package `llama_cpp` in full also imports numpy, Jinja and its high-level API, which costs a runner about
40 MB and 0.2 s that it has no use for (measured: 62 MB resident against 21 MB). So the package is put into
`sys.modules` without running its `__init__`, and only its low-level module is imported.
"""

import ctypes
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Sequence
from functools import cache
from typing import Any

from swell.errors import LibraryError

_SPIN_COUNT = "1000"
"""How long a thread that waits for others keeps its processor: read by GCC's OpenMP runtime when that is loaded.

By default it does so for milliseconds; while one thread's processor is somebody else's, the others then take theirs for
nothing. LLVM's runtime is left as it is: it yields while it waits. benchmarks/serve/README.md has the measurements.
"""


def _low_level() -> Any:
    os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise LibraryError("llama-cpp-python is not installed")
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["llama_cpp"] = package
    try:
        return importlib.import_module("llama_cpp.llama_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        raise LibraryError(str(error)) from error


api: Any = _low_level()
"""The functions, structs and constants of `llama.h`, under their C names."""


def function(name: str, argument_types: Sequence[Any], result_type: Any) -> Any:
    """A C function of the library or of the ggml libraries it loaded.

    Looked up through the already loaded library's own dependencies: the package's folder holds each ggml library
    several times as copies, and opening another copy would give a second instance with its own static state.
    """
    try:
        found = api._lib[name]
    except AttributeError as error:
        raise LibraryError(f"it has no function {name}") from error
    found.argtypes = list(argument_types)
    found.restype = result_type
    return found


@cache
def start() -> None:
    """Initialise the backends, once per process."""
    api.llama_backend_init()


def text(value: bytes | None) -> str:
    """A C string as text."""
    return "" if value is None else value.decode("utf-8", "replace")


VOID = ctypes.c_void_p

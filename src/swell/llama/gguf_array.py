"""Arrays of numbers in a model file's metadata, which `llama.h` has no function for: read by ggml's own reader."""

import ctypes
from pathlib import Path

from swell.llama.library import VOID, function


class _InitParameters(ctypes.Structure):
    """`struct gguf_init_params`: without a context only the metadata is read."""

    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", VOID)]


_init = function("gguf_init_from_file", [ctypes.c_char_p, _InitParameters], VOID)
_free = function("gguf_free", [VOID], None)
_find_key = function("gguf_find_key", [VOID, ctypes.c_char_p], ctypes.c_int64)
_type = function("gguf_get_kv_type", [VOID, ctypes.c_int64], ctypes.c_int)
_array_type = function("gguf_get_arr_type", [VOID, ctypes.c_int64], ctypes.c_int)
_array_length = function("gguf_get_arr_n", [VOID, ctypes.c_int64], ctypes.c_size_t)
_array_data = function("gguf_get_arr_data", [VOID, ctypes.c_int64], VOID)

_ARRAY, _INTEGERS = 9, (4, 5)  # GGUF_TYPE_ARRAY, and those of 32 bits: with a sign or without


def read_integers(path: Path, key: str) -> list[int] | None:
    """The array of integers at `key` of the file at `path`; None where there is none."""
    context = _init(str(path).encode(), _InitParameters(no_alloc=True, ctx=None))
    if not context:
        return None
    try:
        index = _find_key(context, key.encode())
        if index < 0 or _type(context, index) != _ARRAY or _array_type(context, index) not in _INTEGERS:
            return None
        length = _array_length(context, index)
        return list((ctypes.c_int32 * length).from_address(_array_data(context, index))) if length else []
    finally:
        _free(context)

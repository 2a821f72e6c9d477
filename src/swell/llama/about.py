"""What this build of llama.cpp is and can do, as far as it tells or a tiny model shows."""

import ctypes
import dataclasses
from pathlib import Path

from swell.cache import CacheType
from swell.errors import ContextError
from swell.llama import library, rpc
from swell.llama.context import Context, ContextShape
from swell.llama.library import VOID, api, function
from swell.llama.model import LlamaModel

_PROBE = Path(__file__).with_name("probe_q8_0.gguf")
_SHAPE = ContextShape(cells=256, slots=1, batch_tokens=32, threads=1, cache_type=CacheType.Q8_0)

_version = function("ggml_version", [], ctypes.c_char_p)
_commit = function("ggml_commit", [], ctypes.c_char_p)
_backend_count = function("ggml_backend_reg_count", [], ctypes.c_size_t)
_backend = function("ggml_backend_reg_get", [ctypes.c_size_t], VOID)
_backend_name = function("ggml_backend_reg_name", [VOID], ctypes.c_char_p)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LibraryBuild:
    """`version` is that of ggml with its commit; `flags` as llama.cpp names them; `backends` are those compiled in."""

    version: str
    flags: tuple[str, ...]
    backends: tuple[str, ...]
    has_rpc: bool


def library_build() -> LibraryBuild:
    """How the library was compiled."""
    library.start()
    flags = library.text(api.llama_print_system_info())
    return LibraryBuild(
        version=f"{library.text(_version())} ({library.text(_commit())})",
        flags=tuple(flag for flag in (part.strip() for part in flags.split("|")) if flag),
        backends=tuple(library.text(_backend_name(_backend(index))) for index in range(_backend_count())),
        has_rpc=rpc.is_built_in(),
    )


def fuses_attention() -> bool:
    """Whether flash attention works on this machine's processor.

    llama.cpp tells nobody what "auto" came to. But it makes no quantised cache without it, of a tiny model either.
    """
    with LlamaModel(_PROBE) as model:
        try:
            Context(model, _SHAPE).close()
        except ContextError:
            return False
    return True

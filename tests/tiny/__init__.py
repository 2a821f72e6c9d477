"""Tiny models with random weights, one or more for each `MemoryKind`.

Their tokens are bytes and what they write means nothing, but every token they write depends on all before it, as far
as the architecture remembers them; so a cache that loses or mixes up a cell changes the output.
"""

from collections.abc import Callable
from pathlib import Path

from tests.tiny import attention, latent, recurrent, sparse
from tests.tiny.architecture import Architecture, MemoryKind
from tests.tiny.layers import VOCABULARY

__all__ = ["ARCHITECTURES", "Architecture", "MemoryKind"]


def _architecture(
    name: str, kind: MemoryKind, trained_tokens: int, write: Callable[[Path], None], *, window_tokens: int = 0
) -> Architecture:
    return Architecture(
        name=name,
        memory_kind=kind,
        trained_tokens=trained_tokens,
        window_tokens=window_tokens,
        vocabulary_tokens=VOCABULARY,
        write=write,
    )


_ALL = (
    _architecture("llama", MemoryKind.CAUSAL, attention.CAUSAL_TOKENS, attention.write_llama),
    _architecture(
        "gemma2",
        MemoryKind.SLIDING,
        attention.SLIDING_TOKENS,
        attention.write_gemma2,
        window_tokens=attention.WINDOW,
    ),
    _architecture(
        "gemma3",
        MemoryKind.SLIDING,
        attention.SLIDING_TOKENS,
        attention.write_gemma3,
        window_tokens=attention.WINDOW,
    ),
    _architecture(
        "llama4",
        MemoryKind.CHUNKED,
        attention.CHUNKED_TOKENS,
        attention.write_llama4,
        window_tokens=attention.CHUNK,
    ),
    _architecture("deepseek2", MemoryKind.MLA, latent.LATENT_TOKENS, latent.write_deepseek2),
    _architecture("deepseek32", MemoryKind.SPARSE, sparse.SPARSE_TOKENS, sparse.write_deepseek32),
    _architecture("minimax-m3", MemoryKind.SPARSE, sparse.SPARSE_TOKENS, sparse.write_minimax_m3),
    _architecture("mamba", MemoryKind.RECURRENT, recurrent.RECURRENT_TOKENS, recurrent.write_mamba),
    _architecture("mamba2", MemoryKind.RECURRENT, recurrent.RECURRENT_TOKENS, recurrent.write_mamba2),
    _architecture("rwkv7", MemoryKind.RECURRENT, recurrent.RECURRENT_TOKENS, recurrent.write_rwkv7),
    _architecture("jamba", MemoryKind.HYBRID, recurrent.HYBRID_TOKENS, recurrent.write_jamba),
    _architecture("granitehybrid", MemoryKind.HYBRID, recurrent.HYBRID_TOKENS, recurrent.write_granite_hybrid),
    _architecture("lfm2", MemoryKind.HYBRID, recurrent.HYBRID_TOKENS, recurrent.write_lfm2),
    _architecture(
        "lfm2-sliding",
        MemoryKind.HYBRID,
        recurrent.HYBRID_TOKENS,
        recurrent.write_lfm2_sliding,
        window_tokens=recurrent.HYBRID_WINDOW,
    ),
)

ARCHITECTURES = {architecture.name: architecture for architecture in _ALL}

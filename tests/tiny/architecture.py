"""What a test model is: an architecture of llama.cpp, and the kind of memory it makes llama.cpp use."""

import dataclasses
import enum
from collections.abc import Callable
from pathlib import Path


class MemoryKind(enum.Enum):
    """How llama.cpp remembers the tokens of a slot."""

    CAUSAL = "causal"
    """K and V of every token in every layer."""
    SLIDING = "sliding window"
    """Most layers keep only the latest tokens, in a second and smaller cache."""
    CHUNKED = "chunked"
    """Like SLIDING, but a layer's window starts anew at every multiple of its size."""
    MLA = "multi-head latent attention"
    """One compressed row per token and no V."""
    SPARSE = "sparse"
    """All tokens are kept, few are attended to: an indexer picks them by keys in a cache of its own."""
    RECURRENT = "recurrent"
    """One state of fixed size per slot and layer, no cells."""
    HYBRID = "hybrid"
    """Some layers with cells, some with a state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A tiny model with random weights; the same file every time it is written."""

    name: str
    memory_kind: MemoryKind
    trained_tokens: int
    window_tokens: int
    """Of the layers that forget; 0 where none does."""
    vocabulary_tokens: int
    write: Callable[[Path], None]

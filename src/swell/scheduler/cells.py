"""What a header says about a model's cells: how many there may be, and how many bytes of K and V a token has.

A runner counts both exactly once llama.cpp has made the cache (`kv/planes`); these are for before that.
"""

import itertools

from swell.cache import CacheType
from swell.kv.policy import most_cells
from swell.models.gguf import GgufArray, read_array
from swell.models.model import Model
from swell.models.weights import sensible


def context_max(model: Model) -> int:
    """The longest window that a runner of `model` offers."""
    return most_cells(model.context_length, model.weights_bytes)


def cell_bytes(model: Model, cache_type: CacheType) -> int:
    """K and V of one token in all layers together; see `layer_cell_bytes`."""
    return round(sum(layer_cell_bytes(model, model.layers, cache_type)))


def layer_cell_bytes(model: Model, layers: int, cache_type: CacheType) -> list[float]:
    """K and V of one token in each of so many layers, as if every layer kept every token: too much for sliding windows.

    Layers that keep a state instead of a cache have 0.
    """
    heads = max(model.number("attention.head_count"), 1)
    length = model.embedding_length // heads
    key, value = model.number("attention.key_length") or length, model.number("attention.value_length") or length
    is_latent = model.number("attention.key_length_mla") > 0  # one row for all heads, and no V
    rows = [key if is_latent else kv_heads * (key + value) for kv_heads in _kv_heads(model, layers, heads)]
    return [row * cache_type.element_bytes for row in rows]


def _kv_heads(model: Model, layers: int, heads: int) -> list[int]:
    """Heads of K and V in each layer; 0 where it keeps a state instead of a cache."""
    found = model.header.metadata.get(f"{model.architecture}.attention.head_count_kv")
    if not isinstance(found, GgufArray):
        return [sensible(found, heads)] * layers
    counts = itertools.chain.from_iterable(read_array(model.path, found))
    return [
        sensible(count, heads) for count in itertools.islice(itertools.chain(counts, itertools.repeat(heads)), layers)
    ]

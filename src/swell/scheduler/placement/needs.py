"""What a model takes, layer by layer, as far as its header tells."""

import dataclasses
import itertools
import re

from swell.cache import CacheType
from swell.models.gguf import GgufArray, read_array
from swell.models.model import Model, sensible

_LAYER = re.compile(r"blk\.([0-9]{1,3})\.")  # llama.cpp knows 512 layers
_INPUT = "token_embd."
_OUTPUT = "output"
_COMPUTE_MIN_BYTES = 4 << 20
_PIPELINE_COPIES = 4
"""llama.cpp keeps the inputs of so many batches at once when several devices work in a row."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """Bytes of weights per layer and of the output, which counts as the last layer where layers are placed.

    `kv_bytes` are per layer, for the cells granted at load. `compute_bytes` and `input_bytes` are taken on each device
    to compute a batch in, and to hold what goes into it. `growth` is the part of the cache's size that should be left
    free beside it: a model that is cut to fit must not be refused its first growth.
    """

    layer_bytes: tuple[int, ...]
    output_bytes: int
    kv_bytes: tuple[int, ...]
    compute_bytes: int
    input_bytes: int
    growth: float = 0.0

    @property
    def weights(self) -> tuple[int, ...]:
        """Bytes of weights of everything that can be on a device."""
        return (*self.layer_bytes, self.output_bytes)

    @property
    def kv(self) -> tuple[int, ...]:
        """Bytes of cache beside each of `weights`."""
        return (*self.kv_bytes, 0)

    def scratch_bytes(self, devices: int) -> int:
        """What is taken on each of so many devices beside weights and cache."""
        return self.compute_bytes + self.input_bytes * (_PIPELINE_COPIES if devices > 1 else 1)


def estimate(
    model: Model, *, cells: int, growth_cells: int, slots: int, batch_tokens: int, cache_type: CacheType
) -> Needs:
    """The needs of `model` when `cells` cells are granted in all, to `slots` slots, and `growth_cells` come next."""
    layers, output, embeddings = _weights(model)
    per_cell = _cell_bytes(model, len(layers), cache_type)
    return Needs(
        layer_bytes=tuple(layers),
        output_bytes=output or embeddings,  # without an output of its own, the embeddings are copied for it
        kv_bytes=tuple(round(size * cells) for size in per_cell),
        compute_bytes=_compute_bytes(model, slots, batch_tokens),
        input_bytes=batch_tokens * cells * 2,  # which token attends to which cell, as 16-bit numbers
        growth=growth_cells / cells if cells else 0.0,
    )


def _weights(model: Model) -> tuple[list[int], int, int]:
    """Bytes of every layer, of the output, and of the input embeddings, which are always in host memory."""
    layers, output, embeddings = dict[int, int](), 0, 0
    for tensor, size in zip(model.header.tensors, model.header.tensor_bytes, strict=True):
        if match := _LAYER.match(tensor.name):
            index = int(match[1])
            layers[index] = layers.get(index, 0) + size
        elif tensor.name.startswith(_OUTPUT):
            output += size
        elif tensor.name.startswith(_INPUT):
            embeddings += size
    has_output = any(tensor.name == "output.weight" for tensor in model.header.tensors)
    count = max(layers, default=-1) + 1
    return [layers.get(index, 0) for index in range(count)], output if has_output else output + embeddings, embeddings


def _cell_bytes(model: Model, layers: int, cache_type: CacheType) -> list[float]:
    """K and V of one token in each layer, as if every layer kept every token: too much for sliding windows."""
    heads = max(model.number("attention.head_count"), 1)
    length = model.embedding_length // heads
    key, value = model.number("attention.key_length") or length, model.number("attention.value_length") or length
    is_latent = model.number("attention.key_length_mla") > 0  # one row for all heads, and no V
    rows = [key if is_latent else kv_heads * (key + value) for kv_heads in _kv_heads(model, layers, heads)]
    return [row * cache_type.element_bytes for row in rows]


def _kv_heads(model: Model, layers: int, heads: int) -> list[int]:
    """Of each layer; 0 where it keeps a state instead of a cache."""
    key = f"{model.architecture}.attention.head_count_kv"
    found = model.header.metadata.get(key)
    if not isinstance(found, GgufArray):
        return [sensible(found, heads)] * layers
    counts = itertools.chain.from_iterable(read_array(model.path, found))
    return [
        sensible(count, heads) for count in itertools.islice(itertools.chain(counts, itertools.repeat(heads)), layers)
    ]


def _compute_bytes(model: Model, slots: int, batch_tokens: int) -> int:
    """Intermediate results of a batch: a few rows of the widest layer, and the logits.

    Only its order of magnitude: `Correction` learns the rest.
    """
    embedding = model.embedding_length
    widest = max(model.number("feed_forward_length"), 3 * embedding)
    rows = batch_tokens * (4 * embedding + 2 * widest) * 4
    logits = slots * model.vocabulary_tokens * 4
    return max(_COMPUTE_MIN_BYTES, rows + logits)

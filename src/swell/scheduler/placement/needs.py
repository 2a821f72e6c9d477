"""What a model takes, layer by layer, as far as its header tells."""

import dataclasses
import itertools
import re

from swell.cache import CacheType
from swell.models.model import Model
from swell.scheduler.cells import layer_cell_bytes

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
    per_cell = layer_cell_bytes(model, len(layers), cache_type)
    return Needs(
        layer_bytes=tuple(layers),
        output_bytes=output or embeddings,  # without an output of its own, the embeddings are copied for it
        kv_bytes=tuple(round(size * cells) for size in per_cell),
        compute_bytes=_compute_bytes(model, slots, batch_tokens),
        input_bytes=_input_bytes(cells, batch_tokens),
        growth=growth_cells / cells if cells else 0.0,
    )


def for_window(needs: Needs, window_cells: int, batch_tokens: int) -> Needs:
    """`needs` if the context is created for `window_cells` at once."""
    return dataclasses.replace(needs, input_bytes=_input_bytes(window_cells, batch_tokens))


def _input_bytes(cells: int, batch_tokens: int) -> int:
    """Which token of a batch attends to which cell, as 16-bit numbers."""
    return 2 * cells * batch_tokens


def _weights(model: Model) -> tuple[list[int], int, int]:
    """Bytes of every layer, of the output, and of the input embeddings, which are always in host memory.

    An adapter's matrices lie beside those to which they are added.
    """
    layers, output, embeddings = dict[int, int](), 0, 0
    headers = [file.header for file in model.files]
    for tensor, size in itertools.chain(*(zip(one.tensors, one.tensor_bytes, strict=True) for one in headers)):
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


def _compute_bytes(model: Model, slots: int, batch_tokens: int) -> int:
    """Intermediate results of a batch: a few rows of the widest layer, and the logits.

    Only its order of magnitude: `Correction` learns the rest.
    """
    embedding = model.embedding_length
    widest = max(model.number("feed_forward_length"), 3 * embedding)
    rows = batch_tokens * (4 * embedding + 2 * widest) * 4
    logits = slots * model.vocabulary_tokens * 4
    return max(_COMPUTE_MIN_BYTES, rows + logits)

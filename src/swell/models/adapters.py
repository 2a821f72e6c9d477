"""LoRA adapters: pairs of small matrices whose products are added to matrices of a model.

llama.cpp looks at less than is looked at here, and ends the process over what it meets later.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from swell.errors import ModelLoadError
from swell.models.gguf import FLOAT32, GgufHeader, GgufTensor
from swell.models.weights import Weights, open_weights

_ALPHA = "adapter.lora.alpha"
_ACTIVATION = "adapter.alora.invocation_tokens"
_TYPES = ("F32", "F16", "BF16", "Q8_0")
"""What converters write. Some of the other types llama.cpp can't multiply."""
_EMBEDDINGS, _OUTPUT = "token_embd.weight", "output.weight"
_FITTING_MAX = 256
_fitting = set[tuple[str, str]]()
"""Adapters and weights that fit each other, by their stamps: every request asks, and to look takes a millisecond."""


def open_adapter(path: Path, weights: Weights) -> Weights:
    """The adapter in the file at `path`.

    Raises as `open_weights` does, and ModelLoadError if it doesn't fit `weights`.
    """
    adapter = open_weights(path)
    pair = adapter.stamp, weights.stamp
    if pair not in _fitting:
        for problem in _problems(adapter, weights):
            raise ModelLoadError(str(path), f"the adapter can't be applied: {problem}")
        if len(_fitting) >= _FITTING_MAX:
            _fitting.clear()
        _fitting.add(pair)
    return adapter


def _problems(adapter: Weights, weights: Weights) -> Iterator[str]:
    if (adapter.text("general.type"), adapter.text("adapter.type")) != ("adapter", "lora"):
        yield "the file is no LoRA"
    if adapter.architecture != weights.architecture:
        yield f"it is for the architecture {adapter.architecture!r}, and the model's is {weights.architecture!r}"
    if _ACTIVATION in adapter.header.metadata:
        yield "it is one that only certain tokens activate"
    if not _is_alpha_sound(adapter.header):
        yield f"its alpha, {adapter.header.metadata[_ALPHA]!r}, is no finite number of 32 bits"
    if adapter.header.parameter_count > weights.header.parameter_count:
        yield "it is larger than the model"
    yield from _tensor_problems(adapter, weights)


def _is_alpha_sound(header: GgufHeader) -> bool:
    """Whether the number by which the products are scaled is one that llama.cpp reads, if there is one."""
    alpha = header.metadata.get(_ALPHA, 0.0)
    is_readable = header.value_types.get(_ALPHA, FLOAT32) == FLOAT32
    return is_readable and isinstance(alpha, float) and math.isfinite(alpha)


def _tensor_problems(adapter: Weights, weights: Weights) -> Iterator[str]:
    pairs = defaultdict[str, dict[str, GgufTensor]](dict)
    for tensor in adapter.header.tensors:
        name, _, side = tensor.name.rpartition(".")
        if side in ("lora_a", "lora_b"):
            pairs[name][side] = tensor
        elif not tensor.name.endswith("_norm.weight"):  # these llama.cpp passes over
            yield f"it has a tensor {tensor.name!r}"
        if tensor.type not in _TYPES:
            yield f"{tensor.name!r} is of the type {tensor.type}"
    if not pairs:
        yield "it has no matrices"
    matrices = {tensor.name: tensor for tensor in weights.header.tensors}
    if _EMBEDDINGS in pairs and _OUTPUT not in matrices:
        yield "it changes the embeddings, which are the model's output as well"  # llama.cpp takes it for the output's
    for name, pair in pairs.items():
        if name not in matrices:
            yield f"the model has no {name!r}"
        elif len(pair) < 2:
            yield f"one of the two matrices for {name!r} is missing"
        elif not _fits(matrices[name], pair["lora_a"], pair["lora_b"]):
            yield f"its matrices for {name!r} have other sizes than the model's"


def _fits(matrix: GgufTensor, a: GgufTensor, b: GgufTensor) -> bool:
    """Whether B times A is as large as `matrix`. Of experts there is a pair for each.

    Embeddings are looked up: of these A holds a row for each token.
    """
    inputs, outputs, *experts = _sizes(matrix)
    rank = _sizes(b)[0]
    if matrix.name.endswith(_EMBEDDINGS):
        expected = [rank, outputs, *experts], [rank, inputs, *experts]
    else:
        expected = [inputs, rank, *experts], [rank, outputs, *experts]
    return rank > 0 and (_sizes(a), _sizes(b)) == expected


def _sizes(tensor: GgufTensor) -> list[int]:
    """The sizes of a tensor in all dimensions that there can be."""
    return [*tensor.shape, *[1] * (4 - len(tensor.shape))]

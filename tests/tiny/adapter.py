"""LoRA adapters with random weights for any model file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from swell.models.gguf import GgufTensor, read_header

RANK = 4
Tensors = dict[str, npt.NDArray[np.generic]]


def write_adapter(
    path: Path, base: Path, *, strength: float = 1.0, seed: int = 1, parts: Sequence[str] = ("",)
) -> Path:
    """An adapter for every matrix of the model in the file `base` with one of `parts` in its name.

    With a `strength` of 0 it changes nothing, with 1 about as much as there is.
    """
    header = read_header(base)
    random = np.random.default_rng(seed)
    tensors: Tensors = {}
    for matrix in header.tensors:
        if is_matrix(matrix) and any(part in matrix.name for part in parts):
            tensors |= pair(matrix, random, strength)
    return write(path, str(header.metadata["general.architecture"]), tensors)


def is_matrix(tensor: GgufTensor) -> bool:
    return tensor.name.startswith("blk.") and tensor.name.endswith(".weight") and len(tensor.shape) > 1


def pair(matrix: GgufTensor, random: np.random.Generator, strength: float = 1.0) -> Tensors:
    """A and B for a matrix; numpy has the dimensions the other way round."""
    inputs, outputs, *experts = matrix.shape
    stack = tuple(reversed(experts))
    a = random.normal(0, inputs**-0.5, (*stack, RANK, inputs))
    b = random.normal(0, strength * RANK**-0.5, (*stack, outputs, RANK))
    return {f"{matrix.name}.lora_a": a.astype(np.float16), f"{matrix.name}.lora_b": b.astype(np.float16)}


def write(
    path: Path,
    architecture: str,
    tensors: Mapping[str, npt.NDArray[np.generic]],
    *,
    kind: str = "lora",
    general: str = "adapter",
    alpha: float | str | None = float(RANK),
    activated: bool = False,
) -> Path:
    """An adapter's file with these tensors; as a text, `alpha` is written in 64 bits."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(general)
    writer.add_string("adapter.type", kind)
    if isinstance(alpha, str):
        writer.add_float64("adapter.lora.alpha", float(alpha))
    elif alpha is not None:
        writer.add_float32("adapter.lora.alpha", alpha)
    if activated:
        writer.add_array("adapter.alora.invocation_tokens", [1, 2, 3])
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

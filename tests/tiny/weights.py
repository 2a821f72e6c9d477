"""A GGUF file in the making: metadata, and random weights at scales that keep a deep model's logits well spread."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

SEED = 2547

Value = bool | int | float | Sequence[int]


def add_bytes(writer: gguf.GGUFWriter) -> None:
    """Every token is a byte, and none ends a text."""
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<0x{byte:02X}>" for byte in range(256)])
    writer.add_token_scores([0.0] * 256)
    writer.add_token_types([gguf.TokenType.BYTE] * 256)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


class ModelFile:
    """Metadata under the architecture's own prefix and tensors, in the order they were added."""

    def __init__(self, architecture: str, *, vocabulary_tokens: int, metadata: Mapping[str, Value]) -> None:
        self._architecture = architecture
        self._metadata = {"vocab_size": vocabulary_tokens, **metadata}
        self._tensors: dict[str, npt.NDArray[np.generic]] = {}
        self._random = np.random.default_rng(SEED)

    def matrix(self, name: str, outputs: int, inputs: int, *, gain: float = 1.0) -> None:
        """A projection: unit variance in gives variance `gain`² out."""
        self.stack(name, (outputs, inputs), gain=gain)

    def stack(self, name: str, shape: tuple[int, ...], *, gain: float = 1.0) -> None:
        """Projections side by side, one per expert or head; the last dimension is the input."""
        self._tensors[f"{name}.weight"] = self.normal(shape, deviation=gain / shape[-1] ** 0.5).astype(np.float16)

    def vector(self, name: str, size: int, *, mean: float = 1.0, deviation: float = 0.1) -> None:
        """A norm's weights or a bias; `name` in full."""
        self.array(name, self.normal((size,), mean=mean, deviation=deviation))

    def array(self, name: str, values: npt.NDArray[np.float32]) -> None:
        """Values as they are, in f32; `name` in full."""
        self._tensors[name] = values

    def normal(self, shape: tuple[int, ...], *, mean: float = 0.0, deviation: float = 1.0) -> npt.NDArray[np.float32]:
        return self._random.normal(mean, deviation, shape).astype(np.float32)

    def log_uniform(self, shape: tuple[int, ...], low: float, high: float) -> npt.NDArray[np.float32]:
        return np.exp(self._random.uniform(np.log(low), np.log(high), shape)).astype(np.float32)

    def write(self, path: Path, add_vocabulary: Callable[[gguf.GGUFWriter], None] = add_bytes) -> None:
        writer = gguf.GGUFWriter(path, self._architecture)
        add_vocabulary(writer)
        for key, value in self._metadata.items():
            name = f"{self._architecture}.{key}"
            if isinstance(value, bool):
                writer.add_bool(name, value)
            elif isinstance(value, int):
                writer.add_uint32(name, value)
            elif isinstance(value, float):
                writer.add_float32(name, value)
            else:
                writer.add_array(name, list(value))
        for name, tensor in self._tensors.items():
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

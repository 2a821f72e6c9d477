"""The weights of a model: a GGUF file or several, and what their header says about them."""

import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swell.errors import DamagedModelError, ModelLoadError
from swell.models.gguf import GgufArray, GgufHeader
from swell.models.headers import Headers
from swell.models.soundness import problems
from swell.models.split import join_files
from swell.models.types import FILE_TYPES

_headers = Headers()
_SENSIBLE_MAX = 1 << 32
_LATEST_S = 253_370_764_800  # the year 9999; some file systems keep times that no calendar has


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights on disk. Of split ones, `path` is the first file; the size and what `header` counts are those of all."""

    path: Path
    digest: str
    size_bytes: int
    modified_at: datetime
    header: GgufHeader

    @property
    def key(self) -> str:
        """What tells these weights from all others; a runner, and what was learnt of it, belongs to one key.

        The digest of a file covers its header and size, not the weights, which may differ all the same; so the path
        goes along. A store of files that are named by the hash of their contents needs no more than that.
        """
        return f"{self.digest} {self.path}"

    @property
    def stamp(self) -> str:
        """What tells these weights from what the file may hold another time."""
        return f"{self.key} {self.modified_at.isoformat()}"

    @property
    def architecture(self) -> str:
        return self.text("general.architecture")

    @property
    def parameter_size(self) -> str:
        """How many parameters there are, as Ollama shows it."""
        return format_parameter_count(self.header.parameter_count)

    @property
    def quantization_level(self) -> str:
        """The type of most of the tensors, "unknown" if the file doesn't say or has a type that Swell doesn't know."""
        number = sensible(self.header.metadata.get("general.file_type"), 0)
        return FILE_TYPES[number] if number < len(FILE_TYPES) else FILE_TYPES[0]

    @property
    def context_length(self) -> int:
        """Tokens the model was trained for; 0 if the file doesn't say."""
        return self.number("context_length")

    @property
    def embedding_length(self) -> int:
        """Numbers per token between two layers; 0 if the file doesn't say."""
        return self.number("embedding_length")

    @property
    def layers(self) -> int:
        """How many layers there are; 0 if the file doesn't say."""
        return self.number("block_count")

    @property
    def vocabulary_tokens(self) -> int:
        """Size of the vocabulary; 0 if the file doesn't say."""
        tokens = self.header.metadata.get("tokenizer.ggml.tokens")
        return tokens.length if isinstance(tokens, GgufArray) else 0

    @property
    def data_bytes(self) -> int:
        """Size without the header."""
        return max(self.size_bytes - self.header.header_bytes, 0)

    @property
    def embeds(self) -> bool:
        """Whether they make vectors of texts instead of texts."""
        return f"{self.architecture}.pooling_type" in self.header.metadata

    def number(self, name: str) -> int:
        """A number under the architecture's own prefix; 0 if the file doesn't say, or says one for each layer."""
        return sensible(self.header.metadata.get(f"{self.architecture}.{name}"), 0)

    def text(self, key: str) -> str:
        """The text under `key`; "" if the file has none."""
        value = self.header.metadata.get(key)
        return value if isinstance(value, str) else ""


def open_weights(path: Path) -> Weights:
    """The weights in the file at `path`, and in the other files of split ones.

    The digest covers the headers and the size, not the weights: hashing 40 GB takes minutes, while the headers hold
    every name, shape and offset and the whole vocabulary.
    Raises FileNotFoundError if there is no such file and ModelLoadError if it isn't a sound model.
    """
    joined = join_files(path, _read)
    for problem in problems(joined.header):
        raise DamagedModelError(str(path), problem)
    return Weights(
        path=path,
        digest=hashlib.sha256(f"{joined.header.header_sha256} {joined.size_bytes}".encode()).hexdigest(),
        size_bytes=joined.size_bytes,
        modified_at=datetime.fromtimestamp(min(max(joined.modified_ns / 1e9, 0), _LATEST_S)).astimezone(),
        header=joined.header,
    )


def _read(path: Path) -> tuple[os.stat_result, GgufHeader]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelLoadError(str(path), "not a regular file")  # opening a pipe would wait for ever
    return status, _headers.read(path, status)


def sensible(value: object, otherwise: int) -> int:
    """A value of a header, if llama.cpp could read it as a count of something, else `otherwise`."""
    return value if isinstance(value, int) and 0 <= value < _SENSIBLE_MAX else otherwise


def format_parameter_count(count: int) -> str:
    """A number of parameters as Ollama shows it: "3.2B", "134.52M", "22K", "7B"."""
    if count >= 10**9:
        return f"{_trimmed(count / 10**9, 1)}B"
    if count >= 10**6:
        return f"{_trimmed(count / 10**6, 2)}M"
    return f"{count / 1000:.0f}K" if count >= 1000 else str(count)


def _trimmed(number: float, digits: int) -> str:
    """Fixed digits, none if the number is whole."""
    return f"{number:.0f}" if number.is_integer() else f"{number:.{digits}f}"

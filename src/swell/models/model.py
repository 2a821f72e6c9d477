"""A model: a GGUF file or several, the name it goes by, and what its header says about it."""

import dataclasses
import hashlib
import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swell.errors import ModelLoadError
from swell.kv.policy import most_cells
from swell.models.gguf import GgufArray, GgufHeader
from swell.models.headers import Headers
from swell.models.split import read_weights
from swell.models.types import FILE_TYPES
from swell.text.parsing.dialect import dialect_of

_headers = Headers()
_SENSIBLE_MAX = 1 << 32
_LATEST_S = 253_370_764_800  # the year 9999; some file systems keep times that no calendar has


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What lists say of a model. The header of one takes a hundred times as much memory."""

    name: str
    digest: str
    size_bytes: int
    modified_at: datetime
    family: str
    families: tuple[str, ...]
    parameter_size: str
    quantization_level: str
    context_length: int
    embedding_length: int
    capabilities: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """A model that can be run. `name` is the short name with its tag, `full_name` the one in some error texts.

    Of a split one, `path` is the first file; the size, and what `header` counts, are those of all.
    """

    name: str
    full_name: str
    path: Path
    digest: str
    size_bytes: int
    modified_at: datetime
    header: GgufHeader

    @property
    def architecture(self) -> str:
        return self._text("general.architecture")

    @property
    def family(self) -> str:
        return self.architecture

    @property
    def families(self) -> tuple[str, ...]:
        return (self.family,) if self.family else ()

    @property
    def parameter_size(self) -> str:
        return format_parameter_count(self.header.parameter_count)

    @property
    def quantization_level(self) -> str:
        """The kind of most of the weights, "unknown" if the file doesn't say or it has a kind Swell doesn't know."""
        number = sensible(self.header.metadata.get("general.file_type"), 0)
        return FILE_TYPES[number] if number < len(FILE_TYPES) else FILE_TYPES[0]

    @property
    def context_length(self) -> int:
        """Tokens the model was trained for; 0 if the file doesn't say."""
        return self.number("context_length")

    @property
    def context_max(self) -> int:
        """The longest window that a runner offers."""
        return most_cells(self.context_length, self.weights_bytes)

    @property
    def weights_bytes(self) -> int:
        return max(self.size_bytes - self.header.header_bytes, 0)

    @property
    def embedding_length(self) -> int:
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
    def chat_template(self) -> str | None:
        return self._text("tokenizer.chat_template") or None

    @property
    def tools_template(self) -> str | None:
        """The template for requests with tools; some files have one of its own."""
        return self._text("tokenizer.chat_template.tool_use") or self.chat_template

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What Swell can do with the model now, which may be less than what the model is made for."""
        if f"{self.architecture}.pooling_type" in self.header.metadata:
            return ("embedding",)
        dialect = dialect_of(self.chat_template or "")
        calls_tools = dialect_of(self.tools_template or "").calls_tools
        abilities = {"tools": calls_tools, "insert": self.header.fills_middle, "thinking": dialect.thinks}
        return ("completion", *(ability for ability, has in abilities.items() if has))

    def summary(self) -> Summary:
        """What lists say of it."""
        return Summary(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Summary)})

    def number(self, name: str) -> int:
        """A number under the architecture's own prefix; 0 if the file doesn't say, or says one for each layer."""
        return sensible(self.header.metadata.get(f"{self.architecture}.{name}"), 0)

    def _text(self, key: str) -> str:
        value = self.header.metadata.get(key)
        return value if isinstance(value, str) else ""


def sensible(value: object, otherwise: int) -> int:
    """A value of a header, where it is a number that llama.cpp could read as a count of something."""
    return value if isinstance(value, int) and 0 <= value < _SENSIBLE_MAX else otherwise


def open_model(path: Path, name: str, full_name: str) -> Model:
    """The model in the file at `path`, and in the other files of a split one.

    The digest covers the headers and the size, not the weights: hashing 40 GB takes minutes, while the headers hold
    every name, shape and offset and the whole vocabulary.
    Raises FileNotFoundError if there is no such file and ModelLoadError if it isn't a sound model.
    """
    weights = read_weights(path, _read)
    return Model(
        name=name,
        full_name=full_name,
        path=path,
        digest=hashlib.sha256(f"{weights.header.header_sha256} {weights.size_bytes}".encode()).hexdigest(),
        size_bytes=weights.size_bytes,
        modified_at=datetime.fromtimestamp(min(max(weights.modified_ns / 1e9, 0), _LATEST_S)).astimezone(),
        header=weights.header,
    )


def _read(path: Path) -> tuple[os.stat_result, GgufHeader]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelLoadError(str(path), "not a regular file")  # opening a pipe would wait for ever
    return status, _headers.read(path, status)


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

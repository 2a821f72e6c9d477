"""A model: weights, a manifest that says how to use them, and the name that it goes by."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swell.models.gguf import GgufHeader
from swell.models.manifest import Manifest
from swell.models.split import parts_of
from swell.models.weights import Weights, open_weights
from swell.text.chat_template import ChatTemplate


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


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What lists say of a model as a whole, where that isn't just its weights."""

    digest: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True)
class Model:
    """A model that can be run. `name` is the short name with its tag, `full_name` the one in some error texts."""

    name: str
    full_name: str
    weights: Weights
    manifest: Manifest
    listing: Listing | None = None

    @property
    def files(self) -> tuple[Weights, ...]:
        """What a runner loads: the weights, and the adapters for them."""
        return (self.weights, *self.manifest.adapters)

    @property
    def paths(self) -> list[Path]:
        """All files of these; a split model has several."""
        return [path for file in self.files for path in parts_of(file.path)]

    @property
    def key(self) -> str:
        """What tells what is computed with this model from all others: models of one key share a runner."""
        return "\0".join(file.key for file in self.files)

    @property
    def key_digest(self) -> str:
        """The key for those who shall not see where files lie."""
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def stamp(self) -> str:
        """What tells it from what the files may hold another time, too."""
        return "\0".join(file.stamp for file in self.files)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What Swell can do with the model now, which may be less than what the model is made for."""
        if self.weights.embeds:
            return ("embedding",)
        template, with_tools = self.template(), self.template(with_tools=True)
        abilities = {
            "tools": with_tools is not None and with_tools.dialect.calls_tools,
            "insert": self.header.fills_middle or (template is not None and template.fills_gaps),
            "thinking": template is not None and template.dialect.thinks,
        }
        return ("completion", *(ability for ability, has in abilities.items() if has))

    def summary(self) -> Summary:
        """What lists say of it."""
        weights = self.weights
        return Summary(
            name=self.name,
            digest=self.digest,
            size_bytes=self.size_bytes,
            modified_at=self.modified_at,
            family=weights.architecture,
            families=(weights.architecture,) if weights.architecture else (),
            parameter_size=weights.parameter_size,
            quantization_level=weights.quantization_level,
            context_length=weights.context_length,
            embedding_length=weights.embedding_length,
            capabilities=self.capabilities,
        )

    # --- what is asked most often of the weights and the manifest ------------------------------------------------

    @property
    def path(self) -> Path:
        return self.weights.path

    @property
    def digest(self) -> str:
        return (self.listing or self.weights).digest

    @property
    def size_bytes(self) -> int:
        return (self.listing or self.weights).size_bytes

    @property
    def weights_bytes(self) -> int:
        return self.weights.data_bytes

    @property
    def modified_at(self) -> datetime:
        return (self.listing or self.weights).modified_at

    @property
    def header(self) -> GgufHeader:
        return self.weights.header

    @property
    def architecture(self) -> str:
        return self.weights.architecture

    @property
    def context_length(self) -> int:
        return self.weights.context_length

    @property
    def embedding_length(self) -> int:
        return self.weights.embedding_length

    @property
    def layers(self) -> int:
        return self.weights.layers

    @property
    def vocabulary_tokens(self) -> int:
        return self.weights.vocabulary_tokens

    def number(self, name: str) -> int:
        return self.weights.number(name)

    def template(self, *, with_tools: bool = False) -> ChatTemplate | None:
        """What prompts are made with; None for a model that has no template."""
        return self.manifest.prompt_template(with_tools=with_tools)


def open_model(path: Path, name: str, full_name: str) -> Model:
    """The model in the file at `path`, and in the other files of a split one. Raises as `open_weights` does."""
    weights = open_weights(path)
    return Model(name, full_name, weights, Manifest.from_header(weights))

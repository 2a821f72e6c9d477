"""Models in Ollama's store: manifests that name blobs by the hash of their contents.

The layers of a manifest are a model's weights, and what a Modelfile said of them. A real Ollama may use the same
folder.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from swell.errors import InvalidOptionError, InvalidRequestError, ModelLoadError, StoreError
from swell.models.adapters import open_adapter
from swell.models.manifest import Manifest
from swell.models.model import Listing, Model, Summary
from swell.models.weights import open_weights
from swell.options import merge
from swell.store.blobs import Blobs
from swell.store.digests import parse_digest
from swell.store.manifests import Layer, ManifestFile
from swell.store.messages import SavedMessage
from swell.store.names import ModelName
from swell.store.store import Store
from swell.template_preference import TemplatePreference
from swell.text.prompts.messages import Message

log = logging.getLogger(__name__)

_TEXT_MAX = 16 << 20
"""Bytes of a layer that isn't weights. Licenses of a whole library fit."""


class _KnownSummary(NamedTuple):
    """What lists say of a model while its manifest has this time and size."""

    stamp: tuple[int, int]
    found: Summary


class StoreModels:
    """A source of models for the catalog. Models that come and go are noticed whenever it is asked."""

    def __init__(self, store: Store, preference: TemplatePreference = TemplatePreference.AUTO) -> None:
        """`preference` says which template is used of models that have two."""
        self._store = store
        self._preference = preference
        self._kept: dict[Path, _KnownSummary] = {}

    def names(self) -> list[ModelName]:
        return [name for name, _ in self._store.manifests.files()]

    def summary(self, name: ModelName) -> Summary | None:
        """What lists say of a model. Cached while its manifest stays as it is."""
        if (found := self._store.manifests.find(name)) is None:
            return None
        name, path = found
        try:
            return self._summary(name, path)
        except PermissionError as error:
            raise ModelLoadError(name.short, error.strerror or str(error)) from error

    def _summary(self, name: ModelName, path: Path) -> Summary:
        status = path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        kept = self._kept.get(path)
        if kept is None or kept.stamp != stamp:
            kept = self._kept[path] = _KnownSummary(stamp, self._open(name, path).summary())
        return kept.found

    def find(self, name: ModelName) -> Model | None:
        """The model of that name in any case, None if there is none. Raises ModelLoadError if it is damaged."""
        found = self._store.manifests.find(name)
        try:
            return None if found is None else self._open(*found)
        except FileNotFoundError:  # somebody has deleted it just now
            return None
        except OSError as error:
            raise ModelLoadError(name.short, error.strerror or str(error)) from error

    def _open(self, name: ModelName, path: Path) -> Model:
        """Raises ModelLoadError, and OSError where a file can't be read."""
        try:
            content, manifest = self._store.read(path)
        except StoreError as error:
            raise ModelLoadError(name.short, error.reason) from error
        layers = _Layers(name, manifest, self._store.blobs)
        weights = open_weights(layers.paths("model")[0])
        own = Manifest.from_header(weights)
        return Model(
            name.short,
            name.full,
            weights,
            Manifest(
                chat_template=own.chat_template,
                tools_template=own.tools_template,
                template=layers.text("template") or layers.text("prompt"),
                preference=self._preference,
                system=layers.text("system"),
                parameters=layers.parameters(),
                messages=layers.messages(),
                licenses=layers.texts("license"),
                adapters=tuple(open_adapter(path, weights) for path in layers.paths("adapter")),
                projectors=tuple(layers.paths("projector")),
                drafts=tuple(layers.paths("draft")),
                config=self._store.read_config(manifest),
            ),
            Listing(
                digest=hashlib.sha256(content).hexdigest(),
                size_bytes=sum(layer.size for layer in manifest.all_layers),
                modified_at=datetime.fromtimestamp(path.stat().st_mtime).astimezone(),
            ),
        )


class _Layers:
    """The layers of one model. What is wrong with them is a ModelLoadError."""

    def __init__(self, name: ModelName, manifest: ManifestFile, blobs: Blobs) -> None:
        self._name = name
        self._layers = manifest.layers
        self._blobs = blobs
        if not self._of("model"):
            raise ModelLoadError(name.short, "it has no weights in GGUF, so that llama.cpp can't run it")

    def paths(self, kind: str) -> list[Path]:
        """The files of the layers of a kind."""
        return [self._blob(layer) for layer in self._of(kind)]

    def text(self, kind: str) -> str:
        """The first layer of a kind, which is text; "" for none."""
        return next(iter(self.texts(kind)), "")

    def texts(self, kind: str) -> tuple[str, ...]:
        return tuple(_read(path).decode("utf-8", "replace") for path in self.paths(kind))

    def parameters(self) -> Mapping[str, Any]:
        found: dict[str, Any] = self._json("params", dict[str, Any], {})
        try:
            merge(found)
        except (InvalidOptionError, InvalidRequestError) as error:
            raise ModelLoadError(self._name.short, f"its parameters are wrong: {error}") from error
        return found

    def messages(self) -> tuple[Message, ...]:
        found: list[SavedMessage] = self._json("messages", list[SavedMessage], [])
        return tuple(Message(role=message.role, content=message.content) for message in found)

    def _json(self, kind: str, type_: Any, otherwise: Any) -> Any:
        text = self.text(kind)
        try:
            return msgspec.json.decode(text, type=type_) if text else otherwise
        except msgspec.DecodeError as error:
            raise ModelLoadError(self._name.short, f"its {kind} are damaged: {error}") from error

    def _of(self, kind: str) -> list[Layer]:
        return [layer for layer in self._layers if layer.kind == kind]

    def _blob(self, layer: Layer) -> Path:
        path = self._blobs.find(parse_digest(layer.digest))
        if path is None:
            raise ModelLoadError(self._name.short, f"its layer {layer.digest} is missing")
        return path


def _read(path: Path) -> bytes:
    """A layer that isn't weights. Raises OSError and ModelLoadError."""
    with path.open("rb") as file:
        content = file.read(_TEXT_MAX + 1)
    if len(content) > _TEXT_MAX:
        raise ModelLoadError(str(path), f"it has more than {_TEXT_MAX} bytes")
    return content

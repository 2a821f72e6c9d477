"""Models in Ollama's store: manifests that name blobs by the hash of their contents. Only read so far.

`manifests/<host>/<namespace>/<model>/<tag>` is JSON, and lists the layers of a model: its weights, and what a Modelfile
said of them. Each layer is a file in `blobs`. A real Ollama may use the same folder.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from swell.errors import InvalidOptionError, InvalidRequestError, ModelLoadError
from swell.models.manifest import Manifest
from swell.models.model import Listing, Model, Summary
from swell.models.names import ModelName, parse_name
from swell.models.weights import open_weights
from swell.options import merge
from swell.text.prompts.messages import Message

log = logging.getLogger(__name__)

_LAYER = "application/vnd.ollama.image."
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MANIFEST_MAX = 1 << 20
_TEXT_MAX = 16 << 20
"""Bytes of a layer that isn't weights. Licenses of a whole library fit."""


class _Layer(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str
    digest: str
    size: int = 0


class _ManifestFile(msgspec.Struct, frozen=True):
    layers: list[_Layer]
    config: _Layer | None = None


class _SavedMessage(msgspec.Struct, frozen=True):
    role: str
    content: str = ""


class _KnownSummary(NamedTuple):
    """What lists say of a model while its manifest has this time and size."""

    stamp: tuple[int, int]
    found: Summary


class StoreModels:
    """A source of models for the catalog. Models that come and go are noticed whenever it is asked."""

    def __init__(self, folder: Path) -> None:
        self._manifests, self._blobs = folder / "manifests", folder / "blobs"
        self._kept: dict[Path, _KnownSummary] = {}

    def names(self) -> list[ModelName]:
        return [name for name, _ in self._files()]

    def summary(self, name: ModelName) -> Summary | None:
        """What lists say of a model. Cached while its manifest stays as it is."""
        if (found := self._file(name)) is None:
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
        found = self._file(name)
        try:
            return None if found is None else self._open(*found)
        except FileNotFoundError:  # somebody has deleted it just now
            return None
        except OSError as error:
            raise ModelLoadError(name.short, error.strerror or str(error)) from error

    def _files(self) -> Iterator[tuple[ModelName, Path]]:
        """The manifests there are. What has no valid name isn't Ollama's."""
        for path in sorted(self._manifests.glob("*/*/*/*")):
            host, namespace, model, tag = path.parts[-4:]
            try:
                name = parse_name(f"{host}/{namespace}/{model}:{tag}")
            except InvalidRequestError:
                continue
            if os.path.isfile(path):
                yield name, path

    def _file(self, name: ModelName) -> tuple[ModelName, Path] | None:
        """The manifest of that name in any case, and the name that it has."""
        exact = self._manifests / name.host / name.namespace / name.model / name.tag
        if os.path.isfile(exact):  # False, too, where that may not be looked at: a store may be another user's
            return name, exact
        return next((one for one in self._files() if one[0].key == name.key), None)

    def _open(self, name: ModelName, path: Path) -> Model:
        """Raises ModelLoadError, and OSError where a file can't be read."""
        content = _read(path, _MANIFEST_MAX)
        try:
            manifest = msgspec.json.decode(content, type=_ManifestFile)
        except msgspec.DecodeError as error:
            raise ModelLoadError(name.short, f"its manifest is damaged: {error}") from error
        layers = _Layers(name, manifest, self._blobs)
        weights = open_weights(layers.path("model"))
        own = Manifest.from_header(weights)
        return Model(
            name.short,
            name.full,
            weights,
            Manifest(
                chat_template=own.chat_template,
                tools_template=own.tools_template,
                template=layers.text("template") or layers.text("prompt"),
                system=layers.text("system"),
                parameters=layers.parameters(),
                messages=layers.messages(),
                licenses=layers.texts("license"),
            ),
            Listing(
                digest=hashlib.sha256(content).hexdigest(),
                size_bytes=sum(
                    layer.size for layer in (*manifest.layers, *([manifest.config] if manifest.config else []))
                ),
                modified_at=datetime.fromtimestamp(path.stat().st_mtime).astimezone(),
            ),
        )


class _Layers:
    """The layers of one model. What is wrong with them is a ModelLoadError."""

    def __init__(self, name: ModelName, manifest: _ManifestFile, blobs: Path) -> None:
        self._name = name
        self._layers = manifest.layers
        self._blobs = blobs
        if self._of("adapter"):
            raise ModelLoadError(name.short, "it has an adapter, which can't be applied yet")
        if not self._of("model"):
            raise ModelLoadError(name.short, "it has no weights in GGUF, so that llama.cpp can't run it")

    def path(self, kind: str) -> Path:
        """The file of the first layer of a kind."""
        return self._blob(self._of(kind)[0])

    def text(self, kind: str) -> str:
        """The first layer of a kind, which is text; "" for none."""
        return next(iter(self.texts(kind)), "")

    def texts(self, kind: str) -> tuple[str, ...]:
        return tuple(_read(self._blob(layer), _TEXT_MAX).decode("utf-8", "replace") for layer in self._of(kind))

    def parameters(self) -> Mapping[str, Any]:
        found: dict[str, Any] = self._json("params", dict[str, Any], {})
        try:
            merge(found)
        except (InvalidOptionError, InvalidRequestError) as error:
            raise ModelLoadError(self._name.short, f"its parameters are wrong: {error}") from error
        return found

    def messages(self) -> tuple[Message, ...]:
        found: list[_SavedMessage] = self._json("messages", list[_SavedMessage], [])
        return tuple(Message(role=message.role, content=message.content) for message in found)

    def _json(self, kind: str, type_: Any, otherwise: Any) -> Any:
        text = self.text(kind)
        try:
            return msgspec.json.decode(text, type=type_) if text else otherwise
        except msgspec.DecodeError as error:
            raise ModelLoadError(self._name.short, f"its {kind} are damaged: {error}") from error

    def _of(self, kind: str) -> list[_Layer]:
        return [layer for layer in self._layers if layer.media_type == _LAYER + kind]

    def _blob(self, layer: _Layer) -> Path:
        digest = _DIGEST.fullmatch(layer.digest)
        if digest is None:
            raise ModelLoadError(self._name.short, "its manifest names a layer by something that is no digest")
        for separator in "-:":  # Ollama once named them with a colon
            if os.path.isfile(path := self._blobs / f"sha256{separator}{digest[1]}"):
                return path
        raise ModelLoadError(self._name.short, f"its layer {digest[0]} is missing")


def _read(path: Path, most: int) -> bytes:
    """A file of at most so many bytes. Raises OSError and ModelLoadError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            raise ModelLoadError(str(path), f"it has more than {most} bytes")
        return file.read(most)

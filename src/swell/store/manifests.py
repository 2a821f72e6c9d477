"""The manifests of a store: which layers make up the model of a name.

`manifests/<host>/<namespace>/<model>/<tag>` is JSON; a registry's own bytes are kept as they came, because the digest
of a model is theirs.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from swell.errors import InvalidRequestError
from swell.store.blobs import sync_folder
from swell.store.digests import mentioned_digests
from swell.store.names import ModelName, parse_name

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.ollama.image."
"""What the media types of layers begin with."""
MANIFEST_MAX_BYTES = 1 << 20
_TEMPORARY = ".swell-"


class Layer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A blob of a model, and what it is to it. `origin` is the name of the model it was taken from."""

    media_type: str
    digest: str
    size: Annotated[int, msgspec.Meta(ge=0)]
    origin: str = msgspec.field(default="", name="from")

    @property
    def kind(self) -> str:
        """The last word of an Ollama layer's media type: "model", "template" and so on."""
        return self.media_type.removeprefix(LAYER_TYPE)


class ManifestFile(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What a manifest holds."""

    schema_version: int = 2
    media_type: str = MANIFEST_TYPE
    config: Layer | None = None
    layers: list[Layer]

    @property
    def all_layers(self) -> list[Layer]:
        """The layers and the configuration, which is a blob, too."""
        return [*self.layers, *([self.config] if self.config else [])]


class Manifests:
    """The folder of manifests. What has no valid name isn't Ollama's, and is left alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> Iterator[tuple[ModelName, Path]]:
        """All names and their files."""
        for path in sorted(self.folder.glob("*/*/*/*")):
            host, namespace, model, tag = path.parts[-4:]
            try:
                name = parse_name(f"{host}/{namespace}/{model}:{tag}")
            except InvalidRequestError:
                continue
            if os.path.isfile(path):
                yield name, path

    def find(self, name: ModelName) -> tuple[ModelName, Path] | None:
        """The name as it is there, in whatever case, and its file; None if it isn't there."""
        exact = self.path(name)
        if os.path.isfile(exact):  # False, too, where that may not be looked at: a store may be another user's
            return name, exact
        return next((one for one in self.files() if one[0].key == name.key), None)

    def path(self, name: ModelName) -> Path:
        """Where the manifest of exactly this name is, or would be."""
        return self.folder / name.host / name.namespace / name.model / name.tag

    def write(self, name: ModelName, content: bytes) -> None:
        """Replace the manifest of a name at once, or make it. Raises OSError."""
        found = self.find(name)
        path = found[1] if found else self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(descriptor, 0o644)
                os.fsync(descriptor)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        for folder in (path.parent, *path.parents[1:4]):  # any of them may be new
            sync_folder(folder)

    def delete(self, path: Path) -> None:
        """Delete a manifest, and folders that are empty then. Raises OSError."""
        path.unlink()
        sync_folder(path.parent)
        self._delete_empty(path.parent)

    def tidy(self) -> None:
        """Delete what writers that were killed have left. None may be at work."""
        for path in self.folder.glob(f"*/*/*/{_TEMPORARY}*"):
            path.unlink(missing_ok=True)
            self._delete_empty(path.parent)
        for folder in [*self.folder.glob("*/*/*/"), *self.folder.glob("*/*/"), *self.folder.glob("*/")]:
            self._delete_empty(folder)

    def mentioned(self) -> set[str]:
        """The digests of all blobs that any file here speaks of, be it a manifest that Swell can read or not.

        Raises OSError if one of them can't be read: then nothing may be taken for unused.
        """
        found = set[str]()
        for folder, _, names in os.walk(self.folder, onerror=_raise):
            for name in names:
                found |= mentioned_digests(Path(folder, name).read_bytes())
        return found

    def _delete_empty(self, folder: Path) -> None:
        while folder != self.folder:
            try:
                folder.rmdir()
            except OSError:  # something is in it
                return
            folder = folder.parent


def _raise(error: OSError) -> None:
    raise error

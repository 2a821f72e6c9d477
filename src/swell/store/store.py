"""A store: its blobs, its manifests, and the changes to both that leave it valid wherever they end.

A manifest is written after its blobs are, and deleted before them. Other Swell processes and a real Ollama may use the
same folder; Swell's own changes exclude each other by a lock on the folder of manifests.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import msgspec

from swell.errors import InvalidDigestError, MissingLayersError, ModelNotFoundError, StoreError
from swell.store.blobs import Blobs
from swell.store.config import ModelConfig
from swell.store.digests import mentioned_digests, parse_digest
from swell.store.manifests import MANIFEST_MAX_BYTES, ManifestFile, Manifests
from swell.store.names import ModelName

log = logging.getLogger(__name__)

_UNUSED_AGE_S = 3600
"""How long a blob that no manifest names stays: it may belong to a model that is being made."""
_PARTIAL_AGE_S = 7 * 86400
"""How long the beginning of a download stays."""


class Store:
    """The folder of `OLLAMA_MODELS`. All methods read or write files; safe to use from any thread.

    Where a file can't be read or written, a StoreError says so.
    """

    def __init__(self, folder: Path, *, prunes: bool = True, in_use: Callable[[], Collection[Path]] = tuple) -> None:
        """Without `prunes`, no blob is ever deleted. `in_use` gives files that must stay: those of loaded models."""
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self.manifests = Manifests(folder / "manifests")
        self.prunes = prunes
        self._in_use = in_use
        self._unused = set[str]()  # blobs that no manifest needs, but loaded models do

    def read(self, path: Path) -> tuple[bytes, ManifestFile]:
        """The bytes of a manifest, and what they say. Raises OSError, and StoreError if it is damaged."""
        with path.open("rb") as file:
            content = file.read(MANIFEST_MAX_BYTES + 1)
        if len(content) > MANIFEST_MAX_BYTES:
            raise StoreError(str(path), f"it has more than {MANIFEST_MAX_BYTES} bytes")
        return content, decode_manifest(content, str(path))

    def read_config(self, manifest: ManifestFile) -> ModelConfig:
        """What a manifest's configuration says; nothing where there is none or it can't be understood."""
        path = self._blob(manifest.config.digest) if manifest.config else None
        try:
            return msgspec.json.decode(path.read_bytes(), type=ModelConfig) if path else ModelConfig()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # everything needed is in the weights, too
            return ModelConfig()

    def commit(self, name: ModelName, content: bytes) -> None:
        """Make `content` the manifest of a name, and delete what only the one before it needed.

        Raises MissingLayersError if blobs of it aren't there (any more).
        """
        manifest = decode_manifest(content, name.short)
        with self._changing():
            missing = [layer.digest for layer in manifest.all_layers if self._blob(layer.digest) is None]
            if missing:
                raise MissingLayersError(name.short, missing)
            before = self._mentioned_by(name)
            self.manifests.write(name, content)
            self._delete_unused(before)

    def copy(self, source: ModelName, destination: ModelName) -> None:
        """Give a model a second name. Raises ModelNotFoundError."""
        found = self.manifests.find(source)
        if found is None:
            raise ModelNotFoundError(source.short)
        with translated(found[1]):
            content, _ = self.read(found[1])
        self.commit(destination, content)

    def delete(self, name: ModelName) -> None:
        """Delete a name, and the blobs that no other one needs. Raises ModelNotFoundError."""
        if self.manifests.find(name) is None:
            raise ModelNotFoundError(name.short)
        with self._changing():
            found = self.manifests.find(name)
            if found is None:
                raise ModelNotFoundError(name.short)
            before = self._mentioned_by(name)
            self.manifests.delete(found[1])
            self._delete_unused(before)

    def unused(self) -> set[Path]:
        """The blobs of which only loaded models keep `collect` from deleting them."""
        return {self.blobs.path(digest) for digest in self._unused}

    def collect(self) -> None:
        """Delete the blobs that nothing but loaded models needed, and now they don't either."""
        with self._changing():
            self._delete_unused(())

    def discard(self, digests: Iterable[str]) -> None:
        """Delete those blobs that no manifest names: the model they were for isn't made after all."""
        with self._changing():
            self._delete_unused(digests)

    def prune(self) -> None:
        """Delete what no manifest names and nobody is writing: what was left by processes that were killed.

        As in Ollama, blobs stay for an hour. Downloads that were broken off stay for a week, so that they can go on;
        while one was written to in the last hour, perhaps by a real Ollama, no blob is deleted.
        """
        if not self.prunes or not self.blobs.folder.is_dir():
            return
        with self._changing():
            for path in self.blobs.abandoned():
                path.unlink(missing_ok=True)
            self.manifests.tidy()
            files = [(path, _age_s(path)) for path in self.blobs.folder.iterdir() if path.is_file()]
            partials = [(path, age_s) for path, age_s in files if "-partial" in path.name]
            for path, age_s in partials:
                if age_s > _PARTIAL_AGE_S:
                    path.unlink(missing_ok=True)
            if any(age_s < _UNUSED_AGE_S for _, age_s in partials):
                return
            mentioned = mentioned_digests(
                b" ".join(path.name.encode() for path, age_s in files if age_s > _UNUSED_AGE_S)
            )
            self._delete_unused(mentioned)

    def _delete_unused(self, digests: Iterable[str]) -> None:
        """Delete those blobs of `digests` that no manifest mentions; what loaded models use is kept for `collect`."""
        if not self.prunes:
            return
        in_use = {os.path.realpath(path) for path in self._in_use()}
        unused = (self._unused | set(digests)) - self.manifests.mentioned()
        self._unused = set()
        for digest in unused:
            path = self.blobs.find(digest)
            if path is None:
                continue
            if os.path.realpath(path) in in_use:
                self._unused.add(digest)
            else:
                log.info("deleting %s, which no model needs", path.name)
                path.unlink(missing_ok=True)

    def _mentioned_by(self, name: ModelName) -> set[str]:
        """The digests in the manifest of a name; none if there is none."""
        found = self.manifests.find(name)
        return mentioned_digests(found[1].read_bytes()) if found else set()

    def _blob(self, digest: str) -> Path | None:
        return self.blobs.find(parse_digest(digest))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """While no other Swell process changes the manifests. OSErrors become StoreErrors."""
        with translated(self.folder):
            self.manifests.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.manifests.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Where OSErrors become StoreErrors; `path` stands in for one that they don't name."""
    try:
        yield
    except ConnectionError:  # not a file's
        raise
    except OSError as error:
        raise StoreError(str(error.filename or path), error.strerror or str(error)) from error


def decode_manifest(content: bytes, whose: str) -> ManifestFile:
    """What a manifest says. Raises StoreError, which names it by `whose`, if it isn't one."""
    try:
        manifest = msgspec.json.decode(content, type=ManifestFile)
        for layer in manifest.all_layers:
            parse_digest(layer.digest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(whose, f"its manifest is damaged: {error}") from error
    except InvalidDigestError as error:
        raise StoreError(whose, "its manifest names a layer by something that is no digest") from error
    return manifest


def _age_s(path: Path) -> float:
    """Seconds since a file was changed; 0 if it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0

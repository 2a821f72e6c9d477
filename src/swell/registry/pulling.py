"""A pull, from the manifest to the last layer."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from swell.errors import DiskFullError, RegistryAnswerError, StoreError, TensorModelError
from swell.registry.client import RegistryClient
from swell.registry.download import BlobDownload
from swell.registry.messages import Pulled, TransferJob
from swell.registry.partial import discard
from swell.registry.reporter import Reporter
from swell.store.digests import parse_digest
from swell.store.manifests import MANIFEST_MAX_BYTES, MANIFEST_TYPE, Layer, ManifestFile
from swell.store.progress import Progress
from swell.store.store import Store, decode_manifest, translated

_ACCEPTED = f"{MANIFEST_TYPE}, application/vnd.oci.image.manifest.v1+json"
_STEP = "pull model manifest: "
_LAYERS_MAX = 1000
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def pull(job: TransferJob, client: RegistryClient, reporter: Reporter) -> Pulled:
    """Bring all layers of a model into the store that aren't there; the manifest, which names them.

    Raises RegistryError, StoreError, and TensorModelError.
    """
    store = Store(Path(job.folder), prunes=job.prunes)
    reporter.report(Progress("pulling manifest"))
    content, manifest = _manifest(job, client)
    layers = _layers(client.host, manifest)
    begun: list[Layer] = []
    with _room(store, layers, begun):
        store.blobs.folder.mkdir(parents=True, exist_ok=True)
        _check_room(store, layers)
        for layer in layers:
            found = store.blobs.find(layer.digest)
            if found is None:
                begun.append(layer)
                BlobDownload(client, store.blobs, layer, job.limits, reporter).run()
            elif (size := found.stat().st_size) != layer.size:
                raise StoreError(str(found), f"it has {size} bytes, and {layer.size} in the manifest; delete it")
            else:
                status = f"pulling {layer.digest[7:19]}"
                reporter.report(Progress(status, layer.digest, layer.size, layer.size))
    reporter.report(Progress("verifying sha256 digest"))  # each was when it came
    return Pulled(content)


def _manifest(job: TransferJob, client: RegistryClient) -> tuple[bytes, ManifestFile]:
    with client.call("GET", f"manifests/{job.name.tag}", _STEP, {"Accept": _ACCEPTED}) as response:
        content = client.read(response, MANIFEST_MAX_BYTES)
    return content, decode_manifest(content, job.name.short)


def _layers(host: str, manifest: ManifestFile) -> list[Layer]:
    """The blobs of a manifest, each once. Raises RegistryAnswerError if they can't be true."""
    found: dict[str, Layer] = {}
    for layer in manifest.all_layers:
        if layer.kind == "tensor":
            raise TensorModelError
        digest = parse_digest(layer.digest)
        if found.setdefault(digest, Layer(layer.media_type, digest, layer.size)).size != layer.size:
            raise RegistryAnswerError(host, "its manifest gives a layer two sizes")
    if len(found) > _LAYERS_MAX:
        raise RegistryAnswerError(host, f"its manifest has more than {_LAYERS_MAX} layers")
    return list(found.values())


def _check_room(store: Store, layers: list[Layer]) -> None:
    """Raise OSError if the disk can't hold what is missing."""
    missing = [layer for layer in layers if store.blobs.find(layer.digest) is None]
    needed = sum(max(0, layer.size - _taken_bytes(store.blobs.partial(layer.digest))) for layer in missing)
    disk = os.statvfs(store.blobs.folder)
    if needed > disk.f_bavail * disk.f_frsize:
        free = disk.f_bavail * disk.f_frsize
        raise OSError(errno.ENOSPC, f"{needed} bytes are needed, and {free} are free", str(store.blobs.folder))


def _taken_bytes(path: Path) -> int:
    """What the unfinished download at `path` takes of the disk by now."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _room(store: Store, layers: list[Layer], begun: list[Layer]) -> Iterator[None]:
    """Where a disk that is full is a DiskFullError that leaves nothing of the pull, and other OSErrors StoreErrors."""
    with translated(store.blobs.folder):
        try:
            yield
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            for layer in layers:
                discard(store.blobs.partial(layer.digest))
            store.discard([layer.digest for layer in begun])
            reason = (error.strerror or str(error)).lower()
            raise DiskFullError(str(store.blobs.folder), reason) from error

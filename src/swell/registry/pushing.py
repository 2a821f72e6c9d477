"""A push, from the layers to the manifest that names them."""

from pathlib import Path

import msgspec

from swell.errors import MissingLayersError, ModelNotFoundError, StoreError
from swell.registry.client import RegistryClient
from swell.registry.messages import Pushed, TransferJob
from swell.registry.reporter import Reporter
from swell.registry.upload import BlobUpload
from swell.store.digests import parse_digest
from swell.store.manifests import Layer, ManifestFile
from swell.store.progress import Progress
from swell.store.store import Store, translated


def push(job: TransferJob, client: RegistryClient, reporter: Reporter) -> Pushed:
    """Bring a model of the store to a registry. Raises RegistryError, StoreError, ModelNotFoundError and
    MissingLayersError."""
    store = Store(Path(job.folder), prunes=job.prunes)
    reporter.report(Progress("retrieving manifest"))
    found = store.manifests.find(job.name)
    if found is None:
        reporter.report(Progress("couldn't retrieve manifest"))
        raise ModelNotFoundError(job.name.short)
    with translated(store.folder):
        content, manifest = store.read(found[1])
        for layer, file in _blobs(job, store, manifest):
            BlobUpload(client, file, layer, job.limits, reporter).run()
    reporter.report(Progress("pushing manifest"))
    headers = {"Content-Type": manifest.media_type}
    with client.call("PUT", f"manifests/{job.name.tag}", "push model manifest: ", headers, content):
        return Pushed()


def _blobs(job: TransferJob, store: Store, manifest: ManifestFile) -> list[tuple[Layer, Path]]:
    """The blobs of a manifest, each once, and their files. Raises OSError, StoreError and MissingLayersError."""
    layers = {
        digest: msgspec.structs.replace(layer, digest=digest)
        for layer in manifest.all_layers
        if (digest := parse_digest(layer.digest))
    }
    files = {digest: file for digest in layers if (file := store.blobs.find(digest)) is not None}
    if len(files) < len(layers):
        raise MissingLayersError(job.name.short, sorted(layers.keys() - files.keys()))
    for digest, file in files.items():
        if (size := file.stat().st_size) != layers[digest].size:
            raise StoreError(str(file), f"it has {size} bytes, and {layers[digest].size} in the manifest")
    return [(layers[digest], file) for digest, file in files.items()]

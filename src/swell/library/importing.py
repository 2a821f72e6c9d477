"""Weights on their way into the store: what a file is, and copies of files that lie elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from swell.errors import DamagedModelError, InvalidRequestError, ModelLoadError
from swell.library.quantizer import Quantizer
from swell.library.threads import FileThreads
from swell.models.adapters import open_adapter
from swell.models.gguf import GgufHeader, read_header
from swell.models.split import COUNT_KEY, NUMBER_KEY, part_of, parts_of
from swell.models.weights import Weights, open_weights
from swell.store.blobs import Blobs, hash_file
from swell.store.digests import parse_digest
from swell.store.manifests import LAYER_TYPE, Layer

_PIECE_BYTES = 4 << 20
_MAGIC = b"GGUF"
_PROJECTORS = ("projector", "mmproj")


class Importer:
    """Makes layers of files. What is wrong with a file is an InvalidRequestError."""

    def __init__(self, blobs: Blobs, threads: FileThreads, quantizer: Quantizer) -> None:
        self._blobs = blobs
        self._threads = threads
        self._quantizer = quantizer

    async def uploaded(self, files: Mapping[str, str]) -> list[Layer]:
        """The layers of blobs, by the names of the files that they were. Parts of a split model become one."""
        layers = []
        for name, paths in (await self._threads.run(self._grouped, files)).items():
            if len(paths) == 1:
                layers.append(await self._threads.run(self._layer, name, paths[0]))
            else:
                layers.append(await self._joined(paths))
        return layers

    async def copied(self, path: Path) -> Layer:
        """The layer of a model's file elsewhere, which is copied."""
        parts = [part for part in parts_of(path) if part.is_file()]
        if len(parts) > 1:
            return await self._joined(await self._threads.run(_in_order, {part.name: part for part in parts}))
        with self._blobs.incoming() as blob, path.open("rb", buffering=0) as file:
            while piece := await self._threads.run(file.read, _PIECE_BYTES):
                await self._threads.run(blob.write, piece)
            digest = await self._threads.run(blob.finish)
        return self.model_layer(digest)

    def model_layer(self, digest: str) -> Layer:
        """The layer of weights that are in the store."""
        return Layer(LAYER_TYPE + "model", digest, self._blobs.path(digest).stat().st_size)

    def weights(self, layers: Sequence[Layer]) -> Weights:
        """The weights among the layers of a model, after a check that its adapters can be applied to them."""
        found = [layer for layer in layers if layer.kind == "model"]
        if len(found) != 1:
            raise InvalidRequestError(f"a model is made of one GGUF file with weights; there are {len(found)}")
        try:
            weights = open_weights(self._path(found[0].digest, "the model"))
            for layer in layers:
                if layer.kind == "adapter":
                    open_adapter(self._path(layer.digest, "the adapter"), weights)
        except ModelLoadError as error:
            raise InvalidRequestError(error.reason) from error
        return weights

    def _grouped(self, files: Mapping[str, str]) -> dict[str, list[Path]]:
        """The blobs of each model, by the name of its first file."""
        found: dict[str, Path] = {}
        for name, digest in files.items():
            found[name] = self._path(parse_digest(digest), name)
        grouped: dict[str, list[Path]] = {}
        unnamed: dict[str, Path] = {}  # parts that have other names than parts have
        for name, path in found.items():
            part = part_of(name)
            if part is None and _count(_header(name, path)) > 1:
                unnamed[name] = path
            elif part is None:
                grouped[name] = [path]
            elif part.number == 1:
                names = [str(one) for one in parts_of(Path(name))]
                if missing := [one for one in names if one not in found]:
                    raise InvalidRequestError(f"parts of a split model are missing: {', '.join(missing)}")
                grouped[name] = _in_order({one: found[one] for one in names})
        if unnamed:
            grouped[next(iter(unnamed))] = _in_order(unnamed)
        if files and not grouped:
            raise InvalidRequestError("the first part of a split model is missing")
        return grouped

    def _path(self, digest: str, name: str) -> Path:
        path = self._blobs.find(digest)
        if path is None:
            raise InvalidRequestError(f"{name}: {digest} is not in the store; upload it to /api/blobs first")
        return path

    def _layer(self, name: str, path: Path) -> Layer:
        kind = _kind(name, _header(name, path))
        return Layer(LAYER_TYPE + kind, path.name.replace("sha256-", "sha256:"), path.stat().st_size)

    async def _joined(self, parts: list[Path]) -> Layer:
        """The layer of a split model, made one file. llama.cpp does it; it wants files that it can read."""
        for part in parts:
            await self._threads.run(_header, part.name, part)
        with self._blobs.temporary() as joined:
            await self._quantizer.join(parts, joined.path)
            digest = await self._threads.run(hash_file, joined.path)
            await self._threads.run(self._blobs.adopt, joined.path, digest)
        return self.model_layer(digest)


def _header(name: str, path: Path) -> GgufHeader:
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        is_gguf = name.lower().endswith(".gguf")
        raise InvalidRequestError("supplied file was not in GGUF format" if is_gguf else "unknown type")
    try:
        return read_header(path)
    except DamagedModelError as error:
        raise InvalidRequestError(f"{name}: {error.reason}") from error


def _count(header: GgufHeader) -> int:
    """How many parts the model is in."""
    count = header.metadata.get(COUNT_KEY)
    return count if isinstance(count, int) else 1


def _in_order(files: Mapping[str, Path]) -> list[Path]:
    """The parts of a split model in the order that their headers give them, whatever their names do."""
    headers = {name: _header(name, path) for name, path in files.items()}
    numbers = {name: header.metadata.get(NUMBER_KEY) for name, header in headers.items()}
    ordered = {number: files[name] for name, number in numbers.items() if isinstance(number, int)}
    count = _count(next(iter(headers.values())))
    if len(files) != count or sorted(ordered) != list(range(count)):
        found = ", ".join(str(number + 1) for number in sorted(ordered))
        raise InvalidRequestError(f"of a model in {count} parts, these are the parts: {found}")
    return [ordered[number] for number in range(count)]


def _kind(name: str, header: GgufHeader) -> str:
    """Which layer a GGUF file is."""
    said, architecture = header.metadata.get("general.type"), header.metadata.get("general.architecture")
    if said in _PROJECTORS or architecture == "clip":
        return "projector"
    if said == "adapter":
        return "adapter"
    if f"{architecture}.context_length" not in header.metadata:
        raise InvalidRequestError(f"{name}: it holds no language model, projector or adapter that llama.cpp knows")
    return "model"

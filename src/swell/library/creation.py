"""Makes a model in the store of another one, or of files that were uploaded, by a recipe."""

import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from swell.errors import InvalidRequestError, ModelNotFoundError
from swell.library.importing import Importer
from swell.library.quantizer import Quantizer
from swell.library.recipe import Recipe, check, kept, merged_config, new_layers
from swell.library.threads import FileThreads
from swell.models.catalog import Catalog
from swell.registry.transfers import Transfers
from swell.store.blobs import hash_file
from swell.store.config import ListedFacts, ModelConfig, config_content
from swell.store.digests import digest_of
from swell.store.manifests import CONFIG_TYPE, LAYER_TYPE, Layer, ManifestFile
from swell.store.names import ModelName, parse_name, parse_remote_name
from swell.store.progress import SUCCESS, Progress
from swell.store.store import Store, translated

Lines = AsyncGenerator[Progress, None]


@dataclass
class _Draft:
    """What is there of a new model: layers whose blobs are in the store, and what they say."""

    layers: list[Layer] = field(default_factory=list)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    config: ModelConfig = ModelConfig()


class Creation:
    """Makes models. Everything is written before the manifest is, so what fails or is broken off leaves none."""

    def __init__(self, store: Store, catalog: Catalog, threads: FileThreads, transfers: Transfers) -> None:
        self._store = store
        self._catalog = catalog
        self._threads = threads
        self._transfers = transfers
        self._quantizer = Quantizer()
        self._importer = Importer(store.blobs, threads, self._quantizer)

    async def create(self, recipe: Recipe) -> Lines:
        """Make it, with progress. Raises RequestError, StoreError, QuantizeError, or what a pull raises."""
        check(recipe)
        draft = _Draft()
        with translated(self._store.folder):
            for step in (self._begin, self._add_files, self._quantize, self._add_texts):
                async with aclosing(step(recipe, draft)) as lines:
                    async for line in lines:
                        yield line
            yield Progress("writing manifest")
            await self._threads.run(self._commit, recipe, draft)
        yield Progress(SUCCESS)

    async def _begin(self, recipe: Recipe, draft: _Draft) -> Lines:
        """Begin with the layers of another model, which is pulled if it isn't here."""
        if not recipe.base:
            return
        name = parse_name(recipe.base)
        try:
            base = await self._threads.run(self._catalog.find, recipe.base, allow_path=False)
        except ModelNotFoundError:
            async with aclosing(self._transfers.pull(parse_remote_name(recipe.base), insecure=False)) as lines:
                async for line in lines:
                    if line.status != SUCCESS:
                        yield line
            base = await self._threads.run(self._catalog.find, recipe.base, allow_path=False)
        if base.listing is None:  # a file that isn't in the store
            draft.layers = [await self._importer.copied(base.path)]
        else:
            await self._threads.run(self._read, name, draft)
            draft.parameters = base.manifest.parameters
        draft.layers = kept(draft.layers, recipe)

    def _read(self, name: ModelName, draft: _Draft) -> None:
        found = self._store.manifests.find(name)
        if found is None:
            raise ModelNotFoundError(name.short)
        _, manifest = self._store.read(found[1])
        draft.layers = [
            msgspec.structs.replace(layer, origin=found[0].short) if layer.kind == "model" else layer
            for layer in manifest.layers
        ]
        draft.config = self._store.read_config(manifest)

    async def _add_files(self, recipe: Recipe, draft: _Draft) -> Lines:
        """Add the layers of uploaded files."""
        if recipe.files or recipe.adapters or recipe.drafts:
            yield Progress("parsing GGUF")
        draft.layers += await self._importer.uploaded(recipe.files)
        adapters = await self._importer.uploaded(recipe.adapters)
        if any(layer.kind != "adapter" for layer in adapters):
            raise InvalidRequestError(f"{', '.join(recipe.adapters)}: it is no LoRA adapter in GGUF")
        draft.layers += adapters
        for layer in await self._importer.uploaded(recipe.drafts):
            draft.layers.append(msgspec.structs.replace(layer, media_type=LAYER_TYPE + "draft"))

    async def _quantize(self, recipe: Recipe, draft: _Draft) -> Lines:
        """Replace the weights by quantised ones."""
        weights = await self._threads.run(self._importer.weights, draft.layers)
        if not recipe.quantization:
            return
        original = next(layer for layer in draft.layers if layer.kind == "model")
        with self._store.blobs.temporary() as file:
            lines = self._quantizer.quantize(weights, original.digest, recipe.quantization, file.path)
            async with aclosing(lines):
                async for line in lines:
                    yield line
            yield Progress("verifying conversion")
            digest = await self._threads.run(hash_file, file.path)
            await self._threads.run(self._store.blobs.adopt, file.path, digest)
        draft.layers[draft.layers.index(original)] = self._importer.model_layer(digest)

    async def _add_texts(self, recipe: Recipe, draft: _Draft) -> Lines:
        """Add what the recipe says beside files."""
        for layer in draft.layers:
            yield Progress(f"using existing layer {layer.digest}")
        for new in new_layers(recipe, draft.parameters):
            digest = digest_of(hashlib.sha256(new.content).hexdigest())
            is_there = self._store.blobs.find(digest) is not None
            await self._threads.run(self._store.blobs.write, new.content)
            yield Progress(f"{'using existing' if is_there else 'creating new'} layer {digest}")
            draft.layers.append(Layer(LAYER_TYPE + new.kind, digest, len(new.content)))

    def _commit(self, recipe: Recipe, draft: _Draft) -> None:
        weights = self._importer.weights(draft.layers)
        facts = ListedFacts(
            model_family=weights.architecture,
            model_families=[weights.architecture],
            model_type=weights.parameter_size,
            file_type=weights.quantization_level,
            context_length=weights.context_length,
            embedding_length=weights.embedding_length,
        )
        config = merged_config(draft.config, recipe.config)
        content = config_content(facts, config, [layer.digest for layer in draft.layers])
        digest = self._store.blobs.write(content)
        manifest = ManifestFile(config=Layer(CONFIG_TYPE, digest, len(content)), layers=draft.layers)
        self._store.commit(recipe.name, msgspec.json.encode(manifest))

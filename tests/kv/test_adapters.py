"""Adapters are applied in every context of every store: the first one, and those that a growth makes."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.kv.architectures import claim
from tests.kv.driving import generate
from tests.tiny import Architecture
from tests.tiny.adapter import write_adapter

from swell.cache import CacheType, FlashAttention
from swell.kv.admission import OpenAdmission
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.kv.store import BookedStore
from swell.llama import logs
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel
from swell.memory.resident import Pagemap

SHAPE = ContextShape(cells=1024, slots=2, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=1024)
PROMPT = [(token * 37 + 11) % 251 for token in range(90)]
COUNT = 200  # beyond 256 cells, to which llama.cpp rounds up, so that Copied really moves
STORES: dict[str, Callable[[LlamaModel, ContextShape], BookedStore]] = {
    "reserved": lambda model, shape: ReservedStore(model, shape, POLICY, OpenAdmission()),
    "copied": lambda model, shape: CopiedStore(model, shape, POLICY, OpenAdmission()),
    "eager": lambda model, shape: EagerStore(model, shape, OpenAdmission()),
}
SHAPES = {
    "f16": SHAPE,
    "transposed": dataclasses.replace(SHAPE, flash_attention=FlashAttention.OFF),
    "q8_0": dataclasses.replace(SHAPE, cache_type=CacheType.Q8_0),
}


@pytest.fixture(scope="module")
def tuned(architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    """The tiny model with an adapter for all its matrices."""
    folder = tmp_path_factory.mktemp("tuned")
    with _loaded(architecture, folder, strength=0.5) as model:
        yield model


def _loaded(architecture: Architecture, folder: Path, strength: float) -> LlamaModel:
    logs.route()
    base = folder / "model.gguf"
    architecture.write(base)
    model = LlamaModel(base)
    model.add_adapter(write_adapter(folder / "lora.gguf", base, strength=strength))
    return model


def written(store: BookedStore) -> list[int]:
    """What is generated, by a store whose books are right."""
    try:
        tokens = generate(store, 1, PROMPT, COUNT)
        assert store.check_integrity() == []
        return tokens
    finally:
        store.close()


def test_all_stores_write_the_same_and_another_text_than_without(
    architecture: Architecture, tiny: LlamaModel, tuned: LlamaModel
) -> None:
    texts = {name: written(open_store(tuned, SHAPE)) for name, open_store in STORES.items()}
    assert texts["eager"] == texts["reserved"]
    if claim(architecture).copied_exactly:
        assert texts["copied"] == texts["eager"]
    assert written(STORES["reserved"](tiny, SHAPE)) not in texts.values()


@pytest.mark.parametrize("store", STORES)
def test_one_of_zeros_changes_nothing(architecture: Architecture, tiny: LlamaModel, tmp_path: Path, store: str) -> None:
    with _loaded(architecture, tmp_path, strength=0) as model:
        assert written(STORES[store](model, SHAPE)) == written(STORES[store](tiny, SHAPE))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_reserved_knows_its_memory(tiny: LlamaModel, tuned: LlamaModel, shape: ContextShape) -> None:
    """llama.cpp makes the memory to compute in anew once there are adapters: that is reserved, too, and what was there
    before isn't counted. No cell has been written meanwhile.
    """
    plain, store = (ReservedStore(model, shape, POLICY, OpenAdmission()) for model in (tiny, tuned))
    assert len(store._planes) == len(plain._planes)
    assert len(store._scratch) == len(plain._scratch)
    assert sum(one.size_bytes for one in store._scratch) >= sum(one.size_bytes for one in plain._scratch)
    assert store.measure().resident == 0
    assert store.context.positions(0) == (-1, -1)
    before = store._scratch_bytes()
    generate(store, 0, PROMPT, 2)
    assert store._scratch_bytes() < before
    with Pagemap() as pagemap:
        assert all(pagemap.resident_bytes(region.address, region.size_bytes) for region in store._scratch)
    plain.close()
    store.close()

"""What the header of the real model says it needs; llama.cpp's own numbers for it are in the comments."""

import dataclasses
from pathlib import Path

import pytest
from tests.tiny.adapter import write_adapter

from swell.cache import CacheType
from swell.models.adapters import open_adapter
from swell.models.model import Model, open_model
from swell.scheduler.placement.needs import Needs, estimate

CELL_BYTES = 23_040
LAYERS = 30


@pytest.fixture
def model(model_path: Path) -> Model:
    return open_model(model_path, "smollm2:135m", "smollm2:135m")


def needs(model: Model, cache_type: CacheType = CacheType.F16) -> Needs:
    return estimate(model, cells=2048, growth_cells=1024, slots=1, batch_tokens=256, cache_type=cache_type)


def test_weights_are_the_tensors_as_they_lie_in_the_file(model: Model) -> None:
    found = needs(model)
    assert len(found.layer_bytes) == LAYERS
    assert sum(found.layer_bytes) + found.output_bytes == 96_576_768  # "model buffer size" on a device that has all
    assert sum(model.header.tensor_bytes) == model.size_bytes - model.header.header_bytes - _padding(model)


def test_an_adapter_lies_beside_its_matrices(model: Model, model_path: Path, tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "lora.gguf", model_path, parts=("blk.3.", "blk.29.attn_q"))
    manifest = dataclasses.replace(model.manifest, adapters=(open_adapter(path, model.weights),))
    plain, tuned = needs(model), needs(dataclasses.replace(model, manifest=manifest))
    added = [after - before for before, after in zip(plain.weights, tuned.weights, strict=True)]
    assert {layer for layer, bytes_ in enumerate(added) if bytes_} == {3, 29}
    assert sum(added) == sum(manifest.adapters[0].header.tensor_bytes)
    assert dataclasses.replace(tuned, layer_bytes=plain.layer_bytes) == plain


def test_the_cache_is_the_cells(model: Model) -> None:
    found = needs(model)
    assert sum(found.kv_bytes) == 2048 * CELL_BYTES
    assert len(found.kv) == len(found.weights) == LAYERS + 1
    assert found.growth == 0.5
    assert sum(needs(model, CacheType.Q8_0).kv_bytes) == 2048 * CELL_BYTES * 17 // 32


def test_computing_takes_about_what_llama_cpp_takes(model: Model) -> None:
    found = needs(model)
    assert found.scratch_bytes(1) == pytest.approx(7_400_000, rel=0.2)  # with the cache elsewhere: 7,341,056
    assert found.scratch_bytes(2) == pytest.approx(13_062_144, rel=0.3)


def _padding(model: Model) -> int:
    return -model.header.header_bytes % 32

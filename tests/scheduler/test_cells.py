"""What headers say of cells, for the tiny models of every kind."""

from pathlib import Path

import pytest
from tests.tiny import ARCHITECTURES, Architecture

from swell.cache import CacheType
from swell.models.model import open_model
from swell.scheduler.cells import cell_bytes, context_max, layer_cell_bytes


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda one: one.name)
def test_every_kind_of_model_has_cells_by_its_header(tmp_path: Path, architecture: Architecture) -> None:
    architecture.write(tmp_path / "model.gguf")
    model = open_model(tmp_path / "model.gguf", "m", "m")
    sizes = layer_cell_bytes(model, model.layers, CacheType.F16)
    assert len(sizes) == model.layers > 0
    assert all(size >= 0 for size in sizes)
    assert cell_bytes(model, CacheType.F16) == round(sum(sizes))
    assert cell_bytes(model, CacheType.Q8_0) == round(sum(sizes) * 34 / 64)
    assert context_max(model) == architecture.trained_tokens

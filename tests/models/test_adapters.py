"""LoRA adapters, before anything is loaded: what llama.cpp can apply is told from what it can't, or would die of."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.scripted import ScriptedScheduler, Server
from tests.models.laid_out import add_model
from tests.tiny import ARCHITECTURES
from tests.tiny.adapter import RANK, Tensors, pair, write, write_adapter
from tests.tiny.attention import write_gemma2

from swell.errors import ModelLoadError
from swell.models.adapters import open_adapter
from swell.models.catalog import Catalog
from swell.models.gguf import GgufTensor
from swell.models.store import StoreModels
from swell.models.weights import Weights, open_weights
from swell.store.store import Store

LIBRARY = "registry.ollama.ai/library"
TOKENS, WIDTH = 256, 64
MATRIX = "blk.0.attn_k.weight"  # WIDTH times WIDTH


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    path = tmp_path_factory.mktemp("models") / "llama.gguf"
    ARCHITECTURES["llama"].write(path)
    return open_weights(path)


def normal(*shape: int) -> Any:
    return np.random.default_rng(1).normal(0, 0.1, shape).astype(np.float32)


def two(name: str = MATRIX, a: Any = None, b: Any = None) -> Tensors:
    return {
        f"{name}.lora_a": normal(RANK, WIDTH) if a is None else a,
        f"{name}.lora_b": normal(WIDTH, RANK) if b is None else b,
    }


FITTING: dict[str, tuple[Tensors, Mapping[str, Any]]] = {
    "one matrix": (two(), {}),
    "no alpha": (two(), {"alpha": None}),
    "the output": (pair(GgufTensor("output.weight", "F16", (WIDTH, TOKENS)), np.random.default_rng(1)), {}),
    "embeddings": (two("token_embd.weight", normal(TOKENS, RANK), normal(WIDTH, RANK)), {}),
    "a norm beside it": ({**two(), "output_norm.weight": normal(WIDTH)}, {}),
}


@pytest.mark.parametrize(("tensors", "more"), FITTING.values(), ids=list(FITTING))
def test_what_fits_is_opened(base: Weights, tmp_path: Path, tensors: Tensors, more: Mapping[str, Any]) -> None:
    path = write(tmp_path / "lora.gguf", "llama", tensors, **more)
    assert open_adapter(path, base).path == path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_architecture_has_adapters(tmp_path: Path, name: str) -> None:
    ARCHITECTURES[name].write(tmp_path / "model.gguf")
    path = write_adapter(tmp_path / "lora.gguf", tmp_path / "model.gguf")
    assert open_adapter(path, open_weights(tmp_path / "model.gguf")).header.parameter_count > 0


UNFIT: dict[str, tuple[Tensors, Mapping[str, Any], str]] = {
    "a model": (two(), {"general": "model"}, "no LoRA"),
    "another kind": (two(), {"kind": "control_vector"}, "no LoRA"),
    "only for certain tokens": (two(), {"activated": True}, "certain tokens"),
    "an alpha of 64 bits": (two(), {"alpha": "16"}, "its alpha, 16.0,"),  # llama.cpp aborts
    "an alpha that is none": (two(), {"alpha": float("nan")}, "its alpha, nan,"),
    "an infinite alpha": (two(), {"alpha": float("inf")}, "its alpha, inf,"),
    "nothing": ({}, {}, "no matrices"),
    "norms only": ({"output_norm.weight": normal(WIDTH)}, {}, "no matrices"),
    "something else": ({**two(), "x": normal(4)}, {}, "a tensor 'x'"),
    "half of it": ({f"{MATRIX}.lora_a": normal(RANK, WIDTH)}, {}, "missing"),
    "a matrix that isn't there": (two("blk.99.attn_k.weight"), {}, "has no 'blk.99.attn_k.weight'"),
    "a wrong input": (two(a=normal(RANK, WIDTH + 32)), {}, "other sizes"),
    "a wrong output": (two(b=normal(WIDTH - 1, RANK)), {}, "other sizes"),
    "two ranks": (two(b=normal(WIDTH, RANK + 1)), {}, "other sizes"),
    "the rank 0": (two(a=normal(0, WIDTH), b=normal(WIDTH, 0)), {}, "other sizes"),
    "experts": (two(a=normal(5, RANK, WIDTH), b=normal(5, WIDTH, RANK)), {}, "other sizes"),  # llama.cpp aborts
    "embeddings of two ranks": (  # llama.cpp aborts
        two("token_embd.weight", normal(TOKENS, RANK), normal(WIDTH, RANK + 1)),
        {},
        "other sizes",
    ),
    "whole numbers": (two(a=np.ones((RANK, WIDTH), np.int32)), {}, "type I32"),  # llama.cpp crashes
    "64 bits": (two(b=np.ones((WIDTH, RANK), np.float64)), {}, "type F64"),  # llama.cpp crashes
    "more than the model": (two(a=normal(4000, WIDTH), b=normal(WIDTH, 4000)), {}, "larger than the model"),
}


@pytest.mark.parametrize(("tensors", "more", "reason"), UNFIT.values(), ids=list(UNFIT))
def test_what_does_not_fit_is_refused_in_words(
    base: Weights, tmp_path: Path, tensors: Tensors, more: Mapping[str, Any], reason: str
) -> None:
    path = write(tmp_path / "lora.gguf", "llama", tensors, **more)
    for _ in range(2):
        with pytest.raises(ModelLoadError, match=reason):
            open_adapter(path, base)


def test_an_adapter_for_another_architecture(base: Weights, tmp_path: Path) -> None:
    path = write(tmp_path / "lora.gguf", "gemma2", two())
    with pytest.raises(ModelLoadError, match="'gemma2', and the model's is 'llama'"):
        open_adapter(path, base)


def test_embeddings_that_are_the_output_too(tmp_path: Path) -> None:
    """llama.cpp would multiply the output by matrices that are for looking up, and abort."""
    write_gemma2(tmp_path / "model.gguf")
    tensors = two("token_embd.weight", normal(TOKENS, RANK), normal(WIDTH, RANK))
    path = write(tmp_path / "lora.gguf", "gemma2", tensors)
    with pytest.raises(ModelLoadError, match="output as well"):
        open_adapter(path, open_weights(tmp_path / "model.gguf"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_fits(base: Weights, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(write(tmp_path / "whole.gguf", "llama", two()).read_bytes())
    position = data.draw(st.integers(0, 600))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.gguf").write_bytes(content)
    with contextlib.suppress(ModelLoadError):
        open_adapter(tmp_path / "damaged.gguf", base)


# --- models with adapters ----------------------------------------------------------------------------------------


@pytest.fixture
def add(base: Weights, tmp_path: Path) -> Callable[..., str]:
    """Adds a model with the adapters of such strengths to the store; returns its name."""

    def add_to(name: str, *strengths: float, **layers: str) -> str:
        paths = [
            write_adapter(tmp_path / f"{strength}.gguf", base.path, strength=strength, seed=round(strength * 10))
            for strength in strengths
        ]
        add_model(tmp_path / "store", f"{LIBRARY}/{name}/latest", base.path, adapter=paths, **layers)
        return name

    return add_to


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog([StoreModels(Store(tmp_path / "store"))])


def test_models_of_the_same_files_are_one_and_of_others_are_not(add: Callable[..., str], catalog: Catalog) -> None:
    names = [
        *(add("plain"), add("tuned", 1.0), add("twin", 1.0, system="Be kind.")),
        *(add("other", 2.0), add("both", 1.0, 2.0)),
    ]
    plain, tuned, twin, other, both = (catalog.find(name, allow_path=False) for name in names)
    assert plain.key == plain.weights.key
    assert tuned.key == twin.key
    assert tuned.stamp == twin.stamp
    assert len({model.key for model in (plain, tuned, other, both)}) == 4
    assert len({model.stamp for model in (plain, tuned, other, both)}) == 4
    assert both.size_bytes == tuned.size_bytes + other.manifest.adapters[0].size_bytes
    assert [adapter.path for adapter in both.manifest.adapters] == [
        tuned.manifest.adapters[0].path,
        other.manifest.adapters[0].path,
    ]


def test_show_and_lists_count_adapters(add: Callable[..., str], catalog: Catalog) -> None:
    add("tuned", 1.0, 2.0, template="{{ .Prompt }}")
    model = catalog.find("tuned", allow_path=False)
    server = Server(catalog, ScriptedScheduler())
    lines = server.post("/api/show", model="tuned").json()["modelfile"].splitlines()
    start = lines.index(f"FROM {model.path}")
    assert lines[start + 1 : start + 4] == [
        *(f"ADAPTER {adapter.path}" for adapter in model.manifest.adapters),
        "TEMPLATE {{ .Prompt }}",
    ]
    (row,) = catalog.list()
    assert row.size_bytes == model.size_bytes > sum(file.size_bytes for file in model.files)


def test_a_model_whose_adapter_does_not_fit_is_left_out(add: Callable[..., str], catalog: Catalog) -> None:
    add("plain")
    add("tuned", 1.0)
    adapter = catalog.find("tuned", allow_path=False).manifest.adapters[0].path
    adapter.write_bytes(adapter.read_bytes()[:-9])
    assert [model.name for model in catalog.list()] == ["plain:latest"]
    with pytest.raises(ModelLoadError, match="truncated"):
        catalog.find("tuned", allow_path=False)

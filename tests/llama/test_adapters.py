"""LoRA adapters in llama.cpp: what they take, and vectors that are computed with them."""

import array
from pathlib import Path

import gguf
import pytest
from tests.tiny.adapter import write, write_adapter
from tests.tiny.attention import write_llama
from tests.tiny.encoder import write_bert

from swell.errors import ModelLoadError
from swell.llama import logs
from swell.llama.embedding import EmbeddingContext
from swell.llama.model import LlamaModel

CAPACITY = 128
TEXTS = [[5, 6, 7, 8], [9, 10], [20, 21, 22, 23]]


@pytest.fixture(scope="module", params=["encoder", "causal"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs.route()
    path = tmp_path_factory.mktemp("models") / "model.gguf"
    if request.param == "encoder":
        write_bert(path)
    else:
        write_llama(path, pooling=gguf.PoolingType.LAST)
    return path


def vectors(base: Path, *adapters: Path, reserves: bool) -> list[list[float]]:
    with LlamaModel(base) as model:
        for adapter in adapters:
            model.add_adapter(adapter)
        with EmbeddingContext(model, CAPACITY, 2, fused=False, reserves=reserves) as context:
            found = [list(array.array("f", vector)) for vector in context.embed(TEXTS)]
            assert (0 < context.resident_bytes() < context.reserved_bytes) is reserves
            return found


def difference(one: list[list[float]], other: list[list[float]]) -> float:
    return max(abs(a - b) for first, second in zip(one, other, strict=True) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("reserves", [False, True])
def test_vectors_follow_all_adapters(base: Path, tmp_path: Path, reserves: bool) -> None:
    nothing = write_adapter(tmp_path / "nothing.gguf", base, strength=0)
    one, other = (write_adapter(tmp_path / f"{seed}.gguf", base, seed=seed) for seed in (1, 2))
    plain = vectors(base, reserves=reserves)
    assert difference(vectors(base, nothing, reserves=reserves), plain) < 1e-6
    tuned, both = vectors(base, one, reserves=reserves), vectors(base, one, other, reserves=reserves)
    assert difference(tuned, plain) > 0.01
    assert difference(both, tuned) > 0.01
    assert difference(vectors(base, one, nothing, reserves=reserves), tuned) < 1e-6


def test_an_adapter_counts_as_weights_that_were_read(base: Path, tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "lora.gguf", base)
    with LlamaModel(base) as model:
        weights_bytes, copied_bytes, mapped_bytes = model.weights_bytes, model.copied_bytes, model.mapped_bytes
        model.add_adapter(path)
        assert model.weights_bytes == weights_bytes + path.stat().st_size
        assert model.copied_bytes == copied_bytes + path.stat().st_size
        assert model.mapped_bytes == mapped_bytes


@pytest.mark.parametrize("content", [b"", b"GGUF", b"{}"])
def test_what_is_none_is_an_error(base: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lora.gguf"
    path.write_bytes(content)
    with LlamaModel(base) as model, pytest.raises(ModelLoadError, match=r"lora\.gguf"):
        model.add_adapter(path)


def test_one_for_other_weights_is_an_error_with_llama_cpps_reason(base: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "lora.gguf", "gemma2", {})
    with LlamaModel(base) as model, pytest.raises(ModelLoadError, match="arch"):
        model.add_adapter(path)

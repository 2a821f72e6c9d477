"""Vectors of tiny models: an encoder, which keeps no cells, and a causal model, which does."""

import array
from collections.abc import Iterator
from pathlib import Path

import gguf
import pytest
from tests.tiny.attention import write_llama
from tests.tiny.encoder import ENCODER_TOKENS, ENCODER_WIDTH, write_bert

from swell.errors import NoEmbeddingsError
from swell.llama import logs
from swell.llama.embedding import EmbeddingContext
from swell.llama.model import LlamaModel

CAPACITY = 128
TEXTS = [[5, 6, 7, 8], [9, 10], [20, 21, 22, 23, 24, 25, 26, 27], [8, 7, 6, 5]]


@pytest.fixture(scope="module", params=["encoder", "causal"])
def embedding_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    logs.route()
    path = tmp_path_factory.mktemp("models") / "model.gguf"
    if request.param == "encoder":
        write_bert(path)
    else:
        write_llama(path, pooling=gguf.PoolingType.LAST)
    with LlamaModel(path) as model:
        yield model


def test_a_batch_gives_what_each_text_gives_alone(embedding_model: LlamaModel) -> None:
    with EmbeddingContext(embedding_model, CAPACITY, 2, fused=False) as context:
        together = [array.array("f", vector) for vector in context.embed(TEXTS)]
        alone = [array.array("f", context.embed([text])[0]) for text in TEXTS]
    for one, other in zip(together, alone, strict=True):
        assert list(one) == pytest.approx(list(other), abs=1e-5)
    assert all(len(vector) == ENCODER_WIDTH for vector in together)
    assert max(abs(one - other) for one, other in zip(together[0], together[3], strict=True)) > 0.01


def test_a_full_context_again_and_again(embedding_model: LlamaModel) -> None:
    texts = [[5] * (CAPACITY // 2), [6] * (CAPACITY // 2)]
    with EmbeddingContext(embedding_model, CAPACITY, 2, fused=False) as context:
        first = context.embed(texts)
        assert context.embed(texts) == first
        assert context.embed([[7] * CAPACITY])


def test_a_text_of_the_trained_length(tmp_path: Path) -> None:
    write_bert(tmp_path / "bert.gguf", pooling=gguf.PoolingType.CLS)
    with LlamaModel(tmp_path / "bert.gguf") as model, EmbeddingContext(model, ENCODER_TOKENS, 2, fused=True) as context:
        assert context.embed([[5] * ENCODER_TOKENS])


@pytest.mark.parametrize("pooling", [gguf.PoolingType.NONE, gguf.PoolingType.RANK])
def test_a_model_without_a_vector_per_text(tmp_path: Path, pooling: gguf.PoolingType) -> None:
    write_llama(tmp_path / "model.gguf", pooling=pooling)
    with LlamaModel(tmp_path / "model.gguf") as model, pytest.raises(NoEmbeddingsError):
        EmbeddingContext(model, CAPACITY, 2, fused=False)

"""Embeddings of a tiny encoder with random weights, through a real server."""

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest
from tests.e2e.server import MODEL, Server, running
from tests.tiny.encoder import ENCODER_TOKENS, ENCODER_WIDTH, write_bert
from tests.waiting import wait_until

from swell.llama.embedding import EmbeddingContext
from swell.llama.model import LlamaModel

SKY, GRASS, DOG = "why is the sky blue?", "why is the grass green?", "a dog runs, a cat sleeps."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("embedding server") / "log") as started:
        yield started


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("encoder") / "bert.gguf"
    write_bert(path)
    return str(path)


@pytest.fixture
def client(server: Server) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url) as connected:
        yield connected


def _embed(server: Server, model: str, text: str | list[str], **body: Any) -> list[list[float]]:
    vectors: list[list[float]] = server.ask("/api/embed", model=model, input=text, **body)["embeddings"]
    return vectors


def _close(one: Sequence[float], other: Sequence[float]) -> bool:
    """Equal but for GELU, which llama.cpp looks up by 16 bits: what else is in a batch may move a number (by 3e-5)."""
    return list(one) == pytest.approx(list(other), abs=2e-4)


def test_a_vector_has_length_1_and_depends_on_the_text(server: Server, encoder: str) -> None:
    (sky,), (dog,) = _embed(server, encoder, SKY), _embed(server, encoder, DOG)
    assert len(sky) == ENCODER_WIDTH
    assert math.hypot(*sky) == pytest.approx(1)
    assert not _close(sky, dog)


def test_a_batch_is_its_texts_in_their_order(server: Server, encoder: str) -> None:
    texts = [SKY, GRASS, DOG] * 100  # several batches, and messages
    together = _embed(server, encoder, texts)
    alone = [_embed(server, encoder, text)[0] for text in texts[:3]]
    assert all(_close(one, other) for one, other in zip(together, alone * 100, strict=True))
    sky, grass, dog = alone
    assert math.dist(sky, grass) < math.dist(sky, dog)


def test_tokens_are_counted_with_the_special_ones(server: Server, encoder: str) -> None:
    assert server.ask("/api/embed", model=encoder, input=SKY)["prompt_eval_count"] == 8
    assert server.ask("/api/embed", model=encoder, input=[SKY, SKY])["prompt_eval_count"] == 16


def test_a_text_is_cut_to_the_window(server: Server, encoder: str) -> None:
    assert _close(_embed(server, encoder, SKY, options={"num_ctx": 3})[0], _embed(server, encoder, "why")[0])
    assert _close(_embed(server, encoder, SKY, options={"num_ctx": 16})[0], _embed(server, encoder, SKY)[0])
    answer = server.ask("/api/embed", model=encoder, input=[SKY, "so " * 2000])
    assert answer["prompt_eval_count"] == 8 + ENCODER_TOKENS


@pytest.mark.parametrize("num_ctx", [1, 0])
def test_a_window_without_room_is_refused(server: Server, encoder: str, num_ctx: int) -> None:
    body = {"model": encoder, "input": SKY, "options": {"num_ctx": num_ctx}}
    response = server.http.post("/api/embed", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == "input after truncation exceeds maximum context length"


@pytest.mark.parametrize("text", ["so " * 2000, [SKY, "so " * 2000]])
def test_a_long_text_that_may_not_be_cut_is_refused(server: Server, encoder: str, text: str | list[str]) -> None:
    response = server.http.post("/api/embed", json={"model": encoder, "input": text, "truncate": False})
    assert response.status_code == 400
    assert response.json()["error"] == "the input length exceeds the context length"


def test_fewer_dimensions(server: Server, encoder: str) -> None:
    (whole,), (part,) = _embed(server, encoder, SKY), _embed(server, encoder, SKY, dimensions=8)
    norm = math.hypot(*whole[:8])
    assert _close(part, [number / norm for number in whole[:8]])


def test_the_official_client(client: ollama.Client, encoder: str) -> None:
    answer = client.embed(encoder, [SKY, DOG], dimensions=ENCODER_WIDTH)
    assert answer.model == encoder
    assert answer.prompt_eval_count == 8 + 10
    assert answer.total_duration
    raw = client.embeddings(encoder, SKY).embedding
    norm = math.hypot(*raw)
    assert norm > 1.1
    assert _close(answer.embeddings[0], [number / norm for number in raw])


def test_other_models_are_refused(client: ollama.Client, encoder: str) -> None:
    for call in (client.embed, client.embeddings):
        with pytest.raises(ollama.ResponseError) as caught:
            call(MODEL, SKY)
        assert (caught.value.status_code, caught.value.error) == (501, f'"{MODEL}" does not support embeddings')
    with pytest.raises(ollama.ResponseError) as caught:
        client.generate(encoder, "Hi")
    assert (caught.value.status_code, caught.value.error) == (400, f'"{encoder}" does not support generate')


def test_it_is_listed_without_a_cache(server: Server, encoder: str) -> None:
    _embed(server, encoder, SKY)
    row = server.loaded()
    assert (row["context_length"], row["context_used"], row["context_allocated"]) == (ENCODER_TOKENS, 0, 0)
    (stats,) = (row["stats"] for row in server.http.get("/stats").json()["models"])
    assert (stats["slots"], stats["slots_in_use"], stats["store"], stats["kv_reserved_bytes"]) == (1, 0, None, 0)


def test_a_client_that_leaves_stops_the_work(server: Server, encoder: str) -> None:
    _embed(server, encoder, SKY)
    client = httpx.Client(base_url=server.url, timeout=httpx.Timeout(60, read=1.0), trust_env=False)
    body = {"model": encoder, "input": ["so " * 1000] * 1000}
    with client, pytest.raises(httpx.ReadTimeout):
        client.post("/api/embed", json=body)
    wait_until(lambda: _stats(server)["slots_in_use"] == 0, "the embedder is idle", patience_s=5)


def test_requests_at_the_same_time(server: Server, encoder: str) -> None:
    expected = _embed(server, encoder, [SKY, DOG])
    answers: list[list[list[float]]] = []
    threads = [threading.Thread(target=lambda: answers.append(_embed(server, encoder, [SKY, DOG]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(_close(answer[i], expected[i]) for answer in answers for i in range(2))


def _stats(server: Server) -> dict[str, Any]:
    (row,) = server.http.get("/stats").json()["models"]
    return dict(row["stats"])


def _needed_bytes(encoder: str) -> int:
    """What the context for the longest text takes."""
    with (
        LlamaModel(Path(encoder)) as model,
        EmbeddingContext(model, ENCODER_TOKENS, 1, fused=True, reserves=True) as made,
    ):
        return made.reserved_bytes


def test_a_long_text_keeps_to_the_budget(log: Path, encoder: str) -> None:
    budget_bytes = _needed_bytes(encoder) // 2
    with running(log, {"SWELL_KV_BUDGET": str(budget_bytes), "SWELL_KV_WAIT": "1s"}) as server:
        short = _embed(server, encoder, SKY)
        response = server.http.post("/api/embed", json={"model": encoder, "input": [SKY, "so " * 2000]})
        assert response.status_code == 400
        assert "insufficient memory" in response.json()["error"]
        assert f"{budget_bytes / 1e6:.1f} MB free" in response.json()["error"]
        assert _embed(server, encoder, SKY) == short
        stats = _stats(server)
        assert (stats["kv_granted_bytes"], stats["kv_resident_bytes"]) == (0, 0)
        assert "was lost" not in log.read_text()


def test_a_long_text_gets_the_memory_of_an_idle_conversation(log: Path, encoder: str) -> None:
    needed_bytes = _needed_bytes(encoder)
    settings = {
        "SWELL_KV_BUDGET": str(needed_bytes + 2_000_000),
        "OLLAMA_KV_CACHE_INIT": "64",
        "OLLAMA_KV_CACHE_GROW": "64",
        "OLLAMA_NUM_PARALLEL": "1",
    }
    with running(log, settings) as server:
        server.generate("word " * 200, predict=1)  # 23,040 bytes per token
        assert server.loaded()["kv_granted"] > 2_000_000
        assert _embed(server, encoder, "so " * 2000)
        taken = {row["model"]: row["kv_granted"] for row in server.http.get("/api/ps").json()["models"]}
        assert taken[encoder] == 0
        assert sum(server.http.get("/stats").json()["server"]["relief"].values()) == 1

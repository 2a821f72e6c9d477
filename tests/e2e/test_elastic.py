"""The cache shrinks, keeps to its budget and tells the truth, through the real API on the real model."""

from pathlib import Path
from typing import Any

import pytest
from tests.e2e.server import Server, running
from tests.waiting import wait_until

CELL_BYTES = 23_040
FOX = "The quick brown fox jumps over the lazy dog. "
SLOTS = {"OLLAMA_NUM_PARALLEL": "2", "OLLAMA_KV_CACHE_INIT": "256", "OLLAMA_KV_CACHE_GROW": "256"}


def stats(server: Server) -> dict[str, Any]:
    (row,) = server.http.get("/stats").json()["models"]
    found: dict[str, Any] = row["stats"]
    return found


def test_stats_list_the_slots_beside_the_whole(log: Path) -> None:
    with running(log, SLOTS) as server:
        server.generate(FOX * 40, predict=1)
        found = stats(server)
        assert (found["store"], found["slots"], found["slots_in_use"]) == ("reserved", 2, 0)
        assert found["store_reason"]
        assert found["context_initial"] == 256
        used = sorted(slot["used"] for slot in found["slots_detail"])
        assert used == [0, found["context_used"]]
        assert sum(slot["resident_bytes"] for slot in found["slots_detail"]) == found["kv_resident_bytes"]
        assert found["kv_resident_bytes"] == pytest.approx(found["context_used"] * CELL_BYTES, rel=0.05)
        assert found["kv_reserved_bytes"] == 2 * 8192 * CELL_BYTES


def test_an_idle_model_gives_back_what_its_conversations_do_not_need(log: Path) -> None:
    with running(log, {**SLOTS, "OLLAMA_NUM_PARALLEL": "1", "SWELL_KV_IDLE_SHRINK": "2s"}) as server:
        server.generate(FOX * 150, predict=1)
        kept = server.generate(FOX * 15 + "And then", predict=1)
        assert stats(server)["context_allocated"] == 1536  # there may be another one as long as the last but one
        wait_until(lambda: stats(server)["context_allocated"] == 256, "the idle cache shrinks")
        found = stats(server)
        assert found["context_used"] == kept["prompt_eval_count"]
        assert found["kv_granted_bytes"] == 256 * CELL_BYTES
        assert server.generate(FOX * 15 + "And then", predict=1)["prompt_eval_count"] == kept["prompt_eval_count"]
        assert stats(server)["context_used"] == found["context_used"]


def test_a_budget_is_never_exceeded_and_idle_prefixes_make_way(log: Path) -> None:
    budget_cells = 1100
    with running(log, {**SLOTS, "SWELL_KV_BUDGET": str(budget_cells * CELL_BYTES)}) as server:
        for number in (1, 2, 3):
            answer = server.generate(f"{number}. " + FOX * 80, predict=1)
            assert answer["prompt_eval_count"] > 800
            assert stats(server)["kv_granted_bytes"] <= budget_cells * CELL_BYTES
        assert "reclaimed the" in log.read_text()


def test_a_prompt_that_memory_does_not_allow_is_refused_with_the_numbers(log: Path) -> None:
    with running(log, {**SLOTS, "SWELL_KV_BUDGET": str(600 * CELL_BYTES)}) as server:
        body = {"model": "smollm2:135m", "prompt": FOX * 200, "raw": True, "stream": False}
        response = server.http.post("/api/generate", json=body)
        assert response.status_code == 400
        assert response.json()["error"].startswith("insufficient memory while expanding the KV cache: cells ")
        assert server.generate("1 2 3", predict=2)["done"] is True


@pytest.mark.parametrize("store", ["reserved", "copied", "eager"])
@pytest.mark.parametrize("cache_type", ["f16", "q8_0"])
def test_every_store_holds_every_type(log: Path, store: str, cache_type: str) -> None:
    settings = {**SLOTS, "SWELL_KV_STORE": store, "OLLAMA_KV_CACHE_TYPE": cache_type, "OLLAMA_CONTEXT_LENGTH": "2048"}
    with running(log, settings) as server:
        answer = server.generate("".join(f"{number} " for number in range(1, 40)), predict=200)
        numbers = [int(word) for word in answer["response"].split()[:-1]]
        assert numbers == list(range(40, 40 + len(numbers)))
        found = stats(server)
        assert found["store"] == store
        assert found["context_allocated"] == (2048 if store == "eager" else 512)


def test_without_flash_attention_it_is_elastic_too(log: Path) -> None:
    with running(log, {**SLOTS, "OLLAMA_FLASH_ATTENTION": "0"}) as server:
        answer = server.generate("".join(f"{number} " for number in range(1, 40)), predict=100)
        assert answer["response"].startswith("40 41 42 43")
        server.generate(FOX * 60, predict=1)
        assert server.generate("".join(f"{number} " for number in range(1, 40)), predict=100) is not None
        assert stats(server)["store"] == "reserved"

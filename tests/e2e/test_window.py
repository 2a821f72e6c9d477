"""The promise: the window rises with the conversation, and memory with it, through the real API on the real model."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.server import Server, running

CELL_BYTES = 23_040
FOX = "The quick brown fox jumps over the lazy dog. "


def test_memory_follows_the_tokens(log: Path) -> None:
    with running(log) as server:
        server.ask("/api/generate")  # only loads
        assert server.loaded()["context_used"] == 0
        assert server.runner().memory_info().rss <= _weights_bytes(server) + (40 << 20) + _interpreter_bytes()

        short = server.generate(FOX * 15, predict=8)
        assert 140 < short["prompt_eval_count"] < 160
        row = server.loaded()
        assert (row["context_allocated"], row["context_length"]) == (2048, 8192)
        before_bytes, before_cells = server.runner().memory_info().rss, row["context_used"]

        secret = "The password of the lighthouse is MARIGOLD. "
        long = server.generate(FOX * 494 + secret * 2 + "The password of the lighthouse is", predict=8)
        assert 4900 < long["prompt_eval_count"] < 5100
        assert "MARIGOLD" in long["response"]
        row = server.loaded()
        assert row["context_allocated"] in (5120, 6144)
        grown_bytes = server.runner().memory_info().rss - before_bytes
        cells = row["context_used"] - before_cells
        assert 0.9 < grown_bytes / (cells * CELL_BYTES) < 1.1


def test_greedy_output_does_not_depend_on_the_store(tmp_path: Path) -> None:
    answers = []
    for dynamic in ("1", "0"):
        environment = {
            "OLLAMA_KV_CACHE_DYNAMIC": dynamic,
            "OLLAMA_KV_CACHE_INIT": "128",
            "OLLAMA_KV_CACHE_GROW": "256",
            "OLLAMA_CONTEXT_LENGTH": "2048",
        }
        with running(tmp_path / f"log{dynamic}", environment) as server:
            answer = server.generate("The history of the lighthouse begins", predict=500)
            assert answer["eval_count"] == 500
            assert server.loaded()["context_allocated"] == (640 if dynamic == "1" else 2048)
            answers.append(answer["response"])
    assert answers[0] == answers[1]


def test_num_ctx_is_a_ceiling_that_neither_reloads_nor_allocates(server: Server) -> None:
    server.generate("Hello", predict=1)
    process, allocated = server.runner().pid, server.loaded()["context_allocated"]
    for num_ctx in (512, 8192, 100_000, 64):
        answer = server.generate("1 2 3 4 5 6", predict=200, shift=False, options={"num_ctx": num_ctx})
        assert answer["prompt_eval_count"] + answer["eval_count"] <= num_ctx
        assert server.loaded()["context_length"] == min(num_ctx, 8192)
    assert answer["done_reason"] == "length"
    assert server.runner().pid == process
    assert server.loaded()["context_allocated"] == allocated


def test_the_setting_is_the_ceiling_of_who_asks_for_none(log: Path) -> None:
    with running(log, {"OLLAMA_CONTEXT_LENGTH": "512"}) as server:
        server.generate("Hello", predict=1, options={"num_ctx": 600})
        assert server.loaded()["context_length"] == 600
        server.generate("Hello", predict=1)
        row = server.loaded()
        assert (row["context_length"], row["context_trained"]) == (512, 8192)
        answer = server.generate(FOX * 48, predict=100, shift=False)
        assert answer["prompt_eval_count"] + answer["eval_count"] == 512
        body = {"model": row["name"], "prompt": FOX * 55, "truncate": False}
        refused = server.http.post("/api/generate", json=body)
        assert refused.status_code == 400
        assert "512" in refused.json()["error"]


def _weights_bytes(server: Server) -> int:
    (model,) = server.http.get("/api/tags").json()["models"]
    return int(model["size"])


def _interpreter_bytes() -> int:
    """What a Python that does nothing is resident at."""
    program = "import resource; print(int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize())"
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)

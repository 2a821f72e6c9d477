"""The question that all servers here are asked: long enough for the cache to grow while it is read and answered."""

from typing import Any

from tests.devices.worker import Worker
from tests.e2e.server import Server

SETTINGS = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": "512", "OLLAMA_KV_CACHE_GROW": "256"}
FOX = "The quick brown fox jumps over the lazy dog. "
COUNTING = "".join(f"{number} " for number in range(1, 40))
QUESTION = FOX * 42 + COUNTING


def ask(server: Server) -> dict[str, Any]:
    return server.generate(QUESTION, predict=40)


def using(*workers: Worker, **settings: str) -> dict[str, str]:
    """Settings for a server that uses `workers`."""
    return {**SETTINGS, "SWELL_WORKERS": ",".join(worker.address for worker in workers), **settings}


def stats(server: Server) -> dict[str, Any]:
    (row,) = server.http.get("/stats").json()["models"]
    found: dict[str, Any] = row["stats"]
    return found

"""Child process: memory of llama.cpp's own server, as the `xllamacpp` wheel brings it, with its default settings.

Nothing here may import `swell.llama`: two copies of llama.cpp don't belong into one process.
"""

import importlib
import os
import tempfile
import time
from typing import Any

import httpx

from swell.bench.child import answer
from swell.bench.footprint import footprint
from swell.bench.results import MemoryStage, PeerRequest, Stage, WasteResult
from swell.bench.text import text

_SPARE_TOKENS = 4  # the server refuses a prompt that leaves no room for an answer


def measure(request: PeerRequest) -> WasteResult:
    """Raises ImportError where the wheel isn't installed, httpx.HTTPError when the server refuses something."""
    xllamacpp = importlib.import_module("xllamacpp")
    before = footprint()
    with tempfile.TemporaryDirectory() as folder:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = request.model
        parameters.n_ctx = request.window_tokens * request.slots
        parameters.n_parallel = request.slots
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = request.threads
        parameters.slot_save_path = folder + os.sep  # without it a slot can't be erased
        start = time.perf_counter()
        server = xllamacpp.Server(parameters)
        creation_s = time.perf_counter() - start
        created = footprint()
        with httpx.Client(base_url=server.listening_address, timeout=None, trust_env=False) as client:
            stages = _stages(client, request)
    return WasteResult(
        creation_s=creation_s,
        cell_bytes=0,
        before=before,
        created=created,
        created_kv_resident_bytes=None,
        stages=stages,
    )


def _stages(client: httpx.Client, request: PeerRequest) -> list[MemoryStage]:
    stages: list[MemoryStage] = []
    if not request.token_counts:
        return stages
    slots = range(request.slots)
    used: dict[int, int] = {}
    for tokens in request.token_counts:
        start = time.perf_counter()
        for slot in slots:
            used[slot] = _read(client, slot, min(tokens, request.window_tokens - _SPARE_TOKENS))
        stages.append(_stage(Stage.GROWN, tokens, used, start))
    start, released = time.perf_counter(), request.slots // 2
    for slot in slots[:released]:
        client.post(f"/slots/{slot}", params={"action": "erase"}, json={}).raise_for_status()
        used[slot] = 0
    if released:
        stages.append(_stage(Stage.RELEASED, request.token_counts[-1], used, start))
    start, quarter = time.perf_counter(), request.token_counts[-1] // 4
    for slot in slots[released:]:
        used[slot] = _read(client, slot, quarter)
    stages.append(_stage(Stage.SHRUNK, quarter, used, start))
    return stages


def _read(client: httpx.Client, slot: int, tokens: int) -> int:
    """Let `slot` hold a prompt of `tokens`, of which it computes only what it doesn't have; returns what it holds."""
    body = {"prompt": text(tokens), "n_predict": 1, "id_slot": slot, "cache_prompt": True}
    response = client.post("/completion", json=body)
    response.raise_for_status()
    found: dict[str, Any] = response.json()
    return int(found["tokens_cached"])


def _stage(stage: Stage, tokens: int, used: dict[int, int], start: float) -> MemoryStage:
    duration_s = time.perf_counter() - start
    return MemoryStage(
        stage=stage, tokens=tokens, used_tokens=sum(used.values()), duration_s=duration_s, process=footprint()
    )


if __name__ == "__main__":
    answer(PeerRequest, measure)
    os._exit(0)  # the server's own threads have no end that could be waited for
